//! The network between the gateway and its Tritons: slow, cut, reset, silent.

use std::time::Duration;

use testkit::Proxy;

use crate::chaos::{
    gateway::Setup,
    pause,
    stage::{Finding, Run, World},
};

const BROKEN_FOR: Duration = Duration::from_secs(4);

/// Runs a gateway that reaches its Tritons by way of the proxies.
fn proxied(
    world: &mut World,
    name: &str,
    act: impl FnOnce(&mut Run, &[Proxy]),
) -> Result<Finding, String> {
    let redis = world.redis()?;
    let setup = Setup {
        tritons: world.proxied(),
        store: redis.url(),
        ..Setup::default()
    };
    let mut run = world.run(name, setup)?;
    run.fault();
    act(&mut run, &world.proxies);
    Ok(run.finish())
}

fn heal(run: &mut Run, proxies: &[Proxy]) {
    proxies.iter().for_each(Proxy::heal);
    run.heal();
}

pub(super) fn one_slow_pod(world: &mut World) -> Result<Finding, String> {
    proxied(world, "pod-ten-times-slower", |run, proxies| {
        proxies[0].delay(Duration::from_millis(15));
        pause(Duration::from_secs(5));
        run.must_have_spread();
        heal(run, proxies);
    })
}

pub(super) fn slow(world: &mut World) -> Result<Finding, String> {
    proxied(world, "network-slow", |run, proxies| {
        proxies
            .iter()
            .for_each(|proxy| proxy.delay(Duration::from_millis(60)));
        pause(BROKEN_FOR);
        heal(run, proxies);
    })
}

pub(super) fn trickles(world: &mut World) -> Result<Finding, String> {
    proxied(world, "network-trickles", |run, proxies| {
        for proxy in proxies {
            proxy.trickle(64, Duration::from_millis(10));
        }
        pause(BROKEN_FOR);
        heal(run, proxies);
    })
}

pub(super) fn cuts(world: &mut World) -> Result<Finding, String> {
    proxied(world, "network-cuts", |run, proxies| {
        proxies.iter().for_each(|proxy| proxy.cut_after(4_000));
        pause(BROKEN_FOR);
        heal(run, proxies);
    })
}

pub(super) fn resets(world: &mut World) -> Result<Finding, String> {
    proxied(world, "network-resets", |run, proxies| {
        for _ in 0..20 {
            proxies.iter().for_each(Proxy::reset_connections);
            pause(Duration::from_millis(200));
        }
        heal(run, proxies);
    })
}

pub(super) fn half_open_one(world: &mut World) -> Result<Finding, String> {
    proxied(world, "network-half-open-one", |run, proxies| {
        proxies[0].black_hole();
        pause(BROKEN_FOR);
        run.must_have_spread();
        heal(run, proxies);
    })
}

/// As when a firewall forgets the connections that it had let through: nothing says that they are
/// dead, so the fault heals only when the gateway makes new ones.
pub(super) fn half_open_all(world: &mut World) -> Result<Finding, String> {
    proxied(world, "network-half-open-all", |run, proxies| {
        proxies.iter().for_each(Proxy::black_hole);
        heal(run, proxies);
    })
}
