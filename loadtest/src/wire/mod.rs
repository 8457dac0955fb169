//! How a question is asked: clients that cost little, because they share the cores with what they
//! measure.
//!
//! Requests are encoded before the run. A connection of HTTP/1.1 carries one question at a time; one
//! of HTTP/2 many. A caller of the scheduler has no wire: it is measured in this process.

mod answer;
mod encode;
mod grpc;
mod http1;
pub(crate) mod response;
mod scheduled;

#[cfg(test)]
mod tests;

use std::{net::SocketAddr, rc::Rc};

pub use answer::{Answer, Tier};
pub use encode::{Format, Requests};
pub use grpc::{GrpcCaller, GrpcTarget};
pub use http1::{HttpCaller, HttpTarget};
pub use scheduled::{ScheduledCaller, ScheduledError, ScheduledTarget};

use crate::load::{Caller, Outcome};

/// A system under load: where it listens, and how it is asked.
#[derive(Clone, Debug)]
pub enum Target {
    /// Over HTTP/1.1.
    Http(Rc<HttpTarget>),
    /// Over gRPC.
    Grpc(Rc<GrpcTarget>),
    /// By a scheduler in this process.
    Scheduled(Rc<ScheduledTarget>),
}

impl Target {
    /// `connections` bounds those of HTTP/2, which callers share.
    pub fn new(address: SocketAddr, requests: Requests, connections: usize) -> Self {
        if requests.format().is_grpc() {
            Target::Grpc(Rc::new(GrpcTarget::new(address, requests, connections)))
        } else {
            Target::Http(Rc::new(HttpTarget::new(address, requests)))
        }
    }

    /// One more caller.
    pub fn caller(&self) -> AnyCaller {
        match self {
            Target::Http(target) => AnyCaller::Http(HttpCaller::new(Rc::clone(target))),
            Target::Grpc(target) => AnyCaller::Grpc(GrpcCaller::new(Rc::clone(target))),
            Target::Scheduled(target) => {
                AnyCaller::Scheduled(ScheduledCaller::new(Rc::clone(target)))
            }
        }
    }
}

/// A caller of any kind.
#[derive(Debug)]
pub enum AnyCaller {
    /// Over HTTP/1.1.
    Http(HttpCaller),
    /// Over gRPC.
    Grpc(GrpcCaller),
    /// By a scheduler in this process.
    Scheduled(ScheduledCaller),
}

impl Caller for AnyCaller {
    async fn prepare(&mut self) {
        match self {
            AnyCaller::Http(caller) => caller.prepare().await,
            AnyCaller::Grpc(caller) => caller.prepare().await,
            AnyCaller::Scheduled(caller) => caller.prepare().await,
        }
    }

    async fn call(&mut self, question: usize) -> Outcome {
        match self {
            AnyCaller::Http(caller) => caller.call(question).await,
            AnyCaller::Grpc(caller) => caller.call(question).await,
            AnyCaller::Scheduled(caller) => caller.call(question).await,
        }
    }
}
