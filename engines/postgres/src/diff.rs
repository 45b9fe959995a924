//! From what is declared and what is there to the statements between them. Pure, but for the salt
//! of a new password. What is not declared is left alone.

use doze_contract::protocol::{Action, Change};

use crate::{
    catalog::{Live, LiveRole},
    config::{list, setting_text, takes_a_list},
    scram,
    sql::{identifier, literal},
    structure::{Role, Structure},
};

/// One statement on the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Step {
    /// What it does, for people.
    pub(crate) change: Change,
    /// The statement itself.
    pub(crate) sql: String,
    /// Where it is run.
    pub(crate) place: Place,
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
pub(crate) fn steps(wanted: &Structure, live: &Live) -> Result<Vec<Step>, getrandom::Error> {
    let mut steps = Vec::new();
    for (name, role) in &wanted.roles {
        steps.extend(attributes(name, role, live.roles.get(name))?);
    }
    for (name, role) in &wanted.roles {
        let bare = LiveRole::default();
        let live = live.roles.get(name).unwrap_or(&bare);
        steps.extend(memberships(name, role, live));
        steps.extend(settings(name, role, live));
    }
    for (name, owner) in &wanted.databases {
        steps.extend(database(name, owner, live));
    }
    for (name, owner) in &wanted.schemas {
        steps.extend(schema(name, owner, live));
    }
    let missing = |name: &&String| !live.extensions.contains(*name);
    steps.extend(wanted.extensions.iter().filter(missing).map(|name| {
        // One of those before may have brought it along.
        let sql = format!(
            "CREATE EXTENSION IF NOT EXISTS {} CASCADE",
            identifier(name)
        );
        step(Action::Create, "extension", name, sql, Place::Database)
    }));
    Ok(steps)
}

fn step(action: Action, kind: &str, name: &str, sql: String, place: Place) -> Step {
    Step {
        change: Change {
            action,
            object: format!("{kind} {name}"),
            statement: sql.clone(),
        },
        sql,
        place,
    }
}

/// The statement that makes a role or changes its attributes and its password.
fn attributes(
    name: &str,
    wanted: &Role,
    live: Option<&LiveRole>,
) -> Result<Option<Step>, getrandom::Error> {
    let (action, verb) = match live {
        None => (Action::Create, "CREATE"),
        Some(_) => (Action::Alter, "ALTER"),
    };
    let bare = LiveRole::default();
    let is = live.unwrap_or(&bare);
    let mut sql = format!("{verb} ROLE {}", identifier(name));
    let begun = sql.len();
    for (wanted, is, word) in [
        (wanted.login, is.login, "LOGIN"),
        (wanted.superuser, is.superuser, "SUPERUSER"),
        (wanted.createdb, is.createdb, "CREATEDB"),
        (wanted.createrole, is.createrole, "CREATEROLE"),
        (wanted.replication, is.replication, "REPLICATION"),
    ] {
        if wanted != is {
            sql.push_str(if wanted { " " } else { " NO" });
            sql.push_str(word);
        }
    }
    if wanted.connection_limit != is.connection_limit {
        sql.push_str(" CONNECTION LIMIT ");
        sql.push_str(&wanted.connection_limit.to_string());
    }
    let known = |password: &str| {
        let verifier = is.verifier.as_deref();
        verifier.is_some_and(|verifier| scram::is_of(verifier, password))
    };
    let password = wanted.password.as_ref().map(|password| password.0.as_str());
    let password = password.filter(|password| !known(password));
    if live.is_some() && sql.len() == begun && password.is_none() {
        return Ok(None);
    }
    let mut step = step(action, "role", name, sql, Place::Anywhere);
    if let Some(password) = password {
        step.sql.push_str(" PASSWORD ");
        step.sql.push_str(&literal(&scram::verifier(password)?));
        step.change.statement.push_str(" PASSWORD '***'");
    }
    Ok(Some(step))
}

fn memberships(name: &str, wanted: &Role, live: &LiveRole) -> Vec<Step> {
    let mut missing: Vec<_> = wanted.member_of.iter().collect();
    missing.retain(|group| !live.member_of.contains(*group));
    missing.sort();
    missing.dedup();
    let grant = |group: &String| {
        let sql = format!("GRANT {} TO {}", identifier(group), identifier(name));
        step(Action::Alter, "role", name, sql, Place::Anywhere)
    };
    missing.into_iter().map(grant).collect()
}

fn settings(name: &str, wanted: &Role, live: &LiveRole) -> Vec<Step> {
    let set = |(setting, value): (&String, &serde_json::Value)| {
        let value = setting_text(value);
        let mut is = live.settings.iter();
        let is = is.find(|(is, _)| is.eq_ignore_ascii_case(setting));
        let same = |is: &str| is == value || takes_a_list(setting) && list(is) == list(&value);
        if is.is_some_and(|(_, is)| same(is)) {
            return None;
        }
        let parts = if takes_a_list(setting) {
            list(&value)
        } else {
            vec![value]
        };
        let parts: Vec<_> = parts.iter().map(|part| literal(part)).collect();
        // The parts of a name with dots are names of their own.
        let setting: Vec<_> = setting.split('.').map(identifier).collect();
        let sql = format!(
            "ALTER ROLE {} SET {} = {}",
            identifier(name),
            setting.join("."),
            parts.join(", ")
        );
        Some(step(Action::Alter, "role", name, sql, Place::Anywhere))
    };
    wanted.settings.iter().filter_map(set).collect()
}

fn database(name: &str, owner: &str, live: &Live) -> Option<Step> {
    let (quoted, owner_quoted) = (identifier(name), identifier(owner));
    match live.databases.get(name) {
        Some(is) if is == owner => None,
        Some(_) => {
            let sql = format!("ALTER DATABASE {quoted} OWNER TO {owner_quoted}");
            let place = Place::Anywhere;
            Some(step(Action::Alter, "database", name, sql, place))
        }
        None => {
            let sql = format!("CREATE DATABASE {quoted} OWNER {owner_quoted}");
            Some(step(Action::Create, "database", name, sql, Place::Alone))
        }
    }
}

fn schema(name: &str, owner: &str, live: &Live) -> Option<Step> {
    let (quoted, owner_quoted) = (identifier(name), identifier(owner));
    let (action, sql) = match live.schemas.get(name) {
        Some(is) if is == owner => return None,
        Some(_) => (
            Action::Alter,
            format!("ALTER SCHEMA {quoted} OWNER TO {owner_quoted}"),
        ),
        None => (
            Action::Create,
            format!("CREATE SCHEMA {quoted} AUTHORIZATION {owner_quoted}"),
        ),
    };
    Some(step(action, "schema", name, sql, Place::Database))
}

#[cfg(test)]
mod tests;
