//! Taking typed values out of a table, and reporting what is not of its type.

use std::collections::BTreeMap;

use super::toml_tree::{Item, Table, Value};
use crate::diagnostic::{Code, Diagnostic, Span, nearest};

/// A table from which keys are taken one by one; what is left over is unknown.
#[derive(Debug)]
pub(super) struct Reader {
    /// What the table is, for messages: "the project", "`app`".
    what: String,
    rest: BTreeMap<String, Item>,
    known: Vec<&'static str>,
}

/// A value with its place.
#[derive(Debug, Clone)]
pub(super) struct At<T> {
    pub(super) span: Span,
    pub(super) value: T,
}

impl Reader {
    pub(super) fn new(what: impl Into<String>, table: Table) -> Self {
        Self {
            what: what.into(),
            rest: table.0,
            known: Vec::new(),
        }
    }

    /// Takes a key, whatever its value is.
    pub(super) fn take(&mut self, key: &'static str) -> Option<Item> {
        self.known.push(key);
        self.rest.remove(key)
    }

    /// Takes a key whose value `read` understands; for anything else `expected` is reported.
    pub(super) fn typed<T>(
        &mut self,
        key: &'static str,
        expected: &str,
        problems: &mut Vec<Diagnostic>,
        read: impl FnOnce(&Value) -> Option<T>,
    ) -> Option<At<T>> {
        let item = self.take(key)?;
        let Some(value) = read(&item.value) else {
            problems.push(wrong_type(key, expected, &item));
            return None;
        };
        Some(At {
            span: item.span,
            value,
        })
    }

    pub(super) fn text(
        &mut self,
        key: &'static str,
        problems: &mut Vec<Diagnostic>,
    ) -> Option<At<String>> {
        self.typed(key, "a string", problems, |value| {
            value.as_text().map(ToOwned::to_owned)
        })
    }

    /// Reports every key that is left.
    pub(super) fn finish(self, problems: &mut Vec<Diagnostic>) {
        for (key, item) in &self.rest {
            let known = self.known.iter().copied();
            let hint = nearest(key, known).map(|near| format!("did you mean `{near}`?"));
            let message = format!("unknown key `{key}` in {}", self.what);
            let found = Diagnostic::new(Code::UnknownKey, item.key.clone(), message);
            problems.push(found.maybe_hint(hint));
        }
    }

    /// The keys that are left and have tables.
    pub(super) fn tables(&self) -> impl Iterator<Item = &str> {
        let tables = self.rest.iter();
        let tables = tables.filter(|(_, item)| item.value.as_table().is_some());
        tables.map(|(key, _)| key.as_str())
    }

    /// What is left, for another reader.
    pub(super) fn into_rest(self) -> Table {
        Table(self.rest)
    }
}

/// Reports a value of the wrong type.
pub(super) fn wrong_type(key: &str, expected: &str, item: &Item) -> Diagnostic {
    let message = format!("`{key}` has to be {expected}");
    Diagnostic::new(Code::Value, item.span.clone(), message)
        .label(format!("this is {}", item.value.kind()))
}
