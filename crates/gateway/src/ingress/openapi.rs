//! The OpenAPI document of what is served now: the contract, with each loaded decision's own inputs.

use features::{Dtype, InputField};
use serde_json::{Map, Value, json};

use super::events::MAX_EVENTS;
use crate::{
    decision::Definition,
    ingest::Types,
    rejection::Kind,
    request::{MAX_BUDGET, MAX_ID_CHARS, MAX_KEY_CHARS, MAX_TEXT_CHARS},
    tiers::SkipReason,
};

/// The document, in OpenAPI 3.1.
pub fn document<'d>(definitions: impl Iterator<Item = &'d Definition>, types: &Types) -> Value {
    let mut schemas = Map::new();
    let mut questions = Vec::new();
    for definition in definitions {
        let name = format!("{}_question", definition.name);
        questions.push(json!({"$ref": format!("#/components/schemas/{name}")}));
        schemas.insert(name, question(definition));
    }
    schemas.insert("question".into(), json!({"oneOf": questions}));
    schemas.insert("answer".into(), answer());
    schemas.insert("problem".into(), problem());
    schemas.insert("events".into(), events_schema(types));
    schemas.insert("posted".into(), posted());
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Gavel",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Decisions inside a latency budget, always.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "tags": [
            {"name": "decisions", "description": "Ask for a decision."},
            {"name": "events", "description": "Tell what happened."},
        ],
        "paths": {
            "/v1/decide": {"post": decide()},
            "/v1/events": {"post": events()},
            "/openapi.json": {"get": {
                "operationId": "openapi",
                "summary": "This document.",
                "description": "Describes what is served now, with the inputs of every loaded decision.",
                "tags": ["decisions"],
                "security": [],
                "responses": {"200": {
                    "description": "An OpenAPI document.",
                    "content": {"application/json": {"schema": {"type": "object"}}},
                }},
            }},
        },
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "api_key": {"type": "apiKey", "in": "header", "name": "x-api-key"},
            },
        },
        "security": [{}, {"bearer": []}, {"api_key": []}],
    })
}

fn decide() -> Value {
    let mut responses = Map::new();
    responses.insert(
        "200".into(),
        json!({
            "description": "The decision.",
            "headers": {"Server-Timing": {
                "description": "The stages' durations, in milliseconds.",
                "schema": {"type": "string"},
            }},
            "content": {
                "application/json": {"schema": {"$ref": "#/components/schemas/answer"}},
                "application/x-protobuf": {"schema": {"type": "string", "contentEncoding": "binary"}},
            },
        }),
    );
    add_problems(&mut responses);
    json!({
        "operationId": "decide",
        "summary": "Decide one question.",
        "description": "Answers inside the budget with the best tier that it allows; rules answer when no model can.",
        "tags": ["decisions"],
        "parameters": [{
            "name": "x-request-timeout-ms",
            "in": "header",
            "required": false,
            "description": "The caller's budget in milliseconds; the smallest of all that are named counts.",
            "schema": {"type": "number", "exclusiveMinimum": 0, "maximum": MAX_BUDGET.as_millis() as u64},
        }],
        "requestBody": {
            "required": true,
            "description": "The question. Protobuf bodies are a gavel.v1.DecideRequest.",
            "content": {
                "application/json": {"schema": {"$ref": "#/components/schemas/question"}},
            },
        },
        "responses": responses,
    })
}

/// Every way in which a request can be refused.
fn add_problems(responses: &mut Map<String, Value>) {
    for kind in Kind::ALL {
        let status = kind.status().as_u16().to_string();
        let entry = responses.entry(status).or_insert_with(|| {
            json!({
                "description": "",
                "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/problem"}}},
            })
        });
        let described = entry["description"].as_str().unwrap_or_default();
        let separator = if described.is_empty() { "" } else { ", " };
        let described = format!("{described}{separator}`{}`", kind.name());
        entry["description"] = described.into();
        if kind.status() == http::StatusCode::TOO_MANY_REQUESTS {
            entry["headers"] = json!({"Retry-After": {
                "description": "Seconds to wait.",
                "schema": {"type": "integer", "minimum": 1},
            }});
        }
    }
}

fn events() -> Value {
    let mut responses = Map::new();
    responses.insert(
        "200".into(),
        json!({
            "description": "The features have the events: a decision that is asked for now sees them.",
            "content": {
                "application/json": {"schema": {"$ref": "#/components/schemas/posted"}},
                "application/x-protobuf": {"schema": {"type": "string", "contentEncoding": "binary"}},
            },
        }),
    );
    add_problems(&mut responses);
    json!({
        "operationId": "events",
        "summary": "Send events.",
        "description": "Answers once the store has them. An event that does not fit its type is rejected by itself.",
        "tags": ["events"],
        "requestBody": {
            "required": true,
            "description": "One event, or several. As application/x-ndjson an event a line; protobuf bodies are a gavel.v1.PostEventsRequest. At most 1 MiB.",
            "content": {
                "application/json": {"schema": {"$ref": "#/components/schemas/events"}},
            },
        },
        "responses": responses,
    })
}

fn events_schema(types: &Types) -> Value {
    let names: Vec<&str> = types.names().collect();
    let event = json!({
        "type": "object",
        "required": ["type"],
        "properties": {"type": {
            "type": "string",
            "minLength": 1,
            "description": format!("Which event: {}. Its fields stand beside it.", names.join(", ")),
        }},
    });
    let list = json!({
        "type": "object",
        "additionalProperties": false,
        "required": ["events"],
        "properties": {"events": {"type": "array", "items": event, "description": format!("At most {MAX_EVENTS}.")}},
    });
    json!({"oneOf": [event, list]})
}

fn posted() -> Value {
    let count = json!({"type": "integer", "minimum": 0});
    json!({
        "type": "object",
        "additionalProperties": false,
        "required": ["accepted", "duplicates", "late", "rejected"],
        "properties": {
            "accepted": count,
            "duplicates": count,
            "late": count,
            "rejected": {"type": "array", "items": {
                "type": "object",
                "additionalProperties": false,
                "required": ["index", "kind", "detail"],
                "properties": {
                    "index": count,
                    "kind": {"type": "string"},
                    "detail": {"type": "string"},
                },
            }},
        },
    })
}

fn question(definition: &Definition) -> Value {
    let schema = &definition.schema;
    let entities: Map<String, Value> = schema
        .entities
        .iter()
        .map(|field| {
            let schema = match field.dtype {
                Dtype::String => {
                    json!({"type": "string", "minLength": 1, "maxLength": MAX_KEY_CHARS})
                }
                _ => scalar(field.dtype),
            };
            (field.name.clone(), schema)
        })
        .collect();
    let inputs: Map<String, Value> = schema
        .inputs
        .iter()
        .map(|field| (field.name.clone(), input(field)))
        .collect();
    let required: Vec<&str> = schema
        .inputs
        .iter()
        .filter(|f| f.required)
        .map(|f| f.name.as_str())
        .collect();
    json!({
        "type": "object",
        "additionalProperties": false,
        "required": ["decision", "entities", "inputs"],
        "properties": {
            "decision": {"const": &*definition.name},
            "id": {"type": ["string", "null"], "maxLength": MAX_ID_CHARS},
            "entities": {
                "type": "object",
                "additionalProperties": false,
                "required": entities.keys().collect::<Vec<_>>(),
                "properties": entities,
            },
            "inputs": {
                "type": "object",
                "additionalProperties": false,
                "required": required,
                "properties": inputs,
            },
            "budget_ms": {
                "type": ["number", "null"],
                "exclusiveMinimum": 0,
                "maximum": MAX_BUDGET.as_millis() as u64,
                "description": format!("The caller's budget; this decision's own is {} ms.", definition.budget.as_millis()),
            },
        },
    })
}

fn input(field: &InputField) -> Value {
    let schema = scalar(field.dtype);
    if field.required {
        schema
    } else {
        json!({"anyOf": [schema, {"type": "null"}]})
    }
}

fn scalar(dtype: Dtype) -> Value {
    match dtype {
        Dtype::Bool => json!({"type": "boolean"}),
        Dtype::Int64 => {
            json!({"type": "integer", "minimum": i64::MIN, "maximum": i64::MAX})
        }
        Dtype::Float32 | Dtype::Float64 => {
            json!({"type": "number", "minimum": f64::from(f32::MIN), "maximum": f64::from(f32::MAX)})
        }
        Dtype::String => json!({"type": "string", "maxLength": MAX_TEXT_CHARS}),
        Dtype::List { of, length } => {
            json!({"type": "array", "items": scalar(of.into()), "maxItems": length})
        }
    }
}

fn answer() -> Value {
    let text = json!({"type": "string"});
    let texts = json!({"type": "array", "items": text});
    let reasons: Vec<&str> = SkipReason::ALL.iter().map(|reason| reason.name()).collect();
    let properties = json!({
        "id": text,
        "decision": text,
        "action": text,
        "scores": {"type": "object", "additionalProperties": {"type": "number"}},
        "tier": text,
        "model": text,
        "model_version": text,
        "arm": text,
        "degraded": {"type": "boolean"},
        "skipped": {"type": "array", "items": {
            "type": "object",
            "additionalProperties": false,
            "required": ["tier", "reason"],
            "properties": {"tier": text, "reason": {"type": "string", "enum": reasons}},
        }},
        "features": {
            "type": "object",
            "additionalProperties": false,
            "required": ["missing", "null", "stale"],
            "properties": {"missing": texts, "null": texts, "stale": texts},
        },
        "timings_us": {
            "type": "object",
            "required": ["total", "decode", "features", "policy"],
            "additionalProperties": {"type": "integer", "minimum": 0},
        },
        "reasons": texts,
    });
    let required: Vec<&String> = properties
        .as_object()
        .into_iter()
        .flat_map(Map::keys)
        .collect();
    json!({"type": "object", "additionalProperties": false, "required": required, "properties": properties})
}

fn problem() -> Value {
    json!({
        "type": "object",
        "description": "RFC 9457.",
        "required": ["type", "title", "status", "kind", "detail"],
        "properties": {
            "type": {"type": "string"},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "kind": {"type": "string", "enum": Kind::ALL.map(Kind::name)},
            "detail": {"type": "string"},
            "errors": {"type": "array", "items": {
                "type": "object",
                "required": ["field", "detail"],
                "properties": {"field": {"type": "string"}, "detail": {"type": "string"}},
            }},
        },
    })
}
