//! An instance: `TYPE "NAME" { … }`, or `use TYPE "NAME" { … }`.

use doze_contract::{EngineName, InstanceName, Version, protocol::Description};
use hcl_edit::{
    expr::{Expression, ObjectKey},
    structure::{Attribute, Block as HclBlock, BlockLabel, Body, Structure},
};
use serde_json::{Map, Value as Json, json};

use super::source::{Source, key_name};
use crate::import::{
    ImportError, Surroundings,
    document::{Block, depends_on},
    literal, plain,
};

/// doze's own keys, as upstream calls them too.
const META: [&str; 6] = ["version", "port", "listen", "count", "for_each", "enabled"];

/// The engine and the name of an instance.
pub(super) fn labels(block: &HclBlock) -> Option<(&str, &str)> {
    let own = ["defaults", "tls", "modules", "variable", "locals", "output"];
    let ident = block.ident.as_str();
    match block.labels.as_slice() {
        [engine, name] if ident == "use" => Some((engine.as_str(), name.as_str())),
        [name] if !own.contains(&ident) => Some((ident, name.as_str())),
        _ => None,
    }
}

/// Reads an instance; the inner error says why the block is none.
pub(super) fn read(
    block: &HclBlock,
    source: &mut Source<'_>,
    around: &dyn Surroundings,
) -> Result<Result<Block, &'static str>, ImportError> {
    let Some((kind, name)) = labels(block) else {
        return Ok(Err("it is no block that is known"));
    };
    let Ok(engine) = EngineName::new(kind) else {
        return Ok(Err("it is no engine that could have a driver"));
    };
    let at = format!("{kind}.{name}");
    let line = source.line(block);
    let about = around.describe(&engine)?;
    let mut off = match &about {
        Some(_) => None,
        None => Some(format!("there is no driver for {engine} on this machine")),
    };
    if InstanceName::new(name).is_err() {
        off = Some(format!("an instance cannot be called {name:?}"));
    }
    let mut found = Block {
        origin: format!("{at}, line {line}"),
        line,
        at: at.clone(),
        engine,
        name: name.to_owned(),
        meta: Vec::new(),
        keys: Map::new(),
        off,
        notes: Vec::new(),
    };
    if let Some(off) = &found.off {
        found.notes.push(source.note(block, &at, off));
    }
    for attribute in block.body.attributes() {
        own(&mut found, attribute, source);
    }
    let mut keys = table(&block.body, &at, &["depends_on"], source, &mut found);
    for key in META {
        keys.remove(key);
    }
    found.keys = keys;
    if let Some(about) = &about {
        unknown(&mut found, about);
    }
    let version = version(&found, about.as_ref());
    found.refine(version.as_ref(), around)?;
    Ok(Ok(found))
}

/// Takes doze's own keys.
fn own(found: &mut Block, attribute: &Attribute, source: &Source<'_>) {
    let key = attribute.key.as_str();
    let at = format!("{}.{key}", found.at);
    if let Some(key) = META.into_iter().find(|meta| *meta == key) {
        // What goes wrong is noted where all attributes are read.
        let value = source.take(&at, &attribute.value, &mut Vec::new());
        found.meta.extend(value.map(|value| (key, value)));
    } else if key == "depends_on" {
        let mut wanted = Map::new();
        let Expression::Object(object) = &attribute.value else {
            found
                .notes
                .push(source.note(attribute, &at, "is no table of instances"));
            return;
        };
        for (key, value) in object {
            match (dependency(key, source), value.expr().as_str()) {
                (Some(name), _) if source.is_absent(&name) => {
                    let why = format!("`{name}` is no instance here");
                    found.notes.push(source.note(attribute, &at, why));
                }
                (Some(name), Some(condition)) => {
                    wanted.insert(name, json!(literal(condition)));
                }
                (None, _) | (_, None) => {
                    let why = "is no instance with a condition";
                    found.notes.push(source.note(attribute, &at, why));
                }
            }
        }
        if !wanted.is_empty() {
            found.meta.push(("depends_on", depends_on(wanted)));
        }
    }
}

/// The name of what is depended on, which may stand behind its engine: `app` or `postgres.app`.
fn dependency(key: &ObjectKey, source: &Source<'_>) -> Option<String> {
    let whole = match (key_name(key), key) {
        (Some(name), _) => name,
        (None, ObjectKey::Expression(expression)) => source.text(expression).to_owned(),
        (None, ObjectKey::Ident(_)) => return None,
    };
    let name = whole.split_once('.').map(|(_, name)| name.to_owned());
    Some(name.unwrap_or(whole))
}

/// The attributes and blocks of a body. A block with labels is a table in a table; several without
/// are an array.
fn table(
    body: &Body,
    at: &str,
    without: &[&str],
    source: &Source<'_>,
    found: &mut Block,
) -> Map<String, Json> {
    let mut keys: Map<String, Json> = Map::new();
    for structure in body {
        match structure {
            Structure::Attribute(attribute) => {
                let key = attribute.key.as_str();
                if without.contains(&key) {
                    continue;
                }
                let at = format!("{at}.{key}");
                let value = source.take(&at, &attribute.value, &mut found.notes);
                keys.extend(value.map(|value| (key.to_owned(), value)));
            }
            Structure::Block(block) => {
                let key = block.ident.as_str();
                let labels: Vec<&str> = block.labels.iter().map(BlockLabel::as_str).collect();
                let at = [&[at, key], labels.as_slice()].concat().join(".");
                let value = Json::Object(table(&block.body, &at, &[], source, found));
                let path = [&[key], labels.as_slice()].concat();
                if !insert(&mut keys, &path, value) {
                    let why = "there are two of these, or a key of the same name";
                    found.notes.push(source.note(block, &at, why));
                }
            }
        }
    }
    keys
}

/// Puts a value at a path; whether there was room for it.
fn insert(keys: &mut Map<String, Json>, path: &[&str], value: Json) -> bool {
    let Some((first, rest)) = path.split_first() else {
        return false;
    };
    if rest.is_empty() {
        return match keys.get_mut(*first) {
            None => {
                keys.insert((*first).to_owned(), value);
                true
            }
            Some(Json::Array(all)) => {
                all.push(value);
                true
            }
            Some(one @ Json::Object(_)) => {
                *one = json!([one.take(), value]);
                true
            }
            Some(Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_)) => false,
        };
    }
    match keys.entry(*first).or_insert_with(|| json!({})) {
        Json::Object(inner) => insert(inner, rest, value),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) | Json::Array(_) => false,
    }
}

/// Takes out what the driver has no key for.
fn unknown(found: &mut Block, about: &Description) {
    let known = about.schema.get("properties");
    let is_known = |key: &str| known.is_some_and(|known| known.get(key).is_some());
    let all: Vec<String> = found.keys.keys().cloned().collect();
    for key in all.into_iter().filter(|key| !is_known(key)) {
        found.keys.remove(&key);
        let line = found.line;
        found.note(
            line,
            &key,
            format!("the driver of {} has no such key", about.engine),
        );
    }
    // A single block may be the only one of a list.
    for (key, value) in &mut found.keys {
        let kind = known.and_then(|known| known.get(key)?.get("type"));
        if value.is_object() && kind.is_some_and(|kind| kind == "array") {
            *value = json!([value.take()]);
        }
    }
}

/// The version to check the block for: the one it says, else the newest.
fn version(found: &Block, about: Option<&Description>) -> Option<Version> {
    let said = found.meta.iter().find(|(key, _)| *key == "version");
    let text = said.and_then(|(_, value)| match value {
        Json::String(text) => plain(text),
        Json::Number(number) => Some(number.to_string()),
        Json::Null | Json::Bool(_) | Json::Array(_) | Json::Object(_) => None,
    });
    let known = about.and_then(|about| about.majors.last().cloned());
    text.and_then(|text| Version::new(&text).ok()).or(known)
}
