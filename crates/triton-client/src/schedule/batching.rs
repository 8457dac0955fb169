//! How a model's requests may be merged, as its configuration says.

use crate::config::{Accelerator, ModelConfig};

/// ONNX Runtime's name for the shapes that a TensorRT engine is tuned for, in the parameters of the
/// accelerator: `INPUT:BATCHxDIM…,INPUT:…`.
const TENSORRT_OPTIMAL_SHAPES: &str = "trt_profile_opt_shapes";

/// How many rows one call to a model may carry, and how many calls it runs at a time.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Batching {
    /// Rows in one call at most; 1 sends every request as it is.
    pub max_rows: usize,
    /// Sizes that the model runs best, ascending; none where it does not say. They are those of
    /// `preferred_batch_size` and of the TensorRT profile's optimum.
    pub preferred_rows: Vec<usize>,
    /// Instances of the model at one endpoint; 1 where it does not say.
    pub instances: usize,
}

impl Batching {
    /// Every request as it is: for a model whose configuration is not known.
    pub fn none() -> Self {
        Self {
            max_rows: 1,
            preferred_rows: Vec::new(),
            instances: 1,
        }
    }

    /// As the configuration says. Unmerged go models without a batch dimension, those whose rows may
    /// differ in shape, and stateful ones.
    pub fn of(config: &ModelConfig) -> Self {
        let instances = config.instance_groups.iter().map(|group| {
            let per_device = usize::try_from(group.count).unwrap_or(0).max(1);
            per_device * group.gpus.len().max(1)
        });
        let instances = instances.sum::<usize>().max(1);
        let mut inputs = config.inputs.iter();
        let shapes_vary = inputs.any(|input| input.allow_ragged_batch || input.dims.contains(&-1));
        if shapes_vary || config.sequence_batching.is_some() || config.decoupled {
            return Self {
                instances,
                ..Self::none()
            };
        }
        let max_rows = usize::try_from(config.max_batch_size).unwrap_or(0).max(1);
        let batching = config.dynamic_batching.iter();
        let preferred = batching.flat_map(|batching| &batching.preferred_batch_sizes);
        let preferred = preferred.filter_map(|rows| usize::try_from(*rows).ok());
        let optimal = config.gpu_accelerators.iter().filter_map(optimal_rows);
        let mut preferred_rows: Vec<usize> = preferred.chain(optimal).collect();
        preferred_rows.retain(|rows| (2..=max_rows).contains(rows));
        preferred_rows.sort_unstable();
        preferred_rows.dedup();
        Self {
            max_rows,
            preferred_rows,
            instances,
        }
    }

    /// How many of so many waiting rows to send: the largest preferred size among them, unless that
    /// would leave more than half of them behind.
    pub(crate) fn snap(&self, rows: usize) -> usize {
        let mut sizes = self.preferred_rows.iter().rev();
        let fitting = sizes.find(|size| **size <= rows);
        fitting
            .copied()
            .filter(|size| size * 2 > rows)
            .unwrap_or(rows)
    }
}

fn optimal_rows(accelerator: &Accelerator) -> Option<usize> {
    let shapes = accelerator.parameters.get(TENSORRT_OPTIMAL_SHAPES)?;
    let (_, shape) = shapes.split(',').next()?.rsplit_once(':')?;
    shape.split('x').next()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batching(pbtxt: &str) -> Batching {
        Batching::of(&ModelConfig::parse_pbtxt(pbtxt).expect("it parses"))
    }

    #[test]
    fn as_the_configuration_says() {
        let config = r#"
            max_batch_size: 64
            input [ { name: "x" data_type: TYPE_FP32 dims: [ 4 ] } ]
            dynamic_batching { preferred_batch_size: [ 8, 128, 1 ] }
            instance_group [ { kind: KIND_GPU count: 2 gpus: [ 0, 1 ] }, { kind: KIND_CPU } ]
            optimization { execution_accelerators { gpu_execution_accelerator : [ {
              name: "tensorrt" parameters { key: "trt_profile_opt_shapes" value: "x:32x4,z:16x4" } } ] } }"#;
        let expected = Batching {
            max_rows: 64,
            preferred_rows: vec![8, 32],
            instances: 5,
        };
        assert_eq!(batching(config), expected);
    }

    #[test]
    fn some_models_go_unmerged() {
        let input = |dims: &str| {
            format!("input [ {{ name: \"x\" data_type: TYPE_FP32 dims: [ {dims} ] }} ]")
        };
        for config in [
            format!("max_batch_size: 0 {}", input("4")),
            format!("max_batch_size: 64 {}", input("-1")),
            format!("max_batch_size: 64 sequence_batching {{ }} {}", input("4")),
            format!(
                "max_batch_size: 64 model_transaction_policy {{ decoupled: true }} {}",
                input("4")
            ),
            "max_batch_size: 64 input [ { name: \"x\" data_type: TYPE_FP32 dims: [ 4 ] allow_ragged_batch: true } ]".to_owned(),
        ] {
            assert_eq!(batching(&config).max_rows, 1, "{config}");
        }
    }

    #[test]
    fn snaps_to_a_preferred_size_that_leaves_less_than_half_behind() {
        let batching = Batching {
            max_rows: 64,
            preferred_rows: vec![8, 32],
            instances: 1,
        };
        let snapped = [1, 7, 8, 9, 15, 16, 31, 32, 50, 63, 64].map(|rows| batching.snap(rows));
        assert_eq!(snapped, [1, 7, 8, 8, 8, 16, 31, 32, 32, 32, 64]);
        assert_eq!(Batching::none().snap(1), 1);
    }
}
