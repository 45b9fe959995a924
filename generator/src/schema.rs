//! The JSON Schema of `doze.toml`, by which editors complete, explain and check it.
//!
//! Composed from what the drivers say of their blocks and from doze's own keys, which are below.
//! It is of draft-07, for the common servers of TOML know nothing newer, and it is no judge: what
//! only doze can know (references, ports that clash) is not in it.

use doze_contract::{Version, protocol::Description};
use serde_json::{Map, Value, json};

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
        let whole = json!({ "allOf": [{ "$ref": of }, { "required": ["version"] }] });
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

fn engine_doc(about: &Description) -> String {
    format!("Instances of {}: `[{}.NAME]`.", about.engine, about.engine)
}

/// The keys of the project itself.
fn own_keys() -> Map<String, Value> {
    let any = |doc: &str| json!({ "description": doc });
    let variable = [
        (
            "type",
            json!({
                "enum": ["string", "number", "bool", "list", "map", "any"],
                "description": "What the value has to be; without it as the default is.",
            }),
        ),
        (
            "default",
            any("The value, unless `--var`, `DOZE_VAR_NAME` or a file says another."),
        ),
        ("description", text_key("What it is for.")),
        (
            "sensitive",
            flag("`true` keeps the value from being printed.", false),
        ),
    ];
    let output = own(&[
        ("value", any("What `doze output` prints.")),
        ("description", text_key("What it is for.")),
        (
            "sensitive",
            flag("`true` keeps the value from being printed.", false),
        ),
    ]);
    // Without a description, the value itself.
    let bare = json!({ "type": ["string", "number", "boolean", "array"] });
    let output = json!({ "anyOf": [table(&output), bare] });
    let registry = [
        (
            "url",
            text_key("The folder of the registry, by `https://` or `file:///`."),
        ),
        (
            "engines",
            list("The only engines that are looked for there."),
        ),
    ];
    let defaults = [("idle_timeout", idle_timeout()), ("open_to", open_to())];
    let describe = |doc: &str, keys: &[(&str, Value)]| {
        let mut table = table(&own(keys));
        if let Value::Object(table) = &mut table {
            table.insert("description".to_owned(), json!(doc));
        }
        table
    };
    own(&[
        (
            "name",
            text_key("The name of the project; without it that of the folder."),
        ),
        (
            "defaults",
            describe(
                "What holds for every instance that says nothing else.",
                &defaults,
            ),
        ),
        (
            "variables",
            named(
                "Values from outside: `${var.NAME}`.",
                &table(&own(&variable)),
            ),
        ),
        (
            "locals",
            json!({ "type": "object", "description": "Values with a name: `${local.NAME}`." }),
        ),
        ("outputs", named("What `doze output` prints.", &output)),
        (
            "registries",
            named(
                "Where engines and drivers come from.",
                &table(&own(&registry)),
            ),
        ),
    ])
}

/// The block of an instance: doze's keys and those of its driver.
fn instance(about: &Description) -> Value {
    let mut driver = templated(&about.schema, about.engine.as_str());
    // A `description` of the block would stand at every instance; the dialect is that of the whole.
    for key in ["$schema", "$id", "description", "title"] {
        driver.as_object_mut().map(|driver| driver.remove(key));
    }
    let Value::Object(mut driver) = unwrapped(driver) else {
        return json!({});
    };
    let mut properties = meta_keys(about);
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

/// The keys that doze reads in every block.
fn meta_keys(about: &Description) -> Map<String, Value> {
    let versions: Vec<Value> = about.majors.iter().rev().map(version).collect();
    let known: Vec<String> = about.majors.iter().map(ToString::to_string).collect();
    let version = json!({
        "description": format!(
            "The version: `17` is served by any 17, `\"17.4\"` by that alone. The driver knows {}.",
            known.join(", "),
        ),
        // The first branch is for completion; any version may turn out to be known.
        "anyOf": [{ "enum": versions }, { "type": ["integer", "string"] }],
    });
    let depends_on = json!({
        "description": "Instances that this one needs. Each is `healthy` (ready first), `started` or \
                        `lazy` (woken by its own clients).",
        "anyOf": [
            { "type": "string" },
            { "type": "array", "items": { "type": "string" } },
            {
                "type": "object",
                "additionalProperties": { "enum": ["healthy", "started", "lazy"] },
            },
        ],
    });
    let listen = json!({
        "description": "Addresses: `\"127.0.0.1:5432\"`, `\"unix\"`, `\"unix:/path\"`.",
        "anyOf": [{ "type": "string" }, { "type": "array", "items": { "type": "string" } }],
    });
    let for_each = json!({
        "description": "One instance for each of these: `${each.key}` and `${each.value}`.",
        "anyOf": [
            { "type": "object" },
            { "type": "array" },
            expression(),
        ],
    });
    own(&[
        ("version", version),
        (
            "port",
            or_expression(
                &json!({ "type": "integer", "minimum": 1, "maximum": 65535 }),
                &format!(
                    "A port on 127.0.0.1; clients expect {}.",
                    about.default_port
                ),
            ),
        ),
        ("listen", listen),
        (
            "count",
            or_expression(
                &json!({ "type": "integer", "minimum": 0 }),
                "So many instances: `${count.index}` counts from 0.",
            ),
        ),
        ("for_each", for_each),
        ("depends_on", depends_on),
        (
            "enabled",
            flag(
                "`false` takes it out of the project for now; its data stays.",
                true,
            ),
        ),
        ("idle_timeout", idle_timeout()),
        ("open_to", open_to()),
        ("limits", limits()),
    ])
}

fn version(version: &Version) -> Value {
    let text = version.to_string();
    text.parse::<u64>()
        .map_or_else(|_| json!(text), |number| json!(number))
}

fn limits() -> Value {
    let keys = own(&[
        (
            "memory",
            json!({
                "type": ["string", "integer"],
                "description": "The most memory, such as `512MB`; at least 16MB.",
            }),
        ),
        (
            "cpu",
            text_key("The most of one processor, such as `150%`."),
        ),
        (
            "tasks",
            or_expression(
                &json!({ "type": "integer", "minimum": 8 }),
                "The most processes and threads.",
            ),
        ),
    ]);
    or_expression(&table(&keys), "What the engine may use.")
}

fn idle_timeout() -> Value {
    let doc =
        "How long the engine stays awake with nobody connected: `90s`, `5m`, `1h30m`, `never`.";
    json!({ "type": "string", "description": doc, "default": "5m" })
}

fn open_to() -> Value {
    let doc = "Whose connections are served: those of this `user`, or of `all` on this machine.";
    let mut schema = or_expression(&json!({ "enum": ["user", "all"] }), doc);
    if let Value::Object(schema) = &mut schema {
        schema.insert("default".to_owned(), json!("user"));
    }
    schema
}

fn flag(doc: &str, default: bool) -> Value {
    let mut schema = or_expression(&json!({ "type": "boolean" }), doc);
    if let Value::Object(schema) = &mut schema {
        schema.insert("default".to_owned(), json!(default));
    }
    schema
}

fn text_key(doc: &str) -> Value {
    json!({ "type": "string", "description": doc })
}

fn list(doc: &str) -> Value {
    or_expression(
        &json!({ "type": "array", "items": { "type": "string" } }),
        doc,
    )
}

fn own(keys: &[(&str, Value)]) -> Map<String, Value> {
    let key = |(name, schema): &(&str, Value)| ((*name).to_owned(), schema.clone());
    keys.iter().map(key).collect()
}

/// A table with these keys and no others.
fn table(keys: &Map<String, Value>) -> Value {
    json!({ "type": "object", "properties": keys, "additionalProperties": false })
}

/// A table whose keys are names.
fn named(doc: &str, of: &Value) -> Value {
    json!({ "type": "object", "description": doc, "additionalProperties": of })
}

/// A text that is, or contains, an expression, and then has whatever type that has.
fn expression() -> Value {
    json!({ "type": "string", "pattern": "\\$\\{" })
}

fn or_expression(schema: &Value, doc: &str) -> Value {
    json!({ "anyOf": [schema, expression()], "description": doc })
}

/// What a driver says of a value, where an expression may stand for it.
fn templated(schema: &Value, engine: &str) -> Value {
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
fn unwrapped(schema: Value) -> Value {
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

#[cfg(test)]
mod tests {
    use super::*;

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
