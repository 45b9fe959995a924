//! The `doze.toml` that an import writes: blocks, and comments that say where each is from.
//!
//! Must not know from what it is made.

use std::collections::BTreeSet;

use doze_contract::{Endpoint, EngineName, InstanceName, Version, protocol::Check};
use serde_json::{Map, Value as Json};
use toml_edit::{Array, ArrayOfTables, DocumentMut, InlineTable, Item, Table, Value};

use super::{ImportError, Note, Surroundings, literal, plain};
use crate::schema::SCHEMA_LINE;

/// An instance on its way into the file. Its texts are written as they are: those that are no
/// expressions are escaped already.
#[derive(Debug)]
pub(super) struct Block {
    /// Where it is from, for people.
    pub(super) origin: String,
    pub(super) line: u64,
    /// What its notes begin with.
    pub(super) at: String,
    pub(super) engine: EngineName,
    pub(super) name: String,
    /// doze's own keys, in order.
    pub(super) meta: Vec<(&'static str, Json)>,
    /// The engine's keys.
    pub(super) keys: Map<String, Json>,
    /// Why it can only be written as a comment.
    pub(super) off: Option<String>,
    pub(super) notes: Vec<Note>,
}

impl Block {
    pub(super) fn note(&mut self, line: u64, key: &str, why: impl Into<String>) {
        let at = format!("{}.{key}", self.at);
        self.notes.push(Note::new(line, at, why));
    }

    pub(super) fn has_meta(&self, key: &str) -> bool {
        self.meta.iter().any(|(name, _)| *name == key)
    }

    /// Takes out what the driver refuses, with the driver's reason.
    pub(super) fn refine(
        &mut self,
        version: Option<&Version>,
        around: &dyn Surroundings,
    ) -> Result<(), ImportError> {
        let Ok(instance) = InstanceName::new(&*self.name) else {
            return Ok(());
        };
        // A problem is gone once its key is, and a key that is taken out does not come back.
        while self.off.is_none() {
            let check = Check {
                instance: instance.clone(),
                version: version.cloned(),
                block: without_expressions(&self.keys),
                endpoints: self.endpoints(),
            };
            let problems = around.check(&self.engine, check)?;
            if problems.is_empty() {
                break;
            }
            for problem in problems {
                let name = problem.at.last().cloned().unwrap_or_default();
                let why = format!("`{name}` {}", problem.message);
                if remove(&mut self.keys, &problem.at) {
                    let line = self.line;
                    self.note(line, &problem.at.join("."), why);
                } else {
                    let why = format!("`{}` {}", self.name, problem.message);
                    self.notes.push(Note::new(self.line, self.at.clone(), &why));
                    self.off = Some(why);
                }
            }
        }
        Ok(())
    }

    /// Where it will be, as far as a driver has to know that there is such a place.
    fn endpoints(&self) -> Vec<Endpoint> {
        let port = self.meta.iter().find(|(key, _)| *key == "port");
        let number = |(_, port): &(_, Json)| port.as_u64().and_then(|port| port.try_into().ok());
        // A port may be an expression.
        let port = port.map(|port| number(port).unwrap_or(1));
        let endpoint = port.map(|port: u16| Endpoint::tcp(([127, 0, 0, 1], port).into()));
        endpoint.and_then(Result::ok).into_iter().collect()
    }

    fn text(&self) -> String {
        let mut table = Table::new();
        for (key, value) in &self.meta {
            if let Some(value) = inline(value) {
                table.insert(key, Item::Value(value));
            }
        }
        fill(&mut table, &self.keys);
        nested(&[self.engine.as_str(), &self.name], table)
    }
}

/// The whole file.
pub(super) struct File {
    text: String,
    notes: Vec<Note>,
    /// The tables that are there; TOML takes each once.
    tables: BTreeSet<Vec<String>>,
    /// The instances that are there; their names are unique in a project.
    instances: BTreeSet<String>,
}

impl File {
    pub(super) fn new(source: &str) -> Self {
        let source = one_line(source);
        Self {
            text: format!("{SCHEMA_LINE}\n# Imported from {source}; `doze up` brings it up.\n"),
            notes: Vec::new(),
            tables: BTreeSet::new(),
            instances: BTreeSet::new(),
        }
    }

    /// Adds a key of the project.
    pub(super) fn key(&mut self, key: &str, value: &Json) {
        let mut table = Table::new();
        if let Some(value) = inline(value) {
            table.insert(key, Item::Value(value));
        }
        self.add(&format!("\n{}", DocumentMut::from(table)));
    }

    /// Adds a table of doze's own, with the origin of it, unless it is there; whether it was not.
    pub(super) fn table(&mut self, path: &[&str], origin: &str, keys: &[(&str, Json)]) -> bool {
        let owned = path.iter().map(ToString::to_string);
        if !self.tables.insert(owned.collect()) {
            return false;
        }
        let mut table = Table::new();
        for (key, value) in keys {
            if let Some(value) = inline(value) {
                table.insert(key, Item::Value(value));
            }
        }
        let text = nested(path, table);
        self.add(&format!("\n# {}\n{text}", one_line(origin)));
        true
    }

    /// Adds an instance with its notes. One whose name is taken is switched off.
    pub(super) fn block(&mut self, mut block: Block) {
        if block.off.is_none() && !self.instances.insert(block.name.clone()) {
            let why = format!("there is another instance called `{}`", block.name);
            let note = Note::new(block.line, block.at.clone(), &why);
            block.notes.push(note);
            block.off = Some(why);
        }
        self.add(&format!("\n# {}\n", one_line(&block.origin)));
        self.remarks(&block.notes, &block.at);
        let text = block.text();
        if let Some(reason) = &block.off {
            self.add(&format!("# Switched off: {}\n", one_line(reason)));
            for line in text.lines() {
                self.add(format!("# {line}").trim_end());
                self.add("\n");
            }
        } else {
            self.add(&text);
        }
        self.notes.extend(block.notes);
    }

    /// Adds what belongs to no instance.
    pub(super) fn rest(&mut self, notes: Vec<Note>) {
        if !notes.is_empty() {
            self.add("\n");
            self.remarks(&notes, "");
        }
        self.notes.extend(notes);
    }

    /// The text and all notes, by line.
    pub(super) fn finish(mut self) -> (String, Vec<Note>) {
        self.notes.sort_by_key(|note| note.line);
        (self.text, self.notes)
    }

    fn remarks(&mut self, notes: &[Note], below: &str) {
        if !notes.is_empty() {
            self.add("# Not carried over, or not as it was:\n");
        }
        for note in notes {
            let short = note.at.strip_prefix(below).unwrap_or(&note.at);
            let at = match short.trim_start_matches('.') {
                "" => String::new(),
                key => format!("{}: ", one_line(key)),
            };
            self.add(&format!("#   {at}{}\n", one_line(&note.why)));
        }
    }

    fn add(&mut self, text: &str) {
        self.text.push_str(text);
    }
}

/// A table below these keys, as a document of its own.
fn nested(path: &[&str], table: Table) -> String {
    let mut item = Item::Table(table);
    for key in path.iter().rev() {
        let mut outer = Table::new();
        outer.set_implicit(true);
        outer.insert(key, item);
        item = Item::Table(outer);
    }
    match item {
        Item::Table(table) => DocumentMut::from(table).to_string(),
        Item::None | Item::Value(_) | Item::ArrayOfTables(_) => String::new(),
    }
}

fn fill(table: &mut Table, keys: &Map<String, Json>) {
    for (key, value) in keys {
        match value {
            Json::Object(inner) => {
                let mut below = Table::new();
                below.set_implicit(inner.values().all(Json::is_object) && !inner.is_empty());
                fill(&mut below, inner);
                table.insert(key, Item::Table(below));
            }
            Json::Array(items) if !items.is_empty() && items.iter().all(Json::is_object) => {
                let below = |item: &Json| {
                    let mut below = Table::new();
                    if let Json::Object(keys) = item {
                        fill(&mut below, keys);
                    }
                    below
                };
                let tables: ArrayOfTables = items.iter().map(below).collect();
                table.insert(key, Item::ArrayOfTables(tables));
            }
            Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) | Json::Array(_) => {
                if let Some(value) = inline(value) {
                    table.insert(key, Item::Value(value));
                }
            }
        }
    }
}

/// The value in one line. TOML has no null.
fn inline(value: &Json) -> Option<Value> {
    Some(match value {
        Json::Null => return None,
        Json::Bool(truth) => Value::from(*truth),
        Json::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => Value::from(whole),
            (None, Some(float)) => Value::from(float),
            (None, None) => return None,
        },
        Json::String(text) => Value::from(text.as_str()),
        Json::Array(items) => Value::Array(items.iter().filter_map(inline).collect::<Array>()),
        Json::Object(map) => {
            let keys = map
                .iter()
                .filter_map(|(key, value)| Some((key, inline(value)?)));
            Value::InlineTable(keys.collect::<InlineTable>())
        }
    })
}

/// What an instance depends on, by name and condition: a list where a name says it all.
pub(super) fn depends_on(wanted: Map<String, Json>) -> Json {
    if wanted.values().all(|condition| condition == "healthy") {
        return wanted.keys().map(|name| literal(name)).collect();
    }
    Json::Object(wanted)
}

/// A text of somebody else in a comment, where no control character is allowed.
fn one_line(text: &str) -> String {
    let shown = |c: char| if c.is_control() { ' ' } else { c };
    text.chars().map(shown).collect()
}

/// What a driver can judge now: the values that are no expressions.
fn without_expressions(keys: &Map<String, Json>) -> Map<String, Json> {
    fn value(item: &Json) -> Option<Json> {
        Some(match item {
            Json::String(text) => Json::from(plain(text)?),
            Json::Array(items) => items.iter().map(value).collect::<Option<Json>>()?,
            Json::Object(map) => Json::Object(without_expressions(map)),
            Json::Null | Json::Bool(_) | Json::Number(_) => item.clone(),
        })
    }
    let keys = keys
        .iter()
        .filter_map(|(key, item)| Some((key.clone(), value(item)?)));
    keys.collect()
}

/// Takes out what stands at a path; whether there was something.
fn remove(keys: &mut Map<String, Json>, path: &[String]) -> bool {
    let Some((first, rest)) = path.split_first() else {
        return false;
    };
    if !rest.is_empty()
        && let Some(Json::Object(inner)) = keys.get_mut(first)
        && remove(inner, rest)
    {
        if inner.is_empty() {
            keys.remove(first);
        }
        return true;
    }
    keys.remove(first).is_some()
}
