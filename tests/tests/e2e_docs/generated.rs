//! Pages, or parts of pages, that are made from what the programs say. `DOZE_BLESS=1` writes them;
//! otherwise a page that is not as it would be written fails.

mod commands;
mod config;
mod engines;

use std::env;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::Write as _;

use doze_tests::programs::workspace;
use doze_tests::tree::BLESS;
use serde_json::Value;

/// The line of a page behind which everything is written by hand, up to the next heading.
const BY_HAND: &str = "<!-- by hand -->";

/// Writes the page, or compares it.
#[track_caller]
pub(crate) fn settle(page: &str, text: &str) {
    let path = workspace().join(page);
    let there = fs::read_to_string(&path).unwrap_or_default();
    if there == text {
        return;
    }
    if env::var_os(BLESS).is_some() {
        let mut file = File::create(&path).expect("the page can be written");
        file.write_all(text.as_bytes())
            .expect("the page can be written");
        return;
    }
    let mut lines = there.lines().zip(text.lines()).zip(1..);
    let differs = lines.find(|((there, made), _)| there != made);
    panic!(
        "{page} is stale, first at {differs:?}; \
         {BLESS}=1 cargo nextest run -p doze-tests -E 'binary(e2e_docs) & test(generated)' writes it"
    );
}

/// A page with its tables made anew: what stands between `<!-- table: NAME -->` and
/// `<!-- end -->`.
fn fill(page: &str, mut table: impl FnMut(&str) -> Option<String>) -> String {
    let mut parts = page.split("<!-- table: ");
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (name, rest) = part.split_once(" -->").expect("the mark ends");
        let (_, rest) = rest.split_once("<!-- end -->").expect("the table ends");
        let made = table(name).unwrap_or_else(|| panic!("there is no table {name}"));
        write!(text, "<!-- table: {name} -->\n\n{made}\n<!-- end -->{rest}").expect("memory");
    }
    text
}

/// A text in lines of at most 100 bytes; indented lines stay as they are.
fn wrapped(text: &str) -> String {
    let mut lines: Vec<String> = Vec::new();
    for paragraph in text.lines() {
        let mut line = String::new();
        for word in paragraph.split(' ') {
            if !line.is_empty() && line.len() + 1 + word.len() > 100 {
                lines.push(std::mem::take(&mut line));
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
        lines.push(line);
    }
    lines.join("\n")
}

/// A text as a cell of a table.
fn cell(text: &str) -> String {
    text.trim_end_matches('.')
        .replace('|', "\\|")
        .replace('\n', " ")
}

/// The rows of keys: what each takes, its default, and what it means.
fn keys(schema: &Value) -> String {
    let properties = schema.get("properties").and_then(Value::as_object);
    let required = schema.get("required").and_then(Value::as_array);
    let mut text = "| key | value | default | meaning |\n|---|---|---|---|\n".to_owned();
    for (key, schema) in properties.expect("a table has keys") {
        let is_required = required.is_some_and(|all| all.iter().any(|name| name == key));
        let default = match schema.get("default") {
            Some(default) => format!("`{default}`"),
            None if is_required => "required".to_owned(),
            None => String::new(),
        };
        let doc = schema.get("description").and_then(Value::as_str);
        let row = [
            format!("`{key}`"),
            takes(schema),
            default,
            cell(doc.unwrap_or_default()),
        ];
        writeln!(text, "| {} |", row.join(" | ").replace("|  |", "| |")).expect("memory");
    }
    text
}

/// What a value has to be, in words.
fn takes(schema: &Value) -> String {
    let list = |schemas: &Vec<Value>| -> String {
        let mut words: Vec<String> = schemas.iter().map(takes).collect();
        words.retain(|word| !word.is_empty());
        words.dedup();
        words.join(" or ")
    };
    let word = |kind: &str| match kind {
        "string" => "text".to_owned(),
        "object" => match schema.get("additionalProperties") {
            Some(Value::Object(inner)) if inner.contains_key("properties") => "tables".to_owned(),
            _ => "table".to_owned(),
        },
        "array" => match schema.get("items").map(takes) {
            Some(items) if !items.is_empty() && !items.contains(' ') => format!("list of {items}s"),
            _ => "list".to_owned(),
        },
        "integer" | "number" => {
            let bound = |key: &str| schema.get(key).map(Value::to_string);
            match (bound("minimum"), bound("maximum")) {
                (Some(least), Some(most)) => format!("number, {least} to {most}"),
                (Some(least), None) => format!("number, at least {least}"),
                (None, Some(most)) => format!("number, at most {most}"),
                (None, None) => "number".to_owned(),
            }
        }
        other => other.to_owned(),
    };
    if let Some(values) = schema.get("enum").and_then(Value::as_array) {
        let values: Vec<_> = values.iter().map(|value| format!("`{value}`")).collect();
        return values.join(", ");
    }
    if schema
        .get("pattern")
        .is_some_and(|pattern| pattern == "\\$\\{")
    {
        // Any value may be an expression, as the page says.
        return String::new();
    }
    if let Some(any) = ["anyOf", "oneOf"]
        .iter()
        .find_map(|key| schema.get(key)?.as_array())
    {
        return list(any);
    }
    match schema.get("type") {
        Some(Value::String(kind)) => word(kind),
        Some(Value::Array(kinds)) => {
            let kinds = kinds.iter().filter_map(Value::as_str);
            kinds.map(word).collect::<Vec<_>>().join(" or ")
        }
        _ => "any".to_owned(),
    }
}
