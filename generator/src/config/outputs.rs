//! `[outputs]`: what a project tells others, by `doze output`.

use super::{
    reader::Reader,
    toml_tree::{Item, Value},
};
use crate::diagnostic::{Code, Diagnostic};

/// An output as it is declared.
#[derive(Debug)]
pub(super) struct Declared {
    pub(super) name: String,
    pub(super) value: Item,
    pub(super) description: Option<String>,
    pub(super) sensitive: bool,
}

/// An output with its value.
#[derive(Debug, Clone, PartialEq)]
pub struct Output {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: serde_json::Value,
    /// What it is, for people.
    pub description: Option<String>,
    /// It is not to be shown unless it is asked for by name.
    pub sensitive: bool,
}

/// Reads `[outputs.NAME]`.
pub(super) fn declared(reader: &mut Reader, problems: &mut Vec<Diagnostic>) -> Vec<Declared> {
    let table = reader.typed("outputs", "a table", problems, |value| {
        value.as_table().cloned()
    });
    let table = table.map(|at| at.value).unwrap_or_default();
    let mut outputs = Vec::new();
    for (name, item) in table.in_order() {
        // The short form: only the value.
        let Value::Table(table) = &item.value else {
            outputs.push(Declared {
                name: name.to_owned(),
                value: item.clone(),
                description: None,
                sensitive: false,
            });
            continue;
        };
        let mut reader = Reader::new(format!("the output `{name}`"), table.clone());
        let value = reader.take("value");
        let description = reader.text("description", problems);
        let sensitive = reader.typed("sensitive", "true or false", problems, Value::as_boolean);
        reader.finish(problems);
        let Some(value) = value else {
            let message = format!("the output `{name}` has no value");
            problems.push(Diagnostic::new(Code::Missing, item.key.clone(), message));
            continue;
        };
        outputs.push(Declared {
            name: name.to_owned(),
            value,
            description: description.map(|at| at.value),
            sensitive: sensitive.is_some_and(|at| at.value),
        });
    }
    outputs
}
