//! The online store: killed, frozen, slow, silent, failing over, flushed.

use std::{process::Command, time::Duration};

use testkit::{Proxy, Redis, RedisCluster};

use super::direct;
use crate::chaos::{
    gateway::Kit,
    pause,
    stage::{Finding, World},
};

const BROKEN_FOR: Duration = Duration::from_secs(4);

/// Runs a gateway in front of a Redis that counted the examples' payments.
fn under_load(
    world: &mut World,
    name: &str,
    act: impl FnOnce(&mut Redis, &Kit) -> Result<(), String>,
) -> Result<Finding, String> {
    let mut redis = world.redis()?;
    let setup = direct(world, redis.url());
    let mut run = world.run(name, setup)?;
    run.fault();
    act(&mut redis, &world.kit)?;
    run.heal();
    Ok(run.finish())
}

/// Likewise, by way of a proxy.
fn proxied(world: &mut World, name: &str, act: impl FnOnce(&Proxy)) -> Result<Finding, String> {
    let redis = world.redis()?;
    let proxy = Proxy::start(redis.port());
    let setup = direct(world, format!("redis://{}", proxy.address()));
    let mut run = world.run(name, setup)?;
    run.fault();
    act(&proxy);
    proxy.heal();
    run.heal();
    Ok(run.finish())
}

/// The last part of the outage is the counting of the payments: Redis is empty when it comes back.
pub(super) fn killed(world: &mut World) -> Result<Finding, String> {
    under_load(world, "redis-killed", |redis, kit| {
        redis.kill();
        pause(Duration::from_secs(3));
        redis.restart();
        kit.ingest(&redis.url(), &kit.payments())
    })
}

pub(super) fn frozen(world: &mut World) -> Result<Finding, String> {
    under_load(world, "redis-frozen", |redis, _| {
        redis.stop();
        pause(BROKEN_FOR);
        redis.cont();
        Ok(())
    })
}

pub(super) fn slow(world: &mut World) -> Result<Finding, String> {
    proxied(world, "redis-slow", |proxy| {
        proxy.delay(Duration::from_millis(15));
        pause(BROKEN_FOR);
    })
}

pub(super) fn half_open(world: &mut World) -> Result<Finding, String> {
    proxied(world, "redis-half-open", Proxy::black_hole)
}

/// Nobody starts the dead master again: the cluster heals by itself, and so must the gateway.
pub(super) fn failover(world: &mut World) -> Result<Finding, String> {
    let mut cluster = RedisCluster::start_with_replicas();
    world.kit.ingest(&cluster.url(), &world.kit.payments())?;
    let setup = direct(world, cluster.url());
    let mut run = world.run("redis-failover", setup)?;
    run.fault();
    cluster.nodes[0].kill();
    cluster.wait_for_failover(0);
    run.heal();
    Ok(run.finish())
}

pub(super) fn flushed(world: &mut World) -> Result<Finding, String> {
    under_load(world, "redis-flushed", |redis, kit| {
        let port = redis.port().to_string();
        let flushed = Command::new("redis-cli")
            .args(["-p", &port, "flushall"])
            .output();
        let flushed = flushed.map_err(|error| format!("redis-cli cannot be run: {error}"))?;
        if !flushed.status.success() {
            return Err("Redis did not take FLUSHALL".into());
        }
        pause(Duration::from_secs(3));
        kit.ingest(&redis.url(), &kit.payments())
    })
}
