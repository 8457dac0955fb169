//! Where instances run, and what a GPU's first request costs.

use super::Lint;
use crate::{InstanceKind, ModelConfig};

pub(super) fn check(lint: &mut Lint<'_>) {
    groups(lint);
    let config = &lint.variant.config;
    if config.is_ensemble() {
        return;
    }
    for (index, accelerator) in config.gpu_accelerators.iter().enumerate() {
        let cached = accelerator
            .parameters
            .get("trt_engine_cache_enable")
            .is_some_and(|value| matches!(value.to_ascii_lowercase().as_str(), "true" | "1"));
        if accelerator.name == "tensorrt" && !cached {
            lint.warning(
                &format!("optimization.execution_accelerators.gpu_execution_accelerator[{index}]"),
                "TensorRT builds its engine anew at each start, which takes minutes: no engine \
                 cache is set",
                "parameters { key: \"trt_engine_cache_enable\" value: \"true\" }, and \
                 trt_engine_cache_path",
            );
        }
    }
    if is_gpu(config) && config.warmups.is_empty() {
        lint.warning(
            "model_warmup",
            "a model on a GPU without `model_warmup`: the first requests wait for engines and \
             kernels (25 ms and more instead of 3)",
            "warm up at the batch sizes used: 1 and max_batch_size",
        );
    }
}

fn groups(lint: &mut Lint<'_>) {
    let variant = lint.variant;
    let config = &variant.config;
    if config.is_ensemble() && !config.instance_groups.is_empty() {
        lint.error(
            "instance_group",
            "an ensemble has no instances of its own: its steps have",
        );
        return;
    }
    let for_cpu = variant
        .served_as
        .as_deref()
        .is_some_and(|name| name.to_ascii_lowercase().contains("cpu"));
    for (index, group) in config.instance_groups.iter().enumerate() {
        let key = format!("instance_group[{index}]");
        if group.count < 0 {
            lint.error(
                &format!("{key}.count"),
                format!("an instance group cannot have {} instances", group.count),
            );
        }
        if group.kind == InstanceKind::Cpu && !group.gpus.is_empty() {
            lint.error(
                &format!("{key}.gpus"),
                "the group is KIND_CPU and names GPUs",
            );
        }
        if group.kind == InstanceKind::Gpu && for_cpu {
            lint.warning(
                &format!("{key}.kind"),
                "this is a CPU's configuration, and Triton refuses KIND_GPU where there is no GPU",
                "kind: KIND_CPU",
            );
        }
    }
}

fn is_gpu(config: &ModelConfig) -> bool {
    config.platform == "tensorrt_plan"
        || config.backend == "tensorrt"
        || !config.gpu_accelerators.is_empty()
        || config
            .instance_groups
            .iter()
            .any(|group| group.kind == InstanceKind::Gpu)
}
