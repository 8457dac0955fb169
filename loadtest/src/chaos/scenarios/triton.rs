//! Tritons killed, frozen, restarted, and with a dead process inside.

use std::{fs, time::Duration};

use testkit::Triton;

use super::direct;
use crate::chaos::{
    gateway::signal,
    pause,
    stage::{Finding, Run, World},
};

const BROKEN_FOR: Duration = Duration::from_secs(4);

/// Runs a gateway that reaches its Tritons without anything in between.
fn under_load(
    world: &mut World,
    name: &str,
    act: impl FnOnce(&mut Run, &mut [Triton]) -> Result<(), String>,
) -> Result<Finding, String> {
    let redis = world.redis()?;
    let setup = direct(world, redis.url());
    let mut run = world.run(name, setup)?;
    run.fault();
    act(&mut run, &mut world.tritons)?;
    run.heal();
    Ok(run.finish())
}

pub(super) fn killed_one(world: &mut World) -> Result<Finding, String> {
    under_load(world, "triton-killed-one", |run, tritons| {
        tritons[0].kill9();
        pause(BROKEN_FOR);
        run.must_have_spread();
        tritons[0].restart();
        Ok(())
    })
}

pub(super) fn killed_all(world: &mut World) -> Result<Finding, String> {
    under_load(world, "triton-killed-all", |_, tritons| {
        tritons.iter_mut().for_each(Triton::kill9);
        pause(BROKEN_FOR);
        World::restart(tritons);
        Ok(())
    })
}

pub(super) fn frozen_one(world: &mut World) -> Result<Finding, String> {
    under_load(world, "triton-frozen-one", |run, tritons| {
        tritons[0].stop();
        pause(BROKEN_FOR);
        run.must_have_spread();
        tritons[0].cont();
        Ok(())
    })
}

pub(super) fn frozen_all(world: &mut World) -> Result<Finding, String> {
    under_load(world, "triton-frozen-all", |_, tritons| {
        tritons.iter().for_each(Triton::stop);
        pause(BROKEN_FOR);
        tritons.iter().for_each(Triton::cont);
        Ok(())
    })
}

pub(super) fn restarted_one(world: &mut World) -> Result<Finding, String> {
    under_load(world, "triton-restarted-one", |run, tritons| {
        tritons[0].terminate();
        tritons[0].wait_for_exit();
        run.must_have_spread();
        tritons[0].restart();
        Ok(())
    })
}

pub(super) fn restarted_all(world: &mut World) -> Result<Finding, String> {
    under_load(world, "triton-restarted-all", |_, tritons| {
        tritons.iter().for_each(Triton::terminate);
        tritons.iter_mut().for_each(Triton::wait_for_exit);
        World::restart(tritons);
        Ok(())
    })
}

/// One is always well: the primary tier has no reason to stop.
pub(super) fn rolling_restart(world: &mut World) -> Result<Finding, String> {
    under_load(world, "triton-rolling-restart", |run, tritons| {
        for triton in tritons {
            triton.terminate();
            triton.wait_for_exit();
            run.must_have_spread();
            triton.restart();
            // As an orchestrator waits between pods.
            pause(Duration::from_secs(2));
        }
        Ok(())
    })
}

pub(super) fn stub_killed(world: &mut World) -> Result<Finding, String> {
    under_load(world, "triton-stub-killed", |run, tritons| {
        signal("KILL", stub_of(tritons[0].pid(), "fraud_deep")?)?;
        pause(Duration::from_secs(5));
        run.must_have_spread();
        tritons[0].restart();
        Ok(())
    })
}

/// The Python process of a model, among the descendants of a Triton.
fn stub_of(triton: u32, model: &str) -> Result<u32, String> {
    let processes = fs::read_dir("/proc").map_err(|error| error.to_string())?;
    let pids = processes.flatten();
    let pids = pids.filter_map(|entry| entry.file_name().to_string_lossy().parse::<u32>().ok());
    let is_it = |pid: &u32| {
        let command = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let command = String::from_utf8_lossy(&command).replace('\0', " ");
        command.contains("triton_python_backend_stub")
            && command.contains(&format!("/{model}/"))
            && group_of(*pid) == Some(triton)
    };
    pids.into_iter()
        .find(is_it)
        .ok_or_else(|| format!("the Python process of {model} in Triton {triton} was not found"))
}

/// A process's group: a Triton leads its own.
fn group_of(pid: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // pid (name) state parent group …; the name may contain anything.
    let after_name = stat.rsplit_once(')')?.1;
    after_name.split_whitespace().nth(2)?.parse().ok()
}
