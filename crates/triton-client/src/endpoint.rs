//! One Triton: its channel, its slots, its breaker and how long its models take.

use std::{
    fmt,
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use parking_lot::Mutex;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout_at},
};
use tonic::{Response, Status};

use crate::{
    breaker::{Breaker, BreakerState, Pass, Probe},
    dial::Dial,
    error::{ControlError, InferError},
    infer::{InferRequest, InferResponse},
    options::EndpointOptions,
    proto::{ServerMetadataRequest, grpc_inference_service_client::GrpcInferenceServiceClient},
    server::ServerMetadata,
    transport::Channel,
};

/// Probes that may be out unanswered. They have slots of their own, so that calls which hang on
/// a dead connection cannot keep the endpoint from being found well again.
const MAX_PROBES_OUT: usize = 64;
/// Control questions that may be out unanswered.
const MAX_CONTROL_OUT: usize = 8;

/// An endpoint as operators see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointState {
    /// Its URL.
    pub name: Arc<str>,
    /// Where its breaker stands.
    pub state: BreakerState,
    /// The failure that keeps it from being closed.
    pub why: Option<Arc<str>>,
    /// Calls that are out, those whose waiters have left included.
    pub in_flight: usize,
    /// How often its breaker opened.
    pub ejections: u32,
}

/// Leave to make one call: it holds its slot until it is dropped, and its breaker's pass until the
/// call is judged.
pub(crate) struct Admitted {
    pub(crate) endpoint: Arc<Endpoint>,
    pub(crate) channel: Channel,
    pub(crate) pass: Option<Pass>,
    _slot: OwnedSemaphorePermit,
}

impl Admitted {
    pub(crate) fn probe(&self) -> Option<Probe> {
        self.pass.as_ref().and_then(Pass::probe)
    }
}

pub(crate) struct Endpoint {
    name: Arc<str>,
    pub(crate) options: EndpointOptions,
    dial: Dial,
    channel: Mutex<Channel>,
    slots: Arc<Semaphore>,
    probe_slots: Arc<Semaphore>,
    control_slots: Arc<Semaphore>,
    breaker: Arc<Breaker>,
    survives_cancellation: AtomicBool,
}

impl Endpoint {
    pub(crate) fn new(name: Arc<str>, dial: Dial, options: EndpointOptions) -> Arc<Self> {
        Arc::new(Self {
            breaker: Breaker::new(Arc::clone(&name), &options),
            slots: Arc::new(Semaphore::new(
                options.max_in_flight.min(Semaphore::MAX_PERMITS),
            )),
            probe_slots: Arc::new(Semaphore::new(MAX_PROBES_OUT)),
            control_slots: Arc::new(Semaphore::new(MAX_CONTROL_OUT)),
            name,
            channel: Mutex::new(dial.channel()),
            dial,
            options,
            survives_cancellation: AtomicBool::new(false),
        })
    }

    /// A request over the limit is not left to the encoder, which would notice it mid-stream and
    /// reset the stream: a cancellation on the wire.
    pub(crate) fn check_size(request: &InferRequest, limit: usize) -> Result<(), InferError> {
        let size = request.size_bytes();
        if size <= limit {
            return Ok(());
        }
        let message = format!("its inputs are {size} bytes, and the limit is {limit} bytes");
        Err(InferError::Caller { message })
    }

    /// Leave to make one call now.
    pub(crate) fn admit(self: &Arc<Self>, now: Instant) -> Result<Admitted, InferError> {
        let pass = self.breaker.admit(now).ok_or(InferError::BreakerOpen)?;
        let (slot, channel) = if let Some(probe) = pass.probe() {
            let slot = Arc::clone(&self.probe_slots).try_acquire_owned();
            let slot = slot.map_err(|_| InferError::BreakerOpen)?;
            (slot, self.probe_channel(probe.number))
        } else {
            let slot = Arc::clone(&self.slots).try_acquire_owned();
            (slot.map_err(|_| InferError::Overloaded)?, self.channel())
        };
        Ok(Admitted {
            endpoint: Arc::clone(self),
            channel,
            pass: Some(pass),
            _slot: slot,
        })
    }

    fn channel(&self) -> Channel {
        self.channel.lock().clone()
    }

    /// Replaces the channel. Calls on the old one keep it alive until they are over.
    fn redial(&self) -> Channel {
        let channel = self.dial.channel();
        *self.channel.lock() = channel.clone();
        channel
    }

    /// The old connection may be dead without anybody having said so, so the first probe gets a
    /// fresh one. Against a server that stays frozen that leaves connections behind, so after
    /// that only the 2nd, 4th, 8th, … probe does.
    fn probe_channel(&self, probe: u32) -> Channel {
        if probe.is_power_of_two() {
            self.redial()
        } else {
            self.channel()
        }
    }

    /// The one verdict of a call that was answered in time. Whoever asks nonsense is refused by the
    /// server's front: that much is well, so it closes the breaker if the call was the probe. But it
    /// does not interrupt a row of failures: one caller's nonsense would hide them for ever.
    pub(crate) fn judge(
        &self,
        pass: Pass,
        answer: &Result<InferResponse, InferError>,
        now: Instant,
    ) {
        match answer {
            Err(InferError::Server { message }) => self.failed(pass, message),
            Err(InferError::Caller { .. }) if pass.probe().is_none() => drop(pass),
            _ => pass.success(now),
        }
    }

    pub(crate) fn failed(&self, pass: Pass, why: &str) {
        let opened = pass.failure(Instant::now(), why);
        self.is_another_if(opened);
    }

    pub(crate) fn silent(&self, pass: Pass, why: &str) {
        let opened = pass.silence(Instant::now(), why);
        self.is_another_if(opened);
    }

    /// When the breaker opens, whoever answers next may be another server.
    fn is_another_if(&self, opened: bool) {
        if opened {
            self.survives_cancellation.store(false, Ordering::Relaxed);
        }
    }

    pub(crate) fn survives_cancellation(&self) -> bool {
        self.survives_cancellation.load(Ordering::Relaxed)
    }

    /// Asks what the server is, and keeps whether it outlives cancellation.
    pub(crate) async fn learn_server(
        &self,
        deadline: Instant,
    ) -> Result<ServerMetadata, ControlError> {
        let asked = self.ask(
            |mut client| async move { client.server_metadata(ServerMetadataRequest {}).await },
            deadline,
        );
        let metadata = ServerMetadata::of_proto(asked.await?);
        self.survives_cancellation
            .store(metadata.survives_cancellation(), Ordering::Relaxed);
        Ok(metadata)
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// It is so much slower than the others that it is left alone for a while.
    pub(crate) fn eject(&self, why: &str) {
        self.breaker.trip(Instant::now(), why);
    }

    /// How often its breaker opened.
    pub(crate) fn ejections(&self) -> u32 {
        self.breaker.openings()
    }

    /// Whether one more call may be out. Probes have slots of their own.
    pub(crate) fn has_room(&self) -> bool {
        self.slots.available_permits() > 0 || !self.is_closed()
    }

    /// Whether its breaker is closed.
    pub(crate) fn is_closed(&self) -> bool {
        self.breaker.is_closed()
    }

    pub(crate) fn would_admit(&self, now: Instant) -> bool {
        self.breaker.would_admit(now)
            && (self.is_closed() || self.probe_slots.available_permits() > 0)
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.options
            .max_in_flight
            .saturating_sub(self.slots.available_permits())
            + MAX_PROBES_OUT.saturating_sub(self.probe_slots.available_permits())
    }

    pub(crate) fn state(&self) -> EndpointState {
        let (state, why) = self.breaker.state();
        EndpointState {
            name: Arc::clone(&self.name),
            state,
            why,
            in_flight: self.in_flight(),
            ejections: self.ejections(),
        }
    }

    /// Asks a control question over the same channel, detached for the same reasons as a call.
    pub(crate) async fn ask<Q, F, R>(
        &self,
        question: Q,
        deadline: Instant,
    ) -> Result<R, ControlError>
    where
        Q: FnOnce(GrpcInferenceServiceClient<Channel>) -> F,
        F: Future<Output = Result<Response<R>, Status>> + Send + 'static,
        R: Send + 'static,
    {
        let Ok(slot) = Arc::clone(&self.control_slots).try_acquire_owned() else {
            let message = format!("{MAX_CONTROL_OUT} questions are still unanswered");
            return Err(ControlError::Unreachable { message });
        };
        let limit = self.options.max_message_bytes;
        let asked = question(self.channel().client(limit));
        let answer = tokio::spawn(async move {
            let answer = asked.await;
            drop(slot);
            answer
        });
        match timeout_at(deadline, answer).await {
            Ok(Ok(Ok(response))) => Ok(response.into_inner()),
            Ok(Ok(Err(status))) => Err(ControlError::of_status(&status)),
            Ok(Err(_)) => Err(ControlError::abandoned()),
            Err(_) => {
                self.redial();
                Err(ControlError::Deadline)
            }
        }
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.state().fmt(f)
    }
}
