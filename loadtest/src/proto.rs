//! Generated from `proto/`: Gavel's own contract, and Triton's inference protocol.

#![allow(
    clippy::all,
    unreachable_pub,
    dead_code,
    missing_debug_implementations,
    reason = "generated code: the whole of the interface, as its authors shaped it"
)]

/// Questions and answers of Gavel.
pub mod gavel {
    include!(concat!(env!("OUT_DIR"), "/gavel.v1.rs"));
}

/// Triton's inference.
pub mod triton {
    include!(concat!(env!("OUT_DIR"), "/inference.rs"));
}
