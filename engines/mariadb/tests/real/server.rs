//! A server as its plan says: provisioned, booted, stopped, killed.

use std::{error::Error, fs, io::Write, os::unix::fs::PermissionsExt, process::Command};

use doze_driver::conformance::{Client, Engine, Practice, Subject, World, practice::python, rules};
use serde_json::json;

use crate::world::{Booted, DRIVER, Outcome, block, client, engines, plan};

#[test]
fn the_driver_keeps_every_rule() -> Outcome {
    for engine in engines() {
        let full = block(&json!({
            "owner": HOSTILE, "character_set": "utf8mb4", "collation": "utf8mb4_bin",
            "user": { HOSTILE: { "password": "s3cret-4711" }, "web": { "host": "localhost" } },
            "database": { "100% _`'": { "character_set": "latin1" } },
            "grant": [{ "user": "web", "privileges": ["SELECT"], "database": "100% _`'" }],
            "max_connections": 20, "durable": true, "settings": { "sort_buffer_size": "1M" },
        }));
        let broken = rules::broken(&Subject {
            program: DRIVER.into(),
            toolchain: Ok(engine.clone()),
            block: full,
            secrets: vec!["s3cret-4711".to_owned()],
            practice: Some(practice()),
        })?;
        assert_eq!(broken, [""; 0], "{}", engine.version);
    }
    Ok(())
}

#[test]
fn drift_that_is_none_is_found_out() -> Outcome {
    for engine in engines().into_iter().take(1) {
        let idle = Practice {
            drift: Some(|_| Command::new("true")),
            ..practice()
        };
        let broken = rules::broken(&Subject {
            program: DRIVER.into(),
            toolchain: Ok(engine),
            block: block(&json!({
                "owner": "app",
                "user": { "app": { "password": "s3cret-4711" }, "web": { "host": "localhost" } },
            })),
            secrets: vec!["s3cret-4711".to_owned()],
            practice: Some(idle),
        })?;
        let [drift] = &broken[..] else {
            return Err(format!("{broken:#?}").into());
        };
        assert!(drift.starts_with("failed   drift: ") && drift.ends_with("it is not seen"));
    }
    Ok(())
}

/// A user that is also a text with quotes, and not ASCII.
const HOSTILE: &str = r#"it's "ü" \ %s $x"#;

/// The client of MariaDB, and `PyMySQL`, which has no code of it.
fn practice() -> Practice {
    let mariadb = Client {
        name: "mariadb",
        ask: |plan, store| {
            let sql = match store {
                Some(text) => format!(
                    "CREATE OR REPLACE TABLE stored (text TEXT) ENGINE=InnoDB; INSERT INTO stored VALUES ('{text}')"
                ),
                None => "SELECT text FROM stored".to_owned(),
            };
            let mut mariadb = client(plan);
            let connection = plan.body.connection.client.iter();
            for connection in connection {
                mariadb.args(&connection.args).envs(&connection.env);
            }
            mariadb.arg(format!("--execute={sql}"));
            mariadb
        },
    };
    let pymysql = Client::in_python("pymysql", |plan, store| {
        const SCRIPT: &str = "\
import pymysql, sys, urllib.parse
url = urllib.parse.urlsplit(sys.argv[1])
server = pymysql.connect(host=url.hostname, port=url.port, user=urllib.parse.unquote(url.username),
    password=urllib.parse.unquote_to_bytes(url.password), database=urllib.parse.unquote(url.path[1:]),
    autocommit=True)
with server.cursor() as cursor:
    if sys.argv[2:]:
        cursor.execute('CREATE OR REPLACE TABLE stored (text TEXT) ENGINE=InnoDB')
        cursor.execute('INSERT INTO stored VALUES (%s)', sys.argv[2])
    else:
        cursor.execute('SELECT text FROM stored')
        print(*cursor.fetchone())
";
        python(SCRIPT, plan, store)
    });
    Practice {
        clients: vec![Ok(mariadb), pymysql],
        drift: Some(|plan| {
            let password = fs::read_to_string(plan.paths.data.join("superuser-password"));
            let mut mariadb = client(plan);
            mariadb
                .arg(format!("--socket={}", plan.paths.run.join("mariadb.sock")))
                .args(["--user=doze", "--execute=DROP USER web@localhost"])
                .env("MYSQL_PWD", password.unwrap_or_default());
            mariadb
        }),
    }
}

#[test]
fn a_data_directory_is_small_and_nobody_elses() -> Outcome {
    for toolchain in engines() {
        let booted = Booted::new(&toolchain, &json!({}))?;
        let data = &booted.plan().paths.data;
        let secret = fs::metadata(data.join("superuser-password"))?;
        assert_eq!(secret.permissions().mode() & 0o777, 0o600);
        assert!(!data.join("bootstrap.sql").try_exists()?);
        let size = size(data.as_std_path())?;
        assert!(size < 40 << 20, "{} has {size} bytes", toolchain.version);
    }
    Ok(())
}

fn size(folder: &std::path::Path) -> Result<u64, Box<dyn Error>> {
    let mut all = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        all += if metadata.is_dir() {
            size(&entry.path())?
        } else {
            metadata.len()
        };
    }
    Ok(all)
}

#[test]
fn two_instances_have_data_of_their_own_from_one_template() -> Outcome {
    for toolchain in engines() {
        let world = World::new(DRIVER, &toolchain)?;
        let plan = plan(&world, &json!({}))?;
        world.provision(&plan)?;
        let mut second = plan.clone();
        second.paths.data = world.path("second");
        world.provision(&second)?;
        let password =
            |data: &camino::Utf8Path| fs::read_to_string(data.join("superuser-password"));
        assert_eq!(password(&plan.paths.data)?, password(&second.paths.data)?);
        let template = format!("mariadb-{}-1", toolchain.version);
        assert!(plan.paths.templates.join(template).is_dir());
        Engine::boot(&world, &plan)?.stop()?;
    }
    Ok(())
}

#[test]
fn nobody_but_the_driver_is_let_in_before_anybody_is_declared() -> Outcome {
    for toolchain in engines() {
        let booted = Booted::new(&toolchain, &json!({}))?;
        for (user, password) in [
            ("root", ""),
            ("doze", ""),
            ("", ""),
            ("mariadb.sys", ""),
            ("app", ""),
        ] {
            let told = booted.sql_as(user, password, "", "SELECT 1").unwrap_err();
            let told = told.to_string();
            assert!(
                told.contains("Access denied") || told.contains("locked"),
                "{user:?}: {told}"
            );
        }
        let users = "SELECT GROUP_CONCAT(User, '@', Host ORDER BY 1) FROM global_priv";
        assert_eq!(booted.sql(users)?, "doze@localhost,mariadb.sys@localhost");
    }
    Ok(())
}

#[test]
fn data_is_kept_over_a_stop_and_a_commit_over_the_death_of_the_server() -> Outcome {
    for toolchain in engines() {
        for declared in [json!({}), json!({ "durable": true })] {
            let booted = Booted::new(&toolchain, &declared)?;
            booted.converge(&declared)?;
            let sql = |booted: &Booted, sql: &str| booted.sql_as("app", "", "app", sql);
            sql(
                &booted,
                "CREATE TABLE t (n INT) ENGINE=InnoDB; INSERT INTO t VALUES (1)",
            )?;
            let booted = booted.again()?;
            sql(&booted, "INSERT INTO t VALUES (2)")?;
            let Booted { world, engine } = booted;
            let plan = engine.plan().clone();
            // Killed.
            drop(engine);
            let engine = Engine::boot(&world, &plan)?;
            let booted = Booted { world, engine };
            assert_eq!(
                sql(&booted, "SELECT GROUP_CONCAT(n) FROM t")?,
                "1,2",
                "{declared}"
            );
        }
    }
    Ok(())
}

#[test]
fn settings_reach_the_server() -> Outcome {
    for toolchain in engines() {
        let declared = json!({
            "character_set": "latin1", "collation": "latin1_bin", "max_connections": 33,
            "settings": {
                "sort_buffer_size": "1M", "local_infile": false, "wait_timeout": 99,
                "init_connect": "SET @x = ' it\\'s \"quoted\" # \\\\n 100% '",
                "innodb_log_file_size": "16M", "performance_schema": true,
            },
        });
        let booted = Booted::new(&toolchain, &declared)?;
        for (name, value) in [
            ("character_set_server", "latin1"),
            ("collation_server", "latin1_bin"),
            ("max_connections", "33"),
            ("sort_buffer_size", "1048576"),
            ("local_infile", "0"),
            ("wait_timeout", "99"),
            ("innodb_log_file_size", "16777216"),
            ("performance_schema", "1"),
            ("skip_networking", "1"),
            ("skip_name_resolve", "1"),
            ("time_zone", "+00:00"),
        ] {
            assert_eq!(
                booted.sql(&format!("SELECT @@global.{name}"))?,
                value,
                "{name}"
            );
        }
        let told = booted.sql("SELECT HEX(@@init_connect)")?;
        let text = "SET @x = ' it\\'s \"quoted\" # \\\\n 100% '";
        let hex: Vec<_> = text.bytes().map(|byte| format!("{byte:02X}")).collect();
        assert_eq!(told, hex.concat());
    }
    Ok(())
}

#[test]
fn clients_are_told_of_no_socket_that_doze_does_not_see() -> Outcome {
    for toolchain in engines() {
        let booted = Booted::new(&toolchain, &json!({}))?;
        let socket = booted.sql("SELECT @@socket")?;
        let public = booted.world.endpoints().iter().map(ToString::to_string);
        assert!(
            public
                .collect::<Vec<_>>()
                .contains(&format!("unix:{socket}")),
            "{socket}"
        );
        let log = booted.engine.log();
        assert!(!log.contains("Aborted connection"), "{log}");
        assert!(!log.contains("[ERROR]"), "{log}");
    }
    Ok(())
}

#[test]
fn another_major_version_says_who_made_the_data_and_what_to_do() -> Outcome {
    for toolchain in engines() {
        let world = World::new(DRIVER, &toolchain)?;
        let plan = plan(&world, &json!({}))?;
        world.provision(&plan)?;
        let mut major = fs::OpenOptions::new();
        let mut major = major
            .write(true)
            .truncate(true)
            .open(plan.paths.data.join("major"))?;
        major.write_all(b"10.6")?;
        let failed = world.provision(&plan).unwrap_err();
        let told = failed.source().map(ToString::to_string).unwrap_or_default();
        assert!(
            told.contains("MariaDB 10.6 made the data directory"),
            "{told}"
        );
        assert!(told.contains("`version = \"10.6\"`"), "{told}");
    }
    Ok(())
}
