//! Signatures read without the runtime, from good files and from any bytes at all.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

mod support;

use std::path::Path;

use local_model::{Dtype, Signature, SignatureError, TensorInfo, read_signature};
use proptest::prelude::*;

fn signature(name: &str) -> Signature {
    read_signature(&support::path(&format!("{name}.onnx"))).unwrap()
}

fn of_bytes(bytes: &[u8]) -> Result<Signature, SignatureError> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("model.onnx");
    std::fs::write(&file, bytes).unwrap();
    read_signature(&file)
}

#[test]
fn names_dtypes_and_dims() {
    let mlp = signature("mlp");
    assert_eq!(
        mlp.inputs,
        [TensorInfo {
            name: "features".to_owned(),
            dtype: Dtype::Fp32,
            dims: vec![None, Some(8)],
            ranked: true
        }]
    );
    assert_eq!(mlp.outputs[0].name, "score");
    assert_eq!(mlp.outputs[0].shape(), "[-1,1]");
    assert_eq!((mlp.opset, mlp.ir_version), (17, 10));
    assert_eq!(mlp.producer, "gavel-tests 1");
    assert!(mlp.external_files.is_empty() && mlp.other_opsets.is_empty());

    let dtypes: Vec<Dtype> = signature("every_dtype")
        .inputs
        .iter()
        .map(|t| t.dtype)
        .collect();
    assert_eq!(
        dtypes,
        [
            Dtype::Bool,
            Dtype::Int32,
            Dtype::Int64,
            Dtype::Fp32,
            Dtype::Fp64
        ]
    );
    assert_eq!(signature("scalar").input("x").unwrap().shape(), "[]");
    assert_eq!(signature("unranked").output("y").unwrap().shape(), "[?]");
    assert_eq!(signature("strings").inputs[0].dtype, Dtype::String);
}

#[test]
fn weights_are_no_inputs() {
    assert_eq!(
        signature("weights_as_inputs").inputs,
        signature("mlp").inputs
    );
}

#[test]
fn what_lies_outside_the_file_and_the_standard() {
    let external = signature("external");
    assert_eq!(
        external.external_files.iter().collect::<Vec<_>>(),
        ["external.bin"]
    );
    let zipmap = signature("zipmap");
    assert_eq!(zipmap.other_opsets["ai.onnx.ml"], 3);
    assert_eq!(zipmap.outputs[0].dtype, Dtype::Other("a sequence"));
}

#[test]
fn the_runtime_agrees_on_every_model() {
    for name in [
        "mlp",
        "mlp.int8",
        "every_dtype",
        "two_inputs",
        "weights_as_inputs",
        "external",
    ] {
        assert_eq!(support::load(name, 1).signature(), &signature(name));
    }
}

#[test]
fn files_that_are_no_models() {
    assert!(matches!(
        read_signature(Path::new("/nowhere/model.onnx")),
        Err(SignatureError::Missing { .. })
    ));
    assert!(matches!(
        read_signature(Path::new("/dev/zero")),
        Err(SignatureError::Read { .. })
    ));
    assert!(matches!(
        read_signature(&support::path("")),
        Err(SignatureError::Read { .. })
    ));
    for (bytes, words) in [
        (&b""[..], "empty"),
        (
            b"version https://git-lfs.github.com/spec/v1\n",
            "git lfs pull",
        ),
        (b"<html>not found</html>", "not those of an ONNX ModelProto"),
        (
            b"PK\x03\x04\x14\x00\x00\x00",
            "not those of an ONNX ModelProto",
        ),
        (b"\x08\x0a", "no graph"),
        (b"\x08\x0a\x3a\x00", "no operator set"),
    ] {
        let error = of_bytes(bytes).unwrap_err();
        assert!(matches!(error, SignatureError::NotOnnx { .. }), "{error}");
        assert!(error.to_string().contains(words), "{error}");
    }
}

#[test]
fn every_truncation_is_an_error() {
    let whole = std::fs::read(support::path("mlp.onnx")).unwrap();
    let mut cut_short = 0;
    for length in 0..whole.len() {
        match of_bytes(&whole[..length]) {
            Err(SignatureError::Truncated { .. }) => cut_short += 1,
            Err(SignatureError::NotOnnx { .. }) => {}
            other => panic!("{length} of {} bytes: {other:?}", whole.len()),
        }
    }
    assert!(cut_short > whole.len() * 9 / 10, "{cut_short}");
}

#[test]
fn a_length_that_lies_allocates_nothing() {
    // Field 7, the graph, claims 2^62 bytes; inside a good graph, an initializer claims as much.
    let error = of_bytes(b"\x3a\x80\x80\x80\x80\x80\x80\x80\x80\x40abc").unwrap_err();
    assert!(matches!(
        error,
        SignatureError::Truncated {
            needed_bytes: 0x4000_0000_0000_0000,
            left_bytes: 3,
            ..
        }
    ));
    let error = of_bytes(b"\x3a\x0a\x2a\x80\x80\x80\x80\x80\x80\x80\x80\x40").unwrap_err();
    assert!(error.to_string().contains("damaged"), "{error}");
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = of_bytes(&bytes);
    }

    #[test]
    fn damaged_models_are_read_or_refused(
        edits in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cut in any::<prop::sample::Index>(),
        model in prop::sample::select(vec!["mlp", "weights_as_inputs", "external", "zipmap"]),
    ) {
        let mut bytes = std::fs::read(support::path(&format!("{model}.onnx"))).unwrap();
        for (at, byte) in edits {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let _ = of_bytes(&bytes);
        let _ = of_bytes(&bytes[..cut.index(bytes.len())]);
    }
}
