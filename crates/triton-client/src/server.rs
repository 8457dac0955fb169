//! What a server says about itself and its models, as types of ours.

use std::time::Duration;

use crate::{
    config::ModelConfig,
    dtype::Dtype,
    error::ControlError,
    proto::{
        self, ModelMetadataResponse, ServerMetadataResponse, StatisticDuration,
        model_metadata_response::TensorMetadata as ProtoTensor,
    },
};

/// The server's name, version and the protocol extensions that it speaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerMetadata {
    /// `triton`.
    pub name: String,
    /// E.g. `2.51.0`.
    pub version: String,
    /// E.g. `statistics`.
    pub extensions: Vec<String>,
}

impl ServerMetadata {
    pub(crate) fn of_proto(metadata: ServerMetadataResponse) -> Self {
        let ServerMetadataResponse {
            name,
            version,
            extensions,
        } = metadata;
        Self {
            name,
            version,
            extensions,
        }
    }

    /// Whether this server outlives cancellation of unary inferences. Releases before 2.59
    /// (r25.06) crash on it: server pull requests 7840, 8078 and 8220.
    pub fn survives_cancellation(&self) -> bool {
        let mut parts = self.version.split('.').map(|part| part.parse::<u32>());
        match (parts.next(), parts.next()) {
            (Some(Ok(major)), Some(Ok(minor))) => (major, minor) >= (2, 59),
            _ => false,
        }
    }
}

/// A model as its server describes it: `ModelMetadata` and `ModelConfig` together.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelDescription {
    /// Versions that are served, as their folders are named.
    pub versions: Vec<String>,
    /// Inputs with full shapes: the batch dimension included, `-1` where free.
    pub inputs: Vec<TensorMetadata>,
    /// Outputs, likewise.
    pub outputs: Vec<TensorMetadata>,
    /// The configuration in force, with what the server filled in.
    pub config: ModelConfig,
}

/// Name, type and full shape of a tensor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorMetadata {
    /// Its name.
    pub name: String,
    /// Type of its elements.
    pub dtype: Dtype,
    /// The batch dimension included, `-1` where free.
    pub shape: Vec<i64>,
}

impl ModelDescription {
    pub(crate) fn of_proto(
        metadata: ModelMetadataResponse,
        config: proto::ModelConfig,
    ) -> Result<Self, ControlError> {
        Ok(Self {
            versions: metadata.versions,
            inputs: tensors(metadata.inputs)?,
            outputs: tensors(metadata.outputs)?,
            config: ModelConfig::of_proto(config),
        })
    }
}

fn tensors(tensors: Vec<ProtoTensor>) -> Result<Vec<TensorMetadata>, ControlError> {
    let tensor = |tensor: ProtoTensor| {
        let dtype = tensor
            .datatype
            .parse()
            .map_err(|unknown| ControlError::Malformed {
                message: format!("tensor '{}': {unknown}", tensor.name),
            })?;
        Ok(TensorMetadata {
            name: tensor.name,
            dtype,
            shape: tensor.shape,
        })
    };
    tensors.into_iter().map(tensor).collect()
}

/// How often something happened, and how long it took altogether.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DurationStatistic {
    /// Number of times.
    pub count: u64,
    /// Sum of the durations.
    pub total: Duration,
}

/// Counters of one version of a model since it was loaded.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ModelStatistics {
    /// The model's name.
    pub name: String,
    /// The version.
    pub version: String,
    /// Rows inferred.
    pub inference_count: u64,
    /// Executions of the model: rows divided by this is the mean batch size.
    pub execution_count: u64,
    /// Requests that succeeded, end to end.
    pub success: DurationStatistic,
    /// Requests that failed.
    pub fail: DurationStatistic,
    /// Time in Triton's own queue.
    pub queue: DurationStatistic,
    /// Time in the model itself.
    pub compute_infer: DurationStatistic,
}

impl ModelStatistics {
    pub(crate) fn of_proto(statistics: proto::ModelStatistics) -> Self {
        let times = statistics.inference_stats.unwrap_or_default();
        Self {
            name: statistics.name,
            version: statistics.version,
            inference_count: statistics.inference_count,
            execution_count: statistics.execution_count,
            success: duration(times.success),
            fail: duration(times.fail),
            queue: duration(times.queue),
            compute_infer: duration(times.compute_infer),
        }
    }
}

fn duration(statistic: Option<StatisticDuration>) -> DurationStatistic {
    let StatisticDuration { count, ns } = statistic.unwrap_or_default();
    DurationStatistic {
        count,
        total: Duration::from_nanos(ns),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_servers_from_2_59_survive_cancellation() {
        let survives = |version: &str| {
            ServerMetadata {
                name: "triton".into(),
                version: version.into(),
                extensions: vec![],
            }
            .survives_cancellation()
        };
        for version in ["2.51.0", "2.58.1", "1.99.0", "2", "", "x.59.0"] {
            assert!(!survives(version), "{version}");
        }
        for version in ["2.59.0", "2.60.0dev", "3.0.0"] {
            assert!(survives(version), "{version}");
        }
    }
}
