//! The JSON Schema of `doze.toml`, by which editors complete, explain and check it.
//!
//! Composed from what the drivers say of their blocks and from doze's own keys.
//! It is of draft-07, for the common servers of TOML know nothing newer, and it is no judge: what
//! only doze can know (references, ports that clash) is not in it.

mod expression;
mod own;

use doze_contract::protocol::Description;
use serde_json::{Map, Value, json};

use self::{
    expression::{templated, unwrapped},
    own::{meta_keys, named, own_keys, table},
};
use crate::drivers::Drivers;

/// The name of the file in the project's `.doze`.
pub const FILE_NAME: &str = "schema.json";

/// The first line of a `doze.toml`, by which the common servers of TOML find it.
pub(crate) const SCHEMA_LINE: &str = "#:schema ./.doze/schema.json";

/// The text of the schema for all drivers that can be used. One that does not answer has no part in
/// it; whoever uses its engine is told why in another place.
pub fn text(drivers: &Drivers) -> String {
    let described = drivers.engines().map(|engine| drivers.describe(engine));
    let described: Vec<_> = described.filter_map(|about| about.ok().flatten()).collect();
    serde_json::to_string_pretty(&schema(&described)).unwrap_or_default() + "\n"
}

/// The schema for these engines.
pub fn schema(engines: &[Description]) -> Value {
    let mut definitions: Map<_, _> = engines
        .iter()
        .map(|about| (about.engine.to_string(), instance(about)))
        .collect();
    let mut overlay = own_keys();
    let mut project = own_keys();
    for about in engines {
        let of = format!("#/definitions/{}", about.engine);
        let whole = json!({ "allOf": [{ "$ref": of }, { "required": required(about) }] });
        let doc = engine_doc(about);
        project.insert(about.engine.to_string(), named(&doc, &whole));
        overlay.insert(
            about.engine.to_string(),
            named(&doc, &json!({ "$ref": of })),
        );
    }
    definitions.insert("Profile".to_owned(), table(&overlay));
    let profile = json!({ "$ref": "#/definitions/Profile" });
    project.insert(
        "profile".to_owned(),
        named(
            "What is otherwise with `--profile NAME`: any key of the file.",
            &profile,
        ),
    );
    let mut whole = table(&project);
    if let Value::Object(whole) = &mut whole {
        whole.insert(
            "$schema".to_owned(),
            json!("http://json-schema.org/draft-07/schema#"),
        );
        whole.insert("title".to_owned(), json!("doze.toml"));
        whole.insert("definitions".to_owned(), Value::Object(definitions));
    }
    whole
}

/// What no instance can do without; a profile may lie over it with less.
fn required(about: &Description) -> Vec<&str> {
    let version = (!about.majors.is_empty()).then_some("version");
    let own = about.schema.get("required").and_then(Value::as_array);
    let own = own.into_iter().flatten().filter_map(Value::as_str);
    version.into_iter().chain(own).collect()
}

/// The keys of the project, as a table without those of any engine.
pub fn project_keys() -> Value {
    table(&own_keys())
}

/// The keys that every instance has, whatever its engine.
pub fn instance_keys() -> Value {
    table(&meta_keys(None))
}

fn engine_doc(about: &Description) -> String {
    format!("Instances of {}: `[{}.NAME]`.", about.engine, about.engine)
}

/// The block of an instance: doze's keys and those of its driver.
fn instance(about: &Description) -> Value {
    let mut driver = templated(&about.schema, about.engine.as_str());
    // A `description` of the block would stand at every instance; the dialect is that of the whole.
    for key in ["$schema", "$id", "description", "title", "required"] {
        driver.as_object_mut().map(|driver| driver.remove(key));
    }
    let Value::Object(mut driver) = unwrapped(driver) else {
        return json!({});
    };
    let mut properties = meta_keys(Some(about));
    if let Some(Value::Object(own)) = driver.remove("properties") {
        // doze's own keys are the same everywhere.
        for (key, schema) in own {
            properties.entry(key).or_insert(schema);
        }
    }
    driver.insert("type".to_owned(), json!("object"));
    driver.insert("properties".to_owned(), Value::Object(properties));
    Value::Object(driver)
}

#[cfg(test)]
mod tests {
    use super::{expression::expression, *};

    fn about() -> Description {
        serde_json::from_value(json!({
            "engine": "x", "driver": "1", "majors": ["9", "11.4"], "example": "x",
            "default_port": 1, "socket_name": "x", "refuses_root": false,
            "toolchain": { "servers": [], "needs": [], "folders": [], "packages": [] },
            "schema": {
                "$schema": "https://json-schema.org/draft/2020-12/schema",
                "type": "object",
                "additionalProperties": false,
                "properties": {
                    "n": { "type": "integer", "description": "N", "default": 1 },
                    "t": { "type": "string" },
                    "r": { "$ref": "#/$defs/r" },
                    "version": { "type": "boolean" },
                },
                "$defs": { "r": { "type": "array", "items": { "enum": ["a"] } } },
            },
        }))
        .unwrap()
    }

    #[test]
    fn everything_but_a_text_may_be_an_expression_too() {
        let schema = schema(&[about()]);
        let of = |path: &str| {
            schema
                .pointer(&format!("/definitions/x/{path}"))
                .unwrap()
                .clone()
        };
        let number = json!({
            "anyOf": [{ "type": "integer" }, { "type": "string", "pattern": "\\$\\{" }],
            "default": 1,
            "description": "N",
        });
        assert_eq!(of("properties/n"), number);
        assert_eq!(of("properties/t"), json!({ "type": "string" }));
        let enumeration = &of("$defs/r")["anyOf"][0]["items"]["anyOf"];
        assert_eq!(enumeration, &json!([{ "enum": ["a"] }, expression()]));
        assert_eq!(of("additionalProperties"), json!(false));
    }

    #[test]
    fn what_a_driver_refers_to_is_still_found() {
        let schema = schema(&[about()]);
        let reference = schema
            .pointer("/definitions/x/properties/r/anyOf/0/$ref")
            .unwrap();
        let path = reference.as_str().unwrap().strip_prefix('#').unwrap();
        assert!(schema.pointer(path).is_some(), "{path}");
    }

    #[test]
    fn a_driver_cannot_redefine_a_key_of_doze() {
        let schema = schema(&[about()]);
        let hint = schema
            .pointer("/definitions/x/properties/version/anyOf/0/enum")
            .unwrap();
        assert_eq!(hint, &json!(["11.4", 9]));
    }
}
