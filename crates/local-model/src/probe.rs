//! The first runs of a model: whether it takes one row at all, and how long that takes.

use std::time::Duration;

use crate::{Input, LocalModel, TensorInfo};

/// Measured runs; one more before them warms the session.
const RUNS: usize = 21;

/// A row larger than this is a mistake in the file, not a request.
const LIMIT_BYTES: usize = 1 << 30;

/// Median time of one row of zeros, every free dimension being 1; or why it does not run.
pub(crate) fn cost(model: &LocalModel) -> Result<Duration, String> {
    let tensors = &model.signature().inputs;
    let rows: Vec<(Vec<i64>, Vec<u8>)> = tensors.iter().map(zeros).collect::<Result<_, _>>()?;
    let inputs: Vec<Input<'_>> = tensors
        .iter()
        .zip(&rows)
        .map(|(info, (shape, data))| Input {
            name: &info.name,
            dtype: info.dtype,
            shape,
            data,
        })
        .collect();
    let mut times = Vec::with_capacity(RUNS);
    for run in 0..=RUNS {
        #[expect(
            clippy::disallowed_methods,
            reason = "measures real work; a test's clock must not change the result"
        )]
        let start = std::time::Instant::now();
        model.run(&inputs).map_err(|error| error.to_string())?;
        if run > 0 {
            times.push(start.elapsed());
        }
    }
    times.sort_unstable();
    Ok(times[RUNS / 2])
}

fn zeros(info: &TensorInfo) -> Result<(Vec<i64>, Vec<u8>), String> {
    let shape: Vec<i64> = info.dims.iter().map(|dim| dim.unwrap_or(1)).collect();
    let input = Input {
        name: &info.name,
        dtype: info.dtype,
        shape: &shape,
        data: &[],
    };
    let bytes = input
        .needed_bytes()
        .filter(|bytes| *bytes <= LIMIT_BYTES)
        .ok_or_else(|| {
            format!(
                "input '{}' with shape {} is over {LIMIT_BYTES} bytes a row",
                info.name,
                info.shape()
            )
        })?;
    Ok((shape, vec![0; bytes]))
}
