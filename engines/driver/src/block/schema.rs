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
    let mut schema = json!({
        "type": "object",
        "properties": properties,
        "additionalProperties": false,
    });
    let needed = keys.iter();
    let needed = needed.filter(|key| matches!(key.kind, Kind::Needed { .. }));
    let needed: Vec<_> = needed.map(|key| key.name).collect();
    if let (Value::Object(schema), false) = (&mut schema, needed.is_empty()) {
        schema.insert("required".to_owned(), json!(needed));
    }
    schema
}

fn property(key: &Key) -> Value {
    let mut schema = match key.kind {
        Kind::Flag { .. } => json!({ "type": "boolean" }),
        Kind::Number { min, max, .. } => {
            json!({ "type": "integer", "minimum": min, "maximum": max })
        }
        Kind::Text { .. } => json!({ "type": "string" }),
        Kind::Needed { example, .. } => json!({ "type": "string", "examples": [example] }),
        Kind::NumberOrText { min, max, .. } => {
            json!({ "type": ["integer", "string"], "minimum": min, "maximum": max })
        }
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
        Kind::OneOrMany { .. } => {
            json!({ "type": ["string", "array"], "items": { "type": "string" } })
        }
        Kind::Table { keys } => table(keys),
        Kind::Tables { keys, .. } => json!({
            "type": "object",
            "additionalProperties": table(keys),
        }),
        Kind::TableList { keys } => json!({ "type": "array", "items": table(keys) }),
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
        Kind::Texts { .. } | Kind::OneOrMany { .. } | Kind::TableList { .. } => Some(json!([])),
        Kind::Needed { .. } | Kind::NumberOrText { .. } | Kind::Table { .. } => None,
    }
}
