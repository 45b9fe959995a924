//! The JSON schema of a block (draft 2020-12), for editors and for the docs.

use serde_json::{Map, Value, json};

use super::{Key, Kind};

/// The schema of the block that `keys` declare.
pub fn schema(keys: &[Key]) -> Value {
    let mut schema = table(keys);
    if let Value::Object(schema) = &mut schema {
        let dialect = "https://json-schema.org/draft/2020-12/schema";
        schema.insert("$schema".to_owned(), json!(dialect));
    }
    schema
}

fn table(keys: &[Key]) -> Value {
    let properties: Map<_, _> = keys
        .iter()
        .map(|key| (key.name.to_owned(), property(key)))
        .collect();
    json!({
        "type": "object",
        "properties": properties,
        "additionalProperties": false,
    })
}

fn property(key: &Key) -> Value {
    let mut schema = match key.kind {
        Kind::Flag { .. } => json!({ "type": "boolean" }),
        Kind::Number { min, max, .. } => {
            json!({ "type": "integer", "minimum": min, "maximum": max })
        }
        Kind::Text { .. } => json!({ "type": "string" }),
        Kind::FlagOrText { .. } => json!({ "type": ["boolean", "string"] }),
        Kind::Choice { of, .. } => json!({ "enum": of }),
        Kind::Settings { owned, .. } => json!({
            "type": "object",
            "additionalProperties": { "type": ["string", "number", "boolean"] },
            "propertyNames": {
                "not": { "enum": owned.iter().map(|(name, _)| name).collect::<Vec<_>>() },
            },
        }),
        Kind::Texts { .. } => json!({ "type": "array", "items": { "type": "string" } }),
        Kind::Table { keys } => table(keys),
        Kind::Tables { keys, .. } => json!({
            "type": "object",
            "additionalProperties": table(keys),
        }),
    };
    if let Value::Object(schema) = &mut schema {
        schema.insert("description".to_owned(), json!(key.doc));
        if let Some(default) = default(key.kind) {
            schema.insert("default".to_owned(), default);
        }
    }
    schema
}

/// The value of a key that is left out.
pub(super) fn default(kind: Kind) -> Option<Value> {
    match kind {
        Kind::Flag { default } | Kind::FlagOrText { default, .. } => Some(json!(default)),
        Kind::Number { default, .. } => Some(json!(default)),
        Kind::Text { default, .. } | Kind::Choice { default, .. } => default.map(Value::from),
        Kind::Settings { .. } | Kind::Tables { .. } => Some(json!({})),
        Kind::Texts { .. } => Some(json!([])),
        Kind::Table { .. } => None,
    }
}
