//! Privileges: those that are declared, and what doze gave to the same role for the same thing
//! before.

use std::collections::BTreeMap;

use doze_contract::protocol::Action;

use super::{Diff, Place, Step};
use crate::{
    catalog::{Held, Live},
    record::Made,
    sql::identifier,
    structure::{Privileges, Structure, Target},
};

/// Compares the privileges for what is in a place.
pub(super) fn diff(diff: &mut Diff, wanted: &Structure, live: &Live, place: Place) {
    for (target, privileges) in wanted.privileges(live.major) {
        if of(&target) != place {
            continue;
        }
        let held = held(diff, wanted, live, &target);
        let mut roles: BTreeMap<&str, Differences> = BTreeMap::new();
        for ((role, name), may) in &privileges {
            let differences = roles.entry(role).or_default();
            let key = (role.clone(), (*name).to_owned());
            let (has, passes) = held.by.get(&key).copied().unwrap_or_default();
            match (has < held.of, *may) {
                (_, true) if passes < held.of => differences.grant_on.push(*name),
                (true, _) => differences.grant.push(*name),
                (false, false) if passes > 0 => differences.keep_back.push(*name),
                (false, _) => {}
            }
        }
        for (role, found) in roles {
            let former = former(diff, &target, role, &privileges);
            let step = |action, verb: &str, names: &[&str], rest: &str| {
                (!names.is_empty()).then(|| {
                    let sql = statement(&target, verb, &names.join(", "), role, rest);
                    Step::new(action, whose(role, &target), sql, place)
                })
            };
            let makes = |names: &[&str]| {
                names
                    .iter()
                    .flat_map(|name| makes(&target, role, name))
                    .collect::<Vec<_>>()
            };
            let steps = [
                step(Action::Create, "GRANT", &found.grant, "")
                    .map(|it| it.making(makes(&found.grant))),
                step(
                    Action::Create,
                    "GRANT",
                    &found.grant_on,
                    " WITH GRANT OPTION",
                )
                .map(|it| it.making(makes(&found.grant_on))),
                step(
                    Action::Alter,
                    "REVOKE GRANT OPTION FOR",
                    &found.keep_back,
                    // From those to whom it was passed on, too.
                    " CASCADE",
                ),
                (!former.is_empty()).then(|| revoke(&target, role, &former)),
            ];
            diff.steps.extend(steps.into_iter().flatten());
        }
    }
}

/// Privileges for something, for people.
fn whose(role: &str, target: &Target) -> String {
    format!("privileges of {role} on {target}")
}

/// The statement that takes privileges away.
pub(crate) fn revoke(target: &Target, role: &str, names: &[&str]) -> Step {
    let sql = statement(target, "REVOKE", &names.join(", "), role, "");
    let ends = names.iter().map(|name| made(target, role, name));
    Step::new(Action::Drop, whose(role, target), sql, of(target)).ending(ends)
}

/// What one role lacks, and what it has too much.
#[derive(Default)]
struct Differences {
    grant: Vec<&'static str>,
    grant_on: Vec<&'static str>,
    keep_back: Vec<&'static str>,
}

/// What doze gave to a role that still has some, and is no longer declared.
fn former<'a>(
    diff: &'a Diff,
    target: &Target,
    role: &str,
    privileges: &Privileges,
) -> Vec<&'a str> {
    let ours = diff.record.made().filter_map(|made| {
        if let Made::Grant {
            role: is,
            target: on,
            privilege,
        } = made
            && is == role
            && on == target
        {
            Some(privilege.as_str())
        } else {
            None
        }
    });
    let declared = |name: &&str| {
        privileges
            .keys()
            .any(|(is, known)| is == role && known == name)
    };
    ours.filter(|name| !declared(name)).collect()
}

/// What is held when the steps before these are taken: with a new owner of a thing goes what the
/// former one held as such, and an extension brings objects for which nobody has anything.
fn held(diff: &Diff, wanted: &Structure, live: &Live, target: &Target) -> Held {
    if let Target::Objects { schema, .. } = target
        && diff.filled.contains(schema)
    {
        return Held::default();
    }
    let owners = match target {
        Target::Database(name) => {
            let wanted = wanted.databases.get(name);
            let wanted = wanted.map(|database| &database.owner);
            wanted.zip(live.databases.get(name).map(|is| &is.owner))
        }
        Target::Schema(name) => {
            let wanted = wanted.schemas.get(name).map(|schema| &schema.owner);
            wanted.zip(live.schemas.get(name).map(|is| &is.owner))
        }
        Target::Objects { .. } | Target::Future { .. } => None,
    };
    let none = Held {
        // Of objects there may be none at all.
        of: i64::from(!matches!(target, Target::Objects { .. })),
        by: BTreeMap::new(),
    };
    let mut held = live.privileges.get(target).cloned().unwrap_or(none);
    if let Some((owner, is)) = owners {
        let owner = wanted.or_owner(owner.as_ref());
        if owner != is {
            let moved = held.by.extract_if(.., |(role, _), _| role == is);
            let moved: Vec<_> = moved.collect();
            for ((_, name), count) in moved {
                held.by.insert((owner.to_owned(), name), count);
            }
        }
    }
    held
}

/// What a grant makes. One for the objects to come is one for them once they are there.
fn makes(target: &Target, role: &str, privilege: &str) -> Vec<Made> {
    let mut all = vec![made(target, role, privilege)];
    if let Target::Future { schema, kind, .. } = target {
        let schema = schema.clone();
        let there = Target::Objects {
            schema,
            kind: *kind,
        };
        all.push(made(&there, role, privilege));
    }
    all
}

fn made(target: &Target, role: &str, privilege: &str) -> Made {
    Made::Grant {
        role: role.to_owned(),
        target: target.clone(),
        privilege: privilege.to_owned(),
    }
}

fn of(target: &Target) -> Place {
    if let Target::Database(_) = target {
        Place::Anywhere
    } else {
        Place::Database
    }
}

fn statement(target: &Target, verb: &str, names: &str, role: &str, rest: &str) -> String {
    let role = if role == "public" {
        "PUBLIC".to_owned()
    } else {
        identifier(role)
    };
    let to = if verb == "GRANT" { "TO" } else { "FROM" };
    let (before, on) = match target {
        Target::Database(name) => (String::new(), format!("DATABASE {}", identifier(name))),
        Target::Schema(name) => (String::new(), format!("SCHEMA {}", identifier(name))),
        Target::Objects { schema, kind } => (
            String::new(),
            format!("ALL {} IN SCHEMA {}", kind.word(), identifier(schema)),
        ),
        Target::Future {
            owner,
            schema,
            kind,
        } => (
            format!(
                "ALTER DEFAULT PRIVILEGES FOR ROLE {} IN SCHEMA {} ",
                identifier(owner),
                identifier(schema)
            ),
            kind.word().to_owned(),
        ),
    };
    format!("{before}{verb} {names} ON {on} {to} {role}{rest}")
}
