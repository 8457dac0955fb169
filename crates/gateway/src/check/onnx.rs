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
mod tests {
    use std::{collections::BTreeMap, fs};

    use local_model::Dtype;
    use triton_client::repository::inspect;

    use super::*;

    const CONFIG: &str = r#"backend: "onnxruntime"
max_batch_size: 8
input [ { name: "x" data_type: TYPE_FP32 dims: [ 3 ] } ]
output [ { name: "y" data_type: TYPE_FP32 dims: [ 1 ] } ]
"#;

    fn tensor(name: &str, dtype: Dtype, dims: &[Option<i64>]) -> TensorInfo {
        TensorInfo {
            name: name.to_owned(),
            dtype,
            dims: dims.to_vec(),
            ranked: true,
        }
    }

    fn signature(inputs: Vec<TensorInfo>, outputs: Vec<TensorInfo>) -> Signature {
        Signature {
            inputs,
            outputs,
            opset: 17,
            other_opsets: BTreeMap::new(),
            ir_version: 8,
            producer: String::new(),
            external_files: Default::default(),
        }
    }

    fn good() -> Signature {
        let x = tensor("x", Dtype::Fp32, &[None, Some(3)]);
        signature(vec![x], vec![tensor("y", Dtype::Fp32, &[None, Some(1)])])
    }

    /// Compares, and gives each finding as `line key: message`.
    fn compared(config: &str, signature: &Signature) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("m/1")).unwrap();
        fs::write(folder.path().join("m/config.pbtxt"), config).unwrap();
        let (models, _) = inspect(folder.path(), None);
        let model = &models[0];
        let line = |finding: &Finding| {
            let start = finding.span.clone().map_or(0, |span| span.start);
            config[..start].matches('\n').count() + 1
        };
        compare(model, &model.config_file, &model.config, signature)
            .iter()
            .map(|finding| format!("{} {}: {}", line(finding), finding.key, finding.message))
            .collect()
    }

    #[track_caller]
    fn says(config: &str, signature: &Signature, expected: &[(&str, &str)]) {
        let found = compared(config, signature);
        assert_eq!(found.len(), expected.len(), "{found:#?}");
        for (found, (place, words)) in found.iter().zip(expected) {
            assert!(found.starts_with(place) && found.contains(words), "{found}");
        }
    }

    #[test]
    fn a_configuration_that_fits() {
        says(CONFIG, &good(), &[]);
        // Triton fills in what is not written.
        says(
            "backend: \"onnxruntime\"\nmax_batch_size: 8\n",
            &good(),
            &[],
        );
        let free = signature(
            vec![tensor("x", Dtype::Fp32, &[None, None])],
            good().outputs,
        );
        says(CONFIG, &free, &[]);
        let mut unranked = good();
        unranked.inputs[0].dims.clear();
        unranked.inputs[0].ranked = false;
        says(CONFIG, &unranked, &[]);
        let mut more = good();
        more.outputs.push(tensor("z", Dtype::Int64, &[None]));
        says(CONFIG, &more, &[]);
    }

    #[test]
    fn names() {
        says(
            &CONFIG
                .replace("\"x\"", "\"xx\"")
                .replace("\"y\"", "\"score\""),
            &good(),
            &[
                ("3 input[0].name", "no input 'xx'"),
                ("4 output[0].name", "no output 'score'"),
            ],
        );
        let mut more = good();
        more.inputs
            .push(tensor("mask", Dtype::Bool, &[None, Some(3)]));
        says(CONFIG, &more, &[("3 input", "needs input 'mask' too")]);
    }

    #[test]
    fn types() {
        says(
            &CONFIG.replacen("FP32", "FP64", 1),
            &good(),
            &[(
                "3 input[0].data_type",
                "FP64 here and FP32 in the ONNX file",
            )],
        );
        let zipmap = signature(
            good().inputs,
            vec![tensor("y", Dtype::Other("a sequence"), &[])],
        );
        let found = compared(CONFIG, &zipmap);
        assert!(
            found[0].contains("a sequence in the ONNX file"),
            "{found:?}"
        );
    }

    #[test]
    fn dimensions_and_batch() {
        says(
            &CONFIG.replace("[ 3 ]", "[ 4 ]"),
            &good(),
            &[("3 input[0].dims[0]", "4 here and 3 in the ONNX file")],
        );
        says(
            &CONFIG.replace("[ 3 ]", "[ -1 ]"),
            &good(),
            &[("3 input[0].dims[0]", "-1 here")],
        );
        says(
            &CONFIG.replace("[ 3 ]", "[ 1, 3 ]"),
            &good(),
            &[("3 input[0].dims", "2 dimensions here and 1 dimension")],
        );
        says(
            &CONFIG.replace("max_batch_size: 8", "max_batch_size: 0"),
            &good(),
            &[
                ("3 input[0].dims", "1 dimension here and 2"),
                ("4 output[0].dims", "1 dimension here"),
            ],
        );
        let fixed = signature(
            vec![tensor("x", Dtype::Fp32, &[Some(1), Some(3)])],
            good().outputs,
        );
        says(
            CONFIG,
            &fixed,
            &[("2 max_batch_size", "fixes the batch of 'x' at 1")],
        );
        let scalar = signature(vec![tensor("x", Dtype::Fp32, &[])], good().outputs);
        says(CONFIG, &scalar, &[("2 max_batch_size", "a scalar")]);
    }

    #[test]
    fn a_reshape_is_what_the_file_sees() {
        let labels = signature(good().inputs, vec![tensor("y", Dtype::Fp32, &[None])]);
        says(
            CONFIG,
            &labels,
            &[("4 output[0].dims", "1 dimension here and 0")],
        );
        says(
            &CONFIG.replace("[ 1 ] }", "[ 1 ] reshape { shape: [ ] } }"),
            &labels,
            &[],
        );
    }

    #[test]
    fn weights_in_another_file() {
        let mut external = good();
        external.external_files.insert("weights.bin".to_owned());
        says(
            CONFIG,
            &external,
            &[("1 :", "version 1 lacks 'weights.bin'")],
        );
    }
}
