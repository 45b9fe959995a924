//! Where an expression may stand for a value of another type.
//!
//! Must not know which keys there are.

use serde_json::{Map, Value, json};

/// A text that is, or contains, an expression, and then has whatever type that has.
pub(super) fn expression() -> Value {
    json!({ "type": "string", "pattern": "\\$\\{" })
}

pub(super) fn or_expression(schema: &Value, doc: &str) -> Value {
    json!({ "anyOf": [schema, expression()], "description": doc })
}

/// What a driver says of a value, where an expression may stand for it.
pub(super) fn templated(schema: &Value, engine: &str) -> Value {
    let Value::Object(schema) = schema else {
        return schema.clone();
    };
    let mut inner = Map::new();
    let mut about = Map::new();
    for (key, value) in schema {
        match key.as_str() {
            "description" | "title" | "default" | "examples" => {
                about.insert(key.clone(), value.clone());
            }
            _ => {
                inner.insert(key.clone(), below(key, value, engine));
            }
        }
    }
    if takes_any_text(&inner) {
        inner.append(&mut about);
        return Value::Object(inner);
    }
    about.insert("anyOf".to_owned(), json!([inner, expression()]));
    Value::Object(about)
}

/// The value of a keyword: schemas below it are treated alike, references lead to where the
/// driver's schema stands in the whole.
fn below(key: &str, value: &Value, engine: &str) -> Value {
    let each = |value: &Value| templated(value, engine);
    match (key, value) {
        (
            "properties" | "patternProperties" | "$defs" | "definitions" | "dependentSchemas",
            Value::Object(map),
        ) => map
            .iter()
            .map(|(key, value)| (key.clone(), each(value)))
            .collect(),
        ("additionalProperties" | "items" | "contains", Value::Object(_)) => each(value),
        ("anyOf" | "oneOf" | "allOf" | "prefixItems" | "items", Value::Array(all)) => {
            // The value as a whole may be an expression, so its alternatives need not be.
            let plain = |value: &Value| unwrapped(each(value));
            match key {
                "prefixItems" | "items" => all.iter().map(each).collect(),
                _ => all.iter().map(plain).collect(),
            }
        }
        ("$ref", Value::String(path)) => match path.strip_prefix('#') {
            Some(path) => json!(format!("#/definitions/{engine}{path}")),
            None => value.clone(),
        },
        _ => value.clone(),
    }
}

/// Takes back what [`templated`] put around a schema.
pub(super) fn unwrapped(schema: Value) -> Value {
    let inner = schema.get("anyOf").and_then(Value::as_array);
    match inner.map(Vec::as_slice) {
        Some([inner, other]) if *other == expression() => {
            let mut inner = inner.clone();
            if let (Value::Object(inner), Value::Object(schema)) = (&mut inner, schema) {
                inner.extend(schema.into_iter().filter(|(key, _)| key != "anyOf"));
            }
            inner
        }
        _ => schema,
    }
}

/// Whether a text with an expression is already allowed.
fn takes_any_text(schema: &Map<String, Value>) -> bool {
    let bounded = [
        "enum",
        "const",
        "pattern",
        "format",
        "minLength",
        "maxLength",
        "anyOf",
        "oneOf",
        "allOf",
        "not",
        "$ref",
        "if",
    ];
    if bounded.iter().any(|key| schema.contains_key(*key)) {
        return false;
    }
    match schema.get("type") {
        Some(Value::Array(types)) => types.iter().any(|kind| kind == "string"),
        Some(kind) => kind == "string",
        None => true,
    }
}
