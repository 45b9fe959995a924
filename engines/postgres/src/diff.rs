//! From what is declared and what is there to the statements between them. Pure, but for the salt
//! of a new password. What is not declared is left alone, unless the record tells that doze made it.

mod extension;
mod object;
mod privileges;
mod role;

use std::collections::BTreeSet;

use doze_contract::protocol::{Action, Change, Kept};

use crate::{
    catalog::Live,
    record::{Commented, Made, Record},
    sql::{identifier, literal},
    structure::{Structure, Target},
};

pub(crate) use privileges::revoke;

/// The way to what is declared.
#[derive(Debug)]
pub(crate) struct Diff {
    pub(crate) steps: Vec<Step>,
    /// What cannot be made as declared.
    pub(crate) kept: Vec<Kept>,
    /// What doze has made once all of the steps are taken.
    pub(crate) record: Record,
    /// The schemas that get objects of extensions by the steps.
    filled: BTreeSet<String>,
}

/// One statement on the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Step {
    /// What it does, for people.
    pub(crate) change: Change,
    /// The statement itself.
    pub(crate) sql: String,
    /// Where it is run.
    pub(crate) place: Place,
    /// What there is afterwards that was not there before.
    pub(crate) makes: Vec<Made>,
    /// What there is no longer.
    pub(crate) ends: Vec<Made>,
    /// Whether something else may be dropped only after it.
    pub(crate) frees: bool,
}

/// Where a statement is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// In a transaction in any database.
    Anywhere,
    /// In any database, but in no transaction.
    Alone,
    /// In a transaction in the database of the instance.
    Database,
}

/// All that is missing or different, in an order that works: roles before what they own, and all
/// of them before one is made a member of another.
pub(crate) fn diff(
    wanted: &Structure,
    live: &Live,
    record: &Record,
) -> Result<Diff, getrandom::Error> {
    let mut diff = Diff {
        steps: Vec::new(),
        kept: Vec::new(),
        record: record.clone(),
        filled: BTreeSet::new(),
    };
    diff.record.retain(|made| is_there(live, made));
    role::diff(&mut diff, wanted, live)?;
    object::databases(&mut diff, wanted, live);
    privileges::diff(&mut diff, wanted, live, Place::Anywhere);
    object::schemas(&mut diff, wanted, live);
    extension::diff(&mut diff, wanted, live);
    privileges::diff(&mut diff, wanted, live, Place::Database);
    for step in &diff.steps {
        diff.record.add(step.makes.iter().cloned());
        for gone in &step.ends {
            diff.record.remove(gone);
        }
    }
    Ok(diff)
}

impl Step {
    pub(crate) fn new(action: Action, object: String, sql: String, place: Place) -> Self {
        Self {
            change: Change {
                action,
                object,
                statement: sql.clone(),
            },
            sql,
            place,
            makes: Vec::new(),
            ends: Vec::new(),
            frees: false,
        }
    }

    fn making(mut self, made: impl IntoIterator<Item = Made>) -> Self {
        self.makes.extend(made);
        self
    }

    pub(crate) fn ending(mut self, gone: impl IntoIterator<Item = Made>) -> Self {
        self.ends.extend(gone);
        self
    }

    fn freeing(mut self) -> Self {
        self.frees = true;
        self
    }
}

/// The comment of something, if it is to change: one that is no longer declared goes if it is ours.
fn comment(
    record: &Record,
    of: &Commented,
    wanted: Option<&String>,
    live: Option<&String>,
    place: Place,
) -> Option<Step> {
    let (kind, name) = match of {
        Commented::Role(name) => ("role", name),
        Commented::Database(name) => ("database", name),
        Commented::Schema(name) => ("schema", name),
    };
    let on = format!("COMMENT ON {} {} IS", kind.to_uppercase(), identifier(name));
    let object = format!("{kind} {name}");
    let step = |sql| Step::new(Action::Alter, object, sql, place);
    let made = Made::Comment(of.clone());
    match (wanted, live) {
        (Some(wanted), live) if live != Some(wanted) => {
            Some(step(format!("{on} {}", literal(wanted))).making([made]))
        }
        (None, Some(_)) if record.has(&made) => Some(step(format!("{on} NULL")).ending([made])),
        _ => None,
    }
}

/// Whether what doze made is still there.
fn is_there(live: &Live, made: &Made) -> bool {
    let role = |name: &String| live.roles.get(name);
    match made {
        Made::Role(name) => role(name).is_some(),
        Made::Membership { group, member } => {
            role(member).is_some_and(|member| member.member_of.contains(group))
        }
        Made::Setting { role: of, name } => role(of).is_some_and(|of| {
            let mut names = of.settings.keys();
            names.any(|is| is.eq_ignore_ascii_case(name))
        }),
        Made::Database(name) => live.databases.contains_key(name),
        Made::Schema(name) => live.schemas.contains_key(name),
        Made::Extension(name) => live.extensions.contains_key(name),
        Made::Grant {
            role,
            target,
            privilege,
        } => match target {
            // Objects come and go.
            Target::Objects { schema, .. } => {
                let there = role == "public" || live.roles.contains_key(role);
                there && live.schemas.contains_key(schema)
            }
            Target::Database(_) | Target::Schema(_) | Target::Future { .. } => {
                let held = live.privileges.get(target);
                held.is_some_and(|held| held.by.contains_key(&(role.clone(), privilege.clone())))
            }
        },
        Made::Comment(of) => {
            let comment = match of {
                Commented::Role(name) => role(name).map(|it| &it.comment),
                Commented::Database(name) => live.databases.get(name).map(|it| &it.comment),
                Commented::Schema(name) => live.schemas.get(name).map(|it| &it.comment),
            };
            comment.is_some_and(Option::is_some)
        }
    }
}

#[cfg(test)]
mod tests;
