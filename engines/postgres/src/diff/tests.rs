//! What is declared against servers that are not there; `tests/converge.rs` has real ones.

use serde_json::{Value, json};

use super::*;
use crate::{
    block::{Block, KEYS},
    catalog::{Available, Held, LiveDatabase, LiveExtension, LiveRole, LiveSchema},
    scram,
};

fn wanted(block: Value) -> Structure {
    let block = serde_json::from_value(block).unwrap();
    let checked = doze_driver::block::check(KEYS, &block);
    assert_eq!(checked.problems, []);
    let block: Block = serde_json::from_value(checked.block).unwrap();
    Structure::new("app", &block)
}

fn database(owner: &str) -> LiveDatabase {
    LiveDatabase {
        owner: owner.to_owned(),
        encoding: "UTF8".to_owned(),
        locale: "C.UTF-8".to_owned(),
        connection_limit: -1,
        is_template: false,
        allow_connections: true,
        comment: None,
    }
}

fn fresh() -> Live {
    let public = LiveSchema {
        owner: "pg_database_owner".to_owned(),
        comment: None,
    };
    Live {
        major: 17,
        databases: [("app".to_owned(), database("postgres"))].into(),
        schemas: [("public".to_owned(), public)].into(),
        ..Live::default()
    }
}

fn difference(wanted: Value, live: &Live, record: &Record) -> Diff {
    diff(&self::wanted(wanted), live, record).unwrap()
}

fn statements(diff: Diff) -> Vec<String> {
    let told = |it: Step| it.change.statement;
    diff.steps.into_iter().map(told).collect()
}

fn told(wanted: Value, live: &Live) -> Vec<String> {
    statements(difference(wanted, live, &Record::default()))
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
            r#"CREATE EXTENSION IF NOT EXISTS "cube" CASCADE"#,
            r#"CREATE EXTENSION IF NOT EXISTS "pgcrypto" CASCADE"#,
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
    live.extensions = ["cube", "plpgsql"]
        .map(|name| (name.to_owned(), LiveExtension::default()))
        .into();
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
    let steps = diff(&wanted, &fresh(), &Record::default()).unwrap().steps;
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

#[test]
fn member_roles_are_declared_before_groups() {
    let wanted = json!({ "role": {
        "a": { "member_of": ["z"] }, "z": { "member_of": ["m"], "login": false }, "m": {},
    } });
    assert_eq!(
        told(wanted, &fresh()),
        [
            r#"CREATE ROLE "a" LOGIN"#,
            r#"CREATE ROLE "m" LOGIN"#,
            r#"CREATE ROLE "z""#,
            r#"GRANT "z" TO "a""#,
            r#"GRANT "m" TO "z""#,
        ]
    );
}

#[test]
fn a_database_has_its_options_and_what_cannot_be_changed_is_told() {
    let wanted = json!({ "database": {
        "a": { "encoding": "SQL_ASCII", "locale": "C", "connection_limit": 3, "comment": "it's" },
        "b": { "template": "a", "is_template": true, "allow_connections": false },
    } });
    assert_eq!(
        told(wanted.clone(), &fresh()),
        [
            r#"CREATE DATABASE "a" OWNER "postgres" TEMPLATE "template0" ENCODING 'SQL_ASCII' LOCALE 'C' CONNECTION LIMIT 3"#,
            r#"COMMENT ON DATABASE "a" IS 'it''s'"#,
            r#"CREATE DATABASE "b" OWNER "postgres" TEMPLATE "a" IS_TEMPLATE true ALLOW_CONNECTIONS false"#,
        ]
    );
    let mut live = fresh();
    live.databases.insert("a".to_owned(), database("postgres"));
    live.databases.insert("b".to_owned(), database("postgres"));
    let diff = difference(wanted, &live, &Record::default());
    let kept: Vec<_> = diff.kept.iter().map(|kept| kept.reason.as_str()).collect();
    let [encoding, locale] = kept.as_slice() else {
        panic!("{kept:?}");
    };
    assert!(
        encoding.starts_with("has the encoding UTF8, "),
        "{encoding}"
    );
    assert!(locale.starts_with("has the locale C.UTF-8, "), "{locale}");
    assert_eq!(
        statements(diff),
        [
            r#"ALTER DATABASE "a" CONNECTION LIMIT 3"#,
            r#"COMMENT ON DATABASE "a" IS 'it''s'"#,
            r#"ALTER DATABASE "b" IS_TEMPLATE true ALLOW_CONNECTIONS false"#,
        ]
    );
    let same = json!({ "database": { "a": { "encoding": "utf-8", "locale": "C.utf8" } } });
    let diff = difference(same, &live, &Record::default());
    assert!(diff.kept.is_empty() && diff.steps.is_empty(), "{diff:?}");
}

#[test]
fn an_extension_comes_after_those_that_it_needs_and_where_it_is_declared() {
    let mut live = fresh();
    let of = |requires: &[&str]| Available {
        versions: ["1.0".to_owned()].into(),
        requires: requires.iter().map(ToString::to_string).collect(),
    };
    live.available = [("a", of(&["z"])), ("z", of(&["b"])), ("b", of(&[]))]
        .map(|(name, of)| (name.to_owned(), of))
        .into();
    let wanted = json!({ "schema": { "s": {} }, "extension": {
        "a": { "version": "1.0" }, "z": { "schema": "s" },
        "gone": { "optional": true }, "pgvector": { "cascade": false },
    } });
    let diff = difference(wanted.clone(), &live, &Record::default());
    assert_eq!(diff.kept.len(), 1, "{:?}", diff.kept);
    assert!(
        diff.record.has(&Made::Extension("b".to_owned())),
        "it came along"
    );
    assert_eq!(
        statements(diff),
        [
            r#"CREATE SCHEMA "s" AUTHORIZATION "postgres""#,
            r#"CREATE EXTENSION IF NOT EXISTS "z" SCHEMA "s" CASCADE"#,
            r#"CREATE EXTENSION IF NOT EXISTS "a" VERSION '1.0' CASCADE"#,
            r#"CREATE EXTENSION IF NOT EXISTS "vector""#,
        ]
    );
    let is = |relocatable| LiveExtension {
        schema: "public".to_owned(),
        version: "0.9".to_owned(),
        relocatable,
        ..LiveExtension::default()
    };
    live.extensions = [("a", is(true)), ("vector", is(true)), ("z", is(true))]
        .map(|(name, is)| (name.to_owned(), is))
        .into();
    let schema = LiveSchema {
        owner: "postgres".to_owned(),
        comment: None,
    };
    live.schemas.insert("s".to_owned(), schema);
    let owner = json!({ "schema": { "s": {} }, "extension": {
        "a": { "version": "1.0" }, "z": { "schema": "s" },
    } });
    assert_eq!(
        told(owner.clone(), &live),
        [
            r#"ALTER EXTENSION "z" SET SCHEMA "s""#,
            r#"ALTER EXTENSION "a" UPDATE TO '1.0'"#,
        ]
    );
    live.extensions.insert("z".to_owned(), is(false));
    let diff = difference(owner, &live, &Record::default());
    assert_eq!(diff.kept.len(), 1, "it cannot be moved");
}

#[test]
fn a_privilege_is_given_for_what_is_there_and_for_what_will_be() {
    let wanted = json!({
        "owner": "app",
        "role": { "web": {}, "etl": {} },
        "schema": { "s": { "owner": "etl" } },
        "grant": [
            { "role": "web", "privileges": ["connect", "TEMP"], "database": "app", "with_grant_option": true },
            { "role": "web", "privileges": ["ALL"], "schema": "s" },
            { "role": "web", "privileges": ["SELECT"], "schema": "s", "objects": "tables" },
            { "role": "app", "privileges": ["EXECUTE"], "schema": "s", "objects": "functions" },
        ],
    });
    let grants = |told: Vec<String>| -> Vec<String> {
        let is = |it: &String| it.contains(" ON ");
        told.into_iter().filter(is).collect()
    };
    assert_eq!(
        grants(told(wanted.clone(), &fresh())),
        [
            r#"GRANT CONNECT, TEMPORARY ON DATABASE "app" TO "web" WITH GRANT OPTION"#,
            r#"GRANT CREATE, USAGE ON SCHEMA "s" TO "web""#,
            r#"ALTER DEFAULT PRIVILEGES FOR ROLE "app" IN SCHEMA "s" GRANT SELECT ON TABLES TO "web""#,
            r#"ALTER DEFAULT PRIVILEGES FOR ROLE "etl" IN SCHEMA "s" GRANT SELECT ON TABLES TO "web""#,
            r#"ALTER DEFAULT PRIVILEGES FOR ROLE "etl" IN SCHEMA "s" GRANT EXECUTE ON ROUTINES TO "app""#,
        ]
    );
    // Two tables, one of which the role may read; and it may pass on what it should not.
    let mut live = fresh();
    let tables = Target::Objects {
        schema: "s".to_owned(),
        kind: crate::structure::Objects::Tables,
    };
    let select = ("web".to_owned(), "SELECT".to_owned());
    let held = Held {
        of: 2,
        by: [(select, (1, 1))].into(),
    };
    live.privileges.insert(tables, held);
    let usage = ("web".to_owned(), "USAGE".to_owned());
    let held = Held {
        of: 1,
        by: [(usage, (1, 1))].into(),
    };
    live.privileges.insert(Target::Schema("s".to_owned()), held);
    let now = grants(told(wanted, &live));
    for statement in [
        r#"GRANT CREATE ON SCHEMA "s" TO "web""#,
        r#"REVOKE GRANT OPTION FOR USAGE ON SCHEMA "s" FROM "web" CASCADE"#,
        r#"GRANT SELECT ON ALL TABLES IN SCHEMA "s" TO "web""#,
    ] {
        assert!(
            now.iter().any(|it| it == statement),
            "{statement}: {now:#?}"
        );
    }
}

#[test]
fn what_an_object_no_longer_says_is_undone_if_it_is_ours() {
    let mut live = fresh();
    let web = LiveRole {
        login: true,
        verifier: Some("v".to_owned()),
        valid_until: Some("2030-01-01T00:00:00Z".to_owned()),
        member_of: ["team", "theirs"].map(str::to_owned).into(),
        settings: [("work_mem", "8MB"), ("jit", "on")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
        comment: Some("the web".to_owned()),
        ..LiveRole::default()
    };
    live.roles.insert("web".to_owned(), web);
    let team = LiveRole {
        login: true,
        ..LiveRole::default()
    };
    live.roles.insert("team".to_owned(), team);
    let wanted = json!({ "role": { "web": { "valid_until": "2030-01-01" }, "team": {} } });
    assert_eq!(
        told(wanted.clone(), &live),
        [""; 0],
        "nobody knows whose it is"
    );
    let mut record = Record::default();
    record.learn("web", "v", "s3cret").unwrap();
    record.add([
        Made::Membership {
            group: "team".into(),
            member: "web".into(),
        },
        Made::Setting {
            role: "web".into(),
            name: "work_mem".into(),
        },
        Made::Comment(Commented::Role("web".into())),
    ]);
    let diff = difference(wanted.clone(), &live, &record);
    assert_eq!(diff.record.made().count(), 0);
    assert_eq!(
        statements(diff),
        [
            r#"ALTER ROLE "web" PASSWORD NULL"#,
            r#"REVOKE "team" FROM "web""#,
            r#"ALTER ROLE "web" RESET "work_mem""#,
            r#"COMMENT ON ROLE "web" IS NULL"#,
        ]
    );
    // Somebody has set another password since.
    if let Some(web) = live.roles.get_mut("web") {
        web.verifier = Some("w".to_owned());
    }
    let diff = difference(wanted, &live, &record);
    assert!(!statements(diff)[0].contains("PASSWORD"));
}
