//! The gateway itself: told to end under load, and with a wall clock that jumps.

use std::{fs, path::Path, time::Duration};

use tokio::time::Instant;

use super::direct;
use crate::chaos::{
    http, pause,
    stage::{Finding, World, folder},
};

/// Where Debian's libfaketime is.
const FAKETIME: &str = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1";

/// With every Triton frozen a request waits for most of its budget, so several are being decided
/// when the signal comes; all of them are answered.
pub(super) fn sigterm(world: &mut World) -> Result<Finding, String> {
    let redis = world.redis()?;
    let setup = direct(world, redis.url());
    let mut run = world.run("gateway-sigterm", setup)?;
    run.fault();
    world.tritons.iter().for_each(|triton| triton.stop());
    pause(Duration::from_millis(30));
    let told = Instant::now();
    run.gateway.terminate()?;
    let status = run.gateway.ended()?;
    if !status.success() {
        run.complain(format!("the gateway ended with {status}"));
    }
    world.tritons.iter().for_each(|triton| triton.cont());
    pause(Duration::from_secs(1));
    run.gateway.start_again()?;
    run.marks.gone = Some((told, Instant::now()));
    run.heal();
    Ok(run.finish())
}

/// Deadlines are kept on the monotonic clock, which does not jump; the wall clock is the age of
/// features and the time in logs.
pub(super) fn clock_jumps(world: &mut World) -> Result<Finding, String> {
    if !Path::new(FAKETIME).exists() {
        return Err("libfaketime is not installed: apt-get install libfaketime".into());
    }
    let redis = world.redis()?;
    let folder = folder()?;
    let offset = folder.path().join("offset");
    let jump = |to: &str| fs::write(&offset, to).map_err(|error| error.to_string());
    jump("+0")?;
    let mut setup = direct(world, redis.url());
    setup.environment = [
        ("LD_PRELOAD", FAKETIME),
        ("FAKETIME_TIMESTAMP_FILE", &offset.display().to_string()),
        ("FAKETIME_NO_CACHE", "1"),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into();
    let mut run = world.run("clock-jumps", setup)?;
    let today = day_of(run.gateway.port)?;
    run.fault();
    for to in ["+1h", "-1h", "+1d"] {
        jump(to)?;
        pause(Duration::from_millis(2_500));
    }
    if day_of(run.gateway.port)? == today {
        return Err(format!("the gateway's clock did not jump: it is {today}"));
    }
    jump("+0")?;
    run.heal();
    Ok(run.finish())
}

/// The day as a server sees it, such as `Tue, 24 Nov 2026`.
fn day_of(port: u16) -> Result<String, String> {
    let date = http::date(port).map_err(|error| error.to_string())?;
    Ok(date.chars().take("Tue, 24 Nov 2026".len()).collect())
}
