//! From the protocol's `ModelConfig` message to ours.

use std::collections::{BTreeMap, HashMap};

use super::{
    Accelerator, DynamicBatching, EnsembleStep, InstanceGroup, InstanceKind, ModelConfig,
    QueuePolicy, SequenceBatching, TensorSpec, VersionPolicy, Warmup, WarmupData, WarmupInput,
};
use crate::{
    dtype::Dtype,
    proto::{
        self, ModelEnsembling, ModelInput, ModelInstanceGroup, ModelOutput, ModelQueuePolicy,
        ModelWarmup, model_config::SchedulingChoice, model_instance_group::Kind,
        model_optimization_policy::execution_accelerators::Accelerator as ProtoAccelerator,
        model_queue_policy::TimeoutAction, model_version_policy::PolicyChoice,
        model_warmup::input::InputDataType,
    },
};

impl ModelConfig {
    pub(crate) fn of_proto(config: proto::ModelConfig) -> Self {
        let (mut dynamic_batching, mut sequence_batching, mut ensemble_steps) =
            (None, None, vec![]);
        match config.scheduling_choice {
            Some(SchedulingChoice::DynamicBatching(batching)) => {
                dynamic_batching = Some(dynamic(batching));
            }
            Some(SchedulingChoice::SequenceBatching(batching)) => {
                sequence_batching = Some(sequence(batching));
            }
            Some(SchedulingChoice::EnsembleScheduling(ensemble)) => {
                ensemble_steps = steps(ensemble)
            }
            None => {}
        }
        let accelerators = config
            .optimization
            .and_then(|policy| policy.execution_accelerators);
        let accelerators = accelerators.unwrap_or_default();
        Self {
            name: config.name,
            platform: config.platform,
            backend: config.backend,
            max_batch_size: config.max_batch_size,
            inputs: config.input.into_iter().map(input).collect(),
            outputs: config.output.into_iter().map(output).collect(),
            parameters: sorted(config.parameters, |parameter| parameter.string_value),
            version_policy: config
                .version_policy
                .and_then(|policy| policy.policy_choice)
                .map(version_policy),
            dynamic_batching,
            sequence_batching,
            ensemble_steps,
            instance_groups: config
                .instance_group
                .into_iter()
                .map(instance_group)
                .collect(),
            warmups: config.model_warmup.into_iter().map(warmup).collect(),
            default_model_filename: config.default_model_filename,
            compute_capability_filenames: sorted(config.cc_model_filenames, |name| name),
            gpu_accelerators: accelerators
                .gpu_execution_accelerator
                .into_iter()
                .map(accelerator)
                .collect(),
            cpu_accelerators: accelerators
                .cpu_execution_accelerator
                .into_iter()
                .map(accelerator)
                .collect(),
            decoupled: config
                .model_transaction_policy
                .is_some_and(|policy| policy.decoupled),
            response_cache: config.response_cache.is_some_and(|cache| cache.enable),
        }
    }
}

fn sorted<K: Ord, V, W>(map: HashMap<K, V>, value: impl Fn(V) -> W) -> BTreeMap<K, W> {
    map.into_iter().map(|(k, v)| (k, value(v))).collect()
}

fn input(input: ModelInput) -> TensorSpec {
    TensorSpec {
        name: input.name,
        dtype: Dtype::of_config(input.data_type),
        dims: input.dims,
        reshape: input.reshape.map(|reshape| reshape.shape),
        optional: input.optional,
        allow_ragged_batch: input.allow_ragged_batch,
        is_shape_tensor: input.is_shape_tensor,
        label_filename: String::new(),
    }
}

fn output(output: ModelOutput) -> TensorSpec {
    TensorSpec {
        name: output.name,
        dtype: Dtype::of_config(output.data_type),
        dims: output.dims,
        reshape: output.reshape.map(|reshape| reshape.shape),
        optional: false,
        allow_ragged_batch: false,
        is_shape_tensor: output.is_shape_tensor,
        label_filename: output.label_filename,
    }
}

fn version_policy(choice: PolicyChoice) -> VersionPolicy {
    match choice {
        PolicyChoice::Latest(latest) => VersionPolicy::Latest(latest.num_versions),
        PolicyChoice::All(_) => VersionPolicy::All,
        PolicyChoice::Specific(specific) => VersionPolicy::Specific(specific.versions),
    }
}

fn dynamic(batching: proto::ModelDynamicBatching) -> DynamicBatching {
    DynamicBatching {
        preferred_batch_sizes: batching.preferred_batch_size,
        max_queue_delay_us: batching.max_queue_delay_microseconds,
        preserve_ordering: batching.preserve_ordering,
        priority_levels: batching.priority_levels,
        default_priority_level: batching.default_priority_level,
        default_queue_policy: batching.default_queue_policy.map(queue_policy),
        priority_queue_policies: sorted(batching.priority_queue_policy, queue_policy),
    }
}

fn queue_policy(policy: ModelQueuePolicy) -> QueuePolicy {
    QueuePolicy {
        delay_on_timeout: policy.timeout_action() == TimeoutAction::Delay,
        default_timeout_us: policy.default_timeout_microseconds,
        allow_timeout_override: policy.allow_timeout_override,
        max_queue_size: policy.max_queue_size,
    }
}

fn sequence(batching: proto::ModelSequenceBatching) -> SequenceBatching {
    SequenceBatching {
        max_sequence_idle_us: batching.max_sequence_idle_microseconds,
        control_inputs: batching
            .control_input
            .into_iter()
            .map(|input| input.name)
            .collect(),
    }
}

fn steps(ensemble: ModelEnsembling) -> Vec<EnsembleStep> {
    let steps = ensemble.step.into_iter().map(|step| EnsembleStep {
        model: step.model_name,
        version: step.model_version,
        input_map: sorted(step.input_map, |tensor| tensor),
        output_map: sorted(step.output_map, |tensor| tensor),
    });
    steps.collect()
}

fn instance_group(group: ModelInstanceGroup) -> InstanceGroup {
    let kind = match group.kind() {
        Kind::Auto => InstanceKind::Auto,
        Kind::Gpu => InstanceKind::Gpu,
        Kind::Cpu => InstanceKind::Cpu,
        Kind::Model => InstanceKind::Model,
    };
    InstanceGroup {
        kind,
        count: group.count,
        gpus: group.gpus,
    }
}

fn warmup(warmup: ModelWarmup) -> Warmup {
    let input = |input: proto::model_warmup::Input| WarmupInput {
        dtype: Dtype::of_config(input.data_type),
        dims: input.dims,
        data: input.input_data_type.map(|data| match data {
            InputDataType::ZeroData(_) => WarmupData::Zero,
            InputDataType::RandomData(_) => WarmupData::Random,
            InputDataType::InputDataFile(file) => WarmupData::File(file),
        }),
    };
    Warmup {
        name: warmup.name,
        batch_size: warmup.batch_size,
        count: warmup.count,
        inputs: sorted(warmup.inputs, input),
    }
}

fn accelerator(accelerator: ProtoAccelerator) -> Accelerator {
    Accelerator {
        name: accelerator.name,
        parameters: sorted(accelerator.parameters, |setting| setting),
    }
}
