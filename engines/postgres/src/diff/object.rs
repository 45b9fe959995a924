//! Databases and schemas: who owns them, and their options.

use doze_contract::protocol::{Action, Kept};

use super::{Diff, Place, Step, comment};
use crate::{
    catalog::{Live, LiveDatabase, LiveSchema},
    record::{Commented, Made},
    sql::{identifier, literal},
    structure::{Database, Structure},
};

pub(super) fn databases(diff: &mut Diff, wanted: &Structure, live: &Live) {
    for (name, database) in &wanted.databases {
        let owner = wanted.or_owner(database.owner.as_ref());
        let is = live.databases.get(name);
        let object = format!("database {name}");
        if let Some(is) = is {
            let alter = |sql| Step::new(Action::Alter, object.clone(), sql, Place::Anywhere);
            let begin = format!("ALTER DATABASE {}", identifier(name));
            if is.owner != owner {
                let sql = format!("{begin} OWNER TO {}", identifier(owner));
                diff.steps.push(alter(sql).freeing());
            }
            // That of the instance has no keys of its own.
            if *name != wanted.database {
                let options = options(database, is);
                if !options.is_empty() {
                    diff.steps
                        .push(alter(format!("{begin} {}", options.join(" "))));
                }
                diff.kept.extend(fixed(&object, database, is));
            }
        } else {
            let sql = create(name, owner, database);
            let made = (*name != wanted.database).then(|| Made::Database(name.clone()));
            let step = Step::new(Action::Create, object, sql, Place::Alone);
            diff.steps.push(step.making(made));
        }
        diff.steps.extend(comment(
            &diff.record,
            &Commented::Database(name.clone()),
            database.comment.as_ref(),
            is.and_then(|is| is.comment.as_ref()),
            Place::Anywhere,
        ));
    }
}

pub(super) fn schemas(diff: &mut Diff, wanted: &Structure, live: &Live) {
    for (name, schema) in &wanted.schemas {
        let (object, quoted) = (format!("schema {name}"), identifier(name));
        let owner = wanted.or_owner(schema.owner.as_ref());
        let is = live.schemas.get(name);
        match is {
            Some(LiveSchema { owner: is, .. }) if is == owner => {}
            Some(_) => {
                let sql = format!("ALTER SCHEMA {quoted} OWNER TO {}", identifier(owner));
                let step = Step::new(Action::Alter, object, sql, Place::Database);
                diff.steps.push(step.freeing());
            }
            None => {
                let sql = format!("CREATE SCHEMA {quoted} AUTHORIZATION {}", identifier(owner));
                let step = Step::new(Action::Create, object, sql, Place::Database);
                diff.steps.push(step.making([Made::Schema(name.clone())]));
            }
        }
        diff.steps.extend(comment(
            &diff.record,
            &Commented::Schema(name.clone()),
            schema.comment.as_ref(),
            is.and_then(|is| is.comment.as_ref()),
            Place::Database,
        ));
    }
}

fn create(name: &str, owner: &str, wanted: &Database) -> String {
    let (name, owner) = (identifier(name), identifier(owner));
    let mut words = vec![format!("CREATE DATABASE {name} OWNER {owner}")];
    // Any other template has an encoding and a locale of its own.
    let bare = wanted.encoding.is_some() || wanted.locale.is_some();
    let template = wanted.template.as_deref();
    if let Some(template) = template.or(bare.then_some("template0")) {
        words.push(format!("TEMPLATE {}", identifier(template)));
    }
    for (word, value) in [("ENCODING", &wanted.encoding), ("LOCALE", &wanted.locale)] {
        if let Some(value) = value {
            words.push(format!("{word} {}", literal(value)));
        }
    }
    // Who makes one has to be told only what is not the default.
    let fresh = LiveDatabase {
        owner: String::new(),
        encoding: String::new(),
        locale: String::new(),
        connection_limit: -1,
        is_template: false,
        allow_connections: true,
        comment: None,
    };
    words.extend(options(wanted, &fresh));
    words.join(" ")
}

/// The options that can be changed, as far as they differ.
fn options(wanted: &Database, is: &LiveDatabase) -> Vec<String> {
    let limit = wanted.connection_limit;
    let limit = (limit != is.connection_limit).then(|| format!("CONNECTION LIMIT {limit}"));
    let option =
        |word: &str, wanted: bool, is: bool| (wanted != is).then(|| format!("{word} {wanted}"));
    let (template, connections) = ("IS_TEMPLATE", "ALLOW_CONNECTIONS");
    [
        limit,
        option(template, wanted.is_template, is.is_template),
        option(connections, wanted.allow_connections, is.allow_connections),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// The options that cannot be changed, as far as they differ.
fn fixed(object: &str, wanted: &Database, is: &LiveDatabase) -> Vec<Kept> {
    let pairs = [
        ("encoding", &wanted.encoding, &is.encoding),
        ("locale", &wanted.locale, &is.locale),
    ];
    let differs = |(what, wanted, is): (&str, &Option<String>, &String)| {
        let wanted = wanted.as_ref()?;
        (spelled(wanted) != spelled(is)).then(|| Kept {
            object: object.to_owned(),
            reason: format!(
                "has the {what} {is}, and no server can change that; for {wanted} dump it, drop it \
                 and restore it"
            ),
        })
    };
    pairs.into_iter().filter_map(differs).collect()
}

/// UTF-8 is UTF8 to the server, and C.UTF-8 is C.utf8 to the system.
fn spelled(name: &str) -> String {
    let letters = name.chars().filter(|c| c.is_alphanumeric());
    let name = letters.collect::<String>().to_lowercase();
    if name == "unicode" {
        "utf8".to_owned()
    } else {
        name
    }
}
