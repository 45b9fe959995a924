//! What doze has made and nobody declares any more, and the statements that would take it back.
//! Pure. It must not know whether the server lets them.

use std::collections::{BTreeMap, BTreeSet};

use doze_contract::protocol::{Action, Kept};

use crate::{
    catalog::Live,
    diff::{Place, Step, revoke},
    record::{Made, Record},
    sql::identifier,
    structure::{Structure, Target},
};

/// The statements, each of which takes one thing back, in an order that works: the opposite of that
/// in which all of it was made.
pub(crate) fn gone(wanted: &Structure, live: &Live, record: &Record) -> Vec<Step> {
    let mut steps = privileges(wanted, live, record);
    let extensions = extensions(wanted, live, record);
    let drop_extension = |name: &&str| drop("extension", name, Place::Database);
    steps.extend(extensions.iter().map(drop_extension));
    for made in record.made().rev() {
        let step = if let Made::Schema(name) = made {
            let step = || drop("schema", name, Place::Database);
            (!wanted.schemas.contains_key(name)).then(step)
        } else if let Made::Database(name) = made {
            let step = || drop("database", name, Place::Alone);
            (!wanted.databases.contains_key(name)).then(step)
        } else if let Made::Role(name) = made {
            let step = || drop("role", name, Place::Anywhere);
            (!wanted.roles.contains_key(name)).then(step)
        } else {
            None
        };
        steps.extend(step);
    }
    steps
}

/// What is said of it as long as nobody wants it taken back.
pub(crate) fn told(steps: Vec<Step>) -> impl Iterator<Item = Kept> {
    steps.into_iter().map(|step| Kept {
        object: step.change.object,
        reason: "is no longer declared".to_owned(),
    })
}

fn drop(kind: &str, name: &str, place: Place) -> Step {
    let sql = format!("DROP {} {}", kind.to_uppercase(), identifier(name));
    let gone = match kind {
        "extension" => Made::Extension(name.to_owned()),
        "schema" => Made::Schema(name.to_owned()),
        "database" => Made::Database(name.to_owned()),
        _ => Made::Role(name.to_owned()),
    };
    Step::new(Action::Drop, format!("{kind} {name}"), sql, place).ending([gone])
}

/// The privileges of roles that are to have none for a thing any more.
fn privileges(wanted: &Structure, live: &Live, record: &Record) -> Vec<Step> {
    let declared = wanted.privileges(live.major);
    let mut ours: BTreeMap<(&Target, &str), Vec<&str>> = BTreeMap::new();
    for made in record.made() {
        if let Made::Grant {
            role,
            target,
            privilege,
        } = made
        {
            ours.entry((target, role)).or_default().push(privilege);
        }
    }
    let has = |target: &Target, role: &str| {
        let privileges = declared.get(target);
        privileges.is_some_and(|privileges| privileges.keys().any(|(is, _)| is == role))
    };
    let gone = ours.iter().rev();
    let gone = gone.filter(|((target, role), _)| !has(target, role));
    gone.map(|((target, role), names)| revoke(target, role, names))
        .collect()
}

/// The extensions that nobody needs, those first that need others of them.
fn extensions<'a>(wanted: &'a Structure, live: &'a Live, record: &'a Record) -> Vec<&'a str> {
    fn needs<'a>(name: &'a str, live: &'a Live, all: &mut BTreeSet<&'a str>) {
        if all.insert(name) {
            let is = live.extensions.get(name).map(|it| &it.requires);
            // One that is about to come brings others along.
            let will = live.available.get(name).map(|it| &it.requires);
            for needed in is.or(will).into_iter().flatten() {
                needs(needed, live, all);
            }
        }
    }
    let mut needed = BTreeSet::new();
    for name in wanted.extensions.keys() {
        needs(name, live, &mut needed);
    }
    let mut gone: Vec<_> = record
        .made()
        .filter_map(|made| {
            if let Made::Extension(name) = made {
                Some(name.as_str())
            } else {
                None
            }
        })
        .filter(|name| !needed.contains(name))
        .collect();
    let depth = |name: &&str| {
        let mut below = BTreeSet::new();
        needs(name, live, &mut below);
        std::cmp::Reverse(below.len())
    };
    // Who needs another needs all that the other one needs, and so more.
    gone.sort_by_key(depth);
    gone
}
