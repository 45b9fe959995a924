//! `doze search`: what the registries of the project have.

use std::collections::BTreeMap;

use doze_contract::{EngineName, Version};
use doze_registry::{Index, Kind, Package};

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

/// The packages of an index, with their versions.
fn packages(index: &Index) -> Vec<(&'static str, &EngineName, String)> {
    let engines = index.engines.keys();
    let engines = engines.map(|name| ("engine", name, versions(index, Kind::Engine, name)));
    let modules = index.modules.keys();
    let modules = modules.map(|name| ("driver", name, versions(index, Kind::Module, name)));
    let all = engines.chain(modules);
    all.filter(|(.., versions)| !versions.is_empty()).collect()
}

/// The versions of a package that were not revoked, newest first.
pub(super) fn versions(index: &Index, kind: Kind, name: &EngineName) -> String {
    let all: Vec<&Version> = match kind {
        Kind::Engine => index
            .engines
            .get(name)
            .into_iter()
            .flat_map(BTreeMap::keys)
            .collect(),
        Kind::Module => index
            .modules
            .get(name)
            .into_iter()
            .flat_map(BTreeMap::keys)
            .collect(),
    };
    let usable = |version: &&&Version| {
        let package = Package {
            kind,
            name: name.clone(),
            version: Version::clone(version),
        };
        let artefacts = index.artefacts(&package).into_iter().flatten();
        artefacts
            .into_iter()
            .any(|(_, artefact)| index.revoked(&artefact.sha256).is_none())
    };
    let usable = all.iter().rev().filter(usable);
    usable
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(" ")
}
