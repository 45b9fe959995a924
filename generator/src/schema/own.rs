//! doze's own keys: those of the project, and those of every instance.

use doze_contract::{Version, protocol::Description};
use serde_json::{Map, Value, json};

use super::expression::{expression, or_expression};

/// The keys of the project itself.
pub(super) fn own_keys() -> Map<String, Value> {
    let any = |doc: &str| json!({ "description": doc });
    let variable = [
        (
            "type",
            json!({
                "enum": ["string", "number", "bool", "list", "map", "any"],
                "description": "What the value has to be; without it as the default is, else a string.",
            }),
        ),
        (
            "default",
            any(
                "The value, unless `--var`, `DOZE_VAR_NAME` or a file says another; without it one of them has to.",
            ),
        ),
        ("description", text_key("What it is for.")),
        (
            "sensitive",
            flag(
                "`true` keeps the value, and what is computed from it, from being shown.",
                false,
            ),
        ),
    ];
    let output = own(&[
        ("value", any("What `doze output` prints.")),
        ("description", text_key("What it is for.")),
        (
            "sensitive",
            flag(
                "`true` keeps the value, and what is computed from it, from being shown.",
                false,
            ),
        ),
    ]);
    // Without a description, the value itself.
    let bare = json!({ "type": ["string", "number", "boolean", "array"] });
    let output = json!({ "anyOf": [table(&output), bare] });
    let registry = [
        (
            "url",
            text_key(
                "The folder of the registry, by `https://` or `file:///`; plain http is refused.",
            ),
        ),
        (
            "engines",
            list(
                "The only engines that are looked for there; no registry without this key is then asked for them.",
            ),
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
            text_key(
                "Names the units, the sockets and the data; without it the name of the folder.",
            ),
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

/// The keys that doze reads in every block, or in that of one engine.
pub(super) fn meta_keys(about: Option<&Description>) -> Map<String, Value> {
    let version = version(about);
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
        "description": "Addresses, besides `port`: `\"127.0.0.1:5432\"`, `\"unix\"`, `\"unix:/path\"`.",
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
    let mut keys = own(&[
        ("version", version),
        (
            "port",
            or_expression(
                &json!({ "type": "integer", "minimum": 1, "maximum": 65535 }),
                &match about.and_then(|about| about.default_port) {
                    Some(port) => format!("A port on 127.0.0.1; clients expect {port}."),
                    None => "A port on 127.0.0.1.".to_owned(),
                },
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
    ]);
    if about.is_some_and(|about| about.majors.is_empty()) {
        keys.remove("version");
    }
    keys
}

fn version(about: Option<&Description>) -> Value {
    let doc = "The version of the engine: `17` is served by any 17, `\"17.4\"` by 17.4 alone. With a \
               dot it has to be in quotes.";
    let any = json!({ "type": ["integer", "string"] });
    let Some(about) = about else {
        return json!({ "description": doc, "anyOf": [any] });
    };
    let versions: Vec<Value> = about.majors.iter().rev().map(number_or_text).collect();
    let known: Vec<String> = about.majors.iter().map(ToString::to_string).collect();
    json!({
        "description": format!("{doc} The driver knows {}.", known.join(", ")),
        // The first branch is for completion; any version may turn out to be known.
        "anyOf": [{ "enum": versions }, any],
    })
}

fn number_or_text(version: &Version) -> Value {
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
                "description": "The most memory, such as `512MB`; at least 16MB. Whoever needs more is killed by the kernel.",
            }),
        ),
        (
            "cpu",
            text_key(
                "A share of the time of one processor, such as `150%`; `200%` is two of them.",
            ),
        ),
        (
            "tasks",
            or_expression(
                &json!({ "type": "integer", "minimum": 8 }),
                "The most processes and threads.",
            ),
        ),
    ]);
    or_expression(
        &table(&keys),
        "How much of the machine the engine may use, with all of its processes.",
    )
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
pub(super) fn table(keys: &Map<String, Value>) -> Value {
    json!({ "type": "object", "properties": keys, "additionalProperties": false })
}

/// A table whose keys are names.
pub(super) fn named(doc: &str, of: &Value) -> Value {
    json!({ "type": "object", "description": doc, "additionalProperties": of })
}
