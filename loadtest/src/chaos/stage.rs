//! What scenarios act on: the world of real parts, and a run of one gateway under load in it.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::Duration,
};

use tempfile::TempDir;
use testkit::{Proxy, Redis, Triton};
use tokio::time::Instant;

use super::{
    RATE_PER_S,
    gateway::{Gateway, Kit, Setup},
    http,
    load::{Load, Outcome},
    oracle::Oracle,
    pause, progress,
    tally::{Marks, Tally},
};

/// How long the load runs before anything is broken.
const STEADY: Duration = Duration::from_secs(2);
/// Answers must be whole for so long to count as whole again.
const WHOLE_FOR: Duration = Duration::from_secs(2);
/// How long that is waited for; past the limit of a verdict, so that a failure shows as one.
const RECOVERY_WAIT: Duration = Duration::from_secs(14);
const READY_LIMIT: Duration = Duration::from_secs(20);
/// With a healthy pod left, at least so many of the answers at the end of the fault are primary.
const SPREAD_SHARE: f64 = 0.99;
const SPREAD_WINDOW: Duration = Duration::from_secs(2);

/// The parts that all scenarios share.
pub(super) struct World {
    pub(super) kit: Kit,
    pub(super) tritons: Vec<Triton>,
    /// One in front of each Triton.
    pub(super) proxies: Vec<Proxy>,
    oracle: Arc<Oracle>,
    logs: PathBuf,
}

impl World {
    /// Starts two Tritons side by side and learns the right answers.
    pub(super) fn build(gavel: Option<PathBuf>) -> Result<Self, String> {
        let kit = kit(gavel)?;
        progress("starting two Tritons");
        let models = kit.root.join("model_repository");
        let tritons: Vec<_> = std::thread::scope(|scope| {
            let starting: Vec<_> = (0..2)
                .map(|_| scope.spawn(|| Triton::start_behind(&models)))
                .collect();
            starting
                .into_iter()
                .filter_map(|one| one.join().ok())
                .collect()
        });
        if tritons.len() < 2 {
            return Err("a Triton did not start (it says why above)".into());
        }
        let proxies = tritons
            .iter()
            .map(|triton| Proxy::start(port_of(&triton.grpc_url)));
        let proxies = proxies.collect();
        progress("learning the right answers");
        let oracle = Arc::new(Oracle::learn(&kit, &tritons[0].grpc_url)?);
        let logs = kit.root.join(".cache/chaos");
        std::fs::create_dir_all(&logs).map_err(|error| error.to_string())?;
        Ok(Self {
            kit,
            tritons,
            proxies,
            oracle,
            logs,
        })
    }

    /// The Tritons themselves.
    pub(super) fn direct(&self) -> Vec<String> {
        self.tritons
            .iter()
            .map(|triton| triton.grpc_url.clone())
            .collect()
    }

    /// The Tritons by way of their proxies.
    pub(super) fn proxied(&self) -> Vec<String> {
        let url = |proxy: &Proxy| format!("http://{}", proxy.address());
        self.proxies.iter().map(url).collect()
    }

    /// Restarts Tritons side by side.
    pub(super) fn restart(tritons: &mut [Triton]) {
        std::thread::scope(|scope| {
            for triton in tritons {
                scope.spawn(|| triton.restart());
            }
        });
    }

    /// A Redis that counted the examples' payments.
    pub(super) fn redis(&self) -> Result<Redis, String> {
        let redis = Redis::start();
        self.kit.ingest(&redis.url(), &self.kit.payments())?;
        Ok(redis)
    }

    /// Waits until a gateway without load gives whole answers.
    pub(super) fn whole_at_rest(&self, gateway: &Gateway) -> Result<(), String> {
        wait_until_whole(gateway, &self.oracle)
    }

    /// Puts everything right that a scenario may have left broken.
    pub(super) fn settle(&mut self) {
        for triton in &mut self.tritons {
            triton.cont();
            if !triton.is_alive() {
                triton.restart();
            }
        }
        for proxy in &self.proxies {
            proxy.heal();
            proxy.reset_connections();
        }
    }

    /// Starts a gateway and the load, and lets both run undisturbed for a while.
    pub(super) fn run(&self, name: &str, setup: Setup) -> Result<Run, String> {
        let log = self.logs.join(format!("{name}.log"));
        // A log of an earlier suite tells of another.
        let _ = std::fs::remove_file(&log);
        let gateway = Gateway::start(&self.kit, setup, &log)?;
        self.whole_at_rest(&gateway)?;
        let load = Load::start(gateway.port, RATE_PER_S, &self.oracle);
        let load = load.map_err(|error| error.to_string())?;
        pause(STEADY);
        let now = Instant::now();
        Ok(Run {
            gateway,
            load,
            log,
            marks: Marks {
                fault: now,
                heal: now,
                gone: None,
            },
            faults: Vec::new(),
        })
    }
}

/// A gateway under load.
pub(super) struct Run {
    pub(super) gateway: Gateway,
    load: Load,
    log: PathBuf,
    pub(super) marks: Marks,
    faults: Vec<String>,
}

/// What a run came to.
#[derive(Debug)]
pub(super) struct Finding {
    pub(super) tally: Tally,
    /// What must not be; empty where the scenario passed.
    pub(super) faults: Vec<String>,
    /// How late the loader was woken at worst.
    pub(super) stall: Duration,
    pub(super) log: PathBuf,
}

impl Run {
    /// Something breaks now.
    pub(super) fn fault(&mut self) {
        self.marks.fault = Instant::now();
        self.marks.heal = self.marks.fault;
    }

    /// Everything is whole again from now on. Waits until the answers are as well, or no longer.
    pub(super) fn heal(&mut self) {
        self.marks.heal = Instant::now();
        while self.marks.heal.elapsed() < RECOVERY_WAIT {
            pause(Duration::from_millis(100));
            let now = Instant::now();
            if now > self.marks.heal + WHOLE_FOR && self.whole_since(now - WHOLE_FOR) {
                return;
            }
        }
    }

    /// A healthy pod was left all the time: the primary tier must have gone on answering through
    /// it. To be called at the end of the fault.
    pub(super) fn must_have_spread(&mut self) {
        let from = Instant::now() - SPREAD_WINDOW;
        let (mut whole, mut all) = (0_usize, 0_usize);
        for outcome in self.load.so_far().iter().filter(|one| one.sent_at >= from) {
            all += 1;
            whole += usize::from(outcome.is_whole());
        }
        let share = whole as f64 / all.max(1) as f64;
        if share < SPREAD_SHARE {
            self.faults.push(format!(
                "with a healthy pod left, {:.0} % primary at the end of the fault",
                share * 100.0
            ));
        }
    }

    /// Something else that must not be.
    pub(super) fn complain(&mut self, fault: impl Into<String>) {
        self.faults.push(fault.into());
    }

    fn whole_since(&self, from: Instant) -> bool {
        let outcomes = self.load.so_far();
        let mut recent = outcomes.iter().filter(|one| one.sent_at >= from).peekable();
        recent.peek().is_some() && recent.all(Outcome::is_whole)
    }

    /// Ends the load and the gateway, and judges.
    pub(super) fn finish(mut self) -> Finding {
        let stall = self.load.stall();
        let outcomes = self.load.finish();
        let tally = Tally::of(&outcomes, &self.marks);
        let mut faults = tally.faults();
        faults.append(&mut self.faults);
        if !self.gateway.runs() {
            faults.push("the gateway ended".to_owned());
        }
        if self.gateway.log().contains("panicked") {
            faults.push("the gateway panicked".to_owned());
        }
        Finding {
            tally,
            faults,
            stall,
            log: self.log,
        }
    }
}

/// Waits until every question of the load has a whole answer at rest.
fn wait_until_whole(gateway: &Gateway, oracle: &Oracle) -> Result<(), String> {
    let began = Instant::now();
    let mut turn = 0;
    let mut in_a_row = 0;
    while in_a_row < 20 {
        let question = oracle.question(turn);
        turn += 1;
        let answer = http::ask(gateway.port, "/v1/decide", Some(&question.body));
        let whole = answer.as_ref().is_ok_and(|(status, body)| {
            let judgement = oracle.judge(question, body.as_bytes());
            *status == 200 && judgement.tier == 0 && judgement.features && judgement.wrong.is_none()
        });
        in_a_row = if whole { in_a_row + 1 } else { 0 };
        if !whole {
            if began.elapsed() > READY_LIMIT {
                return Err(format!("at rest, before anything was broken: {answer:?}"));
            }
            pause(Duration::from_millis(50));
        }
    }
    Ok(())
}

fn kit(gavel: Option<PathBuf>) -> Result<Kit, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let root = root.canonicalize().map_err(|error| error.to_string())?;
    let beside = || Some(std::env::current_exe().ok()?.with_file_name("gavel"));
    let gavel = gavel.or_else(beside).unwrap_or_else(|| "gavel".into());
    let gavel = gavel.canonicalize().map_err(|error| {
        format!(
            "{} ({error}): build it with cargo build --release -p gateway",
            gavel.display()
        )
    })?;
    let script = root.join("scripts/triton.sh");
    let library = Command::new(&script).arg("onnxruntime").output();
    let library = library.map_err(|error| format!("{}: {error}", script.display()))?;
    if !library.status.success() {
        return Err("ONNX Runtime is not installed: run `make test-deps`".into());
    }
    let onnxruntime = String::from_utf8_lossy(&library.stdout).trim().into();
    Ok(Kit {
        gavel,
        root,
        onnxruntime,
    })
}

/// The port of `http://127.0.0.1:PORT`.
fn port_of(url: &str) -> u16 {
    let port = url.rsplit(':').next().and_then(|port| port.parse().ok());
    port.unwrap_or_default()
}

/// A folder for what a scenario writes.
pub(super) fn folder() -> Result<TempDir, String> {
    tempfile::tempdir().map_err(|error| format!("no temporary folder: {error}"))
}
