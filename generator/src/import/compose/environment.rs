//! The environment of a service: `env_file`, then `environment`, which wins.

use std::collections::BTreeMap;

use super::{
    interpolate::Variables,
    reader::{Entry, Reader},
    yaml::Value,
};
use crate::import::{Note, Surroundings};

/// Variables from which those that mean something are taken.
#[derive(Debug, Default)]
pub(super) struct Environment {
    /// By name: the value, and where it stands.
    all: BTreeMap<String, Variable>,
}

/// A variable, with where it stands.
#[derive(Debug)]
pub(super) struct Variable {
    pub(super) value: String,
    line: u64,
    at: String,
    /// It is one of many in a file beside the compose file.
    of_file: bool,
}

impl Variable {
    pub(super) fn note(&self, why: impl Into<String>) -> Note {
        Note::new(self.line, &*self.at, why)
    }
}

impl Environment {
    /// Takes both keys out of the service.
    pub(super) fn read(
        service: &mut Reader,
        around: &dyn Surroundings,
        variables: &mut Variables<'_>,
        notes: &mut Vec<Note>,
    ) -> Self {
        let mut environment = Self::default();
        if let Some(entry) = service.take("env_file") {
            environment.files(&entry, around, variables, notes);
        }
        if let Some(entry) = service.take("environment") {
            environment.own(&entry, around, notes);
        }
        environment
    }

    /// Takes a variable.
    pub(super) fn take(&mut self, name: &str) -> Option<Variable> {
        self.all.remove(name)
    }

    /// Takes the first of these that is there and not empty.
    pub(super) fn take_any(&mut self, names: &[&str]) -> Option<Variable> {
        let mut taken = names.iter().filter_map(|name| self.take(name));
        taken.find(|variable| !variable.value.is_empty())
    }

    /// All values by name.
    pub(super) fn values(&self) -> BTreeMap<String, String> {
        let pair = |(name, variable): (&String, &Variable)| (name.clone(), variable.value.clone());
        self.all.iter().map(pair).collect()
    }

    /// All variables: name, value, line, place.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &str, u64, &str)> {
        self.all.iter().map(|(name, variable)| {
            let Variable {
                value,
                line,
                at,
                of_file: _,
            } = variable;
            (name.as_str(), value.as_str(), *line, at.as_str())
        })
    }

    /// Notes what nobody took.
    pub(super) fn finish(self, notes: &mut Vec<Note>) {
        let mut files: BTreeMap<String, (u64, Vec<String>)> = BTreeMap::new();
        for (name, variable) in self.all {
            if variable.of_file {
                let file = files
                    .entry(variable.at)
                    .or_insert((variable.line, Vec::new()));
                file.1.push(name);
            } else {
                notes.push(Note::new(
                    variable.line,
                    variable.at,
                    "there is no key for it here",
                ));
            }
        }
        for (at, (line, names)) in files {
            let why = format!("there is no key for {} here", names.join(", "));
            notes.push(Note::new(line, at, why));
        }
    }

    fn files(
        &mut self,
        entry: &Entry,
        around: &dyn Surroundings,
        variables: &mut Variables<'_>,
        notes: &mut Vec<Note>,
    ) {
        let items = match &entry.node.value {
            Value::List(items) => items.as_slice(),
            Value::Null | Value::Text(_) | Value::Map(_) => std::slice::from_ref(&entry.node),
        };
        for item in items {
            let path = match &item.value {
                Value::Text(path) => Some(path.as_str()),
                Value::Map(map) => map
                    .iter()
                    .find(|(key, _)| key.name == "path")
                    .and_then(|(_, value)| value.text()),
                Value::Null | Value::List(_) => None,
            };
            let Some(path) = path else {
                notes.push(entry.note("is no path"));
                continue;
            };
            let Some(text) = around.file(path) else {
                notes.push(entry.note(format!("`{path}` cannot be read")));
                continue;
            };
            let at = format!("{} `{path}`", entry.at);
            for (name, value) in variables.env_file(&text, notes) {
                let (line, at) = (entry.line, at.clone());
                self.all.insert(
                    name,
                    Variable {
                        value,
                        line,
                        at,
                        of_file: true,
                    },
                );
            }
        }
    }

    fn own(&mut self, entry: &Entry, around: &dyn Surroundings, notes: &mut Vec<Note>) {
        let mut add = |name: &str, value: Option<&str>, line: u64| {
            // Without a value it is that of the environment, if it is there.
            let value = value
                .map(ToOwned::to_owned)
                .or_else(|| around.variable(name));
            let (value, at) = (value.unwrap_or_default(), format!("{}.{name}", entry.at));
            self.all.insert(
                name.to_owned(),
                Variable {
                    value,
                    line,
                    at,
                    of_file: false,
                },
            );
        };
        match &entry.node.value {
            Value::Map(map) => {
                for (key, value) in map {
                    match &value.value {
                        Value::Text(text) => add(&key.name, Some(text), key.line),
                        Value::Null => add(&key.name, None, key.line),
                        Value::List(_) | Value::Map(_) => notes.push(entry.note("is no text")),
                    }
                }
            }
            Value::List(items) => {
                for item in items {
                    match item.text().map(|text| text.split_once('=').ok_or(text)) {
                        Some(Ok((name, value))) => add(name, Some(value), item.line),
                        Some(Err(name)) => add(name, None, item.line),
                        None => notes.push(entry.note("is no text")),
                    }
                }
            }
            Value::Null => {}
            Value::Text(_) => notes.push(entry.note("is neither a table nor a list")),
        }
    }
}
