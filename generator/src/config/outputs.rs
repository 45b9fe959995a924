//! `[outputs]`: what a project tells others, by `doze output`.

use super::{
    reader::{Reader, wrong_type},
    scope::{Evaluator, Visible},
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

/// Reads `[outputs.NAME]`. A description may refer to what is `visible`; the value waits for the
/// instances.
pub(super) fn declared(
    reader: &mut Reader,
    visible: &Visible<'_>,
    evaluator: &Evaluator<'_>,
    problems: &mut Vec<Diagnostic>,
) -> Vec<Declared> {
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
        let description = reader.take("description");
        let description = description.map(|item| evaluator.item(&item, visible, problems));
        // What it says must not be told in the open either.
        let is_secret = description.as_ref().is_some_and(|done| done.sensitive);
        let description = description.and_then(|done| done.value).and_then(|item| {
            let text = item.value.as_text().map(ToOwned::to_owned);
            if text.is_none() {
                problems.push(wrong_type("description", "a string", &item));
            }
            text.filter(|_| !is_secret)
        });
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
            description,
            sensitive: sensitive.is_some_and(|at| at.value),
        });
    }
    outputs
}
