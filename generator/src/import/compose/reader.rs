//! Taking keys out of a map of the file; what nobody took becomes a note.

use std::collections::BTreeMap;

use super::yaml::{Key, Node, Value};
use crate::import::Note;

/// A map from which keys are taken one by one.
#[derive(Debug)]
pub(super) struct Reader {
    at: String,
    rest: Vec<(Key, Node)>,
}

/// A value that was taken, with where it stood.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) at: String,
    pub(super) line: u64,
    pub(super) node: Node,
}

impl Entry {
    pub(super) fn note(&self, why: impl Into<String>) -> Note {
        Note::new(self.line, &*self.at, why)
    }

    /// The keys below it. What is no map has none, and is noted.
    pub(super) fn reader(self, notes: &mut Vec<Note>) -> Reader {
        let rest = match self.node.value {
            Value::Map(map) => map,
            Value::Null => Vec::new(),
            Value::Text(_) | Value::List(_) => {
                notes.push(Note::new(self.line, &*self.at, "is no table"));
                Vec::new()
            }
        };
        Reader { at: self.at, rest }
    }

    /// Its text; anything else is noted.
    pub(super) fn text(&self, notes: &mut Vec<Note>) -> Option<String> {
        let text = self.node.text().map(ToOwned::to_owned);
        if text.is_none() {
            notes.push(self.note("is no text"));
        }
        text
    }
}

impl Reader {
    /// The keys at the top of a file.
    pub(super) fn root(node: Node, notes: &mut Vec<Note>) -> Self {
        let line = node.line;
        let at = String::new();
        Entry { at, line, node }.reader(notes)
    }

    /// Takes a key.
    pub(super) fn take(&mut self, key: &str) -> Option<Entry> {
        let at = self.rest.iter().position(|(found, _)| found.name == key)?;
        let (key, node) = self.rest.remove(at);
        Some(self.entry(key, node))
    }

    /// The lines of the keys that are there.
    pub(super) fn lines(&self) -> BTreeMap<String, u64> {
        let line = |(key, _): &(Key, Node)| (key.name.clone(), key.line);
        self.rest.iter().map(line).collect()
    }

    /// Takes all keys, in their order.
    pub(super) fn take_all(&mut self) -> Vec<(String, Entry)> {
        let rest = std::mem::take(&mut self.rest);
        let named = |(key, node): (Key, Node)| (key.name.clone(), self.entry(key, node));
        rest.into_iter().map(named).collect()
    }

    /// Notes every key that is left.
    pub(super) fn finish(mut self, notes: &mut Vec<Note>, why: impl Fn(&str) -> String) {
        let rest = self.take_all().into_iter();
        notes.extend(rest.map(|(key, entry)| entry.note(why(&key))));
    }

    fn entry(&self, key: Key, node: Node) -> Entry {
        let at = match self.at.as_str() {
            "" => key.name,
            at => format!("{at}.{}", key.name),
        };
        let line = key.line;
        Entry { at, line, node }
    }
}
