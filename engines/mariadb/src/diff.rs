//! From what is declared and what is there to the statements between them. Pure. What is not
//! declared is left alone.

mod prune;

use std::collections::BTreeSet;

use doze_contract::protocol::{Action, Change};

use crate::{
    catalog::{Credential, Live, LiveText, Rights},
    password::{PLUGIN, hash},
    privilege::ALL,
    sql::{identifier, literal, pattern},
    structure::{Account, Grant, Structure, Target, Text, User},
};
pub(crate) use prune::{Pruning, prune, undeclared_databases};

/// One statement on the way.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Step {
    /// What it does, for people.
    pub(crate) change: Change,
    /// What it does it to.
    pub(crate) object: Object,
    /// The statement itself.
    pub(crate) sql: String,
}

/// What a statement is about.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Object {
    Database(String),
    Account(Account),
    /// As much of a grant as the statement gives or takes.
    Grant(Grant),
}

impl Object {
    /// For people.
    fn told(&self) -> String {
        match self {
            Self::Database(name) => format!("database {name}"),
            Self::Account(account) => format!("user {}", account.user),
            Self::Grant(grant) => {
                let Target {
                    account,
                    database,
                    table,
                } = &grant.target;
                let database = database.as_deref().unwrap_or("*");
                let table = table.as_deref().unwrap_or("*");
                format!("grant to {} on {database}.{table}", account.user)
            }
        }
    }

    fn step(self, action: Action, sql: String) -> Step {
        let change = Change {
            action,
            object: self.told(),
            statement: sql.clone(),
        };
        Step {
            change,
            object: self,
            sql,
        }
    }
}

/// All that is missing or different, in an order that works.
pub(crate) fn steps(wanted: &Structure, live: &Live) -> Vec<Step> {
    let databases = wanted.databases.iter();
    let databases =
        databases.filter_map(|(name, text)| database(name, text, live.databases.get(name)));
    let users = wanted.accounts().filter_map(|(account, user)| {
        let is = live.accounts.get(&account);
        self::user(account, user, is)
    });
    let grants = wanted
        .grants
        .iter()
        .filter_map(|wanted| grant(wanted, live));
    databases.chain(users).chain(grants).collect()
}

fn database(name: &str, wanted: &Text, live: Option<&LiveText>) -> Option<Step> {
    let (action, verb) = match live {
        None => (Action::Create, "CREATE"),
        Some(is) if is_written(wanted, is) => return None,
        Some(_) => (Action::Alter, "ALTER"),
    };
    let mut sql = format!(
        "{verb} DATABASE {} CHARACTER SET {}",
        identifier(name),
        wanted.character_set
    );
    if let Some(collation) = &wanted.collation {
        sql.push_str(" COLLATE ");
        sql.push_str(collation);
    }
    Some(Object::Database(name.to_owned()).step(action, sql))
}

fn is_written(wanted: &Text, is: &LiveText) -> bool {
    let of = |collation: &String| {
        // The name of one that is for several character sets is told with the one in use.
        is.collation == *collation
            || is.collation == format!("{}_{collation}", wanted.character_set)
    };
    wanted.character_set == is.character_set && wanted.collation.as_ref().is_none_or(of)
}

fn user(account: Account, wanted: &User, live: Option<&Credential>) -> Option<Step> {
    let password = wanted.password.as_ref().map(|password| password.0.as_str());
    let wanted = Credential {
        plugin: PLUGIN.to_owned(),
        hash: hash(password),
        others: false,
    };
    let (action, verb) = match live {
        None => (Action::Create, "CREATE"),
        Some(is) if is_same(&wanted, is) => return None,
        Some(_) => (Action::Alter, "ALTER"),
    };
    let sql = |hash: &str| {
        let (name, hash) = (named(&account), literal(hash));
        format!("{verb} USER {name} IDENTIFIED VIA {PLUGIN} USING {hash}")
    };
    let (statement, sql) = match password {
        Some(_) => (sql("***"), sql(&wanted.hash)),
        None => (sql(""), sql("")),
    };
    let mut step = Object::Account(account).step(action, sql);
    step.change.statement = statement;
    Some(step)
}

/// The server leaves the plugin out where there is no password.
fn is_same(wanted: &Credential, is: &Credential) -> bool {
    is == wanted || wanted.hash.is_empty() && is.plugin.is_empty() && !is.others
}

fn grant(wanted: &Grant, live: &Live) -> Option<Step> {
    let target = &wanted.target;
    if let (Some(database), Some(table)) = (&target.database, &target.table)
        && !live.tables.contains(&(database.clone(), table.clone()))
    {
        return None;
    }
    let nothing = Rights::default();
    let known = live.rights(target);
    let is = known.unwrap_or(&nothing);
    let privileges = if !wanted.privileges.contains(ALL) {
        wanted
            .privileges
            .difference(&is.privileges)
            .cloned()
            .collect()
    } else if live.are_all(target, &is.privileges) {
        BTreeSet::new()
    } else {
        wanted.privileges.clone()
    };
    let passes_on = wanted.passes_on && !is.passes_on;
    if privileges.is_empty() && !passes_on {
        return None;
    }
    let mut sql = format!(
        "GRANT {} ON {} TO {}",
        // `USAGE` is nothing, for somebody who is to pass on what is there already.
        listed(&privileges).unwrap_or_else(|| "USAGE".to_owned()),
        place(target),
        named(&target.account)
    );
    if passes_on {
        sql.push_str(" WITH GRANT OPTION");
    }
    let object = Object::Grant(Grant {
        target: target.clone(),
        privileges,
        passes_on,
    });
    let action = if is.privileges.is_empty() {
        Action::Create
    } else {
        Action::Alter
    };
    Some(object.step(action, sql))
}

/// Privileges as a statement names them, if there are any.
fn listed(privileges: &BTreeSet<String>) -> Option<String> {
    let names: Vec<_> = privileges.iter().map(String::as_str).collect();
    (!names.is_empty()).then(|| names.join(", "))
}

fn named(account: &Account) -> String {
    format!(
        "{}@{}",
        identifier(&account.user),
        identifier(&account.host)
    )
}

fn place(target: &Target) -> String {
    match (&target.database, &target.table) {
        (None, _) => "*.*".to_owned(),
        (Some(database), None) => format!("{}.*", identifier(&pattern(database))),
        (Some(database), Some(table)) => {
            format!("{}.{}", identifier(database), identifier(table))
        }
    }
}

#[cfg(test)]
mod tests;
