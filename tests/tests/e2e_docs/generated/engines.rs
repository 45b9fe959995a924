//! `docs/reference/engines.md`, from what the drivers say of themselves.

use std::fmt::Write as _;

use doze_contract::protocol::Description;
use doze_tests::programs;
use serde_json::Value;

use super::{cell, keys, settle};
use crate::reference::ask_driver;

const INTRO: &str = "\
# Engines

What the drivers that ship with doze say of themselves, as `doze info` prints it. Every instance has
doze's own [keys](config.md#an-instance) besides those below, and the
[attributes](expressions.md#references) `name`, `engine`, `host`, `port`, `address`, `socket`, `url` and
`env_var`. This page is made by a test from `describe` of the [driver protocol](driver-protocol.md).
";

#[test]
fn engines_md_is_what_the_drivers_say() {
    let mut text = INTRO.to_owned();
    for name in programs::NAMES {
        let Some(engine) = name.strip_prefix("doze-driver-") else {
            continue;
        };
        let said = ask_driver(engine, &[r#"{"protocol":1,"call":"describe"}"#]);
        let said: Value = serde_json::from_str(&said.concat()).expect("an answer is JSON");
        let about = said.pointer("/answer/describe").cloned();
        let about = about.and_then(|about| serde_json::from_value(about).ok());
        text += &section(&about.expect("a description"));
    }
    settle("docs/reference/engines.md", &text);
}

fn section(about: &Description) -> String {
    let code = |words: &[String]| {
        let words: Vec<_> = words.iter().map(|word| format!("`{word}`")).collect();
        words.join(", ")
    };
    let engine = &about.engine;
    let majors: Vec<String> = about.majors.iter().map(ToString::to_string).collect();
    let port = about.default_port.map(|port| port.to_string());
    let search = &about.toolchain;
    let root = if about.refuses_root {
        "in a user namespace"
    } else {
        "as any user"
    };
    let mut text = format!(
        "\n## {engine}\n\n[More about {engine}](../engines/{engine}.md): examples, durability, URLs.\n\n| | |\n|---|---|\n"
    );
    for (what, value) in [
        ("versions", majors.join(", ")),
        ("port that clients expect", port.unwrap_or_default()),
        ("name of a unix socket", format!("`{}`", about.socket_name)),
        (
            "programs",
            code(&[search.servers.as_slice(), &search.needs].concat()),
        ),
        ("looked for in", code(&search.folders)),
        ("Debian packages", code(&search.packages)),
        ("as root", root.to_owned()),
    ] {
        if !value.is_empty() {
            writeln!(text, "| {what} | {value} |").expect("memory");
        }
    }
    write!(text, "\n### Keys of {engine}\n\n{}", keys(&about.schema)).expect("memory");
    tables(&mut text, &format!("{engine}.INSTANCE"), &about.schema);
    if !about.attributes.is_empty() {
        writeln!(
            text,
            "\n### Attributes of {engine}\n\n| attribute | meaning |\n|---|---|"
        )
        .expect("memory");
        for (name, meaning) in &about.attributes {
            writeln!(text, "| `{name}` | {} |", cell(meaning)).expect("memory");
        }
    }
    text
}

/// The keys of the tables that a user names, and of those inside them.
fn tables(text: &mut String, path: &str, schema: &Value) {
    let properties = schema.get("properties").and_then(Value::as_object);
    for (key, schema) in properties.into_iter().flatten() {
        let inner = schema.get("additionalProperties");
        if let Some(inner) = inner.filter(|inner| inner.get("properties").is_some()) {
            let path = format!("{path}.{key}.NAME");
            write!(text, "\n#### {key}\n\n`[{path}]`\n\n{}", keys(inner)).expect("memory");
            tables(text, &path, inner);
        }
        let inner = schema.get("items");
        if let Some(inner) = inner.filter(|inner| inner.get("properties").is_some()) {
            write!(
                text,
                "\n#### {key}\n\n`[[{path}.{key}]]`\n\n{}",
                keys(inner)
            )
            .expect("memory");
        }
    }
}
