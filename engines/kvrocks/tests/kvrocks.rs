//! The driver's program against Kvrocks, where there is one, and against a stand-in everywhere.

use std::{
    error::Error,
    fs,
    os::unix::{
        fs::{PermissionsExt, symlink},
        net::UnixListener,
    },
    process::Command,
};

use camino::{Utf8Path, Utf8PathBuf};
use doze_contract::{Plan, Version, protocol::Toolchain};
use doze_driver::{
    Driver, Refusal,
    conformance::{Engine, Subject, World, or_skipped, refused, rules, toolchains},
    resp,
};
use doze_engine_kvrocks::Kvrocks;
use serde_json::{Map, Value, json};

const DRIVER: &str = env!("CARGO_BIN_EXE_doze-driver-kvrocks");

type Outcome = Result<(), Box<dyn Error>>;

const WHERE: &str = "kvrocks; set DOZE_KVROCKS_BINDIR to the folder of one";

/// The real servers; without any, the test is told to be skipped.
fn kvrocks() -> Vec<Toolchain> {
    or_skipped(WHERE, toolchains(&Kvrocks::ABOUT))
}

/// What the tests with a stand-in, and nothing else, need: a server to become, and its client.
fn valkey() -> Result<(Utf8PathBuf, Utf8PathBuf), Box<dyn Error>> {
    let asked = std::env::var("DOZE_VALKEY_BINDIR").ok();
    let folders = asked.as_deref().into_iter().chain(["/usr/bin"]);
    let names = [
        ("valkey-server", "valkey-cli"),
        ("redis-server", "redis-cli"),
    ];
    for folder in folders.map(Utf8Path::new) {
        for (server, client) in names {
            let (server, client) = (folder.join(server), folder.join(client));
            if server.is_file() && client.is_file() {
                return Ok((server, client));
            }
        }
    }
    Err(
        "no Valkey here: install `valkey-server` or `redis-server`, or set DOZE_VALKEY_BINDIR"
            .into(),
    )
}

/// The stand-in with the server that it becomes, in a folder of its own.
struct StandIn {
    _folder: tempfile::TempDir,
    toolchain: Toolchain,
    client: Utf8PathBuf,
}

fn stand_in() -> Result<StandIn, Box<dyn Error>> {
    let (server, client) = valkey()?;
    let folder = tempfile::tempdir()?;
    let path = Utf8PathBuf::try_from(folder.path().to_owned())?;
    let program = path.join("kvrocks");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/stand-in/kvrocks");
    symlink(script, &program)?;
    symlink(server, path.join("valkey-server"))?;
    Ok(StandIn {
        toolchain: Toolchain {
            folder: path,
            server: program,
            version: Version::new("2.15.0")?,
        },
        client,
        _folder: folder,
    })
}

#[expect(clippy::expect_used, reason = "the blocks here are literals")]
fn block(block: Value) -> Map<String, Value> {
    serde_json::from_value(block).expect("a block is an object")
}

/// As many keys as possible.
fn full() -> Map<String, Value> {
    block(json!({
        "password": "s3cret", "workers": 3, "durable": true,
        "namespace": { "it's": { "token": "hidden" }, "größe": { "token": "o\"t\\h\ner" } },
        "settings": { "compact-cron": "0 3 * * *", "resp3-enabled": true, "maxclients": 100 },
    }))
}

fn every_rule(engine: Result<Toolchain, String>) -> Outcome {
    let broken = rules::broken(&Subject {
        program: DRIVER.into(),
        toolchain: engine,
        block: full(),
        secrets: ["s3cret", "hidden", "o\"t\\h\ner"]
            .map(str::to_owned)
            .to_vec(),
        practice: Some(resp::practice()),
    })?;
    assert_eq!(broken, [""; 0]);
    Ok(())
}

#[test]
fn the_driver_keeps_every_rule_with_a_stand_in() -> Outcome {
    let stand_in = stand_in()?;
    every_rule(Ok(stand_in.toolchain.clone()))
}

#[test]
fn the_driver_keeps_every_rule_with_kvrocks() -> Outcome {
    let found = toolchains(&Kvrocks::ABOUT);
    if found.is_empty() {
        // What takes no server is shown all the same.
        return every_rule(Err(WHERE.to_owned()));
    }
    found.into_iter().map(Ok).try_for_each(every_rule)
}

/// Runs one command as the client program does and gives what it prints.
fn said(
    client: &Utf8Path,
    plan: &Plan,
    password: Option<&str>,
    words: &[&str],
) -> Result<String, Box<dyn Error>> {
    let mut command = Command::new(client);
    command.env_clear();
    command.arg("-s").arg(plan.paths.run.join("kvrocks.sock"));
    if let Some(password) = password {
        command.env("REDISCLI_AUTH", password);
    }
    let output = command.arg("--no-raw").args(words).output()?;
    Ok(String::from_utf8(output.stdout)?.trim_end().to_owned())
}

fn any_password(engine: &Toolchain, client: &Utf8Path) -> Outcome {
    for password in [
        " \"a\" 'b' ",
        "\\ \\n \\x41 \\\" ",
        "100% $HOME ${x} `id` # ; & @:/?",
        "größe → 漢字",
        "two\nlines\ttab\r\u{7}\u{b}\u{c}\u{8}",
    ] {
        let world = World::new(DRIVER, engine)?;
        let plan = world.plan("store", &block(json!({ "password": password })))?;
        world.provision(&plan)?;
        let running = Engine::boot(&world, &plan)?;
        let ask = |password| said(client, &plan, password, &["SET", "k", "v"]);
        assert_eq!(ask(Some(password))?, "OK", "{password:?}");
        assert!(ask(None)?.contains("NOAUTH"), "{password:?}");
        running.stop()?;
        let mode = fs::metadata(plan.paths.run.join("kvrocks.conf"))?.permissions();
        assert_eq!(mode.mode() & 0o777, 0o600);
        let running = Engine::boot(&world, &plan)?;
        let kept = said(client, &plan, Some(password), &["GET", "k"])?;
        assert_eq!(kept, "\"v\"", "{password:?}");
        running.stop()?;
    }
    Ok(())
}

#[test]
fn any_password_survives_into_a_stand_in_and_data_survives_the_sleep() -> Outcome {
    let stand_in = stand_in()?;
    any_password(&stand_in.toolchain, &stand_in.client)
}

#[test]
fn any_password_survives_into_kvrocks_and_data_survives_the_sleep() -> Outcome {
    let (_, client) = valkey()?;
    kvrocks()
        .iter()
        .try_for_each(|engine| any_password(engine, &client))
}

/// An acceptance line: `kvrocks (PING)`.
#[test]
fn kvrocks_answers_a_ping_in_every_namespace() -> Outcome {
    let (_, client) = valkey()?;
    for engine in kvrocks() {
        let world = World::new(DRIVER, &engine)?;
        let plan = world.plan("store", &full())?;
        world.provision(&plan)?;
        let running = Engine::boot(&world, &plan)?;
        for token in ["s3cret", "hidden", "o\"t\\h\ner"] {
            let ask = |words| said(&client, &plan, Some(token), words);
            assert_eq!(ask(&["PING"])?, "PONG");
            assert_eq!(ask(&["GET", "k"])?, "(nil)", "it is another's");
            assert_eq!(ask(&["SET", "k", "v"])?, "OK");
        }
        running.stop()?;
    }
    Ok(())
}

#[test]
fn a_client_shows_why_it_is_refused() -> Outcome {
    let stand_in = stand_in()?;
    let world = World::new(DRIVER, &stand_in.toolchain)?;
    let path = world.path("refused.sock");
    let listener = UnixListener::bind(&path)?;
    listener.set_nonblocking(true)?;
    let accept = || Ok(listener.accept()?.0.into());
    let refusal = Refusal {
        reason: "cannot start:\n\tno space".to_owned(),
        hint: "doze logs store".to_owned(),
    };
    let mut client = Command::new(&stand_in.client);
    client.args(["-s", path.as_str(), "PING"]);
    let output = refused(DRIVER.into(), &refusal, accept, client)?;
    let told = String::from_utf8([output.stdout, output.stderr].concat())?;
    let expected = "ERR doze: cannot start: no space; doze logs store shows more";
    assert!(told.contains(expected), "{told}");
    Ok(())
}
