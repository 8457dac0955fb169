//! The way to the server breaks: reset, cut, silent, refused; and a Unix socket is a way as well.

use std::path::{Path, PathBuf};

use testkit::{Proxy, Triton};
use tokio::time::{Instant, sleep};
use triton_client::{Batching, EndpointOptions, EndpointSet, InferError, Scheduler};

use crate::client::{MS, PATIENCE, mlp, repository};

/// Asks every 5 ms until `done` for as many times in a row as there are slots; what came before.
async fn until(
    scheduler: &Scheduler,
    mut done: impl FnMut(&Result<(), InferError>) -> bool,
) -> Vec<Result<(), InferError>> {
    let (started, mut answers, mut in_a_row) = (Instant::now(), Vec::new(), 0);
    while in_a_row < 5 {
        assert!(
            started.elapsed() < PATIENCE,
            "{:?}",
            &answers[answers.len().saturating_sub(20)..]
        );
        let answer = ask(scheduler).await;
        in_a_row = if done(&answer) { in_a_row + 1 } else { 0 };
        answers.push(answer);
        sleep(MS * 5).await;
    }
    answers
}

async fn ask(scheduler: &Scheduler) -> Result<(), InferError> {
    let deadline = Instant::now() + MS * 200;
    scheduler.infer(mlp(), 0.0, deadline).await.map(drop)
}

fn scheduler(url: &str) -> Scheduler {
    let urls = [url.to_owned()];
    let set = EndpointSet::new(&urls, EndpointOptions::default());
    let set = set.unwrap_or_else(|error| panic!("{error}"));
    set.scheduler("mlp", None, Batching::none(), "test")
}

/// Triton makes a file of that name and its port.
fn socket(folder: &Path) -> PathBuf {
    let mut files = std::fs::read_dir(folder).expect("the folder").flatten();
    let file = files.find(|file| file.file_name().to_string_lossy().starts_with("t.sock"));
    file.expect("Triton's socket").path()
}

#[tokio::test(flavor = "multi_thread")]
async fn connections() {
    let folder = tempfile::tempdir().expect("a folder");
    let address = format!("--grpc-address=unix:{}/t.sock", folder.path().display());
    let models = repository(&["mlp"]);
    let _triton = Triton::start_with(models.path(), &[&address]);
    let socket = socket(folder.path());

    let direct = scheduler(&format!("unix:{}", socket.display()));
    until(&direct, Result::is_ok).await;

    let proxy = Proxy::start(socket.as_path());
    let scheduler = scheduler(&format!("http://127.0.0.1:{}", proxy.port()));
    until(&scheduler, Result::is_ok).await;

    for _ in 0..10 {
        proxy.reset_connections();
        let answers = until(&scheduler, Result::is_ok).await;
        assert!(
            answers.len() <= 7,
            "one call may have been on it: {answers:?}"
        );
    }
    proxy.cut_after(3000);
    let mut answered = 0;
    for _ in 0..60 {
        answered += usize::from(ask(&scheduler).await.is_ok());
    }
    assert!(
        (30..60).contains(&answered),
        "those that fit before the cut: {answered}"
    );
    proxy.heal();
    until(&scheduler, Result::is_ok).await;

    proxy.refuse();
    proxy.reset_connections();
    until(&scheduler, |answer| {
        matches!(answer, Err(InferError::BreakerOpen))
    })
    .await;
    proxy.heal();
    until(&scheduler, Result::is_ok).await;

    // Half-open TCP: what is connected stays silent for ever, also after the network is well again.
    proxy.black_hole();
    until(&scheduler, |answer| {
        matches!(answer, Err(InferError::BreakerOpen))
    })
    .await;
    proxy.heal();
    until(&scheduler, Result::is_ok).await;

    proxy.delay(MS * 30);
    let slow = until(&scheduler, Result::is_ok).await;
    assert!(slow.len() < 50, "{slow:?}");
}
