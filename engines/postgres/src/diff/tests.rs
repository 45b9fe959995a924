//! What is declared against servers that are not there; `tests/converge.rs` has real ones.

use serde_json::{Value, json};

use super::*;
use crate::block::{Block, KEYS};

fn wanted(block: Value) -> Structure {
    let block = serde_json::from_value(block).unwrap();
    let checked = doze_driver::block::check(KEYS, &block);
    assert_eq!(checked.problems, []);
    let block: Block = serde_json::from_value(checked.block).unwrap();
    Structure::new("app", &block)
}

fn fresh() -> Live {
    Live {
        databases: [("app".to_owned(), "postgres".to_owned())].into(),
        schemas: [("public".to_owned(), "pg_database_owner".to_owned())].into(),
        ..Live::default()
    }
}

fn told(wanted: Value, live: &Live) -> Vec<String> {
    let steps = steps(&self::wanted(wanted), live).unwrap();
    steps.into_iter().map(|it| it.change.statement).collect()
}

#[test]
fn a_new_server_gets_everything_in_an_order_that_works() {
    let wanted = json!({
        "owner": "z",
        "role": {
            "web": { "password": "s3cret", "member_of": ["them", "pg_monitor", "them"], "connection_limit": 3 },
            "them": { "login": false, "createdb": true },
            "a\"b": { "settings": { "work_mem": "8MB", "search_path": "\"A b\", c", "my.x": true } },
        },
        "database": { "reports": { "owner": "web" } },
        "schema": { "s": {}, "public": { "owner": "web" } },
        "extensions": ["pgcrypto", "cube"],
    });
    assert_eq!(
        told(wanted, &fresh()),
        [
            r#"CREATE ROLE "a""b" LOGIN"#,
            r#"CREATE ROLE "them" CREATEDB"#,
            r#"CREATE ROLE "web" LOGIN CONNECTION LIMIT 3 PASSWORD '***'"#,
            r#"CREATE ROLE "z" LOGIN"#,
            r#"ALTER ROLE "a""b" SET "my"."x" = 'on'"#,
            r#"ALTER ROLE "a""b" SET "search_path" = 'A b', 'c'"#,
            r#"ALTER ROLE "a""b" SET "work_mem" = '8MB'"#,
            r#"GRANT "pg_monitor" TO "web""#,
            r#"GRANT "them" TO "web""#,
            r#"ALTER DATABASE "app" OWNER TO "z""#,
            r#"CREATE DATABASE "reports" OWNER "web""#,
            r#"ALTER SCHEMA "public" OWNER TO "web""#,
            r#"CREATE SCHEMA "s" AUTHORIZATION "z""#,
            r#"CREATE EXTENSION IF NOT EXISTS "pgcrypto" CASCADE"#,
            r#"CREATE EXTENSION IF NOT EXISTS "cube" CASCADE"#,
        ]
    );
}

#[test]
fn what_is_as_declared_is_left_alone_and_so_is_what_is_not_declared() {
    let wanted = json!({
        "role": { "web": {
            "password": "s3cret", "member_of": ["them"],
            "settings": { "Work_Mem": "8MB", "search_path": "a,b" },
        } },
        "extensions": ["cube"],
    });
    let mut live = fresh();
    let web = LiveRole {
        login: true,
        verifier: Some(scram::verifier("s3cret").unwrap()),
        member_of: ["them", "others"].map(str::to_owned).into(),
        settings: [("work_mem", "8MB"), ("search_path", "a, b"), ("jit", "on")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
        ..LiveRole::default()
    };
    live.roles = [
        ("web".to_owned(), web),
        ("other".to_owned(), LiveRole::default()),
    ]
    .into();
    live.extensions = ["cube", "plpgsql"].map(str::to_owned).into();
    assert_eq!(told(wanted.clone(), &live), [""; 0]);

    let web = live.roles.get_mut("web").unwrap();
    web.superuser = true;
    web.connection_limit = 7;
    web.verifier = Some("md5abc".to_owned());
    web.member_of.clear();
    web.settings.insert("work_mem".to_owned(), "9MB".to_owned());
    live.extensions.clear();
    assert_eq!(
        told(wanted, &live),
        [
            r#"ALTER ROLE "web" NOSUPERUSER CONNECTION LIMIT -1 PASSWORD '***'"#,
            r#"GRANT "them" TO "web""#,
            r#"ALTER ROLE "web" SET "Work_Mem" = '8MB'"#,
            r#"CREATE EXTENSION IF NOT EXISTS "cube" CASCADE"#,
        ]
    );
}

#[test]
fn a_statement_has_the_verifier_and_what_is_told_of_it_has_nothing() {
    let wanted = wanted(json!({ "role": { "web": { "password": "s3cret" } } }));
    let steps = steps(&wanted, &fresh()).unwrap();
    let [Step { change, sql, .. }] = steps.as_slice() else {
        panic!("{steps:?}");
    };
    assert!(sql.contains(" PASSWORD 'SCRAM-SHA-256$4096:") && !sql.contains("s3cret"));
    assert_eq!(
        change.statement,
        r#"CREATE ROLE "web" LOGIN PASSWORD '***'"#
    );
    assert_eq!(
        (change.action, change.object.as_str()),
        (Action::Create, "role web")
    );
}
