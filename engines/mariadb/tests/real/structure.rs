//! The structure in a real server: what the driver makes of a declaration, and that whoever is
//! declared can log in and nobody else.

use std::{collections::BTreeMap, error::Error};

use doze_contract::protocol::{Kept, Toolchain};
use proptest::{
    collection::{btree_map, vec},
    prelude::{Strategy, any, prop_oneof},
    sample::select,
    test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner},
};
use serde_json::{Map, Value, json};

use crate::world::{Booted, Outcome, engines, statements};

/// Everything that can be declared.
fn full() -> Value {
    json!({
        "owner": "own_er",
        "user": {
            "own_er": { "password": "s3cret-4711" },
            "web": { "password": "other", "host": "localhost" },
            "nobody": {},
        },
        "database": {
            "my_logs": { "character_set": "latin1", "collation": "latin1_bin" },
            "spare": { "collation": "uca1400_ai_ci" },
        },
        "grant": [
            { "user": "web", "privileges": ["select", "INSERT", "EXECUTE"], "database": "my_logs" },
            { "user": "web", "privileges": ["ALL"], "database": "spare", "with_grant_option": true },
            { "user": "nobody", "privileges": ["PROCESS", "SLAVE MONITOR"], "database": "*" },
            { "user": "nobody", "privileges": ["ALL"], "table": "t" },
        ],
    })
}

/// The line of the reference: db, user, grant, prune drops user.
#[test]
fn a_database_a_user_and_a_grant_are_made_and_prune_drops_the_user() -> Outcome {
    for toolchain in engines() {
        let booted = Booted::new(&toolchain, &full())?;
        let said = statements(booted.call(&full(), true, false)?);
        assert_eq!(said.len(), 12, "{said:#?}");
        assert!(!said.join("\n").contains("s3cret"), "{said:#?}");
        assert_eq!(booted.sql("SELECT COUNT(*) FROM global_priv")?, "2");
        assert_eq!(booted.converge(&full())?, said);
        assert_eq!(booted.converge(&full())?, [""; 0]);
        assert_eq!(
            booted
                .sql(
                    "SELECT GROUP_CONCAT(SCHEMA_NAME, ' ', DEFAULT_COLLATION_NAME ORDER BY 1)
                FROM information_schema.SCHEMATA WHERE SCHEMA_NAME IN ('app', 'my_logs', 'spare')"
                )?
                .split(',')
                .skip(1)
                .collect::<Vec<_>>(),
            ["my_logs latin1_bin", "spare utf8mb4_uca1400_ai_ci"]
        );

        let owner = |sql: &str| booted.sql_as("own_er", "s3cret-4711", "app", sql);
        assert_eq!(owner("SELECT CURRENT_USER()")?, "own_er@%");
        owner("CREATE TABLE t (n INT); CREATE TABLE my_logs.l (n INT); INSERT INTO t VALUES (1)")?;
        // A database whose name the pattern of a grant could be for.
        booted.sql("CREATE DATABASE myxlogs")?;
        let told = owner("CREATE TABLE myxlogs.l (n INT)")
            .unwrap_err()
            .to_string();
        assert!(told.contains("denied"), "{told}");
        let web = |sql: &str| booted.sql_as("web", "other", "my_logs", sql);
        assert_eq!(
            web("INSERT INTO l VALUES (1); SELECT COUNT(*) FROM l")?,
            "1"
        );
        let told = web("DELETE FROM l").unwrap_err().to_string();
        assert!(told.contains("DELETE command denied"), "{told}");

        // The table is there now.
        let table = "GRANT ALL PRIVILEGES ON `app`.`t` TO `nobody`@`%`";
        assert_eq!(booted.converge(&full())?, [table]);
        assert_eq!(booted.sql_as("nobody", "", "app", "SELECT n FROM t")?, "1");

        // What nobody declares any more stays until it is asked for.
        let less =
            json!({ "owner": "own_er", "user": { "own_er": { "password": "s3cret-4711" } } });
        assert_eq!(booted.converge(&less)?, [""; 0]);
        booted.sql("CREATE USER mine; GRANT SELECT ON app.* TO mine")?;
        let dry = booted.call(&less, true, true)?;
        let pruned = booted.call(&less, false, true)?;
        assert_eq!(pruned, dry);
        let kept = Kept {
            object: "database my_logs".to_owned(),
            reason: "has 1 table".to_owned(),
        };
        assert_eq!(pruned.kept, [kept]);
        assert_eq!(
            statements(pruned),
            [
                "REVOKE ALL PRIVILEGES ON `spare`.* FROM `own_er`@`%`",
                "DROP USER `nobody`@`%`",
                "DROP USER `web`@`localhost`",
                "DROP DATABASE `spare`",
            ]
        );
        let users = "SELECT GROUP_CONCAT(User ORDER BY 1) FROM global_priv";
        assert_eq!(booted.sql(users)?, "doze,mariadb.sys,mine,own_er");
        assert_eq!(owner("SELECT COUNT(*) FROM my_logs.l")?, "1");
        owner("DROP TABLE my_logs.l")?;
        assert_eq!(
            statements(booted.call(&less, false, true)?),
            [
                "REVOKE ALL PRIVILEGES ON `my\\_logs`.* FROM `own_er`@`%`",
                "DROP DATABASE `my_logs`"
            ]
        );
        let again = booted.call(&less, false, true)?;
        assert!(
            again.changes.is_empty() && again.kept.is_empty(),
            "{again:?}"
        );
    }
    Ok(())
}

#[test]
fn drift_made_by_hand_is_seen_and_mended_and_the_rest_is_left_alone() -> Outcome {
    for toolchain in engines() {
        let booted = Booted::new(&toolchain, &full())?;
        booted.converge(&full())?;
        for (drift, mended) in [
            (
                "SET PASSWORD FOR web@localhost = PASSWORD('stolen')",
                "ALTER USER `web`@`localhost` IDENTIFIED VIA mysql_native_password USING '***'",
            ),
            (
                "SET PASSWORD FOR nobody = PASSWORD('stolen')",
                "ALTER USER `nobody`@`%` IDENTIFIED VIA mysql_native_password USING ''",
            ),
            (
                "ALTER USER web@localhost IDENTIFIED VIA mysql_native_password USING PASSWORD('other') \
                 OR unix_socket",
                "ALTER USER `web`@`localhost` IDENTIFIED VIA mysql_native_password USING '***'",
            ),
            (
                "REVOKE INSERT ON `my\\_logs`.* FROM web@localhost",
                "GRANT INSERT ON `my\\_logs`.* TO `web`@`localhost`",
            ),
            (
                "REVOKE DELETE ON `app`.* FROM own_er",
                "GRANT ALL PRIVILEGES ON `app`.* TO `own_er`@`%`",
            ),
            (
                "REVOKE GRANT OPTION ON `spare`.* FROM web@localhost",
                "GRANT USAGE ON `spare`.* TO `web`@`localhost` WITH GRANT OPTION",
            ),
            (
                "REVOKE PROCESS ON *.* FROM nobody",
                "GRANT PROCESS ON *.* TO `nobody`@`%`",
            ),
            (
                "ALTER DATABASE my_logs CHARACTER SET utf8mb4",
                "ALTER DATABASE `my_logs` CHARACTER SET latin1 COLLATE latin1_bin",
            ),
            (
                "DROP DATABASE spare",
                "CREATE DATABASE `spare` CHARACTER SET utf8mb4 COLLATE uca1400_ai_ci",
            ),
        ] {
            booted
                .sql(drift)
                .map_err(|error| format!("{drift}: {error}"))?;
            assert_eq!(
                statements(booted.call(&full(), true, false)?),
                [mended],
                "{drift}"
            );
            assert_eq!(booted.converge(&full())?, [mended], "{drift}");
            assert_eq!(booted.converge(&full())?, [""; 0], "{drift}");
        }
        booted.sql(
            "CREATE USER mine; CREATE DATABASE mine; GRANT UPDATE ON `my\\_logs`.* TO web@localhost",
        )?;
        assert_eq!(booted.converge(&full())?, [""; 0]);
    }
    Ok(())
}

#[test]
fn what_fails_is_told_with_its_statement_and_no_secret_is_in_a_log() -> Outcome {
    for toolchain in engines() {
        let wanted = json!({
            "user": { "app": { "password": "s3cret-4711" } },
            "database": { "x": { "collation": "utf8mb4_no_such_ci" } },
            "settings": { "general_log": true, "log_output": "FILE", "general_log_file": "all.log" },
        });
        let booted = Booted::new(&toolchain, &wanted)?;
        let failed = booted.converge(&wanted).unwrap_err();
        let told = failed.to_string();
        let statement =
            "`CREATE DATABASE `x` CHARACTER SET utf8mb4 COLLATE utf8mb4_no_such_ci` failed";
        assert!(told.contains(statement), "{told}");
        assert!(told.contains("Unknown collation"), "{told}");

        let right = json!({ "user": { "app": { "password": "s3cret-4711" } } });
        booted.converge(&right)?;
        let log = std::fs::read(booted.plan().paths.data.join("datadir/all.log"))?;
        let log = [String::from_utf8_lossy(&log).as_ref(), &booted.engine.log()].concat();
        assert!(log.contains("doze@localhost"), "{log}");
        assert!(
            !log.contains("s3cret-4711") && !log.contains("IDENTIFIED"),
            "{log}"
        );
    }
    Ok(())
}

/// Text of whatever any of those who carry it treats in its own way.
fn hostile(longest: usize) -> impl Strategy<Value = String> {
    const PARTS: &[&str] = &[
        "'",
        "\"",
        "''",
        "`",
        "``",
        "\\",
        "\\'",
        "\\\\",
        "\\0",
        "%",
        "%s",
        "%20",
        "$",
        "${x}",
        "_",
        "\\_",
        " ",
        ";",
        "--",
        "-- ",
        "/*",
        "#",
        "/",
        "@",
        "'@'",
        ":",
        "?",
        "&",
        "=",
        ",",
        ".",
        "*",
        "a",
        "Z",
        "0",
        "ü",
        "e\u{301}",
        "ß",
        "日",
        "\u{a0}",
        "'; DROP USER doze; --",
    ];
    let part = prop_oneof![
        4 => select(PARTS).prop_map(str::to_owned),
        1 => any::<char>().prop_map(String::from),
    ];
    let whole = vec(part, 1..12).prop_map(|parts| parts.concat());
    whole.prop_filter("of a length that it can have", move |text| {
        text.chars().count() <= longest && !text.contains('\0')
    })
}

fn name() -> impl Strategy<Value = String> {
    hostile(40).prop_filter("a name", |name| {
        let reserved = ["public", "doze"].contains(&name.to_lowercase().as_str());
        let plain = |c: char| !c.is_control() && u32::from(c) <= 0xffff;
        let quoted = name.starts_with('\'') && name.ends_with('\'');
        !quoted && name.chars().all(plain) && !name.ends_with(char::is_whitespace) && !reserved
    })
}

#[test]
fn whoever_is_declared_can_log_in_whatever_name_and_password_are() -> Outcome {
    let people = btree_map(name(), hostile(200), 8);
    for toolchain in engines() {
        // As many boots, and eight people each.
        let config = Config {
            cases: 2,
            max_shrink_iters: 0,
            failure_persistence: None,
            ..Config::default()
        };
        let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
        let mut runner = TestRunner::new_with_rng(config, rng);
        runner.run(&people, |mut people| {
            people.insert("a.b*c_d%".to_owned(), "x'\"\\ü🦀\n".repeat(200));
            let outcome = all_log_in(&toolchain, &people);
            outcome.map_err(|error| TestCaseError::fail(error.to_string()))
        })?;
    }
    Ok(())
}

fn all_log_in(toolchain: &Toolchain, people: &BTreeMap<String, String>) -> Outcome {
    let owner = people.keys().next().ok_or("nobody")?;
    let user =
        |(name, password): (&String, &String)| (name.clone(), json!({ "password": password }));
    let users: Map<_, _> = people.iter().map(user).collect();
    // Each has a database of its own name, as far as a file can be called so.
    let is_short = |name: &&String| name.len() <= 40;
    let names = || people.keys().filter(is_short);
    let databases: Map<_, _> = names().map(|name| (name.clone(), json!({}))).collect();
    let grant =
        |name: &String| json!({ "user": name, "privileges": ["CREATE", "DROP"], "database": name });
    let grants: Vec<_> = names().filter(|name| *name != owner).map(grant).collect();
    let wanted = json!({ "owner": owner, "user": users, "database": databases, "grant": grants });
    let booted = Booted::new(toolchain, &wanted)?;
    let said = booted.converge(&wanted)?.join("\n");
    let again = booted.converge(&wanted)?;
    demand(again.is_empty(), || format!("a second time: {again:?}"))?;
    for (name, password) in people {
        let database = if is_short(&name) { name } else { "" };
        let came = booted.sql_as(
            name,
            password,
            database,
            "SELECT HEX(USER()), HEX(DATABASE())",
        )?;
        let user: String = format!("{name}@localhost").bytes().map(hex).collect();
        demand(came.starts_with(&user), || format!("{name:?} is {came:?}"))?;
        if !database.is_empty() {
            booted.sql_as(
                name,
                password,
                database,
                "CREATE TABLE t (n INT); DROP TABLE t",
            )?;
        }
        let wrong = booted.sql_as(name, &format!("{password}x"), "", "SELECT 1");
        let told = wrong
            .err()
            .map(|error| error.to_string())
            .unwrap_or_default();
        demand(told.contains("Access denied for user"), || {
            format!("{name:?} with another password: {told}")
        })?;
        let is_secret =
            password.len() >= 8 && !people.keys().any(|name| name.contains(password.as_str()));
        demand(!is_secret || !said.contains(password.as_str()), || {
            format!("the password of {name:?} was told")
        })?;
    }
    // All of it is known again for what it is.
    let pruned = booted.call(&json!({ "owner": owner }), false, true)?;
    demand(pruned.kept.is_empty(), || format!("{:?}", pruned.kept))?;
    let left = booted.sql("SELECT COUNT(*) FROM global_priv")?;
    demand(left == "3", || format!("{left} users are left"))
}

fn hex(byte: u8) -> String {
    format!("{byte:02X}")
}

fn demand(kept: bool, why: impl FnOnce() -> String) -> Result<(), Box<dyn Error>> {
    if kept { Ok(()) } else { Err(why().into()) }
}
