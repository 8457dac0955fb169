//! An ONNX file: its signature is read, or why it can't be.
#![no_main]

use std::sync::LazyLock;

use gavel_fuzz::Folder;
use libfuzzer_sys::fuzz_target;
use local_model::read_signature;

static FOLDER: LazyLock<Folder> = LazyLock::new(|| Folder::new(&[]));

fuzz_target!(|bytes: &[u8]| {
    let file = FOLDER.write("model.onnx", bytes);
    match read_signature(&file) {
        Ok(signature) => {
            for tensor in signature.inputs.iter().chain(&signature.outputs) {
                assert!(tensor.ranked || tensor.dims.is_empty());
                assert!(!tensor.shape().is_empty());
            }
        }
        Err(error) => assert!(error.to_string().contains("model.onnx")),
    }
});
