//! Roles: their attributes, passwords, memberships and settings.

use doze_contract::protocol::Action;

use super::{Diff, Place, Step, comment};
use crate::{
    catalog::{Live, LiveRole},
    config::{list, setting_text, takes_a_list},
    record::{Commented, Made, Record},
    scram,
    sql::{identifier, literal},
    structure::{Role, Structure},
};

/// Compares all roles: first they are there, then they belong together.
pub(super) fn diff(
    diff: &mut Diff,
    wanted: &Structure,
    live: &Live,
) -> Result<(), getrandom::Error> {
    for (name, role) in &wanted.roles {
        let step = attributes(&mut diff.record, name, role, live.roles.get(name))?;
        diff.steps.extend(step);
    }
    let bare = LiveRole::default();
    for (name, role) in &wanted.roles {
        let live = live.roles.get(name).unwrap_or(&bare);
        diff.steps
            .extend(memberships(&diff.record, name, role, live));
        diff.steps.extend(settings(&diff.record, name, role, live));
        diff.steps.extend(comment(
            &diff.record,
            &Commented::Role(name.clone()),
            role.comment.as_ref(),
            live.comment.as_ref(),
            Place::Anywhere,
        ));
    }
    Ok(())
}

fn alter(name: &str, sql: String) -> Step {
    Step::new(Action::Alter, format!("role {name}"), sql, Place::Anywhere)
}

/// The statement that makes a role or changes its attributes and its password.
fn attributes(
    record: &mut Record,
    name: &str,
    wanted: &Role,
    live: Option<&LiveRole>,
) -> Result<Option<Step>, getrandom::Error> {
    let verb = if live.is_some() { "ALTER" } else { "CREATE" };
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
        (wanted.inherit, is.inherit, "INHERIT"),
        (wanted.bypassrls, is.bypassrls, "BYPASSRLS"),
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
    let until = wanted.valid_until.as_deref().map(second);
    if until != is.valid_until {
        sql.push_str(" VALID UNTIL ");
        sql.push_str(&literal(until.as_deref().unwrap_or("infinity")));
    }
    let password = password(record, name, wanted, is)?;
    if live.is_some() && sql.len() == begun && password.is_none() {
        return Ok(None);
    }
    let mut step = if live.is_some() {
        alter(name, sql)
    } else {
        let object = format!("role {name}");
        Step::new(Action::Create, object, sql, Place::Anywhere)
            .making([Made::Role(name.to_owned())])
    };
    if let Some(Password { sql, told }) = password {
        step.sql.push_str(&sql);
        step.change.statement.push_str(told);
    }
    Ok(Some(step.freeing()))
}

/// The end of a statement about a role, and what is told of it.
struct Password {
    sql: String,
    told: &'static str,
}

/// What is to be done about a password. One that is no longer declared goes if it is ours.
fn password(
    record: &mut Record,
    name: &str,
    wanted: &Role,
    is: &LiveRole,
) -> Result<Option<Password>, getrandom::Error> {
    let verifier = is.verifier.as_deref();
    let Some(password) = &wanted.password else {
        let ours = verifier.is_some_and(|verifier| record.has_set(name, verifier));
        record.unlearn(name);
        return Ok(ours.then(|| Password {
            sql: " PASSWORD NULL".to_owned(),
            told: " PASSWORD NULL",
        }));
    };
    let password = password.0.as_str();
    if let Some(verifier) = verifier {
        if record.knows(name, verifier, password) {
            return Ok(None);
        }
        if scram::is_of(verifier, password) {
            record.learn(name, verifier, password)?;
            return Ok(None);
        }
    }
    let verifier = scram::verifier(password)?;
    record.learn(name, &verifier, password)?;
    Ok(Some(Password {
        sql: format!(" PASSWORD {}", literal(&verifier)),
        told: " PASSWORD '***'",
    }))
}

/// A moment as the catalog tells it; a day is its first second.
fn second(moment: &str) -> String {
    if moment.contains('T') {
        moment.to_owned()
    } else {
        format!("{moment}T00:00:00Z")
    }
}

fn memberships(record: &Record, name: &str, wanted: &Role, live: &LiveRole) -> Vec<Step> {
    let made = |group: &String| Made::Membership {
        group: group.clone(),
        member: name.to_owned(),
    };
    let mut missing: Vec<_> = wanted.member_of.iter().collect();
    missing.retain(|group| !live.member_of.contains(*group));
    missing.sort();
    missing.dedup();
    let missing = missing.into_iter().map(|group| {
        let sql = format!("GRANT {} TO {}", identifier(group), identifier(name));
        alter(name, sql).making([made(group)])
    });
    let former = live.member_of.iter();
    let former = former.filter(|group| !wanted.member_of.contains(group));
    let former = former
        .filter(|group| record.has(&made(group)))
        .map(|group| {
            let sql = format!("REVOKE {} FROM {}", identifier(group), identifier(name));
            alter(name, sql).ending([made(group)])
        });
    missing.chain(former).collect()
}

fn settings(record: &Record, name: &str, wanted: &Role, live: &LiveRole) -> Vec<Step> {
    let made = |setting: &String| Made::Setting {
        role: name.to_owned(),
        name: setting.to_ascii_lowercase(),
    };
    let role = identifier(name);
    let set = wanted.settings.iter().filter_map(|(setting, value)| {
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
        let sql = format!(
            "ALTER ROLE {role} SET {} = {}",
            dotted(setting),
            parts.join(", ")
        );
        Some(alter(name, sql).making([made(setting)]))
    });
    let declared = |is: &String| {
        let mut names = wanted.settings.keys();
        names.any(|name| name.eq_ignore_ascii_case(is))
    };
    let former = live.settings.keys();
    let former = former.filter(|is| !declared(is) && record.has(&made(is)));
    let reset = former.map(|setting| {
        let sql = format!("ALTER ROLE {role} RESET {}", dotted(setting));
        alter(name, sql).ending([made(setting)])
    });
    set.chain(reset).collect()
}

/// The parts of a name with dots are names of their own.
fn dotted(setting: &str) -> String {
    let parts: Vec<_> = setting.split('.').map(identifier).collect();
    parts.join(".")
}
