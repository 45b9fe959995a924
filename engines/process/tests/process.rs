//! The driver's program, with processes that are really run.

use std::{
    error::Error,
    io::{ErrorKind, Read, Write},
    net::{Shutdown, TcpListener},
    os::unix::net::UnixStream,
    process::{Command, Stdio},
    time::Duration,
};

use doze_contract::plan::Start;
use doze_driver::{
    Refusal,
    conformance::{
        Client, Engine, Practice, Refusing, Subject, World, practice::python, rules, until,
    },
};
use serde_json::{Map, Value, json};

const DRIVER: &str = env!("CARGO_BIN_EXE_doze-driver-process");

type Outcome = Result<(), Box<dyn Error>>;

#[expect(clippy::expect_used, reason = "the blocks here are literals")]
fn block(block: Value) -> Map<String, Value> {
    serde_json::from_value(block).expect("a block is an object")
}

fn broken(declared: Value) -> Result<Vec<String>, Box<dyn Error>> {
    Ok(rules::broken(&Subject {
        program: DRIVER.into(),
        toolchain: Err("a process has no versions".to_owned()),
        block: block(declared),
        secrets: Vec::new(),
        practice: Some(practice()),
    })?)
}

#[test]
fn the_driver_keeps_every_rule() -> Outcome {
    assert_eq!(broken(json!({}))?, [""; 0]);
    let full = json!({
        "command": "sleep 3600 & wait", "cwd": "/", "env": { "A": "1" }, "env_file": ".env",
        "hooks": { "pre_start": "true", "post_start": ["true"], "pre_stop": "true" },
        "restart": { "policy": "always", "backoff": "2s", "max_retries": 1 },
        "stop": { "signal": "SIGINT", "timeout": "3s" },
    });
    assert_eq!(broken(full)?, [""; 0]);
    let folder = tempfile::tempdir()?;
    let shelf = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/stand-in/shelf");
    let lazy = json!({
        "command": "exec \"$SHELF\" \"$PORT\"", "env": { "SHELF": shelf },
        "cwd": folder.path(), "lazy": true,
    });
    assert_eq!(broken(lazy)?, [""; 0]);
    Ok(())
}

/// curl and Python's own client, against the shelf.
fn practice() -> Practice {
    let curl = Client {
        name: "curl",
        ask: |plan, store| {
            let mut curl = Command::new("curl");
            curl.args(["--silent", "--show-error", "--fail", "--noproxy", "*"]);
            if let Some(text) = store {
                curl.args(["--data-raw", text]);
            }
            curl.args(&plan.body.connection.url);
            curl
        },
    };
    let urllib = Client::in_python("urllib.request", |plan, store| {
        const SCRIPT: &str = "\
import sys, urllib.request
text = sys.argv[2].encode() if sys.argv[2:] else None
print(urllib.request.urlopen(sys.argv[1], text).read().decode())
";
        python(SCRIPT, plan, store)
    });
    Practice {
        clients: vec![Ok(curl), urllib],
        drift: None,
    }
}

#[test]
fn one_with_a_port_is_ready_when_it_accepts_and_is_gone_with_all_of_its_group() -> Outcome {
    let free = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let world = World::new(DRIVER, None)?.at(vec![free.to_string().parse()?]);
    let serve = "python3 -m http.server \"$PORT\" --bind 127.0.0.1 & wait";
    let plan = world.plan("web", &block(json!({ "command": serve })))?;
    assert!(matches!(plan.body.start, Start::WithProject(_)));
    let engine = Engine::boot(&world, &plan)?;
    let _status = engine.stop()?;
    // Nobody of the group stays to hold the port.
    until(Duration::from_secs(5), || {
        TcpListener::bind(free)
            .map(drop)
            .map_err(|error| error.to_string())
    })?;
    Ok(())
}

#[test]
fn its_program_tells_whether_a_line_matches() -> Outcome {
    let told = |pattern: &str, output: &str| -> Result<_, Box<dyn Error>> {
        let mut child = Command::new(DRIVER)
            .args(["match", pattern])
            .stdin(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        // One that has its answer does not read the rest.
        let mut stdin = child.stdin.take().ok_or("no pipe")?;
        drop(stdin.write_all(output.as_bytes()));
        drop(stdin);
        Ok(child.wait()?.code())
    };
    assert_eq!(told("^ready$", "starting\nready")?, Some(0));
    assert_eq!(told("^ready$", "already\n")?, Some(1));
    assert_eq!(told("(", "ready\n")?, Some(2));
    Ok(())
}

#[test]
fn a_client_is_told_why_only_after_the_head_of_its_request() -> Outcome {
    let (mut ours, theirs) = UnixStream::pair()?;
    let refusal = Refusal {
        reason: "`web` left with status 1\n<b>".to_owned(),
        hint: "doze logs web".to_owned(),
    };
    let driver = Refusing::start(DRIVER.into(), theirs, &refusal)?;
    ours.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n")?;
    ours.set_read_timeout(Some(Duration::from_millis(300)))?;
    let early = ours.read(&mut [0]).map_err(|error| error.kind());
    assert_eq!(early, Err(ErrorKind::WouldBlock));
    ours.set_read_timeout(None)?;
    ours.write_all(b"\r\n")?;
    let mut answer = String::new();
    ours.read_to_string(&mut answer)?;
    ours.shutdown(Shutdown::Both)?;
    assert!(driver.end()?.success());
    assert!(
        answer.starts_with("HTTP/1.1 503 Service Unavailable\r\n"),
        "{answer}"
    );
    for line in [
        "Content-Type: text/plain; charset=utf-8\r\n",
        "Retry-After: 1\r\n",
        "Connection: close\r\n",
        "\r\n\r\ndoze: `web` left with status 1\n<b>\ndoze logs web shows more\n",
    ] {
        assert!(answer.contains(line), "{line:?} is not in {answer}");
    }
    Ok(())
}
