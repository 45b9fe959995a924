//! The driver's program against the real engine, in every version that is here.

use std::{
    error::Error,
    fs::{self, File},
    io::{Read, Write},
    net::{Shutdown, TcpListener},
    os::unix::net::{UnixListener, UnixStream},
    process::{Command, Output},
    time::{Duration, Instant},
};

use camino::Utf8Path;
use doze_contract::{Plan, protocol::Toolchain};
use doze_driver::{
    Driver, Refusal,
    conformance::{
        Client, Engine, Practice, Refusing, Subject, World, practice::python, refused, rules,
        toolchains, until,
    },
};
use doze_engine_postgres::Postgres;
use serde_json::{Map, Value, json};

const DRIVER: &str = env!("CARGO_BIN_EXE_doze-driver-postgres");

/// Quotes of both kinds, and what SQL, the shell, URLs, units and `postgres --single` treat in
/// their own ways.
const HOSTILE: &str = r#" it's "a"; \n %s 100% $x$ `ü` -- #@:&?=,"#;

type Outcome = Result<(), Box<dyn Error>>;

fn engines() -> Vec<Toolchain> {
    let found = toolchains(&Postgres::ABOUT);
    assert!(
        !found.is_empty(),
        "no PostgreSQL here: install `postgresql` or set DOZE_POSTGRES_BINDIR"
    );
    found
}

#[expect(clippy::expect_used, reason = "the blocks here are literals")]
fn block(block: Value) -> Map<String, Value> {
    serde_json::from_value(block).expect("a block is an object")
}

/// Runs `sql` as psql(1) does, as the superuser unless a role is given, and gives its output.
fn psql(plan: &Plan, role: &str, database: &str, sql: &str) -> Result<String, Box<dyn Error>> {
    let Output {
        status,
        stdout,
        stderr,
    } = Command::new(psql_program(plan)?)
        .env_clear()
        .args(["-XAtq", "-v", "ON_ERROR_STOP=1", "-h"])
        .arg(&plan.paths.run)
        .args(["-U", role, "-c", sql])
        .env(
            "PGPASSWORD",
            fs::read_to_string(plan.paths.data.join("superuser"))?,
        )
        // Not -d: psql(1) would take a name with `=` in it for a connection string.
        .env("PGDATABASE", database)
        .output()?;
    if !status.success() {
        return Err(String::from_utf8(stderr)?.into());
    }
    Ok(String::from_utf8(stdout)?.trim_end().to_owned())
}

/// The client beside the server, or the one on the path.
fn psql_program(plan: &Plan) -> Result<String, Box<dyn Error>> {
    let server = plan
        .body
        .members
        .first()
        .and_then(|member| member.argv.first());
    psql_beside(Utf8Path::new(server.ok_or("no server")?))
}

fn psql_beside(server: &Utf8Path) -> Result<String, Box<dyn Error>> {
    let beside = server.with_file_name("psql");
    Ok(if beside.try_exists()? {
        beside.into()
    } else {
        "psql".to_owned()
    })
}

/// The server of a plan, for the first time.
fn started(world: &World, plan: &Plan) -> Result<Engine, Box<dyn Error>> {
    world.provision(plan)?;
    let engine = Engine::boot(world, plan)?;
    world.converge(plan, false)?;
    Ok(engine)
}

const OWNER_OF: &str =
    "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = current_database()";

#[test]
fn the_driver_keeps_every_rule() -> Outcome {
    // asyncpg sends these two as they are where SCRAM has them escaped.
    let owner = HOSTILE.replace(['=', ','], "");
    for engine in engines() {
        let full = block(json!({
            "owner": owner, "shared_buffers": "8MB", "max_connections": 20, "fsync": false,
            "autovacuum": false, "settings": { "application_name": "s3cret", "jit": true },
            "role": {
                owner.as_str(): { "password": "s3cret", "member_of": ["them"] },
                "them": { "login": false, "settings": { "work_mem": "8MB", "search_path": "a, b" } },
            },
            "database": { "other": {} }, "schema": { HOSTILE: {}, "public": { "owner": "them" } },
            "extensions": ["pgcrypto"],
        }));
        let broken = rules::broken(&Subject {
            program: DRIVER.into(),
            toolchain: Ok(engine.clone()),
            block: full,
            secrets: ["s3cret"].map(str::to_owned).to_vec(),
            practice: Some(practice()),
        })?;
        assert_eq!(broken, [""; 0], "{}", engine.version);
    }
    Ok(())
}

/// psql, which is libpq, and asyncpg, which is not.
fn practice() -> Practice {
    let psql = Client {
        name: "psql",
        ask: |plan, store| {
            let sql = match store {
                Some(text) => format!(
                    "DROP TABLE IF EXISTS stored; CREATE TABLE stored AS SELECT $text${text}$text$ AS text"
                ),
                None => "SELECT text FROM stored".to_owned(),
            };
            let program = psql_program(plan).unwrap_or_else(|_| "psql".to_owned());
            let mut psql = Command::new(program);
            let url = plan.body.connection.url.as_deref().unwrap_or_default();
            psql.env_clear().env("PGCLIENTENCODING", "UTF8");
            psql.args(["-XAtq", "-v", "ON_ERROR_STOP=1", "-c", &sql, url]);
            psql
        },
    };
    let asyncpg = Client::in_python("asyncpg", |plan, store| {
        const SCRIPT: &str = "\
import asyncio, asyncpg, sys
async def main(url, text=None):
    server = await asyncpg.connect(url)
    if text is None:
        print(await server.fetchval('SELECT text FROM stored'))
    else:
        await server.execute('DROP TABLE IF EXISTS stored; CREATE TABLE stored (text text)')
        await server.execute('INSERT INTO stored VALUES ($1)', text)
    await server.close()
asyncio.run(main(*sys.argv[1:]))
";
        python(SCRIPT, plan, store)
    });
    Practice {
        clients: vec![Ok(psql), asyncpg],
        drift: Some(|plan| {
            let sql = "ALTER ROLE them SET work_mem = '1MB'";
            let mut psql = Command::new(psql_program(plan).unwrap_or_else(|_| "psql".to_owned()));
            let password = fs::read_to_string(plan.paths.data.join("superuser"));
            psql.env_clear()
                .env("PGPASSWORD", password.unwrap_or_default());
            psql.args([
                "-XAtq",
                "-v",
                "ON_ERROR_STOP=1",
                "-d",
                "postgres",
                "-U",
                "postgres",
            ]);
            psql.args(["-c", sql, "-h"]).arg(&plan.paths.run);
            psql
        }),
    }
}

#[test]
fn what_was_written_is_there_after_a_stop_whatever_the_names_are() -> Outcome {
    for engine in engines() {
        for name in ["app", "postgres", HOSTILE.replace('/', "").as_str()] {
            let world = World::new(DRIVER, &engine)?;
            let plan = world.plan(name, &block(json!({ "owner": HOSTILE })))?;
            let running = started(&world, &plan)?;
            assert_eq!(psql(&plan, "postgres", name, OWNER_OF)?, HOSTILE);
            psql(&plan, HOSTILE, name, "CREATE TABLE t AS SELECT 42 AS x")?;
            assert!(running.stop()?.success());

            let running = Engine::boot(&world, &plan)?;
            assert_eq!(psql(&plan, HOSTILE, name, "SELECT x FROM t")?, "42");
            assert!(running.stop()?.success());
        }
    }
    Ok(())
}

#[test]
fn the_url_of_a_unix_endpoint_is_understood_by_a_client() -> Outcome {
    for engine in engines() {
        let world = World::new(DRIVER, &engine)?;
        let block = block(json!({ "owner": HOSTILE }));
        let plan = world.plan(HOSTILE, &block)?;
        let running = started(&world, &plan)?;
        // The same URL as a client's, with the engine's own socket for the endpoint.
        let own = plan.body.upstream.clone().ok_or("no upstream")?;
        let mut call = world.plan_call(HOSTILE, checked(&block))?;
        call.endpoints = vec![own];
        let url = Postgres.plan(&call)?.connection.url.ok_or("no URL")?;
        let output = Command::new(psql_program(&plan)?)
            .env_clear()
            .args([
                "-XAtq",
                "-c",
                "SELECT current_user, current_database()",
                &url,
            ])
            .output()?;
        let told = String::from_utf8(output.stdout)?;
        assert_eq!(
            told.trim_end(),
            format!("{HOSTILE}|{HOSTILE}"),
            "{url}: {:?}",
            output.stderr
        );
        running.stop()?;
    }
    Ok(())
}

fn checked(found: &Map<String, Value>) -> Value {
    let mut whole = block(json!({
        "shared_buffers": "16MB", "max_connections": 50, "fsync": true, "autovacuum": true,
        "role": {}, "database": {}, "schema": {}, "extensions": [], "extension": {}, "grant": [], "settings": {},
        "durable": false, "tls": false, "tls_required": false,
    }));
    whole.extend(found.clone());
    Value::Object(whole)
}

#[test]
fn another_owner_takes_the_database_over() -> Outcome {
    for engine in engines() {
        let world = World::new(DRIVER, &engine)?;
        let first = world.plan("app", &block(json!({ "owner": "first" })))?;
        let second = world.plan("app", &block(json!({ "owner": "it's; \"2\" \\" })))?;
        assert_eq!(
            first.body.provision.fingerprint,
            second.body.provision.fingerprint
        );
        let running = started(&world, &first)?;
        running.stop()?;
        let running = Engine::boot(&world, &second)?;
        world.converge(&second, false)?;
        assert_eq!(
            psql(&second, "postgres", "app", OWNER_OF)?,
            "it's; \"2\" \\"
        );
        psql(&second, "postgres", "postgres", "DROP DATABASE app")?;

        // A database that is gone comes back, and a role that is there does no harm.
        world.converge(&first, false)?;
        assert_eq!(psql(&first, "postgres", "app", OWNER_OF)?, "first");
        running.stop()?;
    }
    Ok(())
}

#[test]
fn settings_win_over_ours_and_never_over_the_address() -> Outcome {
    for engine in engines() {
        let world = World::new(DRIVER, &engine)?;
        let plan = world.plan(
            "app",
            &block(json!({
                "shared_buffers": "24MB", "max_connections": 33, "fsync": false,
                "settings": {
                    "timezone": "Europe/Berlin", "work_mem": "5MB", "random_page_cost": 1.5,
                    "synchronous_commit": true, "my.text": "it's \\n 'a' %$#",
                    "default_transaction_read_only": true, "standard_conforming_strings": false,
                },
            })),
        )?;
        let running = started(&world, &plan)?;
        for (name, value) in [
            ("shared_buffers", "24MB"),
            ("max_connections", "33"),
            ("fsync", "off"),
            ("full_page_writes", "off"),
            ("timezone", "Europe/Berlin"),
            ("work_mem", "5MB"),
            ("random_page_cost", "1.5"),
            ("synchronous_commit", "on"),
            ("my.text", "it's \\n 'a' %$#"),
            ("jit", "off"),
        ] {
            assert_eq!(
                psql(&plan, "postgres", "app", &format!("SHOW {name}"))?,
                value,
                "{name}"
            );
        }
        psql(
            &plan,
            "postgres",
            "app",
            "ALTER SYSTEM SET listen_addresses = '*'",
        )?;
        running.stop()?;
        let running = Engine::boot(&world, &plan)?;
        assert_eq!(psql(&plan, "postgres", "app", "SHOW listen_addresses")?, "");
        running.stop()?;
    }
    Ok(())
}

#[test]
fn ready_means_that_a_client_is_served_also_after_a_crash() -> Outcome {
    for engine in engines() {
        let world = World::new(DRIVER, &engine)?;
        let plan = world.plan("app", &Map::new())?;
        started(&world, &plan)?.stop()?;
        for round in 0..4 {
            let running = Engine::boot(&world, &plan)?;
            let reply = running.hello()?;
            assert!(
                plan.body
                    .hello
                    .iter()
                    .any(|hello| reply.starts_with(&hello.ready.0)),
                "round {round} of {}: {}",
                engine.version,
                reply.escape_ascii()
            );
            // Only a commit that waited for the disk survives the kill for sure.
            let sql = "SET synchronous_commit = on; CREATE TABLE IF NOT EXISTS t (x text);
                INSERT INTO t SELECT repeat(md5(g::text), 10) FROM generate_series(1, 5000) g";
            psql(
                &plan,
                "postgres",
                "app",
                &format!("SET client_min_messages = error; {sql}"),
            )?;
            let server = running.pid().ok_or("no server")?;
            drop(running);
            // Each child of the server leads a session of its own, so the signal to the process
            // group has not reached it; it leaves when it sees that the server is gone.
            until(
                plan.body.members[0].stop.within,
                || match children_of_cluster(&plan, server) {
                    0 => Ok(()),
                    left => Err(format!("{left} processes are left")),
                },
            )?;
        }
        let running = Engine::boot(&world, &plan)?;
        assert_eq!(
            psql(&plan, "postgres", "app", "SELECT count(*) FROM t")?,
            "20000"
        );
        running.stop()?;
    }
    Ok(())
}

/// How many processes work in the data directory of `plan`.
fn children_of_cluster(plan: &Plan, server: u32) -> usize {
    let cluster = plan.paths.data.join("pgdata");
    let processes = fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .filter_map(Result::ok);
    let here = |process: &fs::DirEntry| {
        process.file_name() != *server.to_string()
            && fs::read_link(process.path().join("cwd")).is_ok_and(|cwd| cwd == cluster)
    };
    processes.filter(here).count()
}

/// Upstream §11.5: a probe that named no role left a FATAL in the log at each of its tries.
#[test]
fn no_probe_and_no_converge_leaves_a_failed_login_in_the_log() -> Outcome {
    for engine in engines() {
        let world = World::new(DRIVER, &engine)?;
        let wanted = json!({
            "owner": "app", "role": { "app": { "password": "s3cret" } },
            "settings": { "log_connections": true },
        });
        let plan = world.plan("app", &block(wanted))?;
        let running = started(&world, &plan)?;
        let log = running.log();
        // It would be there: connections are logged, and the one of the converge is.
        assert!(
            log.contains("connection authorized: user=postgres"),
            "{log}"
        );
        running.stop()?;
        let running = Engine::boot(&world, &plan)?;
        for log in [log, running.log()] {
            for word in ["FATAL", "ERROR", "incomplete startup packet"] {
                assert!(!log.contains(word), "{word}: {log}");
            }
        }
        running.stop()?;
    }
    Ok(())
}

#[test]
fn a_data_directory_of_another_major_is_refused_with_both_versions() -> Outcome {
    for engine in engines() {
        let world = World::new(DRIVER, &engine)?;
        let plan = world.plan("app", &Map::new())?;
        world.provision(&plan)?;
        // What an older or newer server left behind looks to us like this.
        let version = plan.paths.data.join("pgdata/PG_VERSION");
        fs::remove_file(&version)?;
        File::create(&version)?.write_all(b"13\n")?;
        let error = world.provision(&plan).unwrap_err();
        let told = error.source().unwrap().to_string();
        let major = engine.version.major();
        assert!(
            told.contains("PostgreSQL 13 made")
                && told.contains(&format!("PostgreSQL {major} cannot")),
            "{told}"
        );
    }
    Ok(())
}

#[test]
fn another_major_has_another_fingerprint() -> Outcome {
    for engine in engines() {
        let mut world = World::new(DRIVER, &engine)?;
        let before = world.plan("app", &Map::new())?.body.provision.fingerprint;
        let mut newer = engine.clone();
        newer.version = doze_contract::Version::new("99.1")?;
        world.upgrade(&newer);
        assert_ne!(
            world.plan("app", &Map::new())?.body.provision.fingerprint,
            before
        );
    }
    Ok(())
}

#[test]
fn why_there_is_no_cluster_is_passed_on() -> Outcome {
    for engine in engines() {
        let world = World::new(DRIVER, &engine)?;
        let plan = world.plan("app", &Map::new())?;
        let mut broken = plan.clone();
        let server = broken.body.members.first_mut().ok_or("no server")?;
        let program = server.argv.first_mut().ok_or("no program")?;
        *program = world.path("bin/postgres").into();
        let error = world.provision(&broken).unwrap_err();
        let told = error.source().unwrap().to_string();
        assert!(
            told.contains("cannot run") && told.contains("initdb"),
            "{told}"
        );
        assert!(!plan.paths.data.try_exists()?);
    }
    Ok(())
}

#[test]
fn the_second_data_directory_of_a_version_is_a_clone() -> Outcome {
    for engine in engines() {
        let world = World::new(DRIVER, &engine)?;
        let plan = world.plan("app", &Map::new())?;
        world.provision(&plan)?;
        fs::remove_dir_all(&plan.paths.data)?;
        let templates = fs::read_dir(&plan.paths.templates)?.filter_map(Result::ok);
        for template in templates.filter(|found| found.file_name() != ".locks") {
            File::create(template.path().join("mark"))?;
        }
        world.provision(&plan)?;
        assert!(plan.paths.data.join("mark").try_exists()?);
        let running = Engine::boot(&world, &plan)?;
        world.converge(&plan, false)?;
        assert_eq!(psql(&plan, "postgres", "app", "SELECT 42")?, "42");
        running.stop()?;
    }
    Ok(())
}

fn refusal() -> Refusal {
    Refusal {
        reason: "cannot start: größe\nno space left on device".to_owned(),
        hint: "doze logs app".to_owned(),
    }
}

/// What psql(1) prints of it, after `FATAL:`.
const TOLD: &str = "  doze: cannot start: größe\nno space left on device\n\
    HINT:  `doze logs app` shows more\n";

/// A client that connects as `connection` says, with one of libpq's modes of encryption.
fn refused_client(
    engine: &Toolchain,
    connection: &str,
    (ssl, gss): (&str, &str),
) -> Result<Command, Box<dyn Error>> {
    let mut client = Command::new(psql_beside(&engine.server)?);
    client
        .env_clear()
        .args(["-X", "-c", "SELECT 1", connection])
        .env("PGSSLMODE", ssl)
        .env("PGGSSENCMODE", gss)
        .env("LC_ALL", "C.UTF-8");
    Ok(client)
}

/// Whether a psql(1) said that it was built without TLS, so that it cannot require it.
#[expect(clippy::print_stderr, reason = "a test that skips something says so")]
fn lacks_tls(engine: &Toolchain, told: &str) -> bool {
    let lacks = told.contains("invalid when SSL support is not compiled in");
    if lacks {
        eprintln!("skipped: psql {} cannot require TLS", engine.version);
    }
    lacks
}

#[test]
fn psql_shows_why_it_is_refused() -> Outcome {
    for engine in engines() {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        let port = listener.local_addr()?.port();
        let connection = format!("host=127.0.0.1 port={port} user=app dbname=app");
        let accept = || {
            let (socket, _) = listener.accept()?;
            // As an activator has it.
            socket.set_nonblocking(true)?;
            Ok(socket.into())
        };
        for mode in [
            ("disable", "disable"),
            ("allow", "disable"),
            ("prefer", "disable"),
            ("prefer", "prefer"),
        ] {
            let client = refused_client(&engine, &connection, mode)?;
            let output = refused(DRIVER.into(), &refusal(), accept, client)?;
            let told = String::from_utf8(output.stderr)?;
            assert!(told.contains(TOLD), "{} {mode:?}: {told}", engine.version);
            assert_eq!(output.status.code(), Some(2), "{mode:?}");
        }
        // libpq believes nothing that is said before TLS; it has to see at once that there is none,
        // and not after one of the driver's timeouts.
        let begun = Instant::now();
        let client = refused_client(&engine, &connection, ("require", "disable"))?;
        let output = refused(DRIVER.into(), &refusal(), accept, client)?;
        assert!(begun.elapsed() < Duration::from_secs(2));
        let told = String::from_utf8(output.stderr)?;
        assert!(
            told.contains("server does not support SSL, but SSL was required")
                || lacks_tls(&engine, &told),
            "{}: {told}",
            engine.version
        );
    }
    Ok(())
}

#[test]
fn psql_on_a_unix_socket_shows_why_it_is_refused() -> Outcome {
    for engine in engines() {
        let world = World::new(DRIVER, &engine)?;
        let listener = UnixListener::bind(world.path(".s.PGSQL.5432"))?;
        listener.set_nonblocking(true)?;
        let connection = format!("host={} user=app dbname=app", world.path(""));
        for mode in [
            ("disable", "disable"),
            ("prefer", "prefer"),
            ("require", "disable"),
        ] {
            let client = refused_client(&engine, &connection, mode)?;
            let accept = || Ok(listener.accept()?.0.into());
            let output = refused(DRIVER.into(), &refusal(), accept, client)?;
            let told = String::from_utf8(output.stderr)?;
            assert!(
                told.contains(TOLD) || lacks_tls(&engine, &told),
                "{} {mode:?}: {told}",
                engine.version
            );
        }
    }
    Ok(())
}

#[test]
fn a_client_that_starts_with_tls_or_cancels_is_left_at_once() -> Outcome {
    let cancel = b"\0\0\0\x10\x04\xd2\x16\x2e\0\0\0\x01\0\0\0\x02";
    let tls = [&b"\x16\x03\x01\x02\0\x01\0\x01\xfc"[..], &[7; 508]].concat();
    for says in [&cancel[..], &tls] {
        let (mut ours, theirs) = UnixStream::pair()?;
        let driver = Refusing::start(DRIVER.into(), theirs, &refusal())?;
        ours.write_all(says)?;
        let mut told = Vec::new();
        ours.read_to_end(&mut told)?;
        assert_eq!(told, b"");
        ours.shutdown(Shutdown::Both)?;
        assert!(driver.end()?.success());
    }
    Ok(())
}
