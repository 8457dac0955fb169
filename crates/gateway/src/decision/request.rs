//! `entities` and `[request]`: what a caller sends, typed.

use features::{Dtype, EntityField, InputField, RequestSchema, Value};

use crate::reader::{Free, Literal, Problems, Table};

/// Reads both tables of a decision file.
pub(super) fn read(root: &mut Table<'_>, p: &mut Problems<'_>) -> RequestSchema {
    let entities = root
        .table("entities", p)
        .rest()
        .into_iter()
        .filter_map(|(name, value)| {
            let dtype = match value.as_str() {
                Some("string") => Dtype::String,
                Some("int64" | "int") => Dtype::Int64,
                _ => {
                    let message = format!(
                        "`{}` is {}, expected the type of the key: \"string\" or \"int\"",
                        value.key(),
                        value.describe()
                    );
                    p.error(value.span(), value.key(), message, None);
                    return None;
                }
            };
            Some(EntityField {
                name: name.value,
                dtype,
            })
        })
        .collect();
    let inputs = root
        .table("request", p)
        .rest()
        .into_iter()
        .filter_map(|(name, value)| input(name.value, value, p))
        .collect();
    RequestSchema { entities, inputs }
}

fn input(name: String, value: Free<'_>, p: &mut Problems<'_>) -> Option<InputField> {
    if let Some(dtype) = value.as_str().and_then(input_type) {
        return Some(InputField {
            name,
            dtype,
            required: true,
            default: None,
        });
    }
    let key = value.key().to_owned();
    if value.as_str().is_some() {
        let message = format!("`{key}` is {}, expected a type", value.describe());
        p.error(
            value.span(),
            key,
            message,
            Some("types: float, int, string, bool".into()),
        );
        return None;
    }
    let mut table = value.into_table(p)?;
    let dtype = table.required_string("type", p);
    let optional = table.boolean("optional", p).unwrap_or(false);
    let default = table.scalar("default", p);
    let parsed = dtype.as_ref().and_then(|t| input_type(&t.value));
    if let (Some(written), None) = (&dtype, parsed) {
        let message = format!(
            "`{key}.type` is \"{}\", expected float, int, string or bool",
            written.value
        );
        p.error(written.span.clone(), table.key("type"), message, None);
    }
    let default_value = match (&default, parsed) {
        (Some(default), Some(dtype)) => {
            let value = to_value(&default.value, dtype);
            if value.is_none() {
                let message = format!("`{key}.default` is not of the input's type");
                p.error(default.span.clone(), table.key("default"), message, None);
            }
            value
        }
        _ => None,
    };
    table.finish(p);
    let required = !optional && default_value.is_none();
    Some(InputField {
        name,
        dtype: parsed?,
        required,
        default: default_value,
    })
}

fn input_type(name: &str) -> Option<Dtype> {
    match name {
        "float" => Some(Dtype::Float64),
        "int" => Some(Dtype::Int64),
        "string" => Some(Dtype::String),
        "bool" => Some(Dtype::Bool),
        _ => None,
    }
}

fn to_value(literal: &Literal, dtype: Dtype) -> Option<Value> {
    match (literal, dtype) {
        (Literal::Number(n), Dtype::Float64) => Some(Value::Float64(*n)),
        (Literal::Integer(i), Dtype::Float64) => Some(Value::Float64(*i as f64)),
        (Literal::Integer(i), Dtype::Int64) => Some(Value::Int64(*i)),
        (Literal::Text(text), Dtype::String) => Some(Value::String(text.as_str().into())),
        (Literal::Flag(flag), Dtype::Bool) => Some(Value::Bool(*flag)),
        _ => None,
    }
}
