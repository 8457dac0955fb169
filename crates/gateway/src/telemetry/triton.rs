//! What is known of Triton's endpoints and queues, as metrics: taken when somebody looks.

use metrics::{counter, describe_counter, describe_gauge, gauge};
use triton_client::{BreakerState, EndpointSet, EndpointState, QueueState};

/// Sets every metric of the endpoints and queues to what it is now.
pub fn report(endpoints: &EndpointSet) {
    endpoints.states().iter().for_each(endpoint);
    endpoints.queues().iter().for_each(queue);
}

fn endpoint(endpoint: &EndpointState) {
    let name = || endpoint.name.to_string();
    gauge!("gavel_endpoint_in_flight", "endpoint" => name()).set(endpoint.in_flight as f64);
    counter!("gavel_endpoint_ejections_total", "endpoint" => name())
        .absolute(u64::from(endpoint.ejections));
    for state in [
        BreakerState::Closed,
        BreakerState::Open,
        BreakerState::HalfOpen,
    ] {
        let is = f64::from(u8::from(endpoint.state == state));
        gauge!("gavel_endpoint_state", "endpoint" => name(), "state" => state.to_string()).set(is);
    }
}

fn queue(queue: &QueueState) {
    let version = queue.version.as_deref().unwrap_or("newest");
    let labels = || {
        [
            ("model", queue.model.to_string()),
            ("version", version.to_owned()),
        ]
    };
    gauge!("gavel_queue_rows", &labels()).set(queue.waiting_rows as f64);
    let totals = &queue.totals;
    counter!("gavel_queue_rows_sent_total", &labels()).absolute(totals.rows);
    counter!("gavel_queue_calls_total", &labels()).absolute(totals.calls);
    counter!("gavel_queue_shed_total", &labels()).absolute(totals.shed);
    counter!("gavel_queue_expired_total", &labels()).absolute(totals.expired);
    counter!("gavel_queue_retried_total", &labels()).absolute(totals.retried);
    counter!("gavel_queue_halved_total", &labels()).absolute(totals.halved);
    for lane in &queue.lanes {
        let labels = || {
            let [model, version] = labels();
            [model, version, ("endpoint", lane.endpoint.to_string())]
        };
        gauge!("gavel_slots", &labels()).set(lane.slots as f64);
        gauge!("gavel_slots_in_use", &labels()).set(lane.in_use as f64);
        if let Some(predicted) = lane.predicted {
            gauge!("gavel_predicted_call_seconds", &labels()).set(predicted.as_secs_f64());
        }
    }
}

pub(super) fn describe() {
    describe_gauge!(
        "gavel_endpoint_in_flight",
        "Calls that are out at an endpoint, those that nobody awaits included."
    );
    describe_gauge!(
        "gavel_endpoint_state",
        "1 for the state that an endpoint's breaker is in."
    );
    describe_counter!(
        "gavel_endpoint_ejections_total",
        "How often an endpoint's breaker opened."
    );
    describe_gauge!("gavel_queue_rows", "Rows that wait for a slot.");
    describe_counter!(
        "gavel_queue_rows_sent_total",
        "Rows that were sent to Triton; by calls, that is the mean batch."
    );
    describe_counter!("gavel_queue_calls_total", "Calls that carried them.");
    describe_counter!(
        "gavel_queue_shed_total",
        "Requests that left the queue at once because more waited than could be answered in time."
    );
    describe_counter!(
        "gavel_queue_expired_total",
        "Requests whose last moment passed while they waited."
    );
    describe_counter!(
        "gavel_queue_retried_total",
        "Requests that were sent once more, to another endpoint."
    );
    describe_counter!(
        "gavel_queue_halved_total",
        "Calls that were halved to find the request at fault."
    );
    describe_gauge!(
        "gavel_slots",
        "Calls of a model that an endpoint is given at a time."
    );
    describe_gauge!(
        "gavel_slots_in_use",
        "Calls of a model that are out and prompt."
    );
    describe_gauge!(
        "gavel_predicted_call_seconds",
        "How long a call of one row is expected to take."
    );
}
