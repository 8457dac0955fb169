//! A model's configuration against its ONNX file: names, types, ranks and dimensions.
//!
//! Triton finds these at load, one at a time, or at the first request. Here they are found all at
//! once, offline. Which files there are is the repository's concern, and what they hold is the
//! reader's; this only compares.

use std::path::Path;

use local_model::{Signature, TensorInfo};
use triton_client::{
    ModelConfig, TensorSpec,
    repository::{Finding, Model, Severity, Variant},
};

use crate::diagnostic::did_you_mean;

/// What differs between `config`, which is that of the variant in `variant_file`, and the
/// signature of the ONNX file that the variant serves.
///
/// Inputs must be the same on both sides; outputs of the file may be left out of the
/// configuration. A configuration without inputs (or outputs) leaves them to Triton and is not
/// compared.
pub(super) fn compare(
    model: &Model,
    variant_file: &Path,
    config: &ModelConfig,
    signature: &Signature,
) -> Vec<Finding> {
    let variant = model
        .variants
        .iter()
        .find(|variant| variant.file == variant_file);
    let mut comparison = Comparison {
        variant_file,
        variant,
        findings: Vec::new(),
    };
    comparison.side(
        "input",
        &config.inputs,
        &signature.inputs,
        config.max_batch_size,
    );
    comparison.side(
        "output",
        &config.outputs,
        &signature.outputs,
        config.max_batch_size,
    );
    comparison.missing_inputs(&config.inputs, &signature.inputs);
    if let Some(variant) = variant {
        comparison.external_files(model, variant, signature);
    }
    comparison.findings
}

struct Comparison<'a> {
    variant_file: &'a Path,
    variant: Option<&'a Variant>,
    findings: Vec<Finding>,
}

impl Comparison<'_> {
    fn side(
        &mut self,
        field: &str,
        specs: &[TensorSpec],
        infos: &[TensorInfo],
        max_batch_size: i32,
    ) {
        for (index, spec) in specs.iter().enumerate() {
            let key = format!("{field}[{index}]");
            let Some(info) = infos.iter().find(|info| info.name == spec.name) else {
                let names = || infos.iter().map(|info| info.name.as_str());
                let hint = did_you_mean(&spec.name, names()).unwrap_or_else(|| {
                    format!("its {field}s: {}", names().collect::<Vec<_>>().join(", "))
                });
                let message = format!("the ONNX file has no {field} '{}'", spec.name);
                self.say(Severity::Error, &format!("{key}.name"), message, Some(hint));
                continue;
            };
            self.dtype(&key, spec, info);
            if info.ranked && !spec.dims.is_empty() {
                self.shape(&key, spec, info, max_batch_size);
            }
        }
    }

    fn dtype(&mut self, key: &str, spec: &TensorSpec, info: &TensorInfo) {
        let Some(dtype) = spec.dtype else { return };
        if dtype.name() == info.dtype.name() {
            return;
        }
        let hint = match info.dtype {
            local_model::Dtype::Other(_) => {
                "export the model with tensors alone (zipmap off)".to_owned()
            }
            local_model::Dtype::String => "data_type: TYPE_STRING".to_owned(),
            other => format!("data_type: TYPE_{other}"),
        };
        let message = format!(
            "'{}' is {dtype} here and {} in the ONNX file",
            spec.name, info.dtype
        );
        self.say(
            Severity::Error,
            &format!("{key}.data_type"),
            message,
            Some(hint),
        );
    }

    fn shape(&mut self, key: &str, spec: &TensorSpec, info: &TensorInfo, max_batch_size: i32) {
        let name = &spec.name;
        let rows = if max_batch_size > 0 {
            match info.dims.split_first() {
                Some((None, rows)) => rows,
                Some((Some(batch), rows)) => {
                    let message = format!(
                        "max_batch_size is {max_batch_size}, and the ONNX file fixes the batch of '{name}' at {batch}"
                    );
                    let hint = "export it with a free first dimension, or set max_batch_size: 0 and write the batch into dims";
                    self.say(
                        Severity::Error,
                        "max_batch_size",
                        message,
                        Some(hint.to_owned()),
                    );
                    rows
                }
                None => {
                    let message = format!(
                        "max_batch_size is {max_batch_size}, and '{name}' is a scalar in the ONNX file: it has no batch"
                    );
                    self.say(
                        Severity::Error,
                        "max_batch_size",
                        message,
                        Some("max_batch_size: 0".to_owned()),
                    );
                    return;
                }
            }
        } else {
            &info.dims
        };
        // The backend sees the tensor after its reshape.
        let (dims, key) = match &spec.reshape {
            Some(reshape) => (reshape, format!("{key}.reshape")),
            None => (&spec.dims, format!("{key}.dims")),
        };
        if dims.len() != rows.len() {
            let message = format!(
                "'{name}' has {} here and {} in the ONNX file{}",
                dimensions(dims.len()),
                dimensions(rows.len()),
                if max_batch_size > 0 {
                    ", the batch left out"
                } else {
                    ""
                }
            );
            let hint = if rows.is_empty() && dims == &[1] {
                "dims: [ 1 ] reshape { shape: [ ] }".to_owned()
            } else {
                format!("dims: {}", written(rows))
            };
            self.say(Severity::Error, &key, message, Some(hint));
            return;
        }
        for (index, (dim, row)) in dims.iter().zip(rows).enumerate() {
            let Some(fixed) = row.filter(|fixed| fixed != dim) else {
                continue;
            };
            let key = if spec.reshape.is_some() {
                key.clone()
            } else {
                format!("{key}[{index}]")
            };
            let message =
                format!("dimension {index} of '{name}' is {dim} here and {fixed} in the ONNX file");
            // Any size is promised, and the file takes one.
            let severity = if *dim == -1 {
                Severity::Warning
            } else {
                Severity::Error
            };
            self.say(
                severity,
                &key,
                message,
                Some(format!("dims: {}", written(rows))),
            );
        }
    }

    fn missing_inputs(&mut self, specs: &[TensorSpec], infos: &[TensorInfo]) {
        let known = |info: &TensorInfo| specs.iter().any(|spec| spec.name == info.name);
        // A misnamed input is missing too: said once.
        let misnamed = specs
            .iter()
            .any(|spec| !infos.iter().any(|info| info.name == spec.name));
        if specs.is_empty() || misnamed {
            return;
        }
        for info in infos.iter().filter(|info| !known(info)) {
            let message = format!("the ONNX file needs input '{}' too", info.name);
            let hint = format!(
                "name: \"{}\", {} {}, the batch in it",
                info.name,
                info.dtype,
                info.shape()
            );
            self.say(Severity::Error, "input", message, Some(hint));
        }
    }

    fn external_files(&mut self, model: &Model, variant: &Variant, signature: &Signature) {
        for version in model.versions_of(variant) {
            let folder = model.dir.join(version.to_string());
            for name in &signature.external_files {
                if !folder.join(name).exists() {
                    let message = format!(
                        "version {version} lacks '{name}', where its ONNX file keeps weights"
                    );
                    self.say(
                        Severity::Error,
                        "",
                        message,
                        Some(format!("copy it into {}", folder.display())),
                    );
                }
            }
        }
    }

    fn say(&mut self, severity: Severity, key: &str, message: String, hint: Option<String>) {
        self.findings.push(Finding {
            file: self.variant_file.to_owned(),
            span: self.variant.and_then(|variant| variant.span(key)),
            key: key.to_owned(),
            severity,
            message,
            hint,
        });
    }
}

fn dimensions(count: usize) -> String {
    match count {
        1 => "1 dimension".to_owned(),
        _ => format!("{count} dimensions"),
    }
}

/// As a configuration writes it.
fn written(rows: &[Option<i64>]) -> String {
    let dims: Vec<String> = rows
        .iter()
        .map(|dim| dim.unwrap_or(-1).to_string())
        .collect();
    format!("[ {} ]", dims.join(", "))
}

#[cfg(test)]
mod tests;
