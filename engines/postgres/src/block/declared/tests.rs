//! Blocks that name what is not there, or the same twice.

use doze_contract::{InstanceName, Version, protocol::Check};
use serde_json::{Value, json};

use crate::block::check;

/// The place, the message and the hint of each problem.
fn problems(version: &str, block: Value) -> Vec<(String, String, String)> {
    let call = Check {
        instance: InstanceName::new("app").unwrap(),
        version: Some(Version::new(version).unwrap()),
        block: serde_json::from_value(block).unwrap(),
        endpoints: Vec::new(),
    };
    let problem = |p: doze_contract::protocol::Problem| {
        (p.at.join("."), p.message, p.hint.unwrap_or_default())
    };
    check(&call).problems.into_iter().map(problem).collect()
}

fn told(at: &str, message: &str, hint: &str) -> (String, String, String) {
    (at.to_owned(), message.to_owned(), hint.to_owned())
}

#[test]
fn whoever_is_named_is_declared_or_the_servers_own() {
    let sound = json!({
        "owner": "boss",
        "role": { "web": { "member_of": ["team", "pg_monitor", "boss"] }, "team": {} },
        "database": { "reports": { "owner": "web" }, "old": { "owner": "postgres" } },
        "schema": { "billing": { "owner": "team" }, "public": {} },
        "extension": { "cube": { "schema": "billing" }, "x": { "schema": "pg_catalog" } },
        "grant": [
            { "role": "public", "privileges": ["CONNECT"], "database": "app" },
            { "role": "pg_monitor", "privileges": ["connect"], "database": "reports" },
            { "role": "boss", "privileges": ["ALL"], "schema": "public", "objects": "tables" },
        ],
    });
    assert_eq!(problems("17", sound), []);
    let role = "is no role that is declared";
    assert_eq!(
        problems(
            "17",
            json!({
                "role": { "web": { "member_of": ["teem", "web"] }, "team": {} },
                "database": { "reports": { "owner": "wbe" } },
                "schema": { "billing": { "owner": "nobody" } },
                "extension": { "cube": { "schema": "biling" } },
                "grant": [
                    { "role": "wep", "privileges": ["USAGE"], "schema": "sales" },
                    { "role": "web", "privileges": ["CONNECT"], "database": "report" },
                ],
            })
        ),
        [
            told("database.reports.owner", role, "did you mean `web`?"),
            told("schema.billing.owner", role, "declare it as a `role`"),
            told("role.web.member_of.0", role, "did you mean `team`?"),
            told("role.web.member_of.1", "is the role itself", ""),
            told(
                "extension.cube.schema",
                "is no schema that is declared",
                "did you mean `billing`?"
            ),
            told("grant.0.role", role, "did you mean `web`?"),
            told(
                "grant.0.schema",
                "is no schema that is declared",
                "declare it as a `schema`"
            ),
            told(
                "grant.1.database",
                "is no database that is declared",
                "did you mean `reports`?"
            ),
        ]
    );
}

#[test]
fn nothing_is_declared_twice() {
    assert_eq!(
        problems(
            "17",
            json!({
                "role": { "web": { "member_of": ["team", "team"] }, "team": {} },
                "extensions": ["pgvector", "cube", "cube"],
                "extension": { "vector": {} },
                "grant": [
                    { "role": "web", "privileges": ["TEMP", "connect"], "database": "app" },
                    { "role": "web", "privileges": ["ALL"], "database": "app" },
                    { "role": "team", "privileges": ["ALL"], "database": "app" },
                ],
            })
        ),
        [
            told("role.web.member_of.1", "is `team` a second time", ""),
            told(
                "extensions.2",
                "is `cube` a second time",
                "an extension is declared once, in the list or as a table"
            ),
            told(
                "extension.vector",
                "is the same as `pgvector`",
                "an extension is declared once, in the list or as a table"
            ),
            told(
                "grant.1.privileges.0",
                "grants CONNECT, TEMPORARY to `web` a second time",
                ""
            ),
        ]
    );
}

#[test]
fn a_grant_is_for_one_thing_and_grants_what_there_is_for_it() {
    let schema = "there are USAGE, CREATE";
    assert_eq!(
        problems(
            "16",
            json!({
                "owner": "web",
                "grant": [
                    { "role": "web", "privileges": ["ALL"] },
                    { "role": "web", "privileges": ["ALL"], "schema": "public", "database": "app" },
                    { "role": "web", "privileges": ["ALL"], "objects": "tables", "database": "app" },
                    { "role": "web", "privileges": [], "schema": "public" },
                    { "role": "web", "privileges": ["SELECT", "x"], "schema": "public" },
                    { "role": "web", "privileges": ["MAINTAIN"], "schema": "public", "objects": "tables" },
                ],
            })
        ),
        [
            told(
                "grant.0",
                "needs a `database` or a `schema` that it is for",
                ""
            ),
            told(
                "grant.1",
                "is for a `database` or for a `schema`, not for both",
                ""
            ),
            told(
                "grant.2",
                "is for `objects` of a `schema`, not of a database",
                ""
            ),
            told(
                "grant.3",
                "grants nothing",
                "`privileges` are ALL, or some of USAGE, CREATE"
            ),
            told(
                "grant.4.privileges.0",
                "is no privilege for schema public",
                schema
            ),
            told(
                "grant.4.privileges.1",
                "is no privilege for schema public",
                schema
            ),
            told(
                "grant.5.privileges.0",
                "is a privilege from PostgreSQL 17 on",
                "there are SELECT, INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER"
            ),
        ]
    );
    let maintain = json!({
        "owner": "web",
        "grant": [{
            "role": "web", "privileges": ["maintain"], "schema": "public", "objects": "tables",
        }],
    });
    assert_eq!(problems("17", maintain), []);
}
