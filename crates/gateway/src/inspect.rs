//! `gavel features get` and `GET /admin/features`: what a decision would see of some entities now.
//!
//! ```text
//! what a person wrote ── Asked::request ──► RequestRow ┐
//! decision + plan, offline or of a gateway ────────────┼── see ──► Seen ── json, table
//! ```
//! What is shown comes from the same plan, read and transforms as a decision's features do.

mod offline;
mod show;

use std::{
    net::SocketAddr,
    time::{Duration, SystemTime},
};

use features::{Dtype, FeatureRow, Plan, RequestRow, RequestSchema, Store, StoreOutcome};
use tokio::time::Instant;

pub use self::offline::plan;
use crate::{
    decision::Definition,
    request::{Question, Scalar},
};

/// As long as a person may wait for the store.
const PATIENCE: Duration = Duration::from_secs(2);

/// Whose features are meant, in the words of a command line or of a URL.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// Entity names and keys.
    pub entities: Vec<(String, String)>,
    /// Input names and values. What is not among them is missing, also where a caller must send it.
    pub inputs: Vec<(String, String)>,
    /// The moment at which features are measured; else what the decision says, or now.
    pub at: Option<SystemTime>,
}

/// What a decision sees.
#[derive(Debug)]
pub struct Seen<'d> {
    decision: &'d str,
    /// The moment at which it was measured.
    at: SystemTime,
    /// Of which kind the store is.
    store: &'static str,
    row: FeatureRow,
}

/// Reads the features that `plan` assembles for `definition`.
///
/// # Errors
/// A sentence for each entity or input that does not fit the decision.
pub async fn see<'d>(
    definition: &'d Definition,
    plan: &Plan,
    store: &Store,
    asked: &Asked,
) -> Result<Seen<'d>, String> {
    let request = asked.request(&definition.schema)?;
    let now = || definition.moment(&request, SystemTime::now());
    let at = asked.at.unwrap_or_else(now);
    let until = Instant::now() + PATIENCE;
    Ok(Seen {
        decision: &definition.name,
        at,
        store: store.kind(),
        row: plan.assemble(store, &request, at, until).await,
    })
}

impl Seen<'_> {
    /// Whether the store did its part: what it was asked for, it answered.
    pub fn is_answered(&self) -> bool {
        matches!(
            self.row.store(),
            StoreOutcome::Answered | StoreOutcome::NotAsked
        )
    }
}

impl Asked {
    /// Typed by the decision; all that is wrong at once.
    fn request(&self, schema: &RequestSchema) -> Result<RequestRow, String> {
        let mut schema = schema.clone();
        let entities = schema.entities.iter();
        let entities: Vec<_> = entities.map(|e| (&*e.name, e.dtype)).collect();
        let inputs = schema.inputs.iter();
        let inputs: Vec<_> = inputs.map(|i| (&*i.name, i.dtype)).collect();
        let question = Question {
            entities: scalars(&self.entities, &entities),
            inputs: scalars(&self.inputs, &inputs),
            ..Question::default()
        };
        for input in &mut schema.inputs {
            // Its default is the plan's to fill in, and to mark as missing.
            input.required = false;
            input.default = None;
        }
        let typed = question.typed(&schema).map(|(row, _)| row);
        typed.map_err(|rejection| {
            let wrong = rejection.violations.iter();
            let wrong: Vec<String> = wrong
                .map(|violation| format!("`{}` {}", violation.field, violation.detail))
                .collect();
            wrong.join("; ")
        })
    }
}

/// Values of the types that are wanted, as far as the text can be read so; text, where it cannot.
fn scalars(written: &[(String, String)], fields: &[(&str, Dtype)]) -> Vec<(String, Scalar)> {
    let scalar = |name: &str, text: &str| {
        let field = fields.iter().find(|(known, _)| *known == name);
        match field.map(|(_, dtype)| dtype) {
            Some(Dtype::Int64) => text.parse().ok().map(Scalar::Integer),
            Some(Dtype::Float32 | Dtype::Float64) => text.parse().ok().map(Scalar::Number),
            Some(Dtype::Bool) => text.parse().ok().map(Scalar::Flag),
            Some(Dtype::String | Dtype::List { .. }) | None => None,
        }
    };
    let written = written.iter();
    let typed = written.map(|(name, text)| {
        let scalar = scalar(name, text).unwrap_or_else(|| Scalar::Text(text.clone()));
        (name.clone(), scalar)
    });
    typed.collect()
}

/// The same question to the admin port of a gateway.
pub fn url(admin: SocketAddr, decision: &str, asked: &Asked) -> String {
    let host = match admin.ip() {
        ip if ip.is_unspecified() => "127.0.0.1".to_owned(),
        ip if ip.is_ipv6() => format!("[{ip}]"),
        ip => ip.to_string(),
    };
    let mut url = format!(
        "http://{host}:{}/admin/features?decision={}",
        admin.port(),
        escaped(decision)
    );
    for (name, value) in &asked.entities {
        url += &format!("&{}={}", escaped(name), escaped(value));
    }
    for (name, value) in &asked.inputs {
        url += &format!("&request.{}={}", escaped(name), escaped(value));
    }
    if let Some(at) = asked.at {
        url += &format!("&at={}", humantime::format_rfc3339(at));
    }
    url
}

/// Percent-encoded, but for what no shell and no URL minds.
fn escaped(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes()
        .map(|byte| match plain(byte) {
            true => char::from(byte).to_string(),
            false => format!("%{byte:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests;
