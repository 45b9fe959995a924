//! What nobody declares any more: told, taken back when asked for, kept where something would be lost.

use std::{fs, os::unix::fs::PermissionsExt};

use doze_contract::Plan;
use serde_json::json;

use crate::{
    booted::{Booted, Outcome, engines},
    full,
};

#[test]
fn prune_drops_a_role_that_owns_nothing() -> Outcome {
    let wanted = json!({ "role": {
        "web": { "password": "s3cret", "member_of": ["team"], "settings": { "jit": true } },
        "team": { "login": false },
    } });
    let team = json!({ "role": { "team": { "login": false } } });
    for toolchain in engines() {
        let booted = Booted::new(&toolchain, &wanted)?;
        booted.converge(&wanted)?;
        booted.sql("CREATE ROLE mine")?;
        let told = booted.converged(&team, false, false)?;
        assert_eq!(told.changes, []);
        let [kept] = told.kept.as_slice() else {
            return Err(format!("{:?}", told.kept).into());
        };
        assert_eq!(
            (kept.object.as_str(), kept.reason.as_str()),
            ("role web", "is no longer declared")
        );
        let (done, kept) = booted.prune(&team)?;
        assert_eq!((done, kept), (vec!["DROP ROLE \"web\"".to_owned()], vec![]));
        let roles = "SELECT string_agg(rolname, ' ' ORDER BY rolname) FROM pg_roles
            WHERE rolname IN ('web', 'team', 'mine')";
        assert_eq!(booted.sql(roles)?, "mine team");
        assert_eq!(booted.converged(&team, false, false)?.kept, []);
    }
    Ok(())
}

#[test]
fn everything_that_holds_nothing_goes_in_reverse_order() -> Outcome {
    let mut wanted = full();
    wanted["extensions"] = json!(["earthdistance", "pgcrypto"]);
    wanted["grant"] = json!([
        { "role": "web", "privileges": ["CONNECT"], "database": "spare" },
        { "role": "team", "privileges": ["USAGE"], "schema": "stock" },
        { "role": "team", "privileges": ["SELECT"], "schema": "stock", "objects": "tables" },
        { "role": "team", "privileges": ["TEMP"], "database": "app" },
    ]);
    let bare = json!({ "owner": "app", "schema": { "public": {} } });
    for toolchain in engines() {
        let booted = Booted::new(&toolchain, &wanted)?;
        booted.converge(&wanted)?;
        let (done, kept) = booted.prune(&bare)?;
        assert_eq!(kept, [""; 0]);
        assert_eq!(
            done,
            [
                r#"ALTER ROLE "app" CONNECTION LIMIT -1 PASSWORD NULL"#,
                r#"ALTER SCHEMA "public" OWNER TO "app""#,
                r#"ALTER DEFAULT PRIVILEGES FOR ROLE "app" IN SCHEMA "stock" REVOKE SELECT ON TABLES FROM "team""#,
                r#"REVOKE SELECT ON ALL TABLES IN SCHEMA "stock" FROM "team""#,
                r#"REVOKE USAGE ON SCHEMA "stock" FROM "team""#,
                r#"REVOKE CONNECT ON DATABASE "spare" FROM "web""#,
                r#"REVOKE TEMPORARY ON DATABASE "app" FROM "team""#,
                r#"DROP EXTENSION "earthdistance""#,
                r#"DROP EXTENSION "cube""#,
                r#"DROP EXTENSION "pgcrypto""#,
                r#"DROP SCHEMA "stock""#,
                r#"DROP SCHEMA "Billing""#,
                r#"DROP DATABASE "spare""#,
                r#"DROP DATABASE "reports""#,
                r#"DROP ROLE "web""#,
                r#"DROP ROLE "team""#,
                r#"DROP ROLE "root""#,
            ]
        );
    }
    Ok(())
}

#[test]
fn what_holds_data_is_kept_with_the_reason() -> Outcome {
    let bare = json!({ "owner": "app", "schema": { "public": {} } });
    for toolchain in engines() {
        let booted = Booted::new(&toolchain, &full())?;
        booted.converge(&full())?;
        booted.sql(
            "CREATE TABLE stock.t (c cube); CREATE TABLE stock.u (); SET ROLE web;
            CREATE TABLE \"Billing\".t AS SELECT 1 AS n",
        )?;
        booted.sql_in("reports", "CREATE TABLE t AS SELECT 1 AS n")?;
        booted.sql_in(
            "spare",
            "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        )?;
        let (done, kept) = booted.prune(&bare)?;
        assert_eq!(
            done.iter()
                .filter(|it| it.starts_with("DROP"))
                .collect::<Vec<_>>(),
            [
                r#"DROP EXTENSION "earthdistance""#,
                r#"DROP EXTENSION "pgcrypto""#,
                r#"DROP ROLE "team""#,
                r#"DROP ROLE "root""#,
            ]
        );
        let told = kept.join("\n");
        for part in [
            "extension cube: column c of table stock.t depends on type cube",
            "schema stock: table stock.",
            "schema Billing: table \"Billing\".t depends on schema Billing",
            "database spare: has an object of its own",
            "database reports: has a table",
            "role web: owner of ",
        ] {
            assert!(told.contains(part), "{part}: {told}");
        }
        assert_eq!(booted.sql("SELECT n FROM \"Billing\".t")?, "1");
        assert_eq!(booted.sql_in("reports", "SELECT n FROM t")?, "1");
        // It is ours still, and goes once it is empty.
        booted.sql("DROP TABLE stock.t, stock.u, \"Billing\".t")?;
        booted.sql_in("reports", "DROP TABLE t")?;
        let (done, kept) = booted.prune(&bare)?;
        assert_eq!(kept, ["database spare: has an object of its own"]);
        assert_eq!(
            done,
            [
                r#"DROP EXTENSION "cube""#,
                r#"DROP SCHEMA "stock""#,
                r#"DROP SCHEMA "Billing""#,
                r#"DROP DATABASE "reports""#,
                r#"DROP ROLE "web""#,
            ]
        );
    }
    Ok(())
}

#[test]
fn what_was_there_before_is_nobodys_to_prune() -> Outcome {
    let wanted = json!({
        "role": { "web": {} }, "schema": { "s": {} }, "database": { "d": {} },
        "extensions": ["cube"],
        "grant": [{ "role": "web", "privileges": ["CONNECT"], "database": "app" }],
    });
    for toolchain in engines() {
        let booted = Booted::new(&toolchain, &wanted)?;
        booted.sql(
            "CREATE ROLE web LOGIN; CREATE SCHEMA s; CREATE EXTENSION cube;
            GRANT CONNECT ON DATABASE app TO web",
        )?;
        booted.sql("CREATE DATABASE d")?;
        assert_eq!(booted.converge(&wanted)?, [""; 0]);
        assert_eq!(booted.prune(&json!({}))?, (vec![], vec![]));
    }
    Ok(())
}

/// Whatever a crash leaves between the statements and the file, what doze made is known.
#[test]
fn what_was_made_before_a_crash_is_known_after_it() -> Outcome {
    let wanted = json!({ "role": { "web": { "password": "s3cret" } }, "schema": { "s": {} } });
    for toolchain in engines() {
        let booted = Booted::new(&toolchain, &wanted)?;
        let data = booted.plan().paths.data.clone();
        // The server takes the statements, and the file cannot be replaced any more: all is in it.
        let new = data.join(".doze-structure.json.new");
        booted.sql(&format!(
            "CREATE FUNCTION spoil() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN
                EXECUTE format('COPY (SELECT) TO PROGRAM %L', 'mkdir ''{}''');
            END $$; CREATE EVENT TRIGGER spoil ON ddl_command_end WHEN tag IN ('CREATE SCHEMA')
            EXECUTE FUNCTION spoil()",
            new.as_str().replace('\'', "'\\''").replace('\'', "''")
        ))?;
        booted.converge(&wanted)?;
        booted.sql("DROP EVENT TRIGGER spoil; DROP FUNCTION spoil")?;
        fs::remove_dir(&new)?;
        let mode = fs::metadata(data.join("doze-structure.json"))?
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
        let (done, kept) = booted.prune(&json!({}))?;
        assert_eq!(kept, [""; 0]);
        assert_eq!(done, [r#"DROP SCHEMA "s""#, r#"DROP ROLE "web""#]);
    }
    Ok(())
}

#[test]
fn what_is_in_use_is_kept() -> Outcome {
    let wanted = json!({ "database": { "d": {} } });
    for toolchain in engines() {
        let booted = Booted::new(&toolchain, &wanted)?;
        booted.converge(&wanted)?;
        let plan: &Plan = booted.plan();
        let _client = crate::overlap::Client::new(plan, "d")?;
        let told = booted.converged(&json!({}), false, true)?;
        assert_eq!(told.changes, []);
        let reasons: Vec<_> = told.kept.iter().map(|kept| kept.reason.as_str()).collect();
        assert_eq!(reasons, ["There is 1 other session using the database"]);
    }
    Ok(())
}
