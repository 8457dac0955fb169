//! Free ports.

use std::{
    collections::HashSet,
    net::{Ipv4Addr, TcpListener},
    sync::Mutex,
};

/// Ports that this process has given out: the system may offer one again before it is bound.
static GIVEN: Mutex<Option<HashSet<u16>>> = Mutex::new(None);

/// A port of the loopback interface on which nothing listens, below the ephemeral range, so that
/// no outgoing connection takes it while a server is down.
///
/// # Panics
/// If there is none.
pub fn free_port() -> u16 {
    let mut guard = GIVEN
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    let given = guard.get_or_insert_default();
    // Processes that run side by side start their search in different places.
    let start = std::process::id().wrapping_mul(97) % 10_000;
    for offset in 0..10_000_u32 {
        let port = 20_000 + u16::try_from((start + offset) % 10_000).unwrap_or(0);
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok();
        if free && given.insert(port) {
            return port;
        }
    }
    panic!("no port between 20000 and 30000 is free");
}
