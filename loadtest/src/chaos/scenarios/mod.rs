//! Every scenario by name. One is a function that breaks and heals parts of the world while a
//! gateway is under load.

mod disk;
mod gateway;
mod network;
mod redis;
mod triton;

use super::{
    gateway::Setup,
    stage::{Finding, World},
};

/// What one is called, what it does, and how.
pub(super) struct Scenario {
    pub(super) name: &'static str,
    pub(super) what: &'static str,
    pub(super) run: fn(&mut World) -> Result<Finding, String>,
}

macro_rules! scenarios {
    ($($name:literal, $run:path, $what:literal;)*) => {
        &[$(Scenario { name: $name, what: $what, run: $run }),*]
    };
}

/// In the order in which they run.
pub(super) const ALL: &[Scenario] = scenarios! {
    "triton-killed-one", triton::killed_one, "kill -9 of one of two Tritons; it is started again after 4 s";
    "triton-killed-all", triton::killed_all, "kill -9 of all Tritons; they are started again after 4 s";
    "triton-frozen-one", triton::frozen_one, "SIGSTOP of one of two Tritons for 4 s";
    "triton-frozen-all", triton::frozen_all, "SIGSTOP of all Tritons for 4 s";
    "triton-restarted-one", triton::restarted_one, "SIGTERM of one of two Tritons; it is started again when it has ended";
    "triton-restarted-all", triton::restarted_all, "SIGTERM of all Tritons; each is started again when it has ended";
    "triton-rolling-restart", triton::rolling_restart, "SIGTERM and start of one Triton, then of the other";
    "triton-stub-killed", triton::stub_killed, "kill -9 of a model's Python process in one of two Tritons, which goes on saying that it is ready; the pod is restarted after 5 s";
    "pod-ten-times-slower", network::one_slow_pod, "one of two Tritons answers 30 ms later for 5 s";
    "network-slow", network::slow, "everything to and from all Tritons is 60 ms late for 4 s";
    "network-trickles", network::trickles, "64 bytes each 10 ms pass to and from all Tritons, for 4 s";
    "network-cuts", network::cuts, "each connection to a Triton is closed after 4,000 bytes, for 4 s";
    "network-resets", network::resets, "all connections to all Tritons are reset each 200 ms, for 4 s";
    "network-half-open-one", network::half_open_one, "all connections to one of two Tritons, new ones too, are silent for 4 s";
    "network-half-open-all", network::half_open_all, "all connections to all Tritons go silent for good; new ones pass";
    "redis-killed", redis::killed, "kill -9 of Redis; after 3 s it is started again and loaded";
    "redis-frozen", redis::frozen, "SIGSTOP of Redis for 4 s";
    "redis-slow", redis::slow, "Redis answers 30 ms late for 4 s, three times what features may take";
    "redis-half-open", redis::half_open, "all connections to Redis go silent for good; new ones pass";
    "redis-failover", redis::failover, "kill -9 of a master of a Redis cluster; a replica takes its place";
    "redis-flushed", redis::flushed, "FLUSHALL; the rows are loaded again after 3 s";
    "disk-full", disk::full, "the disk of the embedded store fills up for 4 s; then a load and a start on the full disk";
    "gateway-sigterm", gateway::sigterm, "SIGTERM of the gateway while Triton is frozen and many requests wait; it is started again when it has ended";
    "clock-jumps", gateway::clock_jumps, "the gateway's wall clock jumps an hour ahead, two hours back, and a day ahead";
};

/// The Tritons themselves, and an online store.
fn direct(world: &World, store: String) -> Setup {
    Setup {
        tritons: world.direct(),
        store,
        ..Setup::default()
    }
}
