//! The `doze.hcl` of upstream: its blocks are tables here, its expressions are `${…}` in texts.
//!
//! Must not know: where files and drivers are.

mod instance;
mod source;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use doze_contract::EngineName;
use hcl_edit::{
    parser::parse_body,
    structure::{Attribute, Block, Body, Structure},
};
use serde_json::{Map, Value as Json, json};

use self::source::Source;
use super::{ImportError, Imported, Note, Surroundings, document::File};

/// Reads a `doze.hcl`; `source` is what it is called.
pub fn import(
    text: &str,
    source: &str,
    around: &dyn Surroundings,
) -> Result<Imported, ImportError> {
    let body = parse_body(text).map_err(|error| {
        let line = u64::try_from(error.location().line()).ok();
        ImportError::syntax(line, error.message().replace('\n', "; "))
    })?;
    let importer = Importer {
        file: File::new(source),
        around,
        source: Source::new(text, without_driver(&body, around)?),
        notes: Vec::new(),
    };
    importer.all(&body)
}

/// The instances of the file whose engine has no driver.
fn without_driver(
    body: &Body,
    around: &dyn Surroundings,
) -> Result<BTreeSet<(String, String)>, ImportError> {
    let mut found = BTreeSet::new();
    for block in body.blocks() {
        if let Some((engine, instance)) = instance::labels(block)
            && let Ok(name) = EngineName::new(engine)
            && around.describe(&name)?.is_none()
        {
            found.insert((engine.to_owned(), instance.to_owned()));
        }
    }
    Ok(found)
}

struct Importer<'a> {
    file: File,
    around: &'a dyn Surroundings,
    source: Source<'a>,
    notes: Vec<Note>,
}

impl Importer<'_> {
    fn all(mut self, body: &Body) -> Result<Imported, ImportError> {
        // TOML wants the keys of the project before its tables.
        for attribute in body.attributes() {
            self.root(attribute);
        }
        let mut locals = Map::new();
        for block in body.blocks() {
            match (block.ident.as_str(), block.labels.as_slice()) {
                ("defaults", []) => self.defaults(block),
                ("locals", []) => self.locals(block, &mut locals),
                ("variable", [name]) => self.variable(block, name.as_str()),
                ("output", [name]) => self.output(block, name.as_str()),
                (kind @ ("tls" | "modules"), []) => {
                    let why = match kind {
                        "tls" => "an instance has its own keys for that, if its driver has them",
                        _ => "drivers come from `[registries.NAME]`",
                    };
                    self.notes.push(self.source.note(block, kind, why));
                }
                _ => self.instance(block)?,
            }
        }
        if !locals.is_empty() {
            let keys = locals
                .iter()
                .map(|(key, value)| (key.as_str(), value.clone()));
            let keys: Vec<_> = keys.collect();
            self.file.table(&["locals"], "locals", &keys);
        }
        self.file.rest(self.notes);
        let (toml, notes) = self.file.finish();
        Ok(Imported { toml, notes })
    }

    fn root(&mut self, attribute: &Attribute) {
        let why = match attribute.key.as_str() {
            "name" => {
                if let Some(name) = self.source.take("name", &attribute.value, &mut self.notes) {
                    self.file.key("name", &name);
                }
                return;
            }
            "listen" => "every instance has its own address",
            "home" | "data_dir" => "the environment variable DOZE_HOME says where data is",
            _ => "it is no key that is known",
        };
        self.notes
            .push(self.source.note(attribute, attribute.key.as_str(), why));
    }

    fn defaults(&mut self, block: &Block) {
        let mut keys = Vec::new();
        self.attributes(block, "defaults", &mut |importer, name, attribute| {
            if name != "idle_timeout" {
                return Some("addresses are on this machine, and have no names");
            }
            let at = "defaults.idle_timeout";
            let value = importer
                .source
                .take(at, &attribute.value, &mut importer.notes);
            // Upstream means by it that an engine is never stopped.
            let never = |value: &Json| matches!(value.as_str(), Some("0" | "0s" | "0m"));
            let value = value.map(|value| if never(&value) { json!("never") } else { value });
            keys.extend(value.map(|value| ("idle_timeout", value)));
            None
        });
        let origin = self.source.origin(block, "defaults");
        if !self.file.table(&["defaults"], &origin, &keys) {
            self.twice(block, "defaults");
        }
    }

    fn locals(&mut self, block: &Block, locals: &mut Map<String, Json>) {
        self.attributes(block, "locals", &mut |importer, name, attribute| {
            let at = format!("locals.{name}");
            let value = importer
                .source
                .take(&at, &attribute.value, &mut importer.notes);
            locals.extend(value.map(|value| (name.to_owned(), value)));
            None
        });
    }

    fn variable(&mut self, block: &Block, name: &str) {
        let mut keys = Vec::new();
        let at = format!("variable.{name}");
        self.attributes(block, &at, &mut |importer, key, attribute| {
            let value = &attribute.value;
            let known = ["type", "default", "description", "sensitive"];
            let Some(known) = known.into_iter().find(|known| *known == key) else {
                return Some("a variable has no such key here");
            };
            if known == "type" {
                // A type is no value: `list(string)`, or the same in quotes.
                let text = value
                    .as_str()
                    .unwrap_or_else(|| importer.source.text(value));
                let kind = kind(text);
                if kind != text {
                    let why = format!("`{text}` is `{kind}` here");
                    let note = importer.source.note(attribute, &format!("{at}.type"), why);
                    importer.notes.push(note);
                }
                keys.push((known, json!(kind)));
            } else {
                let at = format!("{at}.{key}");
                let value = importer.source.take(&at, value, &mut importer.notes);
                keys.extend(value.map(|value| (known, value)));
            }
            None
        });
        let origin = self.source.origin(block, &at);
        if !self.file.table(&["variables", name], &origin, &keys) {
            self.twice(block, &at);
        }
    }

    fn output(&mut self, block: &Block, name: &str) {
        let mut keys = Vec::new();
        let at = format!("output.{name}");
        self.attributes(block, &at, &mut |importer, key, attribute| {
            let known = ["value", "description", "sensitive"];
            let Some(known) = known.into_iter().find(|known| *known == key) else {
                return Some("an output has no such key here");
            };
            let at = format!("{at}.{key}");
            let value = importer
                .source
                .take(&at, &attribute.value, &mut importer.notes);
            keys.extend(value.map(|value| (known, value)));
            None
        });
        let origin = self.source.origin(block, &at);
        if !self.file.table(&["outputs", name], &origin, &keys) {
            self.twice(block, &at);
        }
    }

    fn twice(&mut self, block: &Block, at: &str) {
        let note = self
            .source
            .note(block, at, "it is there twice; the first one counts");
        self.notes.push(note);
    }

    /// Goes through the attributes of a block; what `take` has a reason against is noted, as is
    /// every block below.
    fn attributes(
        &mut self,
        block: &Block,
        at: &str,
        take: &mut dyn FnMut(&mut Self, &str, &Attribute) -> Option<&'static str>,
    ) {
        for structure in &block.body {
            match structure {
                Structure::Attribute(attribute) => {
                    let key = attribute.key.as_str();
                    if let Some(why) = take(self, key, attribute) {
                        let at = format!("{at}.{key}");
                        self.notes.push(self.source.note(attribute, &at, why));
                    }
                }
                Structure::Block(block) => {
                    let at = format!("{at}.{}", block.ident.as_str());
                    self.notes
                        .push(self.source.note(block, &at, "it has no such block here"));
                }
            }
        }
    }

    fn instance(&mut self, block: &Block) -> Result<(), ImportError> {
        match instance::read(block, &mut self.source, self.around)? {
            Ok(block) => self.file.block(block),
            Err(why) => {
                let note = self.source.note(block, block.ident.as_str(), why);
                self.notes.push(note);
            }
        }
        Ok(())
    }
}

/// doze's word for a type of variables.
fn kind(text: &str) -> &'static str {
    match text.split('(').next().unwrap_or_default().trim() {
        "string" => "string",
        "number" => "number",
        "bool" => "bool",
        "list" | "set" | "tuple" => "list",
        "map" | "object" => "map",
        _ => "any",
    }
}
