//! Generated from `proto/triton`. Nothing of this leaves the crate.

#![allow(
    clippy::all,
    unreachable_pub,
    dead_code,
    reason = "generated code: the whole of the interface, as its authors shaped it"
)]

tonic::include_proto!("inference");
