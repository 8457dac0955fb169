//! Generates the public contract's types and the descriptor set that reflection serves.

use std::{env, error::Error, path::PathBuf};

use prost::Message;

fn main() -> Result<(), Box<dyn Error>> {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("../../proto");
    let contract = ["decision", "event"].map(|name| root.join(format!("gavel/v1/{name}.proto")));
    for file in &contract {
        println!("cargo::rerun-if-changed={}", file.display());
    }
    let descriptors = protox::compile(&contract, [&root])?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    std::fs::write(
        out.join("gavel_descriptor.bin"),
        descriptors.encode_to_vec(),
    )?;
    tonic_prost_build::configure()
        .build_client(true)
        .build_transport(false)
        .btree_map(".gavel.v1.DecideResponse")
        .compile_fds(descriptors)?;
    Ok(())
}
