//! The same bits as onnxruntime in Python, whatever the dtype, the batch or the alignment.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

mod support;

use local_model::Input;

#[test]
fn outputs_are_pythons_bit_for_bit() {
    let cases = support::golden();
    assert!(cases.len() > 10);
    for case in &cases {
        let model = support::load(&case.model, 1);
        let inputs: Vec<Input<'_>> = case.inputs.iter().map(|tensor| tensor.input()).collect();
        let outputs = model.run(&inputs).unwrap();
        assert_eq!(outputs.len(), case.outputs.len(), "{}", case.model);
        for (output, expected) in outputs.iter().zip(&case.outputs) {
            assert_eq!(output.name, expected.name, "{}", case.model);
            assert_eq!(output.dtype, expected.dtype, "{}", case.model);
            assert_eq!(output.shape, expected.shape, "{}", case.model);
            assert_eq!(output.data, expected.data, "{} {}", case.model, output.name);
        }
    }
}

#[test]
fn inputs_may_come_in_any_order() {
    for case in support::golden() {
        let model = support::load(&case.model, 1);
        let inputs: Vec<Input<'_>> = case
            .inputs
            .iter()
            .rev()
            .map(|tensor| tensor.input())
            .collect();
        let outputs = model.run(&inputs).unwrap();
        assert!(
            outputs
                .iter()
                .zip(&case.outputs)
                .all(|(a, b)| a.data == b.data),
            "{}",
            case.model
        );
    }
}

#[test]
fn alignment_does_not_matter() {
    for case in support::golden() {
        let model = support::load(&case.model, 1);
        for offset in 0..8 {
            let shifted: Vec<Vec<u8>> = case
                .inputs
                .iter()
                .map(|tensor| [vec![0xAA; offset], tensor.data.clone()].concat())
                .collect();
            let inputs: Vec<Input<'_>> = case
                .inputs
                .iter()
                .zip(&shifted)
                .map(|(tensor, bytes)| Input {
                    data: &bytes[offset..],
                    ..tensor.input()
                })
                .collect();
            let outputs = model.run(&inputs).unwrap();
            assert!(
                outputs
                    .iter()
                    .zip(&case.outputs)
                    .all(|(a, b)| a.data == b.data),
                "{} at offset {offset}",
                case.model
            );
        }
    }
}
