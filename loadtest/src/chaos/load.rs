//! A steady open-loop load, and what became of every request.
//!
//! A request is sent when it is due, whatever became of those before, over HTTP/1.1 connections
//! that are kept alive. Its latency counts from the moment it was sent; how late the loader itself
//! was woken is kept apart ([`Load::stall`]), because it says how busy the machine was.

use std::{
    io,
    net::Ipv4Addr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
    time::{Instant, timeout},
};

use super::oracle::{Judgement, Oracle};
use crate::{
    load::{FinePacer, Pacer},
    wire::response::Response,
};

/// Longer than any budget: what has not been answered by then is lost.
const PATIENCE: Duration = Duration::from_secs(2);

/// One request.
#[derive(Debug, Clone)]
pub(super) struct Outcome {
    /// When it was sent.
    pub(super) sent_at: Instant,
    /// When it ended.
    pub(super) ended_at: Instant,
    /// How.
    pub(super) ending: Ending,
}

/// How a request ended.
#[derive(Debug, Clone)]
pub(super) enum Ending {
    /// With 200 and an answer.
    Answered(Judgement),
    /// Turned away with 503, or no connection was made, or it was closed before a byte of an
    /// answer.
    Refused(String),
    /// No answer, half an answer, or another status.
    Failed(String),
}

/// A load that runs until [`Self::finish`].
#[derive(Debug)]
pub(super) struct Load {
    stop: Arc<AtomicBool>,
    outcomes: Arc<Mutex<Vec<Outcome>>>,
    stall_us: Arc<AtomicU64>,
    thread: JoinHandle<()>,
}

impl Load {
    /// Asks the gateway on `port` the oracle's questions in turn, `per_s` a second.
    ///
    /// # Errors
    /// If the system gives no thread or runtime.
    pub(super) fn start(port: u16, per_s: u32, oracle: &Arc<Oracle>) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let (stop, outcomes, stall_us) = Default::default();
        let loader = Arc::new(Loader {
            port,
            oracle: Arc::clone(oracle),
            idle: Mutex::default(),
            outcomes: Arc::clone(&outcomes),
        });
        let (stopped, stalled) = (Arc::clone(&stop), Arc::clone(&stall_us));
        let gap = Duration::from_secs(1) / per_s;
        let thread = std::thread::Builder::new()
            .name("load".into())
            .spawn(move || runtime.block_on(loader.drive(gap, &stopped, &stalled)))?;
        Ok(Self {
            stop,
            outcomes,
            stall_us,
            thread,
        })
    }

    /// What has ended so far.
    pub(super) fn so_far(&self) -> MutexGuard<'_, Vec<Outcome>> {
        locked(&self.outcomes)
    }

    /// How late the loader was woken at worst: nobody on this machine was served sooner.
    pub(super) fn stall(&self) -> Duration {
        Duration::from_micros(self.stall_us.load(Ordering::Relaxed))
    }

    /// Sends nothing more and waits for what is out.
    pub(super) fn finish(self) -> Vec<Outcome> {
        self.stop.store(true, Ordering::Relaxed);
        // A panic of the thread has been shown; what it had recorded counts.
        let _ = self.thread.join();
        std::mem::take(&mut *locked(&self.outcomes))
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Loader {
    port: u16,
    oracle: Arc<Oracle>,
    idle: Mutex<Vec<TcpStream>>,
    outcomes: Arc<Mutex<Vec<Outcome>>>,
}

impl Loader {
    async fn drive(self: Arc<Self>, gap: Duration, stop: &AtomicBool, stall_us: &AtomicU64) {
        let mut pacer = match FinePacer::new() {
            Ok(pacer) => pacer,
            Err(error) => {
                return self.record(Instant::now(), Ending::Failed(format!("no timer: {error}")));
            }
        };
        let mut due = Instant::now();
        let mut asked = JoinSet::new();
        for number in 0.. {
            pacer.until(due).await;
            let late = Instant::now().saturating_duration_since(due);
            stall_us.fetch_max(late.as_micros() as u64, Ordering::Relaxed);
            if stop.load(Ordering::Relaxed) {
                break;
            }
            let this = Arc::clone(&self);
            asked.spawn(async move { this.one(number).await });
            while asked.try_join_next().is_some() {}
            due += gap;
        }
        asked.join_all().await;
    }

    async fn one(&self, number: usize) {
        let question = self.oracle.question(number);
        let sent_at = Instant::now();
        let ending = match timeout(PATIENCE, self.ask(&question.body)).await {
            Err(_) => Ending::Failed(format!("no answer within {PATIENCE:?}")),
            Ok(Err(ending)) => ending,
            Ok(Ok((200, body))) => Ending::Answered(self.oracle.judge(question, &body)),
            Ok(Ok((status, body))) => {
                let told = format!("{status} {}", String::from_utf8_lossy(&body));
                match status {
                    // As a pod says that starts or ends.
                    503 => Ending::Refused(told),
                    _ => Ending::Failed(told),
                }
            }
        };
        self.record(sent_at, ending);
    }

    fn record(&self, sent_at: Instant, ending: Ending) {
        let outcome = Outcome {
            sent_at,
            ended_at: Instant::now(),
            ending,
        };
        locked(&self.outcomes).push(outcome);
    }

    async fn ask(&self, body: &str) -> Result<(u16, Vec<u8>), Ending> {
        let mut stream = match self.idle() {
            Some(stream) => stream,
            None => {
                let connecting = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
                let stream = connecting.await.map_err(refused)?;
                stream.set_nodelay(true).map_err(refused)?;
                stream
            }
        };
        let request = format!(
            "POST /v1/decide HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n\r\n{body}",
            body.len()
        );
        stream
            .write_all(request.as_bytes())
            .await
            .map_err(refused)?;
        let mut buffer = Vec::with_capacity(2048);
        loop {
            let nothing_yet = buffer.is_empty();
            match stream.read_buf(&mut buffer).await {
                Ok(1..) => {}
                Ok(0) if nothing_yet => {
                    return Err(Ending::Refused("closed before an answer".into()));
                }
                Err(error) if nothing_yet => return Err(refused(error)),
                Ok(0) => return Err(Ending::Failed("closed in the middle of an answer".into())),
                Err(error) => return Err(Ending::Failed(error.to_string())),
            }
            match Response::parse(&buffer) {
                Err(error) => return Err(Ending::Failed(error.to_string())),
                Ok(None) => {}
                Ok(Some(response)) => {
                    if !response.closes && response.bytes() == buffer.len() {
                        locked(&self.idle).push(stream);
                    }
                    return Ok((response.status, response.body(&buffer).to_vec()));
                }
            }
        }
    }

    /// A connection that its server has not closed meanwhile.
    fn idle(&self) -> Option<TcpStream> {
        let mut idle = locked(&self.idle);
        loop {
            let stream = idle.pop()?;
            match stream.try_read(&mut [0]) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Some(stream),
                // Closed, reset, or bytes that nobody asked for.
                _ => {}
            }
        }
    }
}

fn refused(error: io::Error) -> Ending {
    Ending::Refused(error.to_string())
}
