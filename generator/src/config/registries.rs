//! `[registries]`: where engines and drivers come from, besides this machine.

use doze_contract::EngineName;
use doze_registry::{Mirror, Namespace};

use super::{
    reader::{Reader, wrong_type},
    scope::{Evaluator, Visible},
    toml_tree::{Item, Value},
};
use crate::diagnostic::{Code, Diagnostic};

/// A registry that the file names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registry {
    /// The publisher.
    pub namespace: Namespace,
    /// Where its index is found.
    pub url: String,
    /// The only engines that are looked for there; all if it does not say.
    pub engines: Option<Vec<EngineName>>,
}

/// All `[registries.NAMESPACE]` tables, by name.
pub(super) fn registries(
    reader: &mut Reader,
    visible: &Visible<'_>,
    evaluator: &Evaluator<'_>,
    problems: &mut Vec<Diagnostic>,
) -> Vec<Registry> {
    let table = reader.typed("registries", "a table", problems, |value| {
        value.as_table().cloned()
    });
    let table = table.map(|at| at.value).unwrap_or_default();
    let table = evaluator.table(&table, visible, problems).value;
    table
        .in_order()
        .into_iter()
        .filter_map(|(name, item)| registry(name, item, problems))
        .collect()
}

fn registry(name: &str, item: &Item, problems: &mut Vec<Diagnostic>) -> Option<Registry> {
    let namespace = match Namespace::new(name) {
        Ok(namespace) => namespace,
        Err(error) => {
            let message = format!("the registry name {name:?} {error}");
            problems.push(Diagnostic::new(Code::Name, item.key.clone(), message));
            return None;
        }
    };
    let Value::Table(table) = &item.value else {
        problems.push(wrong_type(name, "a table with a `url`", item));
        return None;
    };
    let mut reader = Reader::new(format!("the registry `{name}`"), table.clone());
    let before = problems.len();
    let url = reader.text("url", problems);
    let engines = reader.take("engines");
    reader.finish(problems);
    if url.is_none() && problems.len() == before {
        let message = format!("the registry `{name}` has no address");
        let found = Diagnostic::new(Code::Missing, item.key.clone(), message);
        problems.push(found.hint("add `url = \"https://…\"`"));
    }
    let url = url?;
    if let Err(error) = Mirror::new(&url.value) {
        problems.push(Diagnostic::new(Code::Value, url.span, error.to_string()));
    }
    Some(Registry {
        namespace,
        url: url.value,
        engines: engines.map(|item| self::engines(&item, problems)),
    })
}

fn engines(item: &Item, problems: &mut Vec<Diagnostic>) -> Vec<EngineName> {
    let Value::Array(items) = &item.value else {
        problems.push(wrong_type("engines", "an array of engines", item));
        return Vec::new();
    };
    let engine = |item: &Item| {
        let Some(name) = item.value.as_text() else {
            problems.push(wrong_type("engines", "an array of engines", item));
            return None;
        };
        let read = EngineName::new(name).map_err(|error| {
            let message = format!("the engine name {name:?} {error}");
            problems.push(Diagnostic::new(Code::Value, item.span.clone(), message));
        });
        read.ok()
    };
    items.iter().filter_map(engine).collect()
}
