//! Extensions: those that others need come first, so that each gets the schema that is declared.

use std::collections::BTreeSet;

use doze_contract::protocol::{Action, Kept};

use super::{Diff, Place, Step};
use crate::{
    catalog::{Live, LiveExtension},
    record::Made,
    sql::{identifier, literal},
    structure::{Extension, Structure},
};

pub(super) fn diff(diff: &mut Diff, wanted: &Structure, live: &Live) {
    for name in in_order(wanted, live) {
        let Some(extension) = wanted.extensions.get(name) else {
            continue;
        };
        let object = format!("extension {name}");
        if let Some(is) = live.extensions.get(name) {
            diff.kept.extend(fixed(&object, extension, is));
            let steps = altered(name, extension, is);
            if !steps.is_empty() {
                let schema = extension.schema.as_ref().filter(|_| is.relocatable);
                diff.filled.insert(schema.unwrap_or(&is.schema).clone());
            }
            diff.steps.extend(steps);
        } else if extension.optional && !is_available(name, extension, live) {
            diff.kept.push(Kept {
                object,
                reason: "is optional, and the server does not have it".to_owned(),
            });
        } else {
            let step = Step::new(
                Action::Create,
                object,
                create(name, extension),
                Place::Database,
            );
            let brought = brought(name, extension, live);
            // The first of the search path of whoever converges.
            let schema = extension.schema.as_deref().unwrap_or("public");
            diff.filled.insert(schema.to_owned());
            diff.steps.push(step.making(brought));
        }
    }
}

/// All that are declared, each after those that it needs.
fn in_order<'a>(wanted: &'a Structure, live: &'a Live) -> Vec<&'a str> {
    fn add<'a>(
        name: &'a str,
        wanted: &'a Structure,
        live: &'a Live,
        seen: &mut BTreeSet<&'a str>,
        order: &mut Vec<&'a str>,
    ) {
        if !seen.insert(name) {
            return;
        }
        let available = live.available.get(name);
        for needed in available.into_iter().flat_map(|it| &it.requires) {
            add(needed, wanted, live, seen, order);
        }
        if wanted.extensions.contains_key(name) {
            order.push(name);
        }
    }
    let (mut seen, mut order) = (BTreeSet::new(), Vec::new());
    for name in wanted.extensions.keys() {
        add(name, wanted, live, &mut seen, &mut order);
    }
    order
}

fn is_available(name: &str, wanted: &Extension, live: &Live) -> bool {
    let found = live.available.get(name);
    found.is_some_and(|found| {
        let version = wanted.version.as_ref();
        version.is_none_or(|version| found.versions.contains(version))
    })
}

fn create(name: &str, wanted: &Extension) -> String {
    // One of those before may have brought it along.
    let begin = format!("CREATE EXTENSION IF NOT EXISTS {}", identifier(name));
    let schema = wanted.schema.as_ref();
    let schema = schema.map(|schema| format!("SCHEMA {}", identifier(schema)));
    let version = wanted.version.as_ref();
    let version = version.map(|version| format!("VERSION {}", literal(version)));
    let cascade = wanted.cascade.then(|| "CASCADE".to_owned());
    let rest = [schema, version, cascade].into_iter().flatten();
    let words: Vec<_> = [begin].into_iter().chain(rest).collect();
    words.join(" ")
}

/// The extension, and those that come with it.
fn brought(name: &str, wanted: &Extension, live: &Live) -> Vec<Made> {
    let (mut names, mut at) = (vec![name], 0);
    while let Some(name) = names.get(at).copied().filter(|_| wanted.cascade) {
        let available = live.available.get(name);
        for needed in available.into_iter().flat_map(|it| &it.requires) {
            if !names.contains(&needed.as_str()) && !live.extensions.contains_key(needed) {
                names.push(needed);
            }
        }
        at += 1;
    }
    let made = |name: &str| Made::Extension(name.to_owned());
    names.into_iter().map(made).collect()
}

fn altered(name: &str, wanted: &Extension, is: &LiveExtension) -> Vec<Step> {
    let alter = |sql: String| {
        let sql = format!("ALTER EXTENSION {} {sql}", identifier(name));
        let object = format!("extension {name}");
        Step::new(Action::Alter, object, sql, Place::Database).freeing()
    };
    let version = wanted.version.as_ref().filter(|it| **it != is.version);
    let version = version.map(|version| alter(format!("UPDATE TO {}", literal(version))));
    let schema = wanted.schema.as_ref().filter(|it| **it != is.schema);
    let schema = schema.filter(|_| is.relocatable);
    let schema = schema.map(|schema| alter(format!("SET SCHEMA {}", identifier(schema))));
    version.into_iter().chain(schema).collect()
}

/// What cannot be changed.
fn fixed(object: &str, wanted: &Extension, is: &LiveExtension) -> Option<Kept> {
    let schema = wanted.schema.as_ref().filter(|it| **it != is.schema)?;
    (!is.relocatable).then(|| Kept {
        object: object.to_owned(),
        reason: format!(
            "is in the schema {} and cannot be moved; drop it to have it made in {schema}",
            is.schema
        ),
    })
}
