//! From what doze made and what is still declared to the statements that take the rest away. Pure.

use std::collections::BTreeSet;

use doze_contract::protocol::{Action, Kept};

use super::{Object, Step, listed, named, place};
use crate::{
    catalog::{Contents, Live},
    privilege::{ALL, GRANT_OPTION},
    record::Record,
    sql::identifier,
    structure::{Account, Grant, Structure},
};

/// What becomes of what is no longer declared.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Pruning {
    /// What is taken away.
    pub(crate) steps: Vec<Step>,
    /// What is not, because it holds data.
    pub(crate) kept: Vec<Kept>,
    /// The databases among that.
    pub(crate) kept_databases: BTreeSet<String>,
}

/// Takes away what was made and is there without being declared: grants, then users, then databases
/// with nothing in them. A database that is kept stays of use to whom it was.
pub(crate) fn prune(wanted: &Structure, live: &Live, made: &Record) -> Pruning {
    let mut pruning = Pruning::default();
    let is_there = |name: &&String| live.databases.contains_key(*name);
    let databases: Vec<_> = undeclared_databases(wanted, made)
        .filter(is_there)
        .collect();
    for name in &databases {
        let contents = live.contents.get(*name).copied().unwrap_or_default();
        if let Some(reason) = reason(contents) {
            pruning.kept_databases.insert((*name).clone());
            pruning.kept.push(Kept {
                object: format!("database {name}"),
                reason,
            });
        }
    }
    let declared: BTreeSet<_> = wanted.accounts().map(|(account, _)| account).collect();
    let is_gone =
        |account: &Account| !declared.contains(account) && live.accounts.contains_key(account);
    let accounts: Vec<_> = made.accounts.iter().filter(|made| is_gone(made)).collect();
    for grant in &made.grants {
        let of_kept = grant.target.database.as_ref();
        if !of_kept.is_some_and(|name| pruning.kept_databases.contains(name))
            && !accounts.contains(&&grant.target.account)
        {
            pruning.steps.extend(revoked(grant, wanted, live));
        }
    }
    for account in accounts {
        let sql = format!("DROP USER {}", named(account));
        let object = Object::Account(account.clone());
        pruning.steps.push(object.step(Action::Drop, sql));
    }
    for name in databases {
        if !pruning.kept_databases.contains(name) {
            let sql = format!("DROP DATABASE {}", identifier(name));
            let object = Object::Database(name.clone());
            pruning.steps.push(object.step(Action::Drop, sql));
        }
    }
    pruning
}

/// The databases that were made and are not declared.
pub(crate) fn undeclared_databases<'a>(
    wanted: &'a Structure,
    made: &'a Record,
) -> impl Iterator<Item = &'a String> {
    let made = made.databases.iter();
    made.filter(|name| !wanted.databases.contains_key(*name))
}

/// Why a database with this in it is not dropped.
fn reason(contents: Contents) -> Option<String> {
    let Contents {
        tables,
        routines,
        events,
    } = contents;
    let counts = [(tables, "table"), (routines, "routine"), (events, "event")];
    let (count, what) = counts.into_iter().find(|(count, _)| *count > 0)?;
    let plural = if count == 1 { "" } else { "s" };
    Some(format!("has {count} {what}{plural}"))
}

/// Takes back what was granted and is still had, as far as nothing declares it.
fn revoked(made: &Grant, wanted: &Structure, live: &Live) -> Option<Step> {
    let is = live.rights(&made.target)?;
    let wanted = wanted
        .grants
        .iter()
        .find(|wanted| wanted.target == made.target);
    let keeps = |privilege: &String| {
        wanted.is_some_and(|wanted| {
            wanted.privileges.contains(ALL) || wanted.privileges.contains(privilege)
        })
    };
    let given =
        |privilege: &String| made.privileges.contains(ALL) || made.privileges.contains(privilege);
    let mut privileges: BTreeSet<_> = is.privileges.iter().collect();
    privileges.retain(|privilege| given(privilege) && !keeps(privilege));
    let mut privileges: BTreeSet<String> = privileges.into_iter().cloned().collect();
    let takes_all = live.are_all(&made.target, &privileges);
    let passes_on =
        made.passes_on && is.passes_on && !wanted.is_some_and(|wanted| wanted.passes_on);
    if privileges.is_empty() && !passes_on {
        return None;
    }
    // The two cannot stand in one statement.
    if takes_all && !passes_on {
        privileges = BTreeSet::from([ALL.to_owned()]);
    }
    let option = passes_on.then(|| GRANT_OPTION.to_owned());
    let words: Vec<_> = listed(&privileges).into_iter().chain(option).collect();
    let sql = format!(
        "REVOKE {} ON {} FROM {}",
        words.join(", "),
        place(&made.target),
        named(&made.target.account)
    );
    let object = Object::Grant(Grant {
        target: made.target.clone(),
        privileges,
        passes_on,
    });
    Some(object.step(Action::Drop, sql))
}
