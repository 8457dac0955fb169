//! One endpoint as one model sees it: its slots, its service times, and whether it has the model.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{outlier, slots::Slots};
use crate::{endpoint::Endpoint, error::InferError, service_time::ServiceTimes};

/// An endpoint that lacks the model is asked again after this, then after twice that, up to the cap.
const FIRST_ABSENCE: Duration = Duration::from_millis(50);
const MAX_ABSENCE: Duration = Duration::from_millis(800);

#[derive(Debug)]
struct Absence {
    until: Instant,
    lasts: Duration,
    error: InferError,
}

/// What is known of one model at one endpoint.
#[derive(Debug)]
pub(crate) struct Lane {
    pub(crate) endpoint: Arc<Endpoint>,
    pub(crate) slots: Slots,
    pub(crate) times: ServiceTimes,
    absence: Option<Absence>,
    /// Since when its calls take longer than the others'.
    slow_since: Option<Instant>,
    /// How often the endpoint had been ejected when slots were last given.
    ejections: u32,
}

impl Lane {
    pub(crate) fn new(endpoint: Arc<Endpoint>, instances: usize, now: Instant) -> Self {
        Self {
            slots: Slots::new(instances, now),
            times: ServiceTimes::default(),
            absence: None,
            slow_since: None,
            ejections: endpoint.ejections(),
            endpoint,
        }
    }

    pub(crate) fn is_of(&self, endpoint: &Arc<Endpoint>) -> bool {
        Arc::ptr_eq(&self.endpoint, endpoint)
    }

    /// Whether it may be given a call, slots aside.
    pub(crate) fn in_service(&self, now: Instant) -> bool {
        self.absent(now).is_none() && self.endpoint.would_admit(now) && self.endpoint.has_room()
    }

    /// Why it has no use for a call: it said that it does not serve the model.
    pub(crate) fn absent(&self, now: Instant) -> Option<&InferError> {
        let absence = self.absence.as_ref()?;
        (now < absence.until).then_some(&absence.error)
    }

    /// It said that it does not serve the model.
    pub(crate) fn lacks_model(&mut self, error: &InferError, now: Instant) {
        let before = self.absence.as_ref().map(|absence| absence.lasts * 2);
        let lasts = before.unwrap_or(FIRST_ABSENCE).min(MAX_ABSENCE);
        self.absence = Some(Absence {
            until: now + lasts,
            lasts,
            error: error.clone(),
        });
    }

    /// It answered a call of so many rows.
    pub(crate) fn answered(&mut self, rows: usize, took: Duration, trial: bool, now: Instant) {
        self.absence = None;
        self.times.record(rows, took, trial, now);
        let ejections = self.endpoint.ejections();
        // What was out when it was ejected may still be answered: it is not back yet.
        if ejections != self.ejections && self.endpoint.is_closed() {
            self.ejections = ejections;
            self.slots.slow_start();
        }
    }

    /// Whether it has been slower than the `others` for so long that it should be ejected.
    pub(crate) fn is_outlier(
        &mut self,
        own: Duration,
        others: &mut [Duration],
        now: Instant,
    ) -> bool {
        if !outlier::stands_out(own, others) {
            self.slow_since = None;
            return false;
        }
        let since = *self.slow_since.get_or_insert(now);
        now.saturating_duration_since(since) >= outlier::PATIENCE
    }
}
