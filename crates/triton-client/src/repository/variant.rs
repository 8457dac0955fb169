//! One configuration of a model: `config.pbtxt` or one of `configs/*.pbtxt`.

use std::{
    collections::BTreeSet,
    ops::Range,
    path::{Path, PathBuf},
    sync::LazyLock,
};

use prost_reflect::DescriptorPool;

use super::{
    finding::{Finding, Severity},
    nearest::nearest,
    outline::Outline,
};
use crate::{ModelConfig, PbtxtError, proto};

/// Mistakes of one file that are reported at once.
const MISTAKES: usize = 64;

/// One configuration of a model, with the places of its fields.
#[derive(Debug, Clone)]
pub struct Variant {
    /// `cpu` for `configs/cpu.pbtxt`; `None` for `config.pbtxt`.
    pub name: Option<String>,
    /// The file.
    pub file: PathBuf,
    /// What it says, less what could not be read.
    pub config: ModelConfig,
    /// Whether a server with the `config_name` given to [`inspect`](super::inspect) uses it.
    pub chosen: bool,
    /// The name that it is served under: its own, or that of the server which falls back to it.
    pub(super) served_as: Option<String>,
    outline: Outline,
    /// Fields that could not be read or were misnamed: nothing more is said about them.
    unreadable: BTreeSet<String>,
}

impl Variant {
    /// Reads a file, as far as it can be read.
    pub(super) fn read(
        name: Option<String>,
        file: PathBuf,
        findings: &mut Vec<Finding>,
    ) -> Option<Self> {
        let text = match std::fs::read_to_string(&file) {
            Ok(text) => text,
            Err(error) => {
                let message = format!("this file could not be read: {error}");
                findings.push(Finding::of_file(file, message));
                return None;
            }
        };
        let outline = Outline::of(&text);
        let mut unreadable = BTreeSet::new();
        let config = parse(&text, &outline, |error, key| {
            let (mistake, meant) = explain(&error, &file, key);
            unreadable.insert(mistake.key.clone());
            unreadable.extend(meant);
            findings.push(mistake);
        })?;
        Some(Self {
            file,
            config,
            chosen: false,
            served_as: name.clone(),
            name,
            outline,
            unreadable,
        })
    }

    /// The place of a field in the file: `input[0].dims`, `parameters["gavel.features.x"]`. Of
    /// one that the file lacks, the place of what it is missing from.
    pub fn span(&self, key: &str) -> Option<Range<usize>> {
        self.outline.span(key)
    }

    /// Whether the file has the field.
    pub(super) fn has(&self, key: &str) -> bool {
        self.outline.has(key)
    }

    /// A finding at a field of this file.
    pub fn finding(&self, severity: Severity, key: &str, message: impl Into<String>) -> Finding {
        Finding {
            file: self.file.clone(),
            span: self.span(key),
            key: key.to_owned(),
            severity,
            message: message.into(),
            hint: None,
        }
    }

    /// Whether the field was read; if not, its mistake is found already.
    pub(super) fn was_read(&self, key: &str) -> bool {
        let inside = |inner: &str, outer: &str| {
            inner
                .strip_prefix(outer)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        };
        !self
            .unreadable
            .iter()
            .any(|mistake| inside(key, mistake) || inside(mistake, key))
    }

    /// The backend, as Triton makes it out from `backend`, `platform` or else the name of the
    /// model's file in `versions`; `None` if nothing says it.
    pub fn backend(&self, model: &Path, versions: &[u64]) -> Option<&str> {
        let config = &self.config;
        if !config.backend.is_empty() {
            return Some(&config.backend);
        }
        let of_platform = match config.platform.as_str() {
            "" => None,
            "onnxruntime_onnx" => Some("onnxruntime"),
            "tensorrt_plan" => Some("tensorrt"),
            "pytorch_libtorch" => Some("pytorch"),
            "tensorflow_graphdef" | "tensorflow_savedmodel" => Some("tensorflow"),
            other => Some(other),
        };
        of_platform.or_else(|| {
            let found = |file: &str| {
                let exists = |version: &u64| model.join(version.to_string()).join(file).exists();
                versions.iter().any(exists)
            };
            BACKENDS
                .iter()
                .find(|(_, file)| found(file))
                .map(|(backend, _)| *backend)
        })
    }

    /// The file that a version's folder must hold: what the configuration names, or the
    /// backend's own name for it. `None` for ensembles, and for backends that have none.
    pub fn model_filename(&self, model: &Path, versions: &[u64]) -> Option<&str> {
        if self.config.is_ensemble() {
            return None;
        }
        if !self.config.default_model_filename.is_empty() {
            return Some(&self.config.default_model_filename);
        }
        let backend = self.backend(model, versions)?;
        BACKENDS
            .iter()
            .find(|(name, _)| *name == backend)
            .map(|(_, file)| *file)
    }
}

/// Backends and the files that they load where the configuration names none.
const BACKENDS: [(&str, &str); 5] = [
    ("onnxruntime", "model.onnx"),
    ("tensorrt", "model.plan"),
    ("python", "model.py"),
    ("pytorch", "model.pt"),
    ("openvino", "model.xml"),
];

/// Parses as much of the text as can be parsed: the field of each mistake is told and blanked
/// out, which leaves every other byte where it is. `None` if a mistake is in no field.
fn parse(
    text: &str,
    outline: &Outline,
    mut mistake: impl FnMut(PbtxtError, Option<String>),
) -> Option<ModelConfig> {
    let mut text = text.to_owned();
    for _ in 0..MISTAKES {
        let error = match ModelConfig::parse_pbtxt(&text) {
            Ok(config) => return Some(config),
            Err(error) => error,
        };
        // An open string is noticed where its line ends, just behind its field.
        let start = error.span.start;
        let before = start.saturating_sub(1)..start;
        let around = outline
            .around(&error.span)
            .or_else(|| outline.around(&before));
        let Some((key, whole)) = around else {
            mistake(error, None);
            return None;
        };
        let field = text
            .get(whole.clone())
            .filter(|field| !field.trim().is_empty());
        let Some(field) = field else {
            // Blanked out before: the mistake is in how the fields stand together.
            mistake(error, Some(key));
            return None;
        };
        let blank: String = field
            .bytes()
            .map(|byte| if byte == b'\n' { '\n' } else { ' ' })
            .collect();
        text.replace_range(whole, &blank);
        mistake(error, Some(key));
    }
    None
}

/// The finding of a mistake, and the field that was meant, if it is a misnamed one.
fn explain(error: &PbtxtError, file: &Path, key: Option<String>) -> (Finding, Option<String>) {
    let mut finding = Finding::of_file(file, error.message.clone());
    finding.span = Some(error.span.clone());
    finding.key = key.unwrap_or_default();
    let mut meant = None;
    let quoted: Vec<&str> = error.message.split('\'').skip(1).step_by(2).collect();
    if let [wrong, scope] = quoted[..]
        && let Some(name) = nearest(wrong, names_in(scope).iter().map(String::as_str))
    {
        finding.hint(format!("did you mean `{name}`?"));
        meant = finding
            .key
            .strip_suffix(wrong)
            .map(|parent| format!("{parent}{name}"));
    }
    (finding, meant)
}

static PROTOS: LazyLock<Option<DescriptorPool>> =
    LazyLock::new(|| DescriptorPool::decode(proto::DESCRIPTORS).ok());

/// The fields of a message, or the values of an enum, of Triton's protocol.
fn names_in(full_name: &str) -> Vec<String> {
    let Some(pool) = PROTOS.as_ref() else {
        return Vec::new();
    };
    if let Some(message) = pool.get_message_by_name(full_name) {
        return message
            .fields()
            .map(|field| field.name().to_owned())
            .collect();
    }
    pool.get_enum_by_name(full_name)
        .map(|list| list.values().map(|value| value.name().to_owned()).collect())
        .unwrap_or_default()
}
