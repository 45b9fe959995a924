//! What only several keys together can be wrong about: names that lead nowhere, things that are
//! said twice. It must not know how any of it is made.

use std::collections::BTreeSet;

use doze_contract::protocol::Problem;
use serde_json::{Map, Value};

use super::{Block, objects};
use crate::{
    privilege::{self, Level},
    structure::owner,
};

/// What is wrong with the name of an instance, whose database is called so, and whose user as well
/// if it names no owner.
pub(super) fn instance(instance: &str, block: &Map<String, Value>) -> Option<Problem> {
    let called = |what: &str, flaw: String, hint: &str| Problem {
        at: Vec::new(),
        key: false,
        message: format!("cannot have {what} of its name, which {flaw}"),
        hint: Some(hint.to_owned()),
    };
    if let Err(flaw) = objects::database(instance) {
        return Some(called("a database", flaw, "choose another name"));
    }
    let flaw = objects::declared_user(instance).err()?;
    (!block.contains_key("owner")).then(|| called("a user", flaw, "name an `owner`"))
}

/// What is wrong with a block whose parts are all right.
pub(super) fn problems(instance: &str, block: &Block) -> Vec<Problem> {
    let mut problems = Vec::new();
    if block.database.contains_key(instance) {
        problems.push(problem(
            &["database", instance],
            true,
            "is the database of the instance, which is there in any case",
            "its text is as `character_set` and `collation` of the instance say",
        ));
    }
    problems.extend(collations(block));
    problems.extend(grants(instance, block));
    problems
}

fn problem(at: &[&str], key: bool, message: impl Into<String>, hint: impl Into<String>) -> Problem {
    Problem {
        at: at.iter().map(ToString::to_string).collect(),
        key,
        message: message.into(),
        hint: Some(hint.into()),
    }
}

fn collations(block: &Block) -> Vec<Problem> {
    let misfit = |character_set: &str, collation: &Option<String>, at: &[&str]| {
        let collation = collation.as_ref()?;
        let fits = collation.starts_with(&format!("{character_set}_"))
            // These are for all character sets of Unicode.
            || collation.starts_with("uca1400_")
            || collation == "binary" && character_set == "binary";
        let message = format!("is no collation of {character_set}");
        let hint = format!("those begin with `{character_set}_`");
        (!fits).then(|| problem(at, false, message, hint))
    };
    let own = misfit(&block.character_set, &block.collation, &["collation"]);
    let of_databases = block.database.iter().filter_map(|(name, text)| {
        let character_set = text.character_set.as_ref().unwrap_or(&block.character_set);
        let at = ["database", name, "collation"];
        misfit(character_set, &text.collation, &at)
    });
    own.into_iter().chain(of_databases).collect()
}

fn grants(instance: &str, block: &Block) -> Vec<Problem> {
    let owner = owner(instance, block);
    let mut problems = Vec::new();
    let mut seen = BTreeSet::new();
    for (at, grant) in block.grant.iter().enumerate() {
        let at = at.to_string();
        let mut wrong = |key: &str, message: String, hint: String| {
            problems.push(problem(&["grant", &at, key], false, message, hint));
        };
        if grant.user != owner && !block.user.contains_key(&grant.user) {
            let users = block.user.keys().map(String::as_str);
            let hint = listed("the users are", [owner].into_iter().chain(users));
            wrong("user", "is no user of the instance".to_owned(), hint);
        }
        let database = grant.database(instance);
        let is_declared =
            |name: &String| name == instance || block.database.contains_key(name.as_str());
        if !database.as_ref().is_none_or(is_declared) {
            let databases = block.database.keys().map(String::as_str);
            let all = [instance].into_iter().chain(databases);
            let hint = listed("`*` is all of them; the databases are", all);
            wrong(
                "database",
                "is no database of the instance".to_owned(),
                hint,
            );
        }
        let level = match (&database, &grant.table) {
            (None, None) => Level::Server,
            (None, Some(_)) => {
                let hint = "name a `database` as well".to_owned();
                wrong("table", "is in no database".to_owned(), hint);
                continue;
            }
            (Some(_), None) => Level::Database,
            (Some(_), Some(_)) => Level::Table,
        };
        if grant.privileges.is_empty() {
            let hint = "such as `privileges = [\"SELECT\"]`".to_owned();
            wrong("privileges", "grants nothing".to_owned(), hint);
        }
        for text in &grant.privileges {
            if let Some((privilege, narrowest)) = privilege::find(text)
                && narrowest > level
            {
                let message = format!("has {privilege}, which is of {narrowest}, not of {level}");
                let hint = match narrowest {
                    Level::Server => "write it into a grant with `database = \"*\"`",
                    Level::Table | Level::Database => "write it into a grant without `table`",
                };
                wrong("privileges", message, hint.to_owned());
            }
        }
        let target = (&grant.user, database, &grant.table);
        if !seen.insert(target) {
            problems.push(problem(
                &["grant", &at],
                false,
                "is for the same user and place as one before it",
                "write all privileges into one of them",
            ));
        }
    }
    problems
}

fn listed<'a>(begins: &str, names: impl Iterator<Item = &'a str>) -> String {
    let mut names: Vec<_> = names.collect();
    names.sort_unstable();
    names.dedup();
    format!("{begins} {}", names.join(", "))
}
