//! What somebody changed by hand, and what an object no longer says of itself.

use std::{
    fs::{self, File},
    io::Write as _,
};

use serde_json::json;

use crate::booted::{Booted, Outcome, engines};

#[test]
fn drift_of_privileges_and_comments_is_seen_and_mended() -> Outcome {
    let wanted = json!({
        "owner": "app",
        "role": { "web": { "comment": "the web", "valid_until": "2030-01-01", "inherit": false } },
        "schema": { "s": { "comment": "of all" }, "ext": {} },
        "database": { "d": { "comment": "more", "connection_limit": 4 } },
        "extension": { "cube": { "schema": "ext" } },
        "grant": [
            { "role": "web", "privileges": ["CONNECT"], "database": "d" },
            { "role": "web", "privileges": ["USAGE"], "schema": "s", "with_grant_option": true },
            { "role": "web", "privileges": ["SELECT"], "schema": "s", "objects": "tables" },
        ],
    });
    for toolchain in engines() {
        let booted = Booted::new(&toolchain, &wanted)?;
        booted.converge(&wanted)?;
        booted.sql("CREATE TABLE s.t ()")?;
        booted.converge(&wanted)?;
        for (drift, mended) in [
            (
                "COMMENT ON ROLE web IS 'x'",
                "COMMENT ON ROLE \"web\" IS 'the web'",
            ),
            (
                "COMMENT ON SCHEMA s IS NULL",
                "COMMENT ON SCHEMA \"s\" IS 'of all'",
            ),
            (
                "COMMENT ON DATABASE d IS 'x'",
                "COMMENT ON DATABASE \"d\" IS 'more'",
            ),
            (
                "ALTER ROLE web INHERIT VALID UNTIL 'infinity'",
                "ALTER ROLE \"web\" NOINHERIT VALID UNTIL '2030-01-01T00:00:00Z'",
            ),
            (
                "ALTER DATABASE d CONNECTION LIMIT 9 IS_TEMPLATE true",
                "ALTER DATABASE \"d\" CONNECTION LIMIT 4 IS_TEMPLATE false",
            ),
            (
                "REVOKE CONNECT ON DATABASE d FROM web",
                "GRANT CONNECT ON DATABASE \"d\" TO \"web\"",
            ),
            (
                "REVOKE GRANT OPTION FOR USAGE ON SCHEMA s FROM web",
                "GRANT USAGE ON SCHEMA \"s\" TO \"web\" WITH GRANT OPTION",
            ),
            (
                "GRANT CONNECT ON DATABASE d TO web WITH GRANT OPTION",
                "REVOKE GRANT OPTION FOR CONNECT ON DATABASE \"d\" FROM \"web\" CASCADE",
            ),
            (
                "REVOKE ALL ON s.t FROM web",
                "GRANT SELECT ON ALL TABLES IN SCHEMA \"s\" TO \"web\"",
            ),
            (
                "ALTER DEFAULT PRIVILEGES FOR ROLE app IN SCHEMA s REVOKE SELECT ON TABLES FROM web",
                "ALTER DEFAULT PRIVILEGES FOR ROLE \"app\" IN SCHEMA \"s\" GRANT SELECT ON TABLES TO \"web\"",
            ),
            (
                "ALTER EXTENSION cube SET SCHEMA public",
                "ALTER EXTENSION \"cube\" SET SCHEMA \"ext\"",
            ),
        ] {
            booted.sql(drift)?;
            assert_eq!(booted.call(&wanted, true)?, [mended], "{drift}");
            assert_eq!(booted.converge(&wanted)?, [mended], "{drift}");
            assert_eq!(booted.converge(&wanted)?, [""; 0], "{drift}");
        }
        // With the owner goes what he holds as such, and a role of its own does not.
        booted.sql("ALTER SCHEMA s OWNER TO web")?;
        let mended = booted.converge(&wanted)?;
        assert_eq!(
            mended.first().map(String::as_str),
            Some("ALTER SCHEMA \"s\" OWNER TO \"app\"")
        );
        assert_eq!(booted.converge(&wanted)?, [""; 0]);
        // What nobody declared.
        booted.sql("GRANT CREATE ON SCHEMA s TO web; GRANT ALL ON s.t TO public")?;
        assert_eq!(booted.converge(&wanted)?, [""; 0]);
    }
    Ok(())
}

#[test]
fn what_an_object_no_longer_says_is_undone_and_what_others_did_stays() -> Outcome {
    let rich = json!({
        "role": {
            "web": {
                "password": "s3cret", "member_of": ["team"], "comment": "the web",
                "settings": { "work_mem": "8MB", "my.text": "x" },
            },
            "team": {},
        },
        "grant": [{ "role": "web", "privileges": ["CONNECT", "TEMP"], "database": "app" }],
    });
    let poor = json!({
        "role": { "web": {}, "team": {} },
        "grant": [{ "role": "web", "privileges": ["CONNECT"], "database": "app" }],
    });
    for toolchain in engines() {
        let booted = Booted::new(&toolchain, &rich)?;
        booted.converge(&rich)?;
        booted.sql(
            "CREATE ROLE mine; GRANT mine TO web; ALTER ROLE web SET jit = on;
            GRANT CREATE ON DATABASE app TO web; COMMENT ON ROLE team IS 'mine'",
        )?;
        let undone = [
            r#"ALTER ROLE "web" PASSWORD NULL"#,
            r#"REVOKE "team" FROM "web""#,
            r#"ALTER ROLE "web" RESET "my"."text""#,
            r#"ALTER ROLE "web" RESET "work_mem""#,
            r#"COMMENT ON ROLE "web" IS NULL"#,
            r#"REVOKE TEMPORARY ON DATABASE "app" FROM "web""#,
        ];
        assert_eq!(booted.call(&poor, true)?, undone);
        assert_eq!(booted.converge(&poor)?, undone);
        assert_eq!(booted.converge(&poor)?, [""; 0]);
        let left = "SELECT rolpassword IS NULL, pg_has_role('web', 'mine', 'member'),
                has_database_privilege('web', 'app', 'create'), setconfig
            FROM pg_authid r JOIN pg_db_role_setting s ON setrole = r.oid WHERE rolname = 'web'";
        assert_eq!(booted.sql(left)?, "t|t|t|{jit=on}");
    }
    Ok(())
}

#[test]
fn a_password_that_was_set_by_hand_outlives_the_declared_one() -> Outcome {
    let with = json!({ "role": { "web": { "password": "s3cret" } } });
    let without = json!({ "role": { "web": {} } });
    for toolchain in engines() {
        let booted = Booted::new(&toolchain, &with)?;
        booted.converge(&with)?;
        booted.sql("ALTER ROLE web PASSWORD 'mine'")?;
        assert_eq!(booted.converge(&without)?, [""; 0]);
        let verifier = "SELECT rolpassword IS NULL FROM pg_authid WHERE rolname = 'web'";
        assert_eq!(booted.sql(verifier)?, "f");
    }
    Ok(())
}

/// What stands in a file must not be taken for what stands in the server.
#[test]
fn a_record_that_is_left_does_not_make_an_empty_server_look_converged() -> Outcome {
    let wanted = json!({
        "role": { "web": { "password": "s3cret" } }, "schema": { "s": {} }, "extensions": ["cube"],
    });
    for toolchain in engines() {
        let booted = Booted::new(&toolchain, &wanted)?;
        let made = booted.converge(&wanted)?;
        let record = booted.plan().paths.data.join("doze-structure.json");
        let text = fs::read_to_string(&record)?;
        assert!(!text.contains("s3cret"), "{text}");

        let other = Booted::new(&toolchain, &wanted)?;
        let mut left = File::create(other.plan().paths.data.join("doze-structure.json"))?;
        left.write_all(text.as_bytes())?;
        assert_eq!(other.converge(&wanted)?, made);
        assert_eq!(other.login("web", "s3cret")?, "web|");
        assert_eq!(other.converge(&wanted)?, [""; 0]);

        // And one that is gone or spoilt is no reason to do anything.
        for text in [None, Some("{\"made\": [")] {
            match text {
                None => fs::remove_file(&record)?,
                Some(text) => File::create(&record)?.write_all(text.as_bytes())?,
            }
            assert_eq!(booted.converge(&wanted)?, [""; 0]);
            let told = booted.converged(&json!({}), true, true)?;
            assert_eq!((told.changes, told.kept), (vec![], vec![]), "nobody's");
        }
    }
    Ok(())
}
