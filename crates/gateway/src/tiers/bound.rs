//! A model bound to a decision: which features fill its inputs, which outputs are the scores.
//!
//! A model describes itself: `gavel.features.X` in the parameters of its `config.pbtxt` names, in
//! order, the features of input tensor `X`. The same binding serves a model of Triton's and one in
//! process.

use std::sync::Arc;

use features::{FeatureRow, Plan, TensorDtype, TensorLayout};
use triton_client::{Dtype, ModelConfig, TensorSpec};

use crate::decision::ScoreSource;

/// Input tensors of a model, each with its features in order.
pub(crate) type FeatureLists = Vec<(TensorSpec, Vec<String>)>;

/// Why a model does not fit a decision.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub(crate) struct BindError {
    /// A sentence.
    pub(crate) message: String,
    /// What to do.
    pub(crate) hint: Option<String>,
}

impl BindError {
    /// A sentence that says what to do as well.
    pub(crate) fn plain(message: String) -> Self {
        Self {
            message,
            hint: None,
        }
    }
}

/// A model that fits.
#[derive(Debug)]
pub(crate) struct BoundModel {
    pub(crate) model: Arc<str>,
    pub(crate) version: Arc<str>,
    pub(crate) inputs: Vec<BoundInput>,
    /// Output tensors that hold scores, each once.
    pub(crate) outputs: Vec<Arc<str>>,
    scores: Vec<ScorePlace>,
}

/// An input tensor of one row.
#[derive(Debug)]
pub(crate) struct BoundInput {
    pub(crate) name: Arc<str>,
    pub(crate) dtype: Dtype,
    /// With the batch of one, where the model has a batch.
    pub(crate) shape: Vec<i64>,
    layout: TensorLayout,
}

#[derive(Debug)]
struct ScorePlace {
    output: Arc<str>,
    index: usize,
}

/// The features of each input of a model, from the decision's own `inputs` or from the model itself.
pub(crate) fn feature_lists(
    config: &ModelConfig,
    written: &[(String, Vec<String>)],
) -> Result<FeatureLists, BindError> {
    let model = &config.name;
    if let Some((tensor, _)) = written
        .iter()
        .find(|(t, _)| config.inputs.iter().all(|i| i.name != *t))
    {
        let known: Vec<&str> = config.inputs.iter().map(|i| i.name.as_str()).collect();
        return Err(BindError {
            message: format!(
                "the decision names the input `{tensor}` of `{model}`, which has no such input"
            ),
            hint: Some(format!("its inputs: {}", known.join(", "))),
        });
    }
    config
        .inputs
        .iter()
        .map(|input| {
            let listed = written.iter().find(|(tensor, _)| *tensor == input.name).map(|(_, names)| names.clone());
            let listed = listed.or_else(|| config.feature_list(&input.name));
            match listed {
                Some(names) => Ok((input.clone(), names)),
                None => Err(BindError {
                    message: format!("the input `{}` of `{model}` does not say which features it takes", input.name),
                    hint: Some(format!(
                        "add to its config.pbtxt: parameters {{ key: \"gavel.features.{}\" value {{ string_value: \"amount_log, …\" }} }}",
                        input.name
                    )),
                }),
            }
        })
        .collect()
}

impl BoundModel {
    /// Binds a model whose `lists` are all in `plan`.
    pub(crate) fn new(
        config: &ModelConfig,
        version: Arc<str>,
        lists: &FeatureLists,
        plan: &Plan,
        scores: &[ScoreSource],
    ) -> Result<Self, BindError> {
        let inputs = lists
            .iter()
            .map(|(spec, names)| BoundInput::new(config, spec, names, plan))
            .collect::<Result<Vec<_>, _>>()?;
        let mut outputs: Vec<Arc<str>> = Vec::new();
        for source in scores {
            check_output(config, source)?;
            if !outputs.contains(&source.output) {
                outputs.push(source.output.clone());
            }
        }
        let scores = scores
            .iter()
            .map(|s| ScorePlace {
                output: s.output.clone(),
                index: s.index,
            })
            .collect();
        Ok(Self {
            model: config.name.as_str().into(),
            version,
            inputs,
            outputs,
            scores,
        })
    }

    /// The scores among the outputs of one row; `None` when one is absent or not finite.
    pub(crate) fn scores<'o>(
        &self,
        output: impl Fn(&str) -> Option<(Dtype, &'o [u8])>,
    ) -> Option<Vec<f64>> {
        self.scores
            .iter()
            .map(|place| {
                let (dtype, data) = output(&place.output)?;
                element(dtype, data, place.index).filter(|score| score.is_finite())
            })
            .collect()
    }
}

impl BoundInput {
    fn new(
        config: &ModelConfig,
        spec: &TensorSpec,
        names: &[String],
        plan: &Plan,
    ) -> Result<Self, BindError> {
        let model = &config.name;
        let tensor = &spec.name;
        let dtypes = spec
            .dtype
            .and_then(|dtype| Some((dtype, tensor_dtype(dtype)?)));
        let (raw_dtype, dtype) = dtypes.ok_or_else(|| BindError {
            message: format!(
                "the input `{tensor}` of `{model}` is {}, which features cannot fill",
                named(spec.dtype)
            ),
            hint: Some("types that features fill: BOOL, INT32, INT64, FP32, FP64, BYTES".into()),
        })?;
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let layout = plan.tensor(dtype, &names).map_err(|errors| BindError {
            message: format!("the input `{tensor}` of `{model}`: {}", sentences(&errors)),
            hint: errors.iter().find_map(|e| e.hint().map(str::to_owned)),
        })?;
        let batched = config.max_batch_size > 0;
        let (batch, dims) = match spec.dims.as_slice() {
            dims if batched => (true, dims),
            [-1, dims @ ..] if !dims.is_empty() => (true, dims),
            dims => (false, dims),
        };
        let width = layout.width() as i64;
        let expected: Option<i64> = dims
            .iter()
            .try_fold(1, |n: i64, dim| (*dim > 0).then(|| n * dim));
        if expected.is_some_and(|expected| expected != width)
            || (expected.is_none() && dims.len() != 1)
        {
            return Err(BindError {
                message: format!(
                    "the input `{tensor}` of `{model}` has the shape {dims:?}, but the features that are named for it fill {width} elements"
                ),
                hint: Some(format!(
                    "compare gavel.features.{tensor} with the model's input; a feature fills one element, a list as many as its dtype says"
                )),
            });
        }
        let dims = if expected.is_some() {
            dims.to_vec()
        } else {
            vec![width]
        };
        let shape = if batch {
            [1].into_iter().chain(dims).collect()
        } else {
            dims
        };
        Ok(Self {
            name: tensor.as_str().into(),
            dtype: raw_dtype,
            shape,
            layout,
        })
    }

    /// The tensor's bytes for one row.
    pub(crate) fn bytes(&self, row: &FeatureRow) -> Vec<u8> {
        let mut bytes =
            Vec::with_capacity(self.layout.width() * self.dtype.size_bytes().unwrap_or(16));
        self.layout.write(row, &mut bytes);
        bytes
    }
}

/// Several errors as one sentence.
pub(crate) fn sentences<E: ToString>(errors: &[E]) -> String {
    errors
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("; ")
}

fn named(dtype: Option<Dtype>) -> &'static str {
    dtype.map_or("of no type", Dtype::name)
}

fn tensor_dtype(dtype: Dtype) -> Option<TensorDtype> {
    match dtype {
        Dtype::Bool => Some(TensorDtype::Bool),
        Dtype::Int32 => Some(TensorDtype::Int32),
        Dtype::Int64 => Some(TensorDtype::Int64),
        Dtype::Fp32 => Some(TensorDtype::Fp32),
        Dtype::Fp64 => Some(TensorDtype::Fp64),
        Dtype::Bytes => Some(TensorDtype::Bytes),
        _ => None,
    }
}

fn check_output(config: &ModelConfig, source: &ScoreSource) -> Result<(), BindError> {
    let model = &config.name;
    let Some(output) = config.outputs.iter().find(|o| *o.name == *source.output) else {
        let known: Vec<&str> = config.outputs.iter().map(|o| o.name.as_str()).collect();
        return Err(BindError {
            message: format!(
                "the score `{}` is taken from the output `{}` of `{model}`, which has no such output",
                source.score, source.output
            ),
            hint: Some(format!(
                "its outputs: {}; say which with scores = {{ {} = \"OUTPUT\" }}",
                known.join(", "),
                source.score
            )),
        });
    };
    if !matches!(output.dtype, Some(Dtype::Fp32 | Dtype::Fp64)) {
        return Err(BindError {
            message: format!(
                "the output `{}` of `{model}` is {}, but a score is FP32 or FP64",
                output.name,
                named(output.dtype)
            ),
            hint: None,
        });
    }
    let elements: Option<i64> = output
        .dims
        .iter()
        .try_fold(1, |n: i64, dim| (*dim > 0).then(|| n * dim));
    if elements.is_some_and(|elements| source.index as i64 >= elements) {
        return Err(BindError {
            message: format!(
                "the score `{}` is element {} of the output `{}` of `{model}`, which has {elements:?}",
                source.score, source.index, output.name
            ),
            hint: None,
        });
    }
    Ok(())
}

/// One element of a raw tensor, little endian.
fn element(dtype: Dtype, data: &[u8], index: usize) -> Option<f64> {
    match dtype {
        Dtype::Fp32 => {
            let bytes = data.get(index.checked_mul(4)?..)?.first_chunk()?;
            Some(f64::from(f32::from_le_bytes(*bytes)))
        }
        Dtype::Fp64 => {
            let bytes = data.get(index.checked_mul(8)?..)?.first_chunk()?;
            Some(f64::from_le_bytes(*bytes))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_element_is_read_where_it_is_or_not_at_all() {
        let data: Vec<u8> = [0.25f32, 0.5]
            .iter()
            .flat_map(|n| n.to_le_bytes())
            .collect();
        assert_eq!(element(Dtype::Fp32, &data, 1), Some(0.5));
        assert_eq!(element(Dtype::Fp32, &data, 2), None);
        assert_eq!(element(Dtype::Fp64, &data, usize::MAX), None);
        assert_eq!(element(Dtype::Int64, &data, 0), None);
    }
}
