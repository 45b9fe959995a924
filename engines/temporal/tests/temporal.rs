//! The driver's program against the real development server.
#![cfg(target_os = "linux")]

use std::{
    error::Error,
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    os::unix::net::UnixStream,
    path::PathBuf,
    process::Command,
    time::{Duration, Instant},
};

use camino::{Utf8Path, Utf8PathBuf};
use doze_contract::{
    Endpoint, Plan, Version,
    protocol::{Change, ConvergeCall, Converged, Toolchain},
};
use doze_driver::{
    Refusal,
    conformance::{
        Client, Engine, Practice, Refusing, Subject, World, practice::python, refused, rules, until,
    },
};
use doze_tests::{engines, needed};
use serde_json::{Map, Value, json};

const DRIVER: &str = env!("CARGO_BIN_EXE_doze-driver-temporal");

/// How long the server may take for what it does by itself.
const BOUND: Duration = Duration::from_secs(30);

type Outcome = Result<(), Box<dyn Error>>;

/// The server, if it is here.
fn engine() -> Result<Option<Toolchain>, Box<dyn Error>> {
    let Some(found) = needed("Temporal", engines::temporal()) else {
        return Ok(None);
    };
    Ok(Some(Toolchain {
        folder: Utf8PathBuf::try_from(found.bindir)?,
        server: Utf8PathBuf::try_from(found.client)?,
        version: Version::new(&found.version)?,
    }))
}

#[expect(clippy::expect_used, reason = "the blocks here are literals")]
fn block(block: Value) -> Map<String, Value> {
    serde_json::from_value(block).expect("a block is an object")
}

/// A world, and the plan for a block in it, provisioned.
fn world(engine: &Toolchain, declared: Value) -> Result<(World, Plan), Box<dyn Error>> {
    let world = World::new(DRIVER, engine)?;
    let plan = world.plan("workflows", &block(declared))?;
    world.provision(&plan)?;
    Ok((world, plan))
}

/// Runs the command line tool against a running server and gives what it prints.
fn client(running: &Engine, words: &[&str]) -> Result<String, Box<dyn Error>> {
    let plan = running.plan();
    let Some(Endpoint::Tcp(address)) = plan.body.upstream else {
        return Err("no upstream".into());
    };
    let member = plan.body.members.first().ok_or("no member")?;
    let mut command = cli(member.program().ok_or("no program")?);
    let output = command
        .args(words)
        .env("HOME", &plan.paths.run)
        .env("TEMPORAL_ADDRESS", address.to_string())
        .output()?;
    let told = String::from_utf8([output.stdout, output.stderr].concat())?;
    if output.status.success() {
        Ok(told)
    } else {
        Err(format!("{words:?}: {told}").into())
    }
}

fn cli(program: &Utf8Path) -> Command {
    let mut command = Command::new(program);
    command.env_clear();
    command
}

/// What the server has of a namespace.
fn described(running: &Engine, name: &str) -> Result<Value, Box<dyn Error>> {
    let words = [
        "operator",
        "namespace",
        "describe",
        "-o",
        "json",
        "-n",
        name,
    ];
    Ok(serde_json::from_str(&client(running, &words)?)?)
}

fn retention(namespace: &Value) -> Option<&str> {
    namespace
        .pointer("/config/workflowExecutionRetentionTtl")?
        .as_str()
}

fn statements(changes: &[Change]) -> Vec<&str> {
    let each = changes.iter();
    each.map(|change| change.statement.as_str()).collect()
}

/// Starts a workflow that no worker will ever do anything of.
fn start(running: &Engine, namespace: &str, id: &str, more: &[&str]) -> Outcome {
    let words = ["workflow", "start", "--type", "T", "--task-queue", "q"];
    let which = ["-n", namespace, "-w", id];
    client(running, &[&words[..], &which, more].concat())?;
    Ok(())
}

/// Whether a command prints this.
fn seen(running: &Engine, words: &[&str], what: &str) -> Result<(), String> {
    match client(running, words) {
        Ok(told) if told.contains(what) => Ok(()),
        Ok(told) => Err(told),
        Err(error) => Err(error.to_string()),
    }
}

fn prune(world: &World, plan: &Plan, dry_run: bool) -> Result<Converged, Box<dyn Error>> {
    Ok(world.session()?.converge(ConvergeCall {
        plan: plan.clone(),
        upstream: None,
        dry_run,
        prune: true,
    })?)
}

#[test]
fn the_driver_keeps_every_rule() -> Outcome {
    let Some(engine) = engine()? else {
        return Ok(());
    };
    let full = block(json!({
        "ui_port": 8233, "durable": true, "log_level": "error",
        "dynamic_config": { "limit.maxIDLength": 500, "frontend.namespaceRPS": 2400 },
        "namespace": {
            "orders": { "retention": "168h", "description": "it's 50% \"größe\"" },
            "it's 50% \"a\" $HOME /b": {},
            "default": { "retention": "7d" },
        },
    }));
    let broken = rules::broken(&Subject {
        program: DRIVER.into(),
        toolchain: Ok(engine),
        block: full,
        secrets: Vec::new(),
        practice: Some(practice()),
    })?;
    // It has no secrets to keep, and its tool shows how it is used.
    let known = [
        "no key is called password",
        "it asks nothing before it is told what to ask",
    ];
    let rest = broken
        .iter()
        .filter(|rule| !known.iter().any(|why| rule.contains(why)));
    assert_eq!(rest.collect::<Vec<_>>(), [""; 0]);
    Ok(())
}

/// The command line tool, which is in Go, and the SDK for Python, which stands on one in Rust.
fn practice() -> Practice {
    const TEXT: &str = "text";
    let tool = Client {
        name: "temporal",
        ask: |plan, store| {
            let mut tool = at(plan);
            match store {
                Some(text) => tool
                    .args(["workflow", "start", "-w", "stored", "--type", "T"])
                    .args(["--task-queue", "q"])
                    .args(["--id-conflict-policy", "TerminateExisting"])
                    .args(["--memo", &format!("{TEXT}={}", json!(text))]),
                None => tool.args(["workflow", "describe", "-w", "stored", "-o", "json"]),
            };
            tool
        },
    };
    let sdk = Client {
        name: "temporalio",
        ask: |plan, store| {
            const SCRIPT: &str = "\
import asyncio, os, sys
from temporalio.client import Client
from temporalio.common import WorkflowIDConflictPolicy
async def main(url, text=None):
    client = await Client.connect(url)
    if text is None:
        described = await client.get_workflow_handle('stored').describe()
        print((await described.memo())['text'])
    else:
        await client.start_workflow('T', id='stored', task_queue='q', memo={'text': text},
            id_conflict_policy=WorkflowIDConflictPolicy.TERMINATE_EXISTING)
asyncio.run(main(*sys.argv[1:]))
sys.stdout.flush()
# Its threads may crash an interpreter that ends in good order.
os._exit(0)
";
            let mut sdk = python(SCRIPT, plan, store);
            if let Some(packages) = packages() {
                sdk.env("PYTHONPATH", packages);
            }
            sdk.env("PYTHONDONTWRITEBYTECODE", "1");
            sdk
        },
    };
    let missing = || "temporalio beside Temporal; tests/setup installs it".to_owned();
    Practice {
        clients: vec![Ok(tool), packages().map(|_| sdk).ok_or_else(missing)],
        drift: Some(|plan| {
            let mut tool = at(plan);
            tool.args(["operator", "namespace", "update", "-n", "orders"]);
            tool.args(["--retention", "24h"]);
            tool
        }),
    }
}

/// What was fetched for Python, if the SDK is there.
fn packages() -> Option<PathBuf> {
    let folder = engines::temporal()?.bindir.parent()?.to_owned();
    folder.join("temporalio").is_dir().then_some(folder)
}

/// The command line tool of a plan, for its URL.
fn at(plan: &Plan) -> Command {
    let program = plan
        .body
        .members
        .first()
        .and_then(|member| member.program());
    let mut tool = cli(program.unwrap_or_else(|| "temporal".into()));
    let url = plan.body.connection.url.as_deref().unwrap_or_default();
    tool.env("HOME", &plan.paths.run)
        .env("TEMPORAL_ADDRESS", url);
    tool
}

#[test]
fn a_namespace_with_retention_168h_is_made_once() -> Outcome {
    let Some(engine) = engine()? else {
        return Ok(());
    };
    let declared = json!({ "namespace": { "orders": { "retention": "168h" } } });
    let (world, plan) = world(&engine, declared)?;
    let running = Engine::boot(&world, &plan)?;
    let changes = world.converge(running.plan(), false)?;
    assert_eq!(changes.len(), 1, "{changes:?}");
    assert_eq!(changes[0].object, "namespace orders");
    assert_eq!(retention(&described(&running, "orders")?), Some("604800s"));
    assert_eq!(world.converge(running.plan(), false)?, []);
    // A client can use it at once.
    start(&running, "orders", "first", &[])?;

    running.stop()?;
    let running = Engine::boot(&world, &plan)?;
    assert_eq!(world.converge(running.plan(), true)?, []);
    running.stop()?;
    Ok(())
}

#[test]
fn what_was_changed_by_hand_is_changed_back_as_far_as_it_is_declared() -> Outcome {
    let Some(engine) = engine()? else {
        return Ok(());
    };
    let namespaces = json!({
        "orders": { "retention": "168h", "description": "what \"we\" sell" }, "default": {},
    });
    let (world, plan) = world(&engine, json!({ "namespace": namespaces }))?;
    let running = Engine::boot(&world, &plan)?;
    assert_eq!(world.converge(running.plan(), false)?.len(), 2);
    let operator = |words: &[&str]| client(&running, &[&["operator", "namespace"], words].concat());
    operator(&["update", "-n", "orders", "--retention", "24h"])?;
    operator(&[
        "update",
        "-n",
        "orders",
        "--description",
        "other",
        "--email",
        "a@b.c",
    ])?;
    operator(&["create", "-n", "by hand", "--retention", "24h"])?;

    let changes = world.converge(running.plan(), true)?;
    let expected = concat!(
        r#"UpdateNamespace {"config":{"workflowExecutionRetentionTtl":"604800s"},"#,
        r#""namespace":"orders","updateInfo":{"description":"what \"we\" sell"}}"#
    );
    assert_eq!(statements(&changes), [expected]);
    assert_eq!(world.converge(running.plan(), false)?, changes);
    let orders = described(&running, "orders")?;
    assert_eq!(retention(&orders), Some("604800s"));
    assert_eq!(orders["namespaceInfo"]["description"], "what \"we\" sell");
    assert_eq!(orders["namespaceInfo"]["ownerEmail"], "a@b.c");
    assert_eq!(retention(&described(&running, "by hand")?), Some("86400s"));
    assert_eq!(world.converge(running.plan(), false)?, []);
    running.stop()?;
    Ok(())
}

#[test]
fn only_a_namespace_that_was_declared_and_holds_nothing_is_pruned() -> Outcome {
    let Some(engine) = engine()? else {
        return Ok(());
    };
    let declared = json!({ "namespace": { "empty": {}, "busy": {}, "planned": {} } });
    let (world, plan) = world(&engine, declared)?;
    let running = Engine::boot(&world, &plan)?;
    assert_eq!(world.converge(running.plan(), false)?.len(), 3);
    client(
        &running,
        &["operator", "namespace", "create", "-n", "by hand"],
    )?;
    start(&running, "busy", "first", &[])?;
    let words = [
        "schedule",
        "create",
        "-n",
        "planned",
        "-s",
        "s",
        "--interval",
        "24h",
    ];
    let does = ["--type", "T", "--task-queue", "q", "-w", "w"];
    client(&running, &[words.as_slice(), &does].concat())?;
    // The server writes its index of workflows after it has answered.
    until(BOUND, || {
        seen(&running, &["workflow", "count", "-n", "busy"], "Total: 1")
    })?;
    until(BOUND, || {
        seen(&running, &["schedule", "list", "-n", "planned"], "Workflow")
    })?;
    running.stop()?;

    let undeclared = world.plan("workflows", &Map::new())?;
    let running = Engine::boot(&world, &undeclared)?;
    assert_eq!(world.converge(running.plan(), false)?, [], "unasked");
    let said = prune(&world, running.plan(), true)?;
    assert_eq!(
        statements(&said.changes),
        [r#"DeleteNamespace {"namespace":"empty"}"#]
    );
    let kept: Vec<_> = said
        .kept
        .iter()
        .map(|kept| (&*kept.object, &*kept.reason))
        .collect();
    let expected = [
        ("namespace busy", "has 1 workflow"),
        ("namespace planned", "has schedules"),
    ];
    assert_eq!(kept, expected);
    assert_eq!(prune(&world, running.plan(), false)?, said);
    let words = ["operator", "namespace", "describe", "-n", "empty"];
    let gone = client(&running, &words).unwrap_err().to_string();
    assert!(gone.contains("not found"), "{gone}");
    let again = prune(&world, running.plan(), false)?;
    assert_eq!(
        (again.changes.as_slice(), &again.kept),
        (&[][..], &said.kept)
    );
    described(&running, "by hand")?;
    running.stop()?;
    Ok(())
}

#[test]
fn no_workflow_that_was_acknowledged_is_lost_by_a_stop() -> Outcome {
    let Some(engine) = engine()? else {
        return Ok(());
    };
    let (world, plan) = world(&engine, json!({}))?;
    let durable = world.plan("workflows", &block(json!({ "durable": true })))?;
    for (round, plan) in [&plan, &durable, &plan, &durable].into_iter().enumerate() {
        let running = Engine::boot(&world, plan)?;
        for earlier in 0..round {
            let words = [
                "workflow",
                "signal",
                "--name",
                "s",
                "-w",
                &earlier.to_string(),
            ];
            let found = client(&running, &words);
            assert!(found.is_ok(), "round {round}: {found:?}");
        }
        start(&running, "default", &round.to_string(), &[])?;
        running.stop()?;
    }
    Ok(())
}

#[test]
fn what_came_due_in_a_sleep_happens_at_the_next_wake() -> Outcome {
    let Some(engine) = engine()? else {
        return Ok(());
    };
    let (world, plan) = world(&engine, json!({}))?;
    let running = Engine::boot(&world, &plan)?;
    start(&running, "default", "late", &["--execution-timeout", "2s"])?;
    let begun = Instant::now();
    running.stop()?;
    until(BOUND, || match begun.elapsed() {
        early if early < Duration::from_secs(2) => Err(format!("{early:?}")),
        _ => Ok(()),
    })?;
    let running = Engine::boot(&world, &plan)?;
    let words = ["workflow", "describe", "-w", "late", "-o", "json"];
    until(BOUND, || {
        seen(&running, &words, "WORKFLOW_EXECUTION_STATUS_TIMED_OUT")
    })?;
    running.stop()?;
    Ok(())
}

#[test]
fn dynamic_settings_reach_the_server() -> Outcome {
    let Some(engine) = engine()? else {
        return Ok(());
    };
    let declared = json!({ "dynamic_config": { "limit.maxIDLength": 40 } });
    let (world, plan) = world(&engine, declared)?;
    let running = Engine::boot(&world, &plan)?;
    start(&running, "default", &"x".repeat(40), &[])?;
    let told = start(&running, "default", &"x".repeat(41), &[]).unwrap_err();
    assert!(told.to_string().contains("length"), "{told}");
    running.stop()?;
    Ok(())
}

#[test]
fn the_page_is_there_with_the_server_if_it_is_declared() -> Outcome {
    let Some(engine) = engine()? else {
        return Ok(());
    };
    let (world, plan) = world(&engine, json!({ "ui_port": 8233 }))?;
    let running = Engine::boot(&world, &plan)?;
    let member = running.plan().body.members.first();
    let port = member.and_then(|member| member.env.get("UI_PORT"));
    let mut page = TcpStream::connect(format!("127.0.0.1:{}", port.ok_or("no port")?))?;
    page.write_all(b"GET / HTTP/1.0\r\nHost: localhost\r\n\r\n")?;
    let mut told = String::new();
    page.read_to_string(&mut told)?;
    assert!(
        told.contains(" 200 OK\r\n") && told.contains("</html>"),
        "{told}"
    );
    running.stop()?;
    Ok(())
}

fn refusal() -> Refusal {
    Refusal {
        reason: "cannot start:\r\n\t50% größe\nno space \u{1b}[1m".to_owned(),
        hint: "doze logs workflows".to_owned(),
    }
}

const TOLD: &str = "doze: cannot start: 50% größe no space [1m; doze logs workflows shows more";

#[test]
fn a_client_in_go_shows_why_it_is_refused() -> Outcome {
    let Some(engine) = engine()? else {
        return Ok(());
    };
    let listener = TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?.to_string();
    let accept = || {
        let (socket, _) = listener.accept()?;
        // As an activator has it.
        socket.set_nonblocking(true)?;
        Ok(socket.into())
    };
    let home = tempfile::tempdir()?;
    let mut client = cli(&engine.server);
    client.args(["workflow", "list", "--address", &address]);
    client.env("HOME", home.path());
    let output = refused(DRIVER.into(), &refusal(), accept, client)?;
    let told = String::from_utf8([output.stdout, output.stderr].concat())?;
    assert!(told.contains(TOLD), "{told}");
    Ok(())
}

/// What a client that says this is told, and how the driver ends.
fn told(says: &[u8]) -> Result<Vec<u8>, Box<dyn Error>> {
    let (mut ours, theirs) = UnixStream::pair()?;
    let driver = Refusing::start(DRIVER.into(), theirs, &refusal())?;
    ours.write_all(says)?;
    let mut told = Vec::new();
    ours.read_to_end(&mut told)?;
    ours.shutdown(Shutdown::Both)?;
    assert!(driver.end()?.success());
    Ok(told)
}

#[test]
fn a_browser_is_shown_why() -> Outcome {
    let page = String::from_utf8(told(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")?)?;
    assert!(page.starts_with("HTTP/1.1 503 "), "{page}");
    assert!(page.contains("50% größe\nno space  [1m\n"), "{page}");
    Ok(())
}

#[test]
fn a_client_is_told_once_and_its_other_calls_may_be_made_again() -> Outcome {
    // Settings, a ping, a window, and two calls, the second in two frames.
    let ping = b"\0\0\x08\x06\0\0\0\0\0abcdefgh";
    let call = |stream: u8, flags: u8| [0, 0, 0, 1, flags, 0, 0, 0, stream];
    let rest = b"\0\0\0\x09\x04\0\0\0\x05";
    let says = [
        &b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..],
        b"\0\0\0\x04\0\0\0\0\0",
        ping,
        b"\0\0\x04\x08\0\0\0\0\0\0\0\0\x01",
        &call(5, 0),
        rest,
        &call(7, 4),
    ]
    .concat();
    let told = told(&says)?;
    let start = [
        &b"\0\0\0\x04\0\0\0\0\0"[..],
        b"\0\0\0\x04\x01\0\0\0\0",
        b"\0\0\x08\x06\x01\0\0\0\0abcdefgh",
    ]
    .concat();
    assert!(told.starts_with(&start), "{}", told.escape_ascii());
    // GOAWAY: the call on stream 5 was the last one, and there was no error.
    let end = b"\0\0\x08\x07\0\0\0\0\0\0\0\0\x05\0\0\0\0";
    assert!(told.ends_with(end), "{}", told.escape_ascii());
    let text = String::from_utf8_lossy(&told);
    assert!(text.contains("50%25 gr%C3%B6%C3%9Fe no space"), "{text}");
    Ok(())
}

#[test]
fn a_frame_that_nobody_sends_ends_the_conversation() -> Outcome {
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    for frame in [
        &b"\xff\xff\xff\0\0\0\0\0\0"[..],
        b"\0\0\0\x07\0\0\0\0\0",
        b"\0\0\0",
    ] {
        let (mut ours, theirs) = UnixStream::pair()?;
        let driver = Refusing::start(DRIVER.into(), theirs, &refusal())?;
        ours.write_all(&[&preface[..], frame].concat())?;
        ours.shutdown(Shutdown::Write)?;
        let mut told = Vec::new();
        ours.read_to_end(&mut told)?;
        assert_eq!(told, b"\0\0\0\x04\0\0\0\0\0", "{}", frame.escape_ascii());
        assert!(driver.end()?.success());
    }
    Ok(())
}
