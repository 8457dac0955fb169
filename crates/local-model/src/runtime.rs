//! The ONNX Runtime library: found, loaded once, kept for the life of the process.
//!
//! ONNX Runtime allows one environment a process and does not survive its loss, so the first
//! successful [`Runtime::load`] decides which library the process uses.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ort::environment::Environment;
use ort::logging::LogLevel;
use parking_lot::Mutex;

use crate::RuntimeError;

/// ort's own variable, honoured so that other tools' settings work here too.
const LIBRARY_VARIABLE: &str = "ORT_DYLIB_PATH";

static LOADED: Mutex<Option<Runtime>> = Mutex::new(None);

/// A loaded ONNX Runtime. Cheap to clone.
#[derive(Clone)]
pub struct Runtime {
    environment: Environment,
    library: Arc<Path>,
}

impl Runtime {
    /// Loads libonnxruntime (1.24 or newer) from `library`; from `ORT_DYLIB_PATH` or else the
    /// platform's search path if that is `None`. Takes tens of milliseconds the first time.
    ///
    /// # Errors
    /// The library is missing, is no ONNX Runtime or too old, or the process already uses
    /// another one.
    pub fn load(library: Option<&Path>) -> Result<Self, RuntimeError> {
        let mut loaded = LOADED.lock();
        let wanted = library.map_or_else(default_library, Path::to_path_buf);
        if let Some(runtime) = loaded.as_ref() {
            let same = library.is_none() || *runtime.library == *wanted;
            return if same {
                Ok(runtime.clone())
            } else {
                Err(RuntimeError::AlreadyLoaded {
                    loaded: runtime.library.to_path_buf(),
                    asked: wanted,
                })
            };
        }
        let runtime = Self {
            environment: open(&wanted)?,
            library: wanted.into(),
        };
        Ok(loaded.insert(runtime).clone())
    }

    /// Where the library was loaded from.
    pub fn library(&self) -> &Path {
        &self.library
    }

    pub(crate) fn environment(&self) -> &Environment {
        &self.environment
    }
}

impl fmt::Debug for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runtime")
            .field("library", &self.library)
            .finish_non_exhaustive()
    }
}

fn default_library() -> PathBuf {
    match std::env::var_os(LIBRARY_VARIABLE) {
        Some(path) if !path.is_empty() => path.into(),
        _ => format!(
            "{}onnxruntime{}",
            std::env::consts::DLL_PREFIX,
            std::env::consts::DLL_SUFFIX
        )
        .into(),
    }
}

fn open(library: &Path) -> Result<Environment, RuntimeError> {
    let is_bare_name = library.components().count() == 1;
    if !library.exists() && !is_bare_name {
        return Err(RuntimeError::Missing {
            library: library.to_path_buf(),
        });
    }
    let unusable = |message: String| RuntimeError::Unusable {
        library: library.to_path_buf(),
        message,
    };
    // ort reads a relative path from the executable's folder; people mean the working folder.
    let path = std::path::absolute(library)
        .ok()
        .filter(|_| !is_bare_name || library.exists())
        .unwrap_or_else(|| library.to_path_buf());
    let environment = ort::init_from(&path)
        .map_err(|error| unusable(error.to_string()))?
        .with_name("gavel")
        .with_telemetry(false)
        .with_logger(Arc::new(log))
        .build()
        .map_err(|error| unusable(error.to_string()))?;
    environment.set_log_level(LogLevel::Warning);
    Ok(environment)
}

/// ONNX Runtime's own messages. Its warnings are remarks on a model's graph: debug here.
fn log(level: LogLevel, category: &str, _id: &str, location: &str, message: &str) {
    match level {
        LogLevel::Error | LogLevel::Fatal => {
            tracing::warn!(category, location, "onnxruntime: {message}");
        }
        LogLevel::Warning => tracing::debug!(category, location, "onnxruntime: {message}"),
        LogLevel::Info | LogLevel::Verbose => {}
    }
}
