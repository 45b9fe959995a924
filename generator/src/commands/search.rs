//! `doze search`: what the registries of the project have.

use doze_contract::{EngineName, Version};
use doze_registry::Index;

use super::Context;
use crate::{
    failure::Failure,
    output::{Paint, print_lines, table},
};

pub(super) fn run(context: &Context, word: Option<&str>) -> Result<(), Failure> {
    let mut supply = context.registries()?;
    let mut rows = Vec::new();
    for namespace in supply.namespaces() {
        let index = supply.index(&namespace)?;
        for (kind, name, versions) in packages(index) {
            if word.is_none_or(|word| name.as_str().contains(word)) {
                rows.push(
                    [
                        kind.into(),
                        name.to_string(),
                        versions,
                        namespace.to_string(),
                    ]
                    .into(),
                );
            }
        }
    }
    if rows.is_empty() {
        let what = word.map_or("nothing".into(), |word| {
            format!("nothing with `{word}` in its name")
        });
        return Err(Failure::plain(format!("the registries have {what}")));
    }
    rows.sort();
    let head = ["KIND", "NAME", "VERSIONS", "REGISTRY"].map(String::from);
    rows.insert(0, head.into());
    let lines = table(&rows, Paint::stdout(), |_| None);
    print_lines(&lines).map_err(Failure::io("print"))
}

/// The packages of an index, with their versions, newest first.
fn packages(index: &Index) -> Vec<(&'static str, &EngineName, String)> {
    let engines = index.engines.iter();
    let engines = engines.map(|(name, all)| ("engine", name, newest_first(all.keys())));
    let modules = index.modules.iter();
    let modules = modules.map(|(name, all)| ("driver", name, newest_first(all.keys())));
    engines.chain(modules).collect()
}

pub(super) fn newest_first<'a>(versions: impl DoubleEndedIterator<Item = &'a Version>) -> String {
    let versions: Vec<_> = versions.rev().map(ToString::to_string).collect();
    versions.join(" ")
}
