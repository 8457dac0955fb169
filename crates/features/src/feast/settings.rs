//! `feature_store.yaml`: the project, where its registry is, and which Redis its features are in.
//!
//! As Feast does, `$VAR` and `${VAR}` are replaced by environment variables in the whole text before
//! it is parsed, and one that is not set stays as it is written.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value as Json};

use super::connection::{RedisType, store_url};
use super::key::KeyVersion;

/// After how many seconds Feast reads its registry again, where the file does not say.
const CACHE_TTL_SECONDS: u64 = 600;

/// What Gavel needs of the file.
#[derive(Debug, PartialEq)]
pub(super) struct Settings {
    pub(super) project: String,
    pub(super) registry: PathBuf,
    /// Later versions of a view have hash fields of their own.
    pub(super) versioned: bool,
    /// How often Feast reads the registry again; `None` for never.
    pub(super) refresh: Option<Duration>,
    pub(super) key_version: KeyVersion,
    pub(super) store_url: StoreUrl,
}

/// For [`Store::open`](crate::Store::open). It may hold a password, and does not show it.
#[derive(PartialEq)]
pub(super) struct StoreUrl(String);

impl StoreUrl {
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = self.0.rsplit_once('@').map_or(&*self.0, |(_, place)| place);
        write!(f, "…{place}")
    }
}

/// A key of the file, and what is wrong with its value.
pub(super) type Wrong = (&'static str, String);

/// Keys that are not here are Feast's alone.
#[derive(Deserialize)]
struct File {
    project: Option<Json>,
    registry: Option<Json>,
    online_store: Option<Json>,
    entity_key_serialization_version: Option<Json>,
}

/// Reads the text of a file in `folder`; `env` looks up an environment variable.
///
/// # Errors
/// Everything that is wrong, at once.
pub(super) fn parse(
    text: &str,
    folder: &Path,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<Settings, Vec<Wrong>> {
    let (text, unset) = expand(text, env);
    let options = serde_saphyr::options! { with_snippet: false };
    let file: File = serde_saphyr::from_str_with_options(&text, options)
        .map_err(|error| vec![("", format!("is not the YAML that Feast takes: {error}"))])?;
    let mut reader = Reader {
        unset,
        wrong: Vec::new(),
    };
    let project = reader.text("project", file.project.as_ref());
    let (registry, options) = reader.registry(file.registry.as_ref(), folder);
    let store_url = reader.online_store(file.online_store.as_ref(), env);
    let key_version = reader.key_version(file.entity_key_serialization_version.as_ref());
    match (project, registry, store_url, key_version) {
        (Some(project), Some(registry), Some(store_url), Some(key_version))
            if reader.wrong.is_empty() =>
        {
            Ok(Settings {
                project,
                registry,
                versioned: options.versioned,
                refresh: options.refresh,
                key_version,
                store_url,
            })
        }
        _ => Err(reader.wrong),
    }
}

struct RegistryOptions {
    versioned: bool,
    refresh: Option<Duration>,
}

struct Reader {
    /// Variables that are not set, as `${NAME}`.
    unset: Vec<String>,
    wrong: Vec<Wrong>,
}

impl Reader {
    fn fail<T>(&mut self, key: &'static str, why: impl Into<String>) -> Option<T> {
        self.wrong.push((key, why.into()));
        None
    }

    fn text(&mut self, key: &'static str, value: Option<&Json>) -> Option<String> {
        let text = match value {
            Some(Json::String(text)) if !text.is_empty() => text,
            Some(_) => return self.fail(key, "is not a text"),
            None => return self.fail(key, "is missing"),
        };
        match self.unset.iter().find(|name| text.contains(&***name)) {
            Some(name) => {
                let why = format!("uses {name}, which is not set in the environment of Gavel");
                self.fail(key, why)
            }
            None => Some(text.clone()),
        }
    }

    fn registry(
        &mut self,
        value: Option<&Json>,
        folder: &Path,
    ) -> (Option<PathBuf>, RegistryOptions) {
        let empty = Map::new();
        let default = Json::from("data/registry.db");
        let (path, map) = match value {
            None => (Some(&default), &empty),
            Some(Json::Object(map)) => (map.get("path"), map),
            path => (path, &empty),
        };
        let options = self.registry_options(map);
        for (key, known) in [
            ("registry_type", "file"),
            ("registry_store_type", "FileRegistryStore"),
        ] {
            if let Some(other) = map
                .get(key)
                .filter(|kind| *kind != known && !kind.is_null())
            {
                let why = format!("{key} {other} is not a file. {EXPORT}");
                return (self.fail("registry", why), options);
            }
        }
        let key = if map.is_empty() {
            "registry"
        } else {
            "registry.path"
        };
        let Some(path) = self.text(key, path) else {
            return (None, options);
        };
        if path.contains("://") {
            let why = format!("is not a file on this machine. {EXPORT}");
            return (self.fail(key, why), options);
        }
        (Some(folder.join(path)), options)
    }

    fn registry_options(&mut self, map: &Map<String, Json>) -> RegistryOptions {
        let versioned = match map.get("enable_online_feature_view_versioning") {
            None => Some(false),
            Some(Json::Bool(on)) => Some(*on),
            Some(_) => {
                let key = "registry.enable_online_feature_view_versioning";
                self.fail(key, "is neither true nor false")
            }
        };
        let seconds = match map.get("cache_ttl_seconds") {
            None => Some(CACHE_TTL_SECONDS),
            // As in Feast, what is not above zero is never over.
            Some(Json::Number(number)) if number.is_i64() || number.is_u64() => {
                Some(number.as_u64().unwrap_or(0))
            }
            Some(_) => self.fail(
                "registry.cache_ttl_seconds",
                "is not a whole number of seconds",
            ),
        };
        RegistryOptions {
            versioned: versioned.unwrap_or_default(),
            refresh: seconds
                .filter(|seconds| *seconds > 0)
                .map(Duration::from_secs),
        }
    }

    fn online_store(
        &mut self,
        value: Option<&Json>,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Option<StoreUrl> {
        let empty = Map::new();
        let (kind, map) = match value {
            Some(Json::Object(map)) => (map.get("type"), map),
            other => (other, &empty),
        };
        if kind != Some(&Json::from("redis")) {
            let found = kind.map_or("nothing".to_owned(), Json::to_string);
            let why = format!("is {found}: Gavel reads Feast's Redis, so write `type: redis`");
            return self.fail("online_store", why);
        }
        let redis_type = match map.get("redis_type") {
            None => RedisType::Server,
            Some(kind) if kind == "redis" => RedisType::Server,
            Some(kind) if kind == "redis_cluster" => RedisType::Cluster,
            Some(kind) if kind == "redis_sentinel" => RedisType::Sentinel {
                master: self.sentinel_master(map.get("sentinel_master"))?,
            },
            Some(other) => {
                let why =
                    format!("is {other}, and is to be redis, redis_cluster or redis_sentinel");
                return self.fail("online_store.redis_type", why);
            }
        };
        let key = "online_store.connection_string";
        let connection_string = match map.get("connection_string") {
            None => "localhost:6379".to_owned(),
            value => self.text(key, value)?,
        };
        match store_url(
            &redis_type,
            &connection_string,
            env("SSL_CERT_FILE").as_deref(),
        ) {
            Ok(url) => Some(StoreUrl(url)),
            Err(why) => self.fail(key, why),
        }
    }

    /// The name of the master that the sentinels watch.
    fn sentinel_master(&mut self, value: Option<&Json>) -> Option<String> {
        let key = "online_store.sentinel_master";
        let name = match value {
            None => "mymaster".to_owned(),
            value => self.text(key, value)?,
        };
        let known = |c: char| c.is_ascii_alphanumeric() || ".-_".contains(c);
        match name.chars().all(known) {
            true => Some(name),
            false => self.fail(
                key,
                "is no name of a master: it has letters, digits and `.-_`",
            ),
        }
    }

    fn key_version(&mut self, value: Option<&Json>) -> Option<KeyVersion> {
        match value.map(Json::as_i64) {
            None | Some(Some(3)) => Some(KeyVersion::V3),
            Some(Some(2)) => Some(KeyVersion::V2),
            _ => self.fail("entity_key_serialization_version", "is neither 2 nor 3"),
        }
    }
}

/// What to do about a registry that is no file.
const EXPORT: &str = "Gavel reads the file that a registry of type `file` is: copy the object to a file, or write one from any registry with `r = FeatureStore(\".\").registry.proto(); r.registry_schema_version = \"1\"; open(\"registry.db\", \"wb\").write(r.SerializeToString())`, and name it in a feature_store.yaml for Gavel";

/// Python's `os.path.expandvars`. Also returns the braced variables that are not set: a `$` that is
/// part of a password looks like the other ones.
fn expand(text: &str, env: &dyn Fn(&str) -> Option<String>) -> (String, Vec<String>) {
    let mut out = String::with_capacity(text.len());
    let mut unset = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        let braced = after
            .strip_prefix('{')
            .and_then(|inner| inner.split_once('}'));
        let (name, written, next) = match braced {
            Some((name, next)) => (name, &after[..name.len() + 2], next),
            None => {
                let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
                let end = after.find(|c| !word(c)).unwrap_or(after.len());
                (&after[..end], &after[..end], &after[end..])
            }
        };
        match env(name) {
            Some(value) if !name.is_empty() => out.push_str(&value),
            _ => {
                out.push('$');
                out.push_str(written);
                if braced.is_some() {
                    unset.push(format!("${written}"));
                }
            }
        }
        rest = next;
    }
    out.push_str(rest);
    (out, unset)
}

#[cfg(test)]
mod tests;
