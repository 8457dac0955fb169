//! Several requests as one, and its answer as theirs.
//!
//! Merging lays rows under each other along the first dimension, so it takes requests for the same
//! inputs with the same types and row shapes. Splitting gives each request slices of the answer.

use std::{borrow::Cow, sync::Arc};

use bytes::{Bytes, BytesMut};

use crate::{
    error::InferError,
    infer::{InferRequest, InferResponse, InputTensor, OutputTensor, is_whole},
};

/// Rows of a request, if every input agrees on them and holds them all; else it is one that goes alone,
/// for what is missing or too much in its data would be its neighbours'.
pub(crate) fn rows(request: &InferRequest) -> Option<usize> {
    let mut inputs = request.inputs.iter().map(|input| input.shape.first());
    let first = *inputs.next()??;
    let is_whole = |input: &InputTensor| is_whole(&input.shape, input.dtype, &input.data);
    if inputs.any(|rows| rows != Some(&first)) || !request.inputs.iter().all(is_whole) {
        return None;
    }
    usize::try_from(first).ok().filter(|rows| *rows > 0)
}

/// Whether two requests can go in one call.
pub(crate) fn fit_together(one: &InferRequest, other: &InferRequest) -> bool {
    let alike = |(a, b): (&InputTensor, &InputTensor)| {
        a.name == b.name && a.dtype == b.dtype && a.shape.get(1..) == b.shape.get(1..)
    };
    one.model == other.model
        && one.version == other.version
        && one.inputs.len() == other.inputs.len()
        && one.inputs.iter().zip(&other.inputs).all(alike)
}

/// One request of them all, in their order. They fit together and there is at least one.
pub(crate) fn merge<'r>(
    mut requests: impl Iterator<Item = &'r InferRequest> + Clone,
) -> Cow<'r, InferRequest> {
    let others = requests.clone().skip(1);
    let Some(first) = requests.next() else {
        unreachable!("a batch holds at least one request");
    };
    if others.clone().next().is_none() {
        return Cow::Borrowed(first);
    }
    let mut merged = first.clone();
    for request in others.clone() {
        // Nothing asked for means everything, for all of them.
        if merged.outputs.is_empty() || request.outputs.is_empty() {
            merged.outputs.clear();
            continue;
        }
        let missing = request
            .outputs
            .iter()
            .filter(|name| !merged.outputs.contains(name));
        let missing: Vec<Arc<str>> = missing.cloned().collect();
        merged.outputs.extend(missing);
    }
    merged.id = String::new();
    for (index, input) in merged.inputs.iter_mut().enumerate() {
        let parts = || {
            others
                .clone()
                .filter_map(|request| request.inputs.get(index))
        };
        let more: usize = parts().map(|part| part.data.len()).sum();
        let mut data = BytesMut::with_capacity(input.data.len() + more);
        data.extend_from_slice(&input.data);
        for part in parts() {
            data.extend_from_slice(&part.data);
            if let (Some(rows), Some(more)) = (input.shape.first_mut(), part.shape.first()) {
                *rows += more;
            }
        }
        input.data = data.freeze();
    }
    Cow::Owned(merged)
}

/// The answer to a merged request, as answers to requests of so many rows each.
///
/// # Errors
/// [`InferError::Model`] if an output does not have a row for each of the request's.
pub(crate) fn split(
    response: &InferResponse,
    rows: &[usize],
) -> Result<Vec<InferResponse>, InferError> {
    let total: usize = rows.iter().sum();
    for output in &response.outputs {
        let first = output.shape.first().copied();
        if first != i64::try_from(total).ok() {
            return Err(InferError::wrong_output(format!(
                "output '{}' of {total} rows has the shape {:?}: the model does not keep rows apart; \
                 does it want max_batch_size: 0?",
                output.name, output.shape
            )));
        }
    }
    let mut rest: Vec<Bytes> = response.outputs.iter().map(|o| o.data.clone()).collect();
    let parts = rows.iter().map(|rows| {
        let outputs = response
            .outputs
            .iter()
            .zip(&mut rest)
            .map(|(output, rest)| {
                let data = rest.split_to(size_of_rows(output, rest, total, *rows));
                let shape = match i64::try_from(*rows) {
                    Ok(rows) => [rows]
                        .into_iter()
                        .chain(output.shape.iter().skip(1).copied())
                        .collect(),
                    Err(_) => unreachable!("fewer rows than the shape, which is of i64"),
                };
                OutputTensor {
                    name: Arc::clone(&output.name),
                    dtype: output.dtype,
                    shape,
                    data,
                }
            });
        InferResponse {
            model_version: Arc::clone(&response.model_version),
            outputs: outputs.collect(),
        }
    });
    Ok(parts.collect())
}

/// Bytes of the next `rows` rows. The data's length agrees with its shape (see `infer.rs`).
fn size_of_rows(output: &OutputTensor, rest: &Bytes, total: usize, rows: usize) -> usize {
    if output.dtype.size_bytes().is_some() {
        return output.data.len() / total * rows;
    }
    let per_row = output.shape.iter().skip(1).product::<i64>();
    let strings = rows * usize::try_from(per_row).unwrap_or(0);
    let mut at = 0;
    for _ in 0..strings {
        let Some(length) = rest.get(at..).and_then(|rest| rest.first_chunk::<4>()) else {
            break;
        };
        at += 4 + u32::from_le_bytes(*length) as usize;
    }
    at.min(rest.len())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::dtype::Dtype;

    fn input(name: &str, dtype: Dtype, shape: &[i64], data: Vec<u8>) -> InputTensor {
        InputTensor {
            name: name.into(),
            dtype,
            shape: shape.to_vec(),
            data: data.into(),
        }
    }

    fn request(rows: usize, fill: u8, outputs: &[&str]) -> InferRequest {
        let strings: Vec<u8> = (0..rows)
            .flat_map(|row| string(&vec![fill; row % 3]))
            .collect();
        InferRequest {
            model: "m".into(),
            version: Some("1".into()),
            id: "an id".into(),
            inputs: vec![
                input("x", Dtype::Fp32, &[rows as i64, 2], vec![fill; rows * 8]),
                input("s", Dtype::Bytes, &[rows as i64, 1], strings),
            ],
            outputs: outputs.iter().map(|name| Arc::from(*name)).collect(),
        }
    }

    fn string(content: &[u8]) -> Vec<u8> {
        let mut bytes = (content.len() as u32).to_le_bytes().to_vec();
        bytes.extend(content);
        bytes
    }

    /// What a model that returns its inputs would answer.
    fn echo(request: &InferRequest) -> InferResponse {
        let outputs = request.inputs.iter().map(|input| OutputTensor {
            name: Arc::clone(&input.name),
            dtype: input.dtype,
            shape: input.shape.clone().into(),
            data: input.data.clone(),
        });
        InferResponse {
            model_version: "1".into(),
            outputs: outputs.collect(),
        }
    }

    proptest! {
        #[test]
        fn every_request_gets_its_own_rows(sizes in proptest::collection::vec(1_usize..6, 1..40)) {
            let requests: Vec<_> =
                sizes.iter().enumerate().map(|(i, rows)| request(*rows, i as u8, &["x"])).collect();
            prop_assert!(requests.iter().all(|other| fit_together(&requests[0], other)));
            let merged = merge(requests.iter());
            prop_assert_eq!(rows(&merged), Some(sizes.iter().sum()));
            let answers = split(&echo(&merged), &sizes).expect("rows are kept apart");
            prop_assert_eq!(answers.len(), requests.len());
            for (request, answer) in requests.iter().zip(answers) {
                prop_assert_eq!(echo(request), answer);
            }
        }
    }

    #[test]
    fn one_request_is_itself() {
        let alone = request(3, 7, &["x"]);
        assert_eq!(*merge([&alone].into_iter()), alone);
    }

    #[test]
    fn outputs_are_those_that_any_of_them_wants() {
        let wanted = |lists: [&[&str]; 3]| {
            let requests = lists.map(|outputs| request(1, 0, outputs));
            merge(requests.iter()).outputs.join(",")
        };
        assert_eq!(wanted([&["x"], &["s", "x"], &["x"]]), "x,s");
        assert_eq!(wanted([&["x"], &[], &["s"]]), "", "one wants all");
    }

    #[test]
    fn others_stay_apart() {
        let one = request(1, 0, &[]);
        let changed = |change: fn(&mut InferRequest)| {
            let mut other = request(4, 0, &["x"]);
            change(&mut other);
            fit_together(&one, &other)
        };
        assert!(changed(|_| {}), "rows, data and outputs may differ");
        assert!(!changed(|other| other.version = None));
        assert!(!changed(|other| other.inputs[0].name = "y".into()));
        assert!(!changed(|other| other.inputs[0].dtype = Dtype::Int32));
        assert!(!changed(|other| other.inputs[0].shape = vec![1, 3]));
        assert!(!changed(|other| other.inputs.truncate(1)));
        let mut ragged = request(2, 0, &[]);
        ragged.inputs[1].shape = vec![1, 1];
        assert_eq!(rows(&ragged), None);
    }

    #[test]
    fn data_that_is_not_what_the_shape_says_goes_alone() {
        for (index, change) in [(0, 1), (0, 4), (1, 1)] {
            let (mut longer, mut shorter) = (request(3, 0, &[]), request(3, 0, &[]));
            assert_eq!(rows(&longer), Some(3));
            let data = &longer.inputs[index].data;
            longer.inputs[index].data = [data, &vec![0; change][..]].concat().into();
            let data = &shorter.inputs[index].data;
            shorter.inputs[index].data = data.slice(..data.len() - change);
            assert_eq!((rows(&longer), rows(&shorter)), (None, None));
        }
    }

    #[test]
    fn an_output_without_a_row_each_is_the_models_fault() {
        let mut answer = echo(&request(4, 0, &[]));
        answer.outputs[0].shape = vec![1, 8].into();
        let error = split(&answer, &[2, 2]).expect_err("rows are not kept apart");
        assert!(error.to_string().contains("max_batch_size: 0"), "{error}");
    }
}
