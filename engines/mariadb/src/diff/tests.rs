use std::collections::BTreeMap;

use doze_driver::block;
use serde_json::{Value, json};

use super::*;
use crate::{
    block::{Block, KEYS},
    catalog::Contents,
    record::Record,
};

fn wanted(declared: &Value) -> Structure {
    let checked = block::check(KEYS, declared.as_object().unwrap());
    assert_eq!(checked.problems, []);
    let block: Block = serde_json::from_value(checked.block).unwrap();
    Structure::new("app", &block)
}

/// A server as it is when all of this was made.
fn made(structure: &Structure) -> (Live, Record) {
    let mut live = Live::with_all([3, 2, 2]);
    for (name, text) in &structure.databases {
        let collation = text.collation.clone();
        let text = LiveText {
            character_set: text.character_set.clone(),
            collation: collation.unwrap_or_else(|| "whatever".to_owned()),
        };
        live.databases.insert(name.clone(), text);
    }
    for (account, user) in structure.accounts() {
        let credential = Credential {
            plugin: PLUGIN.to_owned(),
            hash: hash(user.password.as_ref().map(|password| password.0.as_str())),
            others: false,
        };
        live.accounts.insert(account, credential);
    }
    for grant in &structure.grants {
        let privileges: Vec<_> = if grant.privileges.contains(ALL) {
            ["SELECT", "INSERT", "SUPER"][..if grant.target.database.is_none() {
                3
            } else {
                2
            }]
                .to_vec()
        } else {
            grant.privileges.iter().map(String::as_str).collect()
        };
        live.allow(&grant.target, &privileges, grant.passes_on);
    }
    let mut record = Record::default();
    record.add(&steps(structure, &Live::with_all([3, 2, 2])));
    (live, record)
}

fn said(steps: &[Step]) -> Vec<&str> {
    steps
        .iter()
        .map(|step| step.change.statement.as_str())
        .collect()
}

fn full() -> Value {
    json!({
        "owner": "own_er",
        "user": {
            "own_er": { "password": "s3cret" },
            "we`b": { "host": "localhost" },
        },
        "database": {
            "my_logs": { "character_set": "latin1", "collation": "latin1_bin" },
            "uca": { "collation": "uca1400_ai_ci" },
        },
        "grant": [{ "user": "we`b", "privileges": ["insert", "SELECT"], "database": "my_logs" }, { "user": "we`b", "privileges": ["PROCESS"], "database": "*", "with_grant_option": true }],
    })
}

#[test]
fn an_empty_server_gets_all_of_it_and_no_secret_is_told() {
    let steps = steps(&wanted(&full()), &Live::with_all([3, 2, 2]));
    assert_eq!(
        said(&steps),
        [
            "CREATE DATABASE `app` CHARACTER SET utf8mb4",
            "CREATE DATABASE `my_logs` CHARACTER SET latin1 COLLATE latin1_bin",
            "CREATE DATABASE `uca` CHARACTER SET utf8mb4 COLLATE uca1400_ai_ci",
            "CREATE USER `own_er`@`%` IDENTIFIED VIA mysql_native_password USING '***'",
            "CREATE USER `we``b`@`localhost` IDENTIFIED VIA mysql_native_password USING ''",
            "GRANT ALL PRIVILEGES ON `app`.* TO `own_er`@`%`",
            "GRANT ALL PRIVILEGES ON `my\\_logs`.* TO `own_er`@`%`",
            "GRANT ALL PRIVILEGES ON `uca`.* TO `own_er`@`%`",
            "GRANT INSERT, SELECT ON `my\\_logs`.* TO `we``b`@`localhost`",
            "GRANT PROCESS ON *.* TO `we``b`@`localhost` WITH GRANT OPTION",
        ]
    );
    assert!(
        steps[3]
            .sql
            .ends_with(&format!("USING '{}'", hash(Some("s3cret"))))
    );
    assert!(!format!("{steps:?}").contains("s3cret"));
}

#[test]
fn there_is_nothing_to_do_where_all_of_it_is_there() {
    let wanted = wanted(&full());
    let (live, record) = made(&wanted);
    assert_eq!(steps(&wanted, &live), []);
    assert_eq!(prune(&wanted, &live, &record), Pruning::default());
}

#[test]
fn the_collation_is_known_by_its_name_for_one_character_set() {
    let wanted = wanted(&full());
    let (mut live, _) = made(&wanted);
    live.databases.get_mut("uca").unwrap().collation = "utf8mb4_uca1400_ai_ci".to_owned();
    assert_eq!(steps(&wanted, &live), []);
}

#[test]
fn a_grant_on_a_table_waits_for_the_table() {
    let wanted = wanted(
        &json!({ "grant": [{ "user": "app", "privileges": ["SELECT"], "table": "my_orders" }] }),
    );
    let (_, record) = made(&wanted);
    assert_eq!(record.grants.len(), 1, "that of the owner");
    let mut live = Live::with_all([3, 2, 2]);
    assert_eq!(steps(&wanted, &live).len(), 3);
    live.tables
        .insert(("app".to_owned(), "my_orders".to_owned()));
    assert_eq!(
        said(&steps(&wanted, &live))[3],
        "GRANT SELECT ON `app`.`my_orders` TO `app`@`%`"
    );
}

#[test]
fn what_is_no_longer_declared_is_taken_back_and_data_is_kept() {
    let (mut live, mut record) = made(&wanted(&full()));
    let contents = Contents {
        tables: 3,
        ..Contents::default()
    };
    live.contents = BTreeMap::from([("uca".to_owned(), contents)]);
    // What somebody else made.
    let credential = live.accounts.values().next().unwrap().clone();
    let account = Account {
        user: "mine".to_owned(),
        host: "%".to_owned(),
    };
    live.accounts.insert(account, credential);

    let less = wanted(&json!({
        "owner": "own_er",
        "user": { "own_er": { "password": "s3cret" }, "we`b": { "host": "localhost" } },
        "grant": [{ "user": "we`b", "privileges": ["PROCESS"], "database": "*" }],
    }));
    let pruning = prune(&less, &live, &record);
    assert_eq!(
        said(&pruning.steps),
        [
            "REVOKE ALL PRIVILEGES ON `my\\_logs`.* FROM `own_er`@`%`",
            "REVOKE ALL PRIVILEGES ON `my\\_logs`.* FROM `we``b`@`localhost`",
            "REVOKE GRANT OPTION ON *.* FROM `we``b`@`localhost`",
            "DROP DATABASE `my_logs`",
        ]
    );
    let kept: Vec<_> = pruning
        .kept
        .iter()
        .map(|kept| (&*kept.object, &*kept.reason))
        .collect();
    assert_eq!(kept, [("database uca", "has 3 tables")]);
    record.settle(&less, &pruning.kept_databases);
    assert_eq!(Vec::from_iter(&record.databases), ["app", "uca"]);
    assert_eq!(record.grants.len(), 3, "{:?}", record.grants);

    let none =
        wanted(&json!({ "owner": "own_er", "user": { "own_er": { "password": "s3cret" } } }));
    let (live, record) = made(&wanted(&full()));
    let pruning = prune(&none, &live, &record);
    assert!(said(&pruning.steps).contains(&"DROP USER `we``b`@`localhost`"));
}

#[test]
fn a_grant_that_became_smaller_is_known_for_what_is_left_of_it() {
    let of = |privileges: &[&str]| {
        let grant = json!({ "user": "web", "privileges": privileges });
        wanted(&json!({ "user": { "web": {} }, "grant": [grant] }))
    };
    let (live, mut record) = made(&of(&["ALL"]));
    let less = of(&["SELECT"]);
    assert_eq!(
        said(&prune(&less, &live, &record).steps),
        ["REVOKE INSERT ON `app`.* FROM `web`@`%`"]
    );
    record.settle(&less, &BTreeSet::new());
    let (live, _) = made(&less);
    let none = wanted(&json!({ "user": { "web": {} } }));
    assert_eq!(
        said(&prune(&none, &live, &record).steps),
        ["REVOKE SELECT ON `app`.* FROM `web`@`%`"]
    );
}
