//! A TCP proxy that does to a server's connections what bad networks do.
//!
//! It sits between a client and a real server and can be changed at any time:
//! ```text
//!                    connections that are open      new connections
//!  heal              pass                           pass
//!  delay, trickle    each way, from now on          likewise
//!  cut_after         closed after so many bytes     likewise
//!  reset_connections RST, at once                   untouched
//!  black_hole        silent, for good               silent, for good
//!  refuse            untouched                      refused
//! ```
//! It runs on a thread of its own with a clock of its own, so it works under a paused one.

mod carry;
mod rules;

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc as blocking,
    },
    thread::JoinHandle,
    time::Duration,
};

use tokio::{
    net::TcpListener,
    sync::{mpsc, watch},
};

use self::rules::{Fault, Rules};
use crate::port::free_port;

/// Where a proxy leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A TCP address.
    Tcp(SocketAddr),
    /// A Unix socket.
    Unix(PathBuf),
}

impl From<SocketAddr> for Target {
    fn from(address: SocketAddr) -> Self {
        Self::Tcp(address)
    }
}

impl From<u16> for Target {
    /// A port of the loopback interface.
    fn from(port: u16) -> Self {
        Self::Tcp((Ipv4Addr::LOCALHOST, port).into())
    }
}

impl From<&Path> for Target {
    fn from(socket: &Path) -> Self {
        Self::Unix(socket.to_owned())
    }
}

/// A proxy on a free port of the loopback interface. It passes everything until told otherwise;
/// its connections end on drop.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    rules: watch::Sender<Rules>,
    doors: mpsc::UnboundedSender<Door>,
    counts: Arc<Counts>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Counts {
    accepted: AtomicU64,
    open: AtomicU64,
}

/// A change of the listening socket, and who waits until it is done.
#[derive(Debug)]
struct Door {
    open: bool,
    done: blocking::Sender<()>,
}

impl Proxy {
    /// Starts one in front of a port, an address or a Unix socket. Nothing need listen there yet:
    /// while nothing does, a new connection is reset.
    ///
    /// # Panics
    /// If no port can be listened on.
    pub fn start(target: impl Into<Target>) -> Self {
        let port = free_port();
        let (rules, follow) = watch::channel(Rules::default());
        let (doors, orders) = mpsc::unbounded_channel();
        let counts = Arc::<Counts>::default();
        let runtime = match tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
        {
            Ok(runtime) => runtime,
            Err(error) => panic!("the proxy has no runtime: {error}"),
        };
        let house = House {
            port,
            target: target.into(),
            rules: follow,
            counts: Arc::clone(&counts),
        };
        let thread = std::thread::spawn(move || runtime.block_on(house.keep(orders)));
        let proxy = Self {
            port,
            rules,
            doors,
            counts,
            thread: Some(thread),
        };
        proxy.door(true);
        proxy
    }

    /// Its port on the loopback interface.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// `127.0.0.1:PORT`.
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// Passes everything again, and takes new connections. Those that a black hole has swallowed
    /// stay silent: only their ends can find out.
    pub fn heal(&self) {
        self.rules.send_modify(Rules::heal);
        self.door(true);
    }

    /// Everything arrives later by this, each way, in order; how much passes is not limited.
    pub fn delay(&self, by: Duration) {
        self.fault(Fault::Delay(by));
    }

    /// So many bytes each interval pass, on each connection, each way.
    ///
    /// # Panics
    /// If `bytes` is 0: that is [`Self::black_hole`].
    pub fn trickle(&self, bytes: usize, every: Duration) {
        assert!(bytes > 0, "a trickle of nothing is a black hole");
        self.fault(Fault::Trickle { bytes, every });
    }

    /// Each connection is closed once so many more bytes went one way, wherever that is in a
    /// message.
    pub fn cut_after(&self, bytes: usize) {
        self.fault(Fault::CutAfter(bytes));
    }

    /// Resets (RST) every connection that is open; new ones are welcome.
    pub fn reset_connections(&self) {
        self.rules.send_modify(|rules| rules.resets += 1);
    }

    /// Half-open TCP: every connection, open or new, stays up and silent for good, both ways; an
    /// end of it that closes or resets is not heard of at the other. After [`Self::heal`], new
    /// connections pass.
    pub fn black_hole(&self) {
        self.rules.send_modify(Rules::black_hole);
    }

    /// Refuses new connections, as a port does that nobody listens on. Open ones go on.
    pub fn refuse(&self) {
        self.door(false);
    }

    /// How many connections it has taken so far.
    pub fn accepted(&self) -> u64 {
        self.counts.accepted.load(Ordering::Relaxed)
    }

    /// How many are open, the silent ones included.
    pub fn open(&self) -> u64 {
        self.counts.open.load(Ordering::Relaxed)
    }

    fn fault(&self, fault: Fault) {
        self.rules.send_modify(|rules| rules.begin(fault));
    }

    fn door(&self, open: bool) {
        let (done, heard) = blocking::channel();
        let asked = self.doors.send(Door { open, done });
        if asked.is_err() || heard.recv().is_err() {
            panic!("the proxy cannot listen on port {}", self.port);
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let (closed, _) = mpsc::unbounded_channel();
        // The thread ends when nobody can order it any more.
        drop(std::mem::replace(&mut self.doors, closed));
        if let Some(thread) = self.thread.take() {
            // A panic of it has been shown.
            let _ = thread.join();
        }
    }
}

/// What the proxy's thread keeps.
struct House {
    port: u16,
    target: Target,
    rules: watch::Receiver<Rules>,
    counts: Arc<Counts>,
}

impl House {
    /// Takes connections while the door is open, until nobody can order a change any more.
    async fn keep(self, mut orders: mpsc::UnboundedReceiver<Door>) {
        let mut listener: Option<TcpListener> = None;
        loop {
            let connection = async {
                match &listener {
                    Some(listener) => listener.accept().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                order = orders.recv() => {
                    let Some(order) = order else { return };
                    if !order.open {
                        listener = None;
                    } else if listener.is_none() {
                        // Who waits hears of a failure by not hearing that it is done.
                        let Ok(bound) = TcpListener::bind((Ipv4Addr::LOCALHOST, self.port)).await
                        else { return };
                        listener = Some(bound);
                    }
                    // Nobody waits any more: nobody needs to know.
                    let _ = order.done.send(());
                }
                connection = connection => {
                    // A client that left again is no connection.
                    let Ok((client, _)) = connection else { continue };
                    self.counts.accepted.fetch_add(1, Ordering::Relaxed);
                    let open = Open::new(&self.counts);
                    let (target, rules) = (self.target.clone(), self.rules.clone());
                    let born = *rules.borrow();
                    tokio::spawn(async move {
                        carry::connection(client, &target, born, rules).await;
                        drop(open);
                    });
                }
            }
        }
    }
}

/// Counts a connection while it is held.
struct Open(Arc<Counts>);

impl Open {
    fn new(counts: &Arc<Counts>) -> Self {
        counts.open.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(counts))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}
