//! Real servers for tests: on free ports, in process groups of their own, ended on drop.
//! Development only.
//!
//! What a test does to a server, it does as an operating system would: freeze it
//! ([`Triton::stop`]: SIGSTOP), kill it, start it again on the same port. The interface is
//! synchronous, so it needs no runtime and works under a paused clock.
//!
//! What a network does to a server, [`Proxy`] does: it delays, trickles, cuts, resets and goes
//! silent, in between.
//!
//! A part that is missing is never skipped: the test fails with a sentence that says what to
//! install.

#![expect(
    clippy::panic,
    reason = "a test whose server does not start has failed, in words"
)]

mod cluster;
mod http;
mod kafka;
mod port;
mod process;
mod proxy;
mod redis;
mod sentinel;
mod triton;

pub use cluster::RedisCluster;
pub use kafka::Kafka;
#[cfg(feature = "kafka-cluster")]
pub use kafka::KafkaCluster;
pub use port::free_port;
pub use proxy::{Proxy, Target};
pub use redis::Redis;
pub use sentinel::RedisSentinel;
pub use triton::Triton;
