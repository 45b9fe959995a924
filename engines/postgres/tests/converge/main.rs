//! The structure in a real server, in every version that is here: what the driver makes of a
//! declaration, and that whoever is declared can log in and nobody else.

mod booted;
mod drift;
mod everything;
mod overlap;
mod prune;

use std::collections::BTreeMap;

use doze_contract::protocol::Toolchain;
use proptest::{
    collection::{btree_map, vec},
    prelude::{Strategy, any, prop_oneof},
    sample::select,
    test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner},
};
use serde_json::{Map, Value, json};

use booted::{Booted, Outcome, answer, block, engines};

/// Everything that can be declared.
pub(crate) fn full() -> Value {
    json!({
        "owner": "app",
        "role": {
            "app": { "password": "s3cret", "connection_limit": 9 },
            "team": { "login": false, "createdb": true },
            "web": {
                "member_of": ["team", "pg_monitor"],
                "settings": { "search_path": "\"Billing\", public", "work_mem": "8MB", "my.flag": true },
            },
            "root": { "superuser": true, "createrole": true, "replication": true },
        },
        "database": { "reports": { "owner": "web" }, "spare": {} },
        "schema": { "Billing": { "owner": "web" }, "stock": {}, "public": { "owner": "team" } },
        "extensions": ["earthdistance", "cube", "pgcrypto"],
    })
}

#[test]
fn what_is_declared_is_there_afterwards_and_the_second_time_is_silent() -> Outcome {
    for toolchain in engines() {
        let booted = Booted::new(&toolchain, &full())?;
        let said = booted.call(&full(), true)?;
        assert_eq!(
            booted.sql("SELECT 1 FROM pg_roles WHERE rolname = 'web'")?,
            ""
        );
        assert_eq!(booted.converge(&full())?, said);
        assert_eq!(booted.converge(&full())?, [""; 0]);

        for (query, found) in [
            (
                "SELECT string_agg(rolname || ':' || rolcanlogin || rolsuper || rolcreatedb
                    || rolcreaterole || rolreplication || rolconnlimit, ' ' ORDER BY rolname)
                FROM pg_roles WHERE rolname IN ('app', 'team', 'web', 'root')",
                "app:truefalsefalsefalsefalse9 root:truetruefalsetruetrue-1 \
                 team:falsefalsetruefalsefalse-1 web:truefalsefalsefalsefalse-1",
            ),
            (
                "SELECT string_agg(datname || ':' || pg_get_userbyid(datdba), ' ' ORDER BY datname)
                FROM pg_database WHERE datname IN ('app', 'reports', 'spare')",
                "app:app reports:web spare:app",
            ),
            (
                "SELECT string_agg(nspname || ':' || pg_get_userbyid(nspowner), ' ' ORDER BY nspname)
                FROM pg_namespace WHERE nspname IN ('Billing', 'stock', 'public')",
                "Billing:web public:team stock:app",
            ),
            (
                "SELECT string_agg(extname || ':' || nspname, ' ' ORDER BY extname) FROM pg_extension
                JOIN pg_namespace n ON n.oid = extnamespace WHERE extname <> 'plpgsql'",
                "cube:public earthdistance:public pgcrypto:public",
            ),
        ] {
            assert_eq!(booted.sql(query)?, found, "{}", toolchain.version);
        }
        let mut web = booted.psql(&["-c", "SHOW search_path", "-c", "SHOW work_mem"]);
        web.args([
            "-c",
            "SHOW my.flag",
            "-c",
            "SELECT pg_has_role('team', 'member')",
        ]);
        let told = answer(web.env("PGUSER", "web").env("PGDATABASE", "app"))?;
        assert_eq!(told, "\"Billing\", public\n8MB\non\nt");
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
                "ALTER ROLE web SUPERUSER NOLOGIN",
                "ALTER ROLE \"web\" LOGIN NOSUPERUSER",
            ),
            (
                "ALTER ROLE app PASSWORD NULL",
                "ALTER ROLE \"app\" PASSWORD '***'",
            ),
            (
                "ALTER ROLE app PASSWORD 'other'",
                "ALTER ROLE \"app\" PASSWORD '***'",
            ),
            ("REVOKE team FROM web", "GRANT \"team\" TO \"web\""),
            (
                "ALTER ROLE web RESET work_mem",
                "ALTER ROLE \"web\" SET \"work_mem\" = '8MB'",
            ),
            (
                "ALTER ROLE web SET search_path = 'Billing, public'",
                "ALTER ROLE \"web\" SET \"search_path\" = 'Billing', 'public'",
            ),
            (
                "ALTER SCHEMA stock OWNER TO postgres",
                "ALTER SCHEMA \"stock\" OWNER TO \"app\"",
            ),
            (
                "DROP SCHEMA stock",
                "CREATE SCHEMA \"stock\" AUTHORIZATION \"app\"",
            ),
            (
                "DROP EXTENSION pgcrypto",
                "CREATE EXTENSION IF NOT EXISTS \"pgcrypto\" CASCADE",
            ),
            (
                "DROP DATABASE spare",
                "CREATE DATABASE \"spare\" OWNER \"app\"",
            ),
            (
                "ALTER DATABASE app OWNER TO postgres",
                "ALTER DATABASE \"app\" OWNER TO \"app\"",
            ),
        ] {
            booted.sql(drift)?;
            assert_eq!(booted.call(&full(), true)?, [mended], "{drift}");
            assert_eq!(booted.converge(&full())?, [mended], "{drift}");
            assert_eq!(booted.converge(&full())?, [""; 0], "{drift}");
        }
        // What nobody declared.
        booted.sql(
            "CREATE ROLE mine; GRANT web TO mine; GRANT mine TO app; CREATE SCHEMA mine;
            CREATE EXTENSION hstore; ALTER ROLE web SET jit = on; ALTER ROLE team PASSWORD 'x'",
        )?;
        assert_eq!(booted.converge(&full())?, [""; 0]);
        assert_eq!(
            booted.converge(&json!({ "owner": "app" }))?,
            [
                // The role of the owner has no keys any more, and so their defaults.
                "ALTER ROLE \"app\" CONNECTION LIMIT -1 PASSWORD NULL"
            ]
        );
    }
    Ok(())
}

#[test]
fn a_database_that_is_gone_comes_back_with_all_that_is_in_it() -> Outcome {
    for toolchain in engines() {
        let booted = Booted::new(&toolchain, &full())?;
        booted.converge(&full())?;
        booted.sql_in("postgres", "DROP DATABASE app")?;
        let said = booted.call(&full(), true)?;
        assert!(
            said.iter()
                .any(|it| it == "CREATE DATABASE \"app\" OWNER \"app\"")
        );
        assert_eq!(booted.converge(&full())?, said);
        assert_eq!(booted.converge(&full())?, [""; 0]);
    }
    Ok(())
}

#[test]
fn what_fails_is_told_with_its_statement_and_changes_nothing() -> Outcome {
    for toolchain in engines() {
        let booted = Booted::new(&toolchain, &json!({}))?;
        let wanted = json!({
            "role": { "web": { "password": "s3cret" } },
            "extensions": ["no'such \"one\""],
        });
        let failed = booted.converge(&wanted).unwrap_err();
        let told = failed.source().map(ToString::to_string).unwrap_or_default();
        assert!(
            told.contains(
                "`CREATE EXTENSION IF NOT EXISTS \"no'such \"\"one\"\"\" CASCADE` failed: "
            ),
            "{told}"
        );
        assert!(told.contains("is not available"), "{told}");
        assert_eq!(
            booted.sql("SELECT 1 FROM pg_roles WHERE rolname = 'web'")?,
            ""
        );
        let wanted = json!({ "role": { "web": { "member_of": ["pg_nobody"] } } });
        let failed = booted.converge(&wanted).unwrap_err();
        let told = failed.source().map(ToString::to_string).unwrap_or_default();
        assert!(told.contains("role \"pg_nobody\" does not exist"), "{told}");
    }
    Ok(())
}

#[test]
fn neither_a_password_nor_its_verifier_is_in_the_log() -> Outcome {
    for toolchain in engines() {
        let wanted = json!({
            "role": { "web": { "password": "xyzzy-4711", "settings": { "work_mem": "wrong" } } },
            "settings": { "log_statement": "all", "log_min_duration_statement": 0 },
        });
        let booted = Booted::new(&toolchain, &wanted)?;
        booted.converge(&wanted).unwrap_err();
        let log = booted.engine.log();
        assert!(
            log.contains("invalid value for parameter \"work_mem\""),
            "{log}"
        );
        assert!(
            !log.contains("xyzzy-4711") && !log.contains("SCRAM-SHA-256"),
            "{log}"
        );
    }
    Ok(())
}

/// Text of whatever any of those who carry it treats in its own way, names without what no name
/// can have.
fn hostile(longest: usize, more: &'static [&'static str]) -> impl Strategy<Value = String> {
    const PARTS: &[&str] = &[
        "'",
        "\"",
        "''",
        "\"\"",
        "\\",
        "\\'",
        "%",
        "%s",
        "%20",
        "$",
        "$$",
        "$HOME",
        "${x}",
        "$(x)",
        "`",
        " ",
        ";",
        "--",
        "/*",
        "/",
        "+",
        "@",
        "#",
        ":",
        "?",
        "&",
        "=",
        ",",
        "|",
        "<",
        ">",
        "*",
        "~",
        "!",
        "(",
        "[",
        "{",
        "^",
        ".",
        "all",
        "a",
        "Z",
        "0",
        "ü",
        "e\u{301}",
        "ß",
        "日",
        "🦀",
        "\u{a0}",
        "\u{ad}",
        "ª",
        "'; DROP ROLE postgres; --",
    ];
    let part = prop_oneof![
        4 => select(PARTS).prop_map(str::to_owned),
        1 => select([PARTS, more].concat()).prop_map(str::to_owned),
        1 => any::<char>().prop_map(String::from),
    ];
    let whole = vec(part, 1..12).prop_map(|parts| parts.concat());
    whole.prop_filter("of a length that it can have", move |text| {
        text.len() <= longest && !text.contains('\0')
    })
}

fn name() -> impl Strategy<Value = String> {
    hostile(63, &[]).prop_filter("a name", |name| {
        let reserved = ["public", "none", "postgres"].contains(&name.as_str());
        !name.chars().any(char::is_control) && !name.starts_with("pg_") && !reserved
    })
}

#[test]
fn whoever_is_declared_can_log_in_whatever_name_and_password_are() -> Outcome {
    const MORE: &[&str] = &["\n", "\r\n", "\t", "\u{1}", "\u{7f}"];
    let people = btree_map(name(), hostile(4096, MORE), 12);
    for toolchain in engines() {
        // As many boots, and twelve people each.
        let config = Config {
            cases: 3,
            max_shrink_iters: 60,
            failure_persistence: None,
            ..Config::default()
        };
        let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
        let mut runner = TestRunner::new_with_rng(config, rng);
        runner.run(&people, |mut people| {
            people.insert("/a.b*c".to_owned(), "x'\"\\ü\n".repeat(500));
            let outcome = all_log_in(&toolchain, &people);
            outcome.map_err(|error| TestCaseError::fail(error.to_string()))
        })?;
    }
    Ok(())
}

fn all_log_in(toolchain: &Toolchain, people: &BTreeMap<String, String>) -> Outcome {
    let owner = people.keys().next().ok_or("nobody")?;
    let role = |(name, password): (&String, &String)| {
        (
            name.clone(),
            json!({ "password": password, "member_of": [owner], "settings": { "my.text": name } }),
        )
    };
    let mut roles: Map<_, _> = people.iter().map(role).collect();
    if let Some(owner) = roles.get_mut(owner) {
        *owner = json!({ "password": people.values().next() });
    }
    let schemas: Map<_, _> = people
        .keys()
        .map(|name| (name.clone(), json!({})))
        .collect();
    let wanted = json!({ "owner": owner, "role": roles, "schema": schemas });
    let booted = Booted::new(toolchain, &wanted)?;
    let said = booted.converge(&wanted)?.join("\n");
    let again = booted.converge(&wanted)?;
    demand(again.is_empty(), || format!("a second time: {again:?}"))?;
    for (name, password) in people {
        let came = booted.login(name, password)?;
        let setting = if name == owner { "" } else { name };
        demand(came == format!("{name}|{setting}"), || {
            format!("{name:?} is {came:?}")
        })?;
        let wrong = booted.login(name, &format!("{password}x"));
        let told = wrong
            .err()
            .map(|error| error.to_string())
            .unwrap_or_default();
        demand(told.contains("password authentication failed"), || {
            format!("{name:?} with another password: {told}")
        })?;
        // A name, which is told, may have the same in it.
        let is_secret =
            password.len() >= 8 && !people.keys().any(|name| name.contains(password.as_str()));
        demand(!is_secret || !said.contains(password.as_str()), || {
            format!("the password of {name:?} was told")
        })?;
    }
    // The same URL as a client's, with the engine's own socket for the endpoint.
    let mut session = booted.world.session()?;
    let checked = booted.world.checked(&mut session, "app", &block(&wanted))?;
    let mut call = booted.world.plan_call("app", checked)?;
    call.endpoints = booted.plan().body.upstream.iter().cloned().collect();
    let url = session.plan(call)?.connection.url.ok_or("no URL")?;
    let came = answer(&mut booted.psql(&["-w", "-c", "SELECT current_user", &url]))?;
    demand(came == *owner, || format!("{url} is {came:?}"))
}

fn demand(kept: bool, why: impl FnOnce() -> String) -> Outcome {
    if kept { Ok(()) } else { Err(why().into()) }
}
