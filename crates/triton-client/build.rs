//! Compiles `proto/triton` into this crate's client code.
//!
//! Every `bytes` field becomes `bytes::Bytes`, so the outputs of an answer are slices of the
//! frame that carried them. The descriptor set is kept for reading `config.pbtxt`.

use std::{env, error::Error, fs, path::Path};

use prost::Message;

fn main() -> Result<(), Box<dyn Error>> {
    let protos = Path::new("../../proto/triton");
    println!("cargo:rerun-if-changed={}", protos.display());
    let descriptors = protox::compile(["grpc_service.proto"], [protos])?;
    let kept = Path::new(&env::var("OUT_DIR")?).join("triton.descriptors");
    fs::write(kept, descriptors.encode_to_vec())?;
    tonic_prost_build::configure()
        .build_server(false)
        .build_transport(false)
        .bytes(".inference")
        .compile_fds(descriptors)?;
    Ok(())
}
