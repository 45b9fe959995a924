//! Each thing that can be declared, in a server, under names that make it hard.

use serde_json::{Value, json};

use crate::booted::{Booted, Outcome, answer, engines};

const SCHEMA: &str = r#"it's "s"; --"#;
const ROLE: &str = r#"50% "web" $1 \ü"#;

/// All keys of all objects.
fn everything() -> Value {
    json!({
        "owner": "app",
        "role": {
            "app": { "password": "s3cret" },
            "team": { "login": false, "inherit": false, "comment": "it's a \"team\"\nof two" },
            ROLE: {
                "superuser": false, "createdb": true, "createrole": true, "replication": true,
                "bypassrls": true, "inherit": false, "connection_limit": 5, "password": ROLE,
                "valid_until": "2031-02-03T04:05:06Z", "member_of": ["team", "pg_monitor"],
                "settings": { "work_mem": "8MB" }, "comment": ROLE,
            },
            "day": { "valid_until": "2030-12-31" },
        },
        "database": {
            "ascii \"d\"": {
                "owner": ROLE, "encoding": "SQL_ASCII", "locale": "C", "connection_limit": 3,
                "comment": "of old",
            },
            "copied": { "template": "template0", "is_template": true, "allow_connections": false },
        },
        "schema": {
            SCHEMA: { "owner": ROLE, "comment": SCHEMA },
            "ext": {},
        },
        "extensions": ["pgcrypto"],
        "extension": {
            "earthdistance": {},
            "cube": { "schema": "ext" },
            "hstore": { "schema": SCHEMA, "version": "1.7", "cascade": false },
            "no such": { "optional": true },
        },
        "grant": [
            { "role": ROLE, "privileges": ["temp", "CONNECT"], "database": "ascii \"d\"", "with_grant_option": true },
            { "role": "public", "privileges": ["CREATE"], "database": "app" },
            { "role": "team", "privileges": ["ALL"], "schema": SCHEMA },
            { "role": "team", "privileges": ["ALL"], "schema": SCHEMA, "objects": "tables" },
            { "role": "team", "privileges": ["usage"], "schema": SCHEMA, "objects": "sequences" },
            { "role": "team", "privileges": ["EXECUTE"], "schema": SCHEMA, "objects": "functions", "with_grant_option": true },
        ],
    })
}

#[test]
fn an_example_of_everything_converges_and_the_second_time_is_silent() -> Outcome {
    for toolchain in engines() {
        let booted = Booted::new(&toolchain, &everything())?;
        let said = booted.call(&everything(), true)?;
        let done = booted.converged(&everything(), false, false)?;
        assert_eq!(crate::booted::statements(&done), said);
        assert_eq!(done.kept.len(), 1, "the optional one: {:?}", done.kept);
        assert_eq!(booted.converge(&everything())?, [""; 0]);
    }
    Ok(())
}

#[test]
fn role_attributes_are_as_declared() -> Outcome {
    for toolchain in engines() {
        let booted = Booted::new(&toolchain, &everything())?;
        booted.converge(&everything())?;
        let query = format!(
            "SELECT concat_ws(' ', rolcreatedb, rolcreaterole, rolreplication, rolbypassrls,
                rolinherit, rolconnlimit, rolvaliduntil AT TIME ZONE 'UTC',
                shobj_description(oid, 'pg_authid') = rolname)
            FROM pg_roles WHERE rolname = '{ROLE}'"
        );
        assert_eq!(booted.sql(&query)?, "t t t t f 5 2031-02-03 04:05:06 t");
        let day = "SELECT rolvaliduntil AT TIME ZONE 'UTC' FROM pg_roles WHERE rolname = 'day'";
        assert_eq!(booted.sql(day)?, "2030-12-31 00:00:00");
        assert_eq!(booted.login(ROLE, ROLE)?, format!("{ROLE}|"));
    }
    Ok(())
}

#[test]
fn a_schema_and_a_database_have_their_owners_and_options() -> Outcome {
    for toolchain in engines() {
        let booted = Booted::new(&toolchain, &everything())?;
        booted.converge(&everything())?;
        let owner = format!(
            "SELECT pg_get_userbyid(nspowner) || obj_description(oid, 'pg_namespace')
            FROM pg_namespace WHERE nspname = '{}'",
            SCHEMA.replace('\'', "''")
        );
        assert_eq!(booted.sql(&owner)?, format!("{ROLE}{SCHEMA}"));
        let database = "SELECT concat_ws(' ', pg_encoding_to_char(encoding), datcollate, datconnlimit,
                shobj_description(oid, 'pg_database')) FROM pg_database WHERE datname LIKE 'ascii%'";
        assert_eq!(booted.sql(database)?, "SQL_ASCII C 3 of old");
        let copied = "SELECT datistemplate, datallowconn FROM pg_database WHERE datname = 'copied'";
        assert_eq!(booted.sql(copied)?, "t|f");

        // An encoding stays what it is, and everything in it.
        let mut edited = everything();
        edited["database"]["ascii \"d\""]["encoding"] = json!("UTF8");
        let told = booted.converged(&edited, false, false)?;
        assert_eq!(told.changes, []);
        let reasons: Vec<_> = told.kept.iter().map(|kept| &kept.reason).collect();
        assert!(
            reasons
                .iter()
                .any(|it| it.starts_with("has the encoding SQL_ASCII, ")),
            "{reasons:?}"
        );
    }
    Ok(())
}

#[test]
fn an_extension_is_created_where_it_is_declared_and_moves() -> Outcome {
    for toolchain in engines() {
        let booted = Booted::new(&toolchain, &everything())?;
        booted.converge(&everything())?;
        let query = "SELECT string_agg(extname || ':' || nspname, ' ' ORDER BY extname)
            FROM pg_extension JOIN pg_namespace n ON n.oid = extnamespace WHERE extname <> 'plpgsql'";
        assert_eq!(
            booted.sql(query)?,
            format!("cube:ext earthdistance:public hstore:{SCHEMA} pgcrypto:public")
        );
        let mut edited = everything();
        edited["extension"]["hstore"]["schema"] = json!("ext");
        edited["extension"]["hstore"]["version"] = json!("1.8");
        assert_eq!(
            booted.converge(&edited)?,
            [
                r#"ALTER EXTENSION "hstore" UPDATE TO '1.8'"#,
                r#"ALTER EXTENSION "hstore" SET SCHEMA "ext""#,
            ]
        );
        assert_eq!(booted.converge(&edited)?, [""; 0]);
    }
    Ok(())
}

#[test]
fn a_grant_is_effective_for_what_is_there_and_for_what_comes() -> Outcome {
    let wanted = json!({
        "owner": "app",
        "role": { "web": {} },
        "schema": { "s": {} },
        "grant": [
            { "role": "web", "privileges": ["USAGE"], "schema": "s" },
            { "role": "web", "privileges": ["SELECT", "INSERT"], "schema": "s", "objects": "tables" },
            { "role": "web", "privileges": ["ALL"], "schema": "s", "objects": "sequences" },
        ],
    });
    for toolchain in engines() {
        let booted = Booted::new(&toolchain, &wanted)?;
        booted.sql("CREATE SCHEMA s; CREATE TABLE s.before AS SELECT 1 AS n")?;
        booted.converge(&wanted)?;
        assert_eq!(booted.converge(&wanted)?, [""; 0]);
        let by = |role: &str, sql: &str| {
            let mut psql = booted.psql(&["-c", sql]);
            answer(psql.env("PGUSER", role).env("PGDATABASE", "app"))
        };
        by("app", "CREATE TABLE s.later (n serial)")?;
        assert_eq!(by("web", "SELECT n FROM s.before")?, "1");
        by("web", "INSERT INTO s.later DEFAULT VALUES")?;
        assert_eq!(by("web", "SELECT n FROM s.later")?, "1");
        let denied = by("web", "DELETE FROM s.later").unwrap_err().to_string();
        assert!(denied.contains("permission denied"), "{denied}");
        // What the owner made later is as declared by itself, what others made is not.
        assert_eq!(booted.converge(&wanted)?, [""; 0]);
        booted.sql("CREATE TABLE s.theirs ()")?;
        assert_eq!(
            booted.converge(&wanted)?,
            [r#"GRANT INSERT, SELECT ON ALL TABLES IN SCHEMA "s" TO "web""#]
        );
        assert_eq!(booted.converge(&wanted)?, [""; 0]);
    }
    Ok(())
}
