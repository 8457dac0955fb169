//! The online store: killed, frozen, slow, silent, failing over, flushed.

use std::{process::Command, time::Duration};

use testkit::{Proxy, RedisCluster};

use super::direct;
use crate::chaos::{
    pause,
    stage::{Finding, World},
};

const BROKEN_FOR: Duration = Duration::from_secs(4);

/// The last part of the outage is the load of the rows: Redis is empty when it comes back.
pub(super) fn killed(world: &mut World) -> Result<Finding, String> {
    let mut redis = world.redis()?;
    let setup = direct(world, redis.url());
    let mut run = world.run("redis-killed", setup)?;
    run.fault();
    redis.kill();
    pause(Duration::from_secs(3));
    redis.restart();
    world.kit.load_features(&redis.url(), &world.kit.rows())?;
    run.heal();
    Ok(run.finish())
}

pub(super) fn frozen(world: &mut World) -> Result<Finding, String> {
    let redis = world.redis()?;
    let setup = direct(world, redis.url());
    let mut run = world.run("redis-frozen", setup)?;
    run.fault();
    redis.stop();
    pause(BROKEN_FOR);
    redis.cont();
    run.heal();
    Ok(run.finish())
}

pub(super) fn slow(world: &mut World) -> Result<Finding, String> {
    let redis = world.redis()?;
    let proxy = Proxy::start(redis.port());
    let setup = direct(world, format!("redis://{}", proxy.address()));
    let mut run = world.run("redis-slow", setup)?;
    run.fault();
    proxy.delay(Duration::from_millis(15));
    pause(BROKEN_FOR);
    proxy.heal();
    run.heal();
    Ok(run.finish())
}

pub(super) fn half_open(world: &mut World) -> Result<Finding, String> {
    let redis = world.redis()?;
    let proxy = Proxy::start(redis.port());
    let setup = direct(world, format!("redis://{}", proxy.address()));
    let mut run = world.run("redis-half-open", setup)?;
    run.fault();
    proxy.black_hole();
    proxy.heal();
    run.heal();
    Ok(run.finish())
}

/// Nobody starts the dead master again: the cluster heals by itself, and so must the gateway.
pub(super) fn failover(world: &mut World) -> Result<Finding, String> {
    let mut cluster = RedisCluster::start_with_replicas();
    world.kit.load_features(&cluster.url(), &world.kit.rows())?;
    let setup = direct(world, cluster.url());
    let mut run = world.run("redis-failover", setup)?;
    run.fault();
    cluster.nodes[0].kill();
    cluster.wait_for_failover(0);
    run.heal();
    Ok(run.finish())
}

pub(super) fn flushed(world: &mut World) -> Result<Finding, String> {
    let redis = world.redis()?;
    let setup = direct(world, redis.url());
    let mut run = world.run("redis-flushed", setup)?;
    run.fault();
    let port = redis.port().to_string();
    let flushed = Command::new("redis-cli")
        .args(["-p", &port, "flushall"])
        .output();
    let flushed = flushed.map_err(|error| format!("redis-cli cannot be run: {error}"))?;
    if !flushed.status.success() {
        return Err("Redis did not take FLUSHALL".into());
    }
    pause(Duration::from_secs(3));
    world.kit.load_features(&redis.url(), &world.kit.rows())?;
    run.heal();
    Ok(run.finish())
}
