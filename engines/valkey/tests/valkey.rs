//! The driver's program against the real engine, in every version that is here.

use std::{
    error::Error,
    io::{Read, Write},
    net::{Shutdown, TcpListener},
    os::unix::net::{UnixListener, UnixStream},
    process::Command,
};

use camino::Utf8Path;
use doze_contract::{Plan, protocol::Toolchain};
use doze_driver::{
    Driver, Refusal,
    conformance::{Client, Engine, Practice, Refusing, Subject, World, refused, rules, toolchains},
    resp,
};
use doze_engine_valkey::Valkey;
use serde_json::{Map, Value, json};

const DRIVER: &str = env!("CARGO_BIN_EXE_doze-driver-valkey");

type Outcome = Result<(), Box<dyn Error>>;

fn engines() -> Vec<Toolchain> {
    let found = toolchains(&Valkey::ABOUT);
    assert!(
        !found.is_empty(),
        "no Valkey here: install `valkey-server` or `redis-server`, or set DOZE_VALKEY_BINDIR"
    );
    found
}

#[expect(clippy::expect_used, reason = "the blocks here are literals")]
fn block(block: Value) -> Map<String, Value> {
    serde_json::from_value(block).expect("a block is an object")
}

/// A world, and the plan for a block in it, provisioned.
fn world(engine: &Toolchain, declared: Value) -> Result<(World, Plan), Box<dyn Error>> {
    let world = World::new(DRIVER, engine)?;
    let plan = world.plan("cache", &block(declared))?;
    world.provision(&plan)?;
    Ok((world, plan))
}

/// Runs one command as the client program does and gives what it prints.
fn client(plan: &Plan, password: Option<&str>, words: &[&str]) -> Result<String, Box<dyn Error>> {
    let server = plan
        .body
        .members
        .first()
        .and_then(|member| member.argv.first());
    let mut command = client_program(Utf8Path::new(server.ok_or("no server")?));
    command.arg("-s").arg(plan.paths.run.join("valkey.sock"));
    if let Some(password) = password {
        command.env("REDISCLI_AUTH", password);
    }
    let output = command.arg("--no-raw").args(words).output()?;
    Ok(String::from_utf8(output.stdout)?.trim_end().to_owned())
}

/// The client that stands beside a server.
fn client_program(server: &Utf8Path) -> Command {
    let name = server
        .file_name()
        .unwrap_or_default()
        .replace("-server", "-cli");
    let mut command = Command::new(server.with_file_name(name));
    command.env_clear();
    command
}

#[test]
fn the_driver_keeps_every_rule() -> Outcome {
    for engine in engines() {
        let full = block(json!({
            "password": "s3cret", "maxmemory": "10mb", "maxmemory_policy": "allkeys-lru",
            "appendonly": true, "save": "900 1", "settings": { "masterauth": "hidden" },
        }));
        let broken = rules::broken(&Subject {
            program: DRIVER.into(),
            toolchain: Ok(engine.clone()),
            block: full,
            secrets: ["s3cret", "hidden"].map(str::to_owned).to_vec(),
            practice: Some(resp::practice()),
        })?;
        assert_eq!(broken, [""; 0], "{}", engine.version);
    }
    Ok(())
}

/// The rules that are not kept by the first engine with this block and these clients.
fn broken_by(declared: Value, practice: Practice) -> Result<Vec<String>, Box<dyn Error>> {
    let broken = rules::broken(&Subject {
        program: DRIVER.into(),
        toolchain: engines().into_iter().next().ok_or_else(String::new),
        block: block(declared),
        secrets: vec!["s3cret".to_owned()],
        practice: Some(practice),
    })?;
    let first = |told: &String| told.lines().next().unwrap_or_default().to_owned();
    Ok(broken.iter().map(first).collect())
}

#[test]
fn an_engine_that_forgets_is_found_out() -> Outcome {
    let declared = json!({ "password": "s3cret", "save": false });
    assert_eq!(
        broken_by(declared, resp::practice())?,
        [
            "failed   wake: what was stored before the sleep is there",
            "failed   crash: what was stored is there",
            "failed   kill -9: what was stored is there",
            "failed   clone: what was stored is in both",
            "failed   password: clients are let in with it",
        ]
    );
    Ok(())
}

#[test]
fn a_client_that_is_alone_or_hears_something_else_is_found_out() -> Outcome {
    let clients = |clients| Practice {
        clients,
        drift: None,
    };
    let mut both = resp::practice().clients;
    let declared = json!({ "password": "s3cret" });
    both.truncate(1);
    assert_eq!(
        broken_by(declared.clone(), clients(both.clone()))?,
        ["not run  client: two that have nothing in common are let in by what the plan says"]
    );
    both.push(Ok(Client {
        name: "echo",
        ask: |_, _| Command::new("echo"),
    }));
    let broken = broken_by(declared, clients(both))?;
    let expected = "failed   client: what one stores the others have";
    assert_eq!(broken.first().map(String::as_str), Some(expected));
    Ok(())
}

#[test]
fn any_password_survives() -> Outcome {
    for engine in engines() {
        for password in [
            "plain",
            " \"a\" 'b' ",
            "\\ \\n \\x41 \\\" ",
            "100% $HOME ${x} `id` # ; & @:/?",
            "größe → 漢字",
            "two\nlines\ttab\r\u{7}",
        ] {
            let (world, plan) = world(&engine, json!({ "password": password }))?;
            let running = Engine::boot(&world, &plan)?;
            let ask = |password| client(&plan, password, &["SET", "k", "v"]);
            assert_eq!(ask(Some(password))?, "OK", "{password:?}");
            assert!(ask(None)?.contains("NOAUTH"), "{password:?}");
            assert!(running.stop()?.success(), "{password:?}");
        }
    }
    Ok(())
}

#[test]
fn data_is_kept_over_every_orderly_stop_unless_the_user_wrote_otherwise() -> Outcome {
    for engine in engines() {
        for (declared, kept) in [
            (json!({}), true),
            (json!({ "save": "900 1 300 10" }), true),
            (json!({ "save": false }), false),
            (json!({ "appendonly": true }), true),
            (json!({ "appendonly": true, "save": false }), true),
        ] {
            for by_signal in [false, true] {
                let (world, plan) = world(&engine, declared.clone())?;
                let running = Engine::boot(&world, &plan)?;
                assert_eq!(client(&plan, None, &["SET", "k", "v"])?, "OK");
                let status = if by_signal {
                    running.stop_by_signal()?
                } else {
                    running.stop()?
                };
                assert!(status.success(), "{status}");
                let running = Engine::boot(&world, &plan)?;
                let found = client(&plan, None, &["GET", "k"])?;
                let expected = if kept { "\"v\"" } else { "(nil)" };
                assert_eq!(found, expected, "{} {declared} {by_signal}", engine.version);
                running.stop()?;
            }
        }
    }
    Ok(())
}

#[test]
fn settings_reach_the_server() -> Outcome {
    for engine in engines() {
        let (world, plan) = world(
            &engine,
            json!({
                "maxmemory": "12mb", "maxmemory_policy": "volatile-ttl", "save": "900 1 300 10",
                "settings": { "hz": 20, "lazyfree-lazy-expire": true, "notify-keyspace-events": "KEA",
                    "proc-title-template": "{title} \"it's\" \\ #", "repl-diskless-sync": false },
            }),
        )?;
        let running = Engine::boot(&world, &plan)?;
        for (name, value) in [
            ("maxmemory", "12582912"),
            ("maxmemory-policy", "volatile-ttl"),
            ("save", "900 1 300 10"),
            ("hz", "20"),
            ("lazyfree-lazy-expire", "yes"),
            ("repl-diskless-sync", "no"),
            ("notify-keyspace-events", "AKE"),
            ("proc-title-template", r#"{title} \"it's\" \\ #"#),
            ("port", "0"),
        ] {
            let told = client(&plan, None, &["CONFIG", "GET", name])?;
            assert!(told.ends_with(&format!("2) \"{value}\"")), "{name}: {told}");
        }
        running.stop()?;
    }
    Ok(())
}

#[test]
fn appendonly_can_be_turned_on_and_off_without_losing_anything() -> Outcome {
    for engine in engines() {
        let (world, snapshots) = world(&engine, json!({}))?;
        let logs = world.plan("cache", &block(json!({ "appendonly": true })))?;
        assert_ne!(
            snapshots.body.provision.fingerprint,
            logs.body.provision.fingerprint
        );
        for round in 0..6 {
            let plan = if round % 2 == 0 { &snapshots } else { &logs };
            world.provision(plan)?;
            let running = Engine::boot(&world, plan)?;
            let told = client(plan, None, &["INCR", "rounds"])?;
            assert_eq!(
                told,
                format!("(integer) {}", round + 1),
                "{}",
                engine.version
            );
            running.stop()?;
        }
    }
    Ok(())
}

#[test]
fn what_only_the_append_only_files_have_is_not_given_up() -> Outcome {
    for engine in engines() {
        let (world, logs) = world(&engine, json!({ "appendonly": true }))?;
        let running = Engine::boot(&world, &logs)?;
        assert_eq!(client(&logs, None, &["SET", "k", "v"])?, "OK");
        // Killed: nothing is saved.
        drop(running);
        let snapshots = world.plan("cache", &Map::new())?;
        let told = world
            .provision(&snapshots)
            .unwrap_err()
            .source()
            .unwrap()
            .to_string();
        assert!(told.contains("append-only"), "{told}");

        let running = Engine::boot(&world, &logs)?;
        running.stop()?;
        world.provision(&snapshots)?;
        let running = Engine::boot(&world, &snapshots)?;
        assert_eq!(client(&snapshots, None, &["GET", "k"])?, "\"v\"");
        running.stop()?;
    }
    Ok(())
}

fn refusal() -> Refusal {
    Refusal {
        reason: "cannot start:\r\n\tno space\nleft \u{1b}[1m".to_owned(),
        hint: "doze logs cache".to_owned(),
    }
}

const TOLD: &str = "ERR doze: cannot start: no space left [1m; doze logs cache shows more";

#[test]
fn a_client_shows_why_it_is_refused() -> Outcome {
    for engine in engines() {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        let port = listener.local_addr()?.port().to_string();
        let accept = || {
            let (socket, _) = listener.accept()?;
            // As an activator has it.
            socket.set_nonblocking(true)?;
            Ok(socket.into())
        };
        // The second says HELLO before its command.
        for words in [&["PING"][..], &["-3", "SET", "k", "v"]] {
            let mut client = client_program(&engine.server);
            client.args(["-p", &port]).args(words);
            let output = refused(DRIVER.into(), &refusal(), accept, client)?;
            let told = [output.stdout, output.stderr].concat();
            let told = String::from_utf8(told)?;
            assert!(told.contains(TOLD), "{} {words:?}: {told}", engine.version);
        }
    }
    Ok(())
}

#[test]
fn a_client_on_a_unix_socket_shows_why_it_is_refused() -> Outcome {
    for engine in engines() {
        let world = World::new(DRIVER, &engine)?;
        let path = world.path("refused.sock");
        let listener = UnixListener::bind(&path)?;
        listener.set_nonblocking(true)?;
        let accept = || Ok(listener.accept()?.0.into());
        let mut client = client_program(&engine.server);
        client.args(["-s", path.as_str(), "PING"]);
        let output = refused(DRIVER.into(), &refusal(), accept, client)?;
        let told = String::from_utf8([output.stdout, output.stderr].concat())?;
        assert!(told.contains(TOLD), "{}: {told}", engine.version);
    }
    Ok(())
}

#[test]
fn a_client_is_told_once_whatever_it_says() -> Outcome {
    let endless = [
        &b"*2\r\n$4\r\nECHO\r\n$90000000\r\n"[..],
        vec![b'x'; 4_000_000].as_slice(),
    ]
    .concat();
    for says in [&b""[..], b"PING\r\nPING\r\n", &endless] {
        let (mut ours, theirs) = UnixStream::pair()?;
        let driver = Refusing::start(DRIVER.into(), theirs, &refusal())?;
        ours.write_all(says)?;
        let mut told = String::new();
        ours.read_to_string(&mut told)?;
        assert_eq!(told, format!("-{TOLD}\r\n"));
        ours.shutdown(Shutdown::Both)?;
        assert!(driver.end()?.success());
    }
    Ok(())
}

#[test]
fn a_driver_that_cannot_refuse_says_why() -> Outcome {
    for (reason, words) in [
        (None, "DOZE_REFUSAL is not set"),
        (Some("no space"), "standard input is not the socket"),
    ] {
        let mut command = Command::new(DRIVER);
        command.arg("refuse").env_clear();
        if let Some(reason) = reason {
            command.env("DOZE_REFUSAL", reason);
            command.env("DOZE_REFUSAL_HINT", "doze logs cache");
        }
        let output = command.stdin(std::process::Stdio::piped()).output()?;
        let told = String::from_utf8(output.stderr)?;
        assert!(told.contains(words), "{told}");
        assert_eq!(output.status.code(), Some(1));
    }
    Ok(())
}
