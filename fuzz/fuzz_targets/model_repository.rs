//! A model repository: one `config.pbtxt`, as a model's default, as its variant, and as an ensemble
//! over two sound models. Everything found has its place in the file.
#![no_main]

use std::sync::LazyLock;

use gavel_fuzz::{Folder, assert_in};
use libfuzzer_sys::fuzz_target;
use triton_client::repository;

const NORMALISE: &str = include_str!("../../model_repository/fraud_normalise/config.pbtxt");
const CALIBRATE: &str = include_str!("../../model_repository/fraud_calibrate/config.pbtxt");
const WRITTEN: [&str; 3] = [
    "fraud_deep/config.pbtxt",
    "fraud_deep/configs/cpu.pbtxt",
    "fraud_primary/config.pbtxt",
];

static REPOSITORY: LazyLock<Folder> = LazyLock::new(|| {
    Folder::new(&[
        ("fraud_normalise/config.pbtxt", NORMALISE),
        ("fraud_calibrate/config.pbtxt", CALIBRATE),
        ("fraud_deep/1/model.onnx", ""),
        ("fraud_primary/1/.gitkeep", ""),
    ])
});

fuzz_target!(|text: &str| {
    let written = WRITTEN.map(|name| REPOSITORY.write(name, text.as_bytes()));
    let (models, findings) = repository::inspect(REPOSITORY.path(), Some("cpu"));
    for finding in findings {
        if let Some(span) = finding.span.filter(|_| written.contains(&finding.file)) {
            assert_in(text, &span);
        }
    }
    for model in models {
        for variant in &model.variants {
            model.file_of(variant, 1);
            if let Some(span) = variant
                .span("input[0].dims")
                .filter(|_| written.contains(&variant.file))
            {
                assert_in(text, &span);
            }
        }
    }
});
