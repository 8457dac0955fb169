//! Compiles `proto/triton` into this crate's server code.

use std::{error::Error, path::Path};

fn main() -> Result<(), Box<dyn Error>> {
    let protos = Path::new("../../proto/triton");
    println!("cargo:rerun-if-changed={}", protos.display());
    let descriptors = protox::compile(["grpc_service.proto"], [protos])?;
    tonic_prost_build::configure()
        .build_client(false)
        .build_transport(false)
        .bytes(".inference")
        .compile_fds(descriptors)?;
    Ok(())
}
