//! Generates the types of both contracts: Gavel's questions and answers, and Triton's inference.

use std::{env, error::Error, path::PathBuf};

fn main() -> Result<(), Box<dyn Error>> {
    let protos = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("../proto");
    println!("cargo::rerun-if-changed={}", protos.display());
    let decisions = protox::compile([protos.join("gavel/v1/decision.proto")], [&protos])?;
    tonic_prost_build::configure()
        .build_client(false)
        .build_server(false)
        .compile_fds(decisions)?;
    let triton = protox::compile(["grpc_service.proto"], [protos.join("triton")])?;
    tonic_prost_build::configure()
        .build_server(false)
        .build_transport(false)
        .bytes(".inference")
        .compile_fds(triton)?;
    Ok(())
}
