//! What the objects of a block say of each other: that whoever is named is declared, and nothing
//! twice. It must not know what a server has.

use std::collections::{BTreeMap, BTreeSet};

use doze_contract::protocol::Problem;
use doze_driver::block::nearest;

use super::Block;
use crate::{
    plan::SUPERUSER,
    structure::{Grant, MAINTAIN_SINCE, Target, known_as, owner},
};

/// What an undeclared name is to be declared as.
const ROLE: &str = "role";
const SCHEMA: &str = "schema";
const DATABASE: &str = "database";

/// All that is wrong; without a version, as for the newest.
pub(super) fn problems(instance: &str, major: Option<u32>, block: &Block) -> Vec<Problem> {
    let mut found = Found {
        roles: block.role.keys().map(String::as_str).collect(),
        schemas: block.schema.keys().map(String::as_str).collect(),
        databases: block.database.keys().map(String::as_str).collect(),
        problems: Vec::new(),
    };
    found.roles.extend([owner(block), SUPERUSER]);
    found.schemas.insert("public");
    found.databases.insert(instance);
    found.owners(block);
    found.members(block);
    found.extensions(block);
    found.grants(block, major.unwrap_or(u32::MAX));
    found.problems
}

struct Found<'a> {
    roles: BTreeSet<&'a str>,
    schemas: BTreeSet<&'a str>,
    databases: BTreeSet<&'a str>,
    problems: Vec<Problem>,
}

impl Found<'_> {
    fn owners(&mut self, block: &Block) {
        let of = |name, owner: &Option<String>| owner.clone().map(|owner| (name, owner));
        let databases = block.database.iter();
        let databases = databases.filter_map(|(name, it)| Some((DATABASE, of(name, &it.owner)?)));
        let schemas = block.schema.iter();
        let schemas = schemas.filter_map(|(name, it)| Some((SCHEMA, of(name, &it.owner)?)));
        for (kind, (name, owner)) in databases.chain(schemas) {
            self.demand_role(&[kind, name, "owner"], &owner);
        }
    }

    fn members(&mut self, block: &Block) {
        for (name, role) in &block.role {
            let mut seen = BTreeSet::new();
            for (at, group) in role.member_of.iter().enumerate() {
                let place = ["role", name, "member_of", &at.to_string()];
                if !seen.insert(group) {
                    self.tell(&place, format!("is `{group}` a second time"), None);
                } else if group == name {
                    self.tell(&place, "is the role itself".to_owned(), None);
                } else {
                    self.demand_role(&place, group);
                }
            }
        }
    }

    fn extensions(&mut self, block: &Block) {
        let mut seen: BTreeMap<&str, &str> = BTreeMap::new();
        let listed = block.extensions.iter().enumerate();
        let listed = listed.map(|(at, name)| (vec!["extensions".to_owned(), at.to_string()], name));
        let tables = block.extension.keys();
        let tables = tables.map(|name| (vec!["extension".to_owned(), name.clone()], name));
        for (at, name) in listed.chain(tables) {
            if let Some(before) = seen.insert(known_as(name), name) {
                self.problems.push(Problem {
                    key: at.first().is_some_and(|kind| kind == "extension"),
                    at,
                    message: if before == name {
                        format!("is `{name}` a second time")
                    } else {
                        format!("is the same as `{before}`")
                    },
                    hint: Some("an extension is declared once, in the list or as a table".into()),
                });
            }
        }
        for (name, extension) in &block.extension {
            let schema = extension.schema.as_ref();
            // The server's own ones are there.
            if let Some(schema) = schema.filter(|schema| !schema.starts_with("pg_")) {
                let place = ["extension", name, "schema"];
                demand(&mut self.problems, &place, SCHEMA, schema, &self.schemas);
            }
        }
    }

    fn grants(&mut self, block: &Block, major: u32) {
        let mut seen = BTreeSet::new();
        for (at, grant) in block.grant.iter().enumerate() {
            let at = at.to_string();
            let place = |key| ["grant", &at, key];
            if grant.role != "public" {
                self.demand_role(&place("role"), &grant.role);
            }
            if let Some(name) = &grant.database {
                let place = place("database");
                demand(&mut self.problems, &place, DATABASE, name, &self.databases);
            }
            if let Some(name) = &grant.schema {
                let place = place("schema");
                demand(&mut self.problems, &place, SCHEMA, name, &self.schemas);
            }
            let Some(target) = grant.target() else {
                self.tell(&["grant", &at], ambiguous(grant).to_owned(), None);
                continue;
            };
            if grant.privileges.is_empty() {
                let of = target.privileges(major).join(", ");
                let hint = format!("`privileges` are ALL, or some of {of}");
                self.tell(&["grant", &at], "grants nothing".to_owned(), Some(hint));
            }
            for (index, name) in grant.privileges.iter().enumerate() {
                let place = ["grant", &at, "privileges", &index.to_string()];
                let meant = target.meant(name, major);
                if meant.is_empty() {
                    let (message, hint) = foreign(&target, name, major);
                    self.tell(&place, message, Some(hint));
                }
                let mut again = meant.to_vec();
                again.retain(|one| !seen.insert((target.clone(), &grant.role, *one)));
                if !again.is_empty() {
                    let again = again.join(", ");
                    let message = format!("grants {again} to `{}` a second time", grant.role);
                    self.tell(&place, message, None);
                }
            }
        }
    }

    fn demand_role(&mut self, at: &[&str], name: &str) {
        // Those that begin so are there, and nobody else's names do.
        if !name.starts_with("pg_") {
            demand(&mut self.problems, at, ROLE, name, &self.roles);
        }
    }

    fn tell(&mut self, at: &[&str], message: String, hint: Option<String>) {
        self.problems.push(problem(at, message, hint));
    }
}

fn demand(
    problems: &mut Vec<Problem>,
    at: &[&str],
    kind: &str,
    name: &str,
    known: &BTreeSet<&str>,
) {
    if known.contains(name) {
        return;
    }
    let hint = match nearest(name, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("declare it as a `{kind}`"),
    };
    let message = format!("is no {kind} that is declared");
    problems.push(problem(at, message, Some(hint)));
}

fn problem(at: &[&str], message: String, hint: Option<String>) -> Problem {
    Problem {
        at: at.iter().map(ToString::to_string).collect(),
        key: false,
        message,
        hint,
    }
}

/// What is wrong with a grant that does not tell what it is for.
fn ambiguous(grant: &Grant) -> &'static str {
    match (&grant.database, &grant.schema) {
        (Some(_), Some(_)) => "is for a `database` or for a `schema`, not for both",
        (Some(_), None) => "is for `objects` of a `schema`, not of a database",
        _ => "needs a `database` or a `schema` that it is for",
    }
}

/// What is wrong with a privilege, and which ones there are.
fn foreign(target: &Target, name: &str, major: u32) -> (String, String) {
    let hint = format!("there are {}", target.privileges(major).join(", "));
    if target.meant(name, MAINTAIN_SINCE).is_empty() {
        (format!("is no privilege for {target}"), hint)
    } else {
        let message = format!("is a privilege from PostgreSQL {MAINTAIN_SINCE} on");
        (message, hint)
    }
}

#[cfg(test)]
mod tests;
