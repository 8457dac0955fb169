//! One description of a model, from what every endpoint says of it.
//!
//! ```text
//!   which versions does each serve? ──► one that all serve: its configuration? ──► and which now?
//!     ▲                                                                             │       │
//!     └───────────── not the same: a model was loaded meanwhile (3 rounds) ◄────────┘       │ the same
//!                                                                                           ▼
//!                                                      all agree on the configuration? ──► described
//! ```
//!
//! Triton answers versions and configuration to two questions, between which it may load another
//! version: hence the third. An endpoint that does not answer, or lacks the model, is left out as
//! long as another has it.

use std::{future::Future, sync::Arc};

use tokio::time::Instant;

use crate::{
    config::ModelConfig,
    endpoint::Endpoint,
    error::ControlError,
    proto::{ModelConfigRequest, ModelMetadataRequest, ModelMetadataResponse},
    server::ModelDescription,
};

const ROUNDS: usize = 3;

/// Asks `endpoints`, which must not be none.
pub(crate) async fn describe(
    endpoints: &[Arc<Endpoint>],
    model: &str,
    deadline: Instant,
) -> Result<ModelDescription, ControlError> {
    for _ in 0..ROUNDS {
        if let Some(description) = round(endpoints, model, deadline).await? {
            return Ok(description);
        }
    }
    Err(ControlError::Malformed {
        message: format!("`{model}` was another model each of the {ROUNDS} times it was asked for"),
    })
}

/// `None` if what is served changed in the middle of it.
async fn round(
    endpoints: &[Arc<Endpoint>],
    model: &str,
    deadline: Instant,
) -> Result<Option<ModelDescription>, ControlError> {
    let mut serving = ask_each(
        endpoints.iter().map(|endpoint| (Arc::clone(endpoint), ())),
        deadline,
        |endpoint, (), until| served(endpoint, model.to_owned(), until),
    )
    .await?;
    let versions = in_common(serving.iter().map(|(_, served)| &*served.versions));
    let version = newest(&versions).unwrap_or_default().to_owned();
    serving.retain(|(_, served)| version.is_empty() || served.versions.contains(&version));
    let described = ask_each(serving, deadline, |endpoint, served, until| {
        details(endpoint, served, version.clone(), until)
    })
    .await?;

    let mut one: Option<(Arc<Endpoint>, ModelDescription)> = None;
    for (endpoint, description) in described {
        let Some(description) = description else {
            return Ok(None);
        };
        match &one {
            None => one = Some((endpoint, description)),
            Some((other, theirs)) if !agree(&theirs.config, &description.config) => {
                let (other, endpoint) = (other.name(), endpoint.name());
                let message = format!(
                    "`{other}` and `{endpoint}` have different configurations of version {version} of `{model}`"
                );
                return Err(ControlError::Malformed { message });
            }
            Some(_) => {}
        }
    }
    Ok(one.map(|(_, description)| ModelDescription {
        versions,
        ..description
    }))
}

/// The versions that an endpoint serves, and what it says of the newest.
async fn served(
    endpoint: Arc<Endpoint>,
    model: String,
    until: Instant,
) -> Result<ModelMetadataResponse, ControlError> {
    endpoint.learn_server(until).await?;
    metadata(&endpoint, model, String::new(), until).await
}

/// The configuration of one version; `None` if `before` is not what the endpoint serves any more.
async fn details(
    endpoint: Arc<Endpoint>,
    before: ModelMetadataResponse,
    version: String,
    until: Instant,
) -> Result<Option<ModelDescription>, ControlError> {
    let answers = async {
        let config = ModelConfigRequest {
            name: before.name.clone(),
            version: version.clone(),
        };
        let config = endpoint
            .ask(
                |mut client| async move { client.model_config(config).await },
                until,
            )
            .await?;
        let of_version = metadata(&endpoint, before.name.clone(), version, until).await?;
        let after = metadata(&endpoint, before.name.clone(), String::new(), until).await?;
        Ok((config, of_version, after))
    };
    let (config, of_version, after) = match answers.await {
        Ok(answers) => answers,
        Err(ControlError::NotFound { .. }) => return Ok(None),
        Err(error) => return Err(error),
    };
    if after != before {
        return Ok(None);
    }
    let config = config.config.ok_or_else(|| ControlError::Malformed {
        message: "it holds no configuration".into(),
    })?;
    ModelDescription::of_proto(of_version, config).map(Some)
}

async fn metadata(
    endpoint: &Endpoint,
    name: String,
    version: String,
    until: Instant,
) -> Result<ModelMetadataResponse, ControlError> {
    let request = ModelMetadataRequest { name, version };
    let asked = endpoint.ask(
        |mut client| async move { client.model_metadata(request).await },
        until,
    );
    asked.await
}

/// What those that answer say, in the order of the endpoints. Several have half of the time that
/// is left, so that one which hangs does not take all of it from the others.
async fn ask_each<A, T, F>(
    endpoints: impl IntoIterator<Item = (Arc<Endpoint>, A)>,
    deadline: Instant,
    question: impl Fn(Arc<Endpoint>, A, Instant) -> F,
) -> Result<Vec<(Arc<Endpoint>, T)>, ControlError>
where
    F: Future<Output = Result<T, ControlError>> + Send + 'static,
    T: Send + 'static,
{
    let endpoints: Vec<_> = endpoints.into_iter().collect();
    let left = deadline.saturating_duration_since(Instant::now());
    let until = match endpoints.len() {
        0 | 1 => deadline,
        _ => deadline - left / 2,
    };
    let asked: Vec<_> = endpoints
        .into_iter()
        .map(|(endpoint, about)| {
            let asked = question(Arc::clone(&endpoint), about, until);
            (endpoint, tokio::spawn(asked))
        })
        .collect();
    let (mut answers, mut errors) = (Vec::new(), Vec::new());
    for (endpoint, answer) in asked {
        match answer.await {
            Ok(Ok(answer)) => answers.push((endpoint, answer)),
            Ok(Err(error)) => errors.push(error),
            Err(_) => errors.push(ControlError::abandoned()),
        }
    }
    match first_to_tell(errors) {
        Some(error) if answers.is_empty() => Err(error),
        _ => Ok(answers),
    }
}

/// That a model is not there, only all of them together can say.
fn first_to_tell(mut errors: Vec<ControlError>) -> Option<ControlError> {
    let known = |error: &ControlError| matches!(error, ControlError::NotFound { .. });
    errors.sort_by_key(known);
    errors.into_iter().next()
}

/// Versions that a caller may ask any endpoint for: those that all serve. In the middle of a
/// roll-out there may be none. Then it is those of the endpoint whose newest is the oldest: what
/// was in use before stays in use, until the last endpoint has moved on.
fn in_common<'a>(served: impl Iterator<Item = &'a [String]> + Clone) -> Vec<String> {
    let served = served.filter(|versions| !versions.is_empty());
    let by_age = |versions: &&[String]| newest(versions).map(number);
    let oldest = served.clone().min_by_key(by_age).unwrap_or_default();
    let by_all = |version: &&String| served.clone().all(|other| other.contains(version));
    let common: Vec<String> = oldest.iter().filter(by_all).cloned().collect();
    if common.is_empty() {
        oldest.to_vec()
    } else {
        common
    }
}

fn newest(versions: &[String]) -> Option<&str> {
    let newest = versions.iter().max_by_key(|version| number(version));
    newest.map(String::as_str)
}

/// Versions are folders named by a number; another name is older than any.
fn number(version: &str) -> u64 {
    version.parse().unwrap_or(0)
}

/// Whether a caller sees one model behind both. Where its instances run is the endpoint's affair:
/// not all of them need the same devices.
fn agree(one: &ModelConfig, other: &ModelConfig) -> bool {
    let placed_alike = ModelConfig {
        instance_groups: one.instance_groups.clone(),
        ..other.clone()
    };
    *one == placed_alike
}

#[cfg(test)]
mod tests {
    use super::*;

    fn common(served: &[&[&str]]) -> Vec<String> {
        let owned = |versions: &&[&str]| versions.iter().map(|v| (*v).to_owned()).collect();
        let served: Vec<Vec<String>> = served.iter().map(owned).collect();
        in_common(served.iter().map(Vec::as_slice))
    }

    #[test]
    fn versions_in_common_or_those_in_use_before() {
        assert_eq!(common(&[&["1", "2"]]), ["1", "2"]);
        assert_eq!(common(&[&["9", "10"], &["10", "9", "1"]]), ["9", "10"]);
        assert_eq!(common(&[&["2", "10"], &["9"]]), ["9"]);
        assert_eq!(common(&[&[], &["1"]]), ["1"], "it lacks the model");
        assert!(common(&[&[]]).is_empty());
    }
}
