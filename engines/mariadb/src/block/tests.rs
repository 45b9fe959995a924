use doze_contract::{InstanceName, Version, protocol::Problem};
use serde_json::json;

use super::*;

fn problems(instance: &str, block: Value) -> Vec<(String, String)> {
    let call = Check {
        instance: InstanceName::new(instance).unwrap(),
        version: Some(Version::new("10.11").unwrap()),
        block: serde_json::from_value(block).unwrap(),
        endpoints: Vec::new(),
    };
    let problem = |p: Problem| (p.at.join("."), p.message);
    check(&call).problems.into_iter().map(problem).collect()
}

fn told(at: &str, message: &str) -> (String, String) {
    (at.to_owned(), message.to_owned())
}

#[test]
fn the_defaults_are_a_whole_block() {
    let block: Block = serde_json::from_value(block::check(KEYS, &Map::new()).block).unwrap();
    assert_eq!((block.owner, block.collation), (None, None));
    assert_eq!(block.character_set, "utf8mb4");
    assert!(!block.durable && block.user.is_empty() && block.grant.is_empty());
}

#[test]
fn an_instance_is_called_as_a_database_and_a_user_can_be() {
    assert_eq!(problems("app", json!({})), []);
    assert_eq!(problems("root", json!({})), []);
    let message =
        "cannot have a database of its name, which is a name that MariaDB keeps to itself";
    assert_eq!(problems("mysql", json!({})), [told("", message)]);
    let message =
        "cannot have a user of its name, which is the user by whom doze works on the server";
    assert_eq!(problems("doze", json!({})), [told("", message)]);
    assert_eq!(problems("doze", json!({ "owner": "app" })), []);
}

#[test]
fn the_database_of_the_instance_is_not_declared_again() {
    let found = problems("app", json!({ "database": { "app": {}, "other": {} } }));
    let message = "is the database of the instance, which is there in any case";
    assert_eq!(found, [told("database.app", message)]);
}

#[test]
fn a_collation_is_one_of_its_character_set() {
    let found = problems(
        "app",
        json!({
            "collation": "latin1_swedish_ci",
            "database": {
                "a": { "character_set": "latin1", "collation": "latin1_bin" },
                "b": { "character_set": "latin1", "collation": "utf8mb4_bin" },
                "c": { "collation": "uca1400_ai_ci" },
                "d": { "collation": "utf8mb4_bin" },
            },
        }),
    );
    assert_eq!(
        found,
        [
            told("collation", "is no collation of utf8mb4"),
            told("database.b.collation", "is no collation of latin1"),
        ]
    );
    let found = problems(
        "app",
        json!({ "character_set": "utf8", "collation": "x;y" }),
    );
    assert_eq!(found.len(), 2, "{found:?}");
}

#[test]
fn a_grant_is_of_what_there_is_to_somebody_who_is_there() {
    let found = problems(
        "app",
        json!({
            "user": { "web": {} },
            "database": { "logs": {} },
            "grant": [
                { "user": "web", "privileges": ["SELECT", "all"] },
                { "user": "app", "privileges": ["RELOAD"], "database": "*" },
                { "user": "nobody", "privileges": ["SELECT"] },
                { "user": "web", "privileges": ["SELECT"], "database": "log" },
                { "user": "web", "privileges": ["SELECT"], "database": "*", "table": "t" },
                { "user": "web", "privileges": [], "database": "logs" },
                { "user": "web", "privileges": ["EXECUTE"], "table": "t" },
                { "user": "app", "privileges": ["FILE"], "database": "logs" },
                { "user": "web", "privileges": ["INSERT"] },
            ],
        }),
    );
    assert_eq!(
        found,
        [
            told("grant.2.user", "is no user of the instance"),
            told("grant.3.database", "is no database of the instance"),
            told("grant.4.table", "is in no database"),
            told("grant.5.privileges", "grants nothing"),
            told(
                "grant.6.privileges",
                "has EXECUTE, which is of a database, not of a table"
            ),
            told(
                "grant.7.privileges",
                "has FILE, which is of the server, not of a database"
            ),
            told("grant.8", "is for the same user and place as one before it"),
        ]
    );
}

#[test]
fn a_privilege_is_one_of_the_manual() {
    let block = json!({ "grant": [{
        "user": "app", "privileges": ["SELECT ON *.* TO x", "grant option"],
    }] });
    assert_eq!(
        problems("app", block),
        [
            told(
                "grant.0.privileges.0",
                "is no privilege; write one that `GRANT` of the manual has"
            ),
            told(
                "grant.0.privileges.1",
                "is a key of the grant: `with_grant_option = true`"
            ),
        ]
    );
}

#[test]
fn a_setting_that_doze_needs_is_refused_with_the_reason() {
    let found = problems(
        "app",
        json!({ "settings": { "datadir": "/", "init_file": "x", "max-connections": 9,
            "loose_port": 1, "sql_mode": "a\nb", "sort_buffer_size": "1M" } }),
    );
    assert_eq!(
        found,
        [
            told("settings.datadir", PLACE),
            told("settings.init_file", LIFE),
            told(
                "settings.loose_port",
                "is another name of a setting; write the one that the manual has"
            ),
            told(
                "settings.max-connections",
                "has a dash; write the name with underscores"
            ),
            told("settings.sql_mode", "contains a control character"),
        ]
    );
}
