//! Wrong inputs are named before the runtime sees them; many threads each get their own rows.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

mod support;

use local_model::{Dtype, Input, RunError};
use support::fp32;

fn features<'a>(shape: &'a [i64], data: &'a [u8]) -> Input<'a> {
    Input {
        name: "features",
        dtype: Dtype::Fp32,
        shape,
        data,
    }
}

#[test]
fn wrong_inputs() {
    let model = support::load("mlp", 1);
    let row = fp32(&[0.0; 8]);
    let good = features(&[1, 8], &row);
    let fails = |inputs: &[Input<'_>]| model.run(inputs).unwrap_err();

    assert!(matches!(fails(&[]), RunError::MissingInput { .. }));
    assert!(matches!(
        fails(&[good, good]),
        RunError::DuplicateInput { .. }
    ));
    let extra = Input { name: "w1", ..good };
    let error = fails(&[good, extra]);
    assert_eq!(
        error.to_string(),
        "the model has no input 'w1'; it has 'features'"
    );
    let fp64 = Input {
        dtype: Dtype::Fp64,
        ..good
    };
    assert_eq!(
        fails(&[fp64]).to_string(),
        "input 'features' is FP64, and the model expects FP32"
    );
    for shape in [
        &[8][..],
        &[1, 7],
        &[1, 8, 1],
        &[-1, 8],
        &[i64::MAX, 8],
        &[i64::MIN, 8],
        &[],
    ] {
        let error = fails(&[features(shape, &row)]);
        assert!(matches!(error, RunError::WrongShape { .. }), "{error}");
        assert!(error.to_string().ends_with("the model expects [-1,8]"));
    }
    for bytes in [0, 1, 31, 33, 64] {
        let data = vec![0; bytes];
        assert!(matches!(
            fails(&[features(&[1, 8], &data)]),
            RunError::WrongByteLength { expected: 32, .. }
        ));
    }
    assert!(model.run(&[good]).is_ok(), "a refused run leaves no trace");
}

#[test]
fn a_fixed_batch_is_the_only_batch() {
    let model = support::load("fixed_batch", 1);
    let (four, one) = (fp32(&[1.0; 8]), fp32(&[1.0; 2]));
    fn x<'a>(shape: &'a [i64], data: &'a [u8]) -> Input<'a> {
        Input {
            name: "x",
            ..features(shape, data)
        }
    }
    assert!(model.run(&[x(&[4, 2], &four)]).is_ok());
    let error = model.run(&[x(&[1, 2], &one)]).unwrap_err();
    assert!(matches!(error, RunError::WrongShape { .. }));
}

#[test]
fn a_bool_is_zero_or_one() {
    let case = support::golden()
        .into_iter()
        .find(|case| case.model == "every_dtype")
        .unwrap();
    let model = support::load("every_dtype", 1);
    let inputs: Vec<Input<'_>> = case
        .inputs
        .iter()
        .map(|tensor| match tensor.dtype {
            Dtype::Bool => Input {
                data: &[0, 1, 2, 0],
                ..tensor.input()
            },
            _ => tensor.input(),
        })
        .collect();
    assert_eq!(
        model.run(&inputs).unwrap_err(),
        RunError::InvalidBool {
            input: "flag".to_owned()
        }
    );
}

#[test]
fn what_only_the_runtime_can_know_is_its_error() {
    let model = support::load("two_inputs", 1);
    let (left, right) = (fp32(&[0.0; 4]), fp32(&[0.0; 9]));
    let inputs = [
        Input {
            name: "left",
            dtype: Dtype::Fp32,
            shape: &[2, 2],
            data: &left,
        },
        Input {
            name: "right",
            dtype: Dtype::Fp32,
            shape: &[3, 3],
            data: &right,
        },
    ];
    assert!(matches!(
        model.run(&inputs).unwrap_err(),
        RunError::Runtime { .. }
    ));
}

#[test]
fn an_unranked_input_takes_any_shape() {
    let model = support::load("unranked", 1);
    for shape in [&[][..], &[3], &[1, 2, 2]] {
        let elements: i64 = shape.iter().product();
        let data = fp32(&vec![2.0; usize::try_from(elements).unwrap()]);
        let outputs = model
            .run(&[Input {
                name: "x",
                dtype: Dtype::Fp32,
                shape,
                data: &data,
            }])
            .unwrap();
        assert_eq!(outputs[0].shape, shape);
    }
}

#[test]
fn threads_get_their_own_rows() {
    let negate = |sessions: usize, threads: u16| {
        let model = support::load("two_inputs", sessions);
        std::thread::scope(|scope| {
            for thread in 0..threads {
                let model = &model;
                scope.spawn(move || {
                    for turn in 0..500_u16 {
                        let mark = f32::from(thread) * 1000.0 + f32::from(turn);
                        let rows = i64::from(turn % 5 + 1);
                        let n = usize::try_from(rows).unwrap();
                        let (left, right) = (fp32(&vec![mark; 2 * n]), fp32(&vec![-mark; 3 * n]));
                        let outputs = model
                            .run(&[
                                Input {
                                    name: "left",
                                    dtype: Dtype::Fp32,
                                    shape: &[rows, 2],
                                    data: &left,
                                },
                                Input {
                                    name: "right",
                                    dtype: Dtype::Fp32,
                                    shape: &[rows, 3],
                                    data: &right,
                                },
                            ])
                            .unwrap();
                        let row = fp32(&[mark, mark, -mark, -mark, -mark]);
                        assert_eq!(outputs[0].shape, [rows, 5]);
                        assert_eq!(outputs[0].data, row.repeat(n));
                    }
                });
            }
        });
    };
    negate(1, 8);
    negate(4, 4);
    negate(3, 16);
}
