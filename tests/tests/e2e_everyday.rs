//! The commands that people type a hundred times a day: how they look on a terminal, and that asking
//! wakes nobody.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a surprise fails the test, and says what it was"
)]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use doze_tests::programs::workspace;
use doze_tests::project::{Mode, Project, output, succeed};
use doze_tests::{World, in_every_mode, wait_until};
use serde_json::Value;

const BOUND: Duration = Duration::from_secs(30);

in_every_mode!(
    status_tells_what_is_used_and_wakes_nobody,
    logs_of_many_have_names_and_can_be_shortened,
    wait_tells_when_it_is_so_and_changes_nothing,
);

/// A shell line in a terminal of that size, in the project's folder.
fn terminal(project: &Project, columns: u16, line: &str) -> Command {
    project.world.programs();
    let mut script = project.world.command("script");
    let line = format!("stty cols {columns} rows 24; {line}");
    script
        .args(["--quiet", "--return", "--command", &line, "/dev/null"])
        .current_dir(project.world.home().join("shop"))
        .env("TERM", "xterm");
    script
}

/// What is printed, with names in the place of what is different each time.
fn told(project: &Project, printed: &str) -> String {
    printed
        .replace("\r\n", "\n")
        .replace(&project.app.to_string(), "PPPPP")
        .replace(&project.cache.to_string(), "QQQQQ")
        .replace(
            &format!("postgres {}", declared(project, "app")),
            "postgres NN",
        )
        .replace(
            &format!("valkey {}", declared(project, "cache")),
            "valkey N",
        )
}

fn declared(project: &Project, name: &str) -> String {
    let version = row(&project.status(), name)["version"].clone();
    version.as_str().expect("a version").to_owned()
}

fn row(status: &Value, name: &str) -> Value {
    let mut rows = status["instances"].as_array().expect("rows").iter();
    rows.find(|row| row["name"] == name).expect("a row").clone()
}

/// Compares with what was looked at and found good; `DOZE_BLESS=1` writes it.
fn assert_looks(name: &str, text: &str) {
    let path = workspace().join("tests/tests/terminal").join(name);
    if std::env::var_os(doze_tests::tree::BLESS).is_some() {
        let mut file = fs::File::create(&path).expect("a file");
        file.write_all(text.as_bytes()).expect("it can be written");
    }
    let good = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(good, text, "{}", path.display());
}

#[test]
fn status_fits_every_terminal_and_has_colours_only_there() {
    let Some(project) = Project::new(Mode::Systemd, "1h") else {
        return;
    };
    let toml = project
        .toml("1h")
        .replace("[valkey", "depends_on = [\"cache\"]\n\n[valkey");
    project.declare(&toml);
    project.run(&["up"]);
    let before = project.world.processes();
    for (name, columns, line) in [
        ("asleep-80.txt", 80, "NO_COLOR=1 doze status"),
        ("asleep-160.txt", 160, "NO_COLOR=1 doze status"),
        ("asleep-colours.txt", 80, "doze status"),
        ("asleep-graph.txt", 80, "NO_COLOR=1 doze status --graph"),
        ("asleep-dumb.txt", 80, "TERM=dumb doze status"),
    ] {
        let printed = succeed(&mut terminal(&project, columns, line));
        assert_looks(name, &told(&project, &printed));
    }
    let piped = project.run(&["status"]);
    assert_looks("asleep-piped.txt", &told(&project, &piped));
    assert_eq!(before, project.world.processes(), "somebody was woken");
}

fn status_tells_what_is_used_and_wakes_nobody(mode: Mode) {
    let Some(mut project) = Project::new(mode, "1h") else {
        return;
    };
    project.up();
    project.run(&["wake", "cache"]);
    let before = project.processes();
    assert!(!before.is_empty());
    for arguments in [
        &["status"][..],
        &["status", "--graph"],
        &["status", "--json"],
    ] {
        project.run(arguments);
    }
    let status = project.status();
    assert_eq!(before, project.processes(), "somebody was woken or stopped");
    let (app, cache) = (row(&status, "app"), row(&status, "cache"));
    let memory = cache["memory_bytes"].as_u64().expect("bytes");
    // An activator and a server: more than one megabyte, less than a gigabyte.
    assert!((1_000_000..1_000_000_000).contains(&memory), "{cache:#}");
    let percent = cache["cpu_percent"].as_f64().expect("per cent");
    assert!((0.0..1000.0).contains(&percent), "{cache:#}");
    assert_eq!(app["memory_bytes"], Value::Null);
    assert_eq!(app["cpu_percent"], Value::Null);
    let text = project.run(&["status"]);
    assert!(text.contains("1 of 2 awake, "), "{text}");
}

/// What `doze status --json` prints in every state is what its schema says.
#[test]
fn status_prints_json_as_its_schema_says() {
    let text = fs::read_to_string(workspace().join("docs/reference/schemas/status.json"));
    let schema: Value = serde_json::from_str(&text.expect("the schema")).expect("JSON");
    jsonschema::draft202012::meta::validate(&schema).expect("a schema");
    let validator = jsonschema::draft202012::new(&schema).expect("a schema");
    let check = |project: &Project, state: &str| {
        let status = project.status();
        let errors: Vec<_> = validator
            .iter_errors(&status)
            .map(|error| format!("{error} at {}", error.instance_path()))
            .collect();
        assert_eq!(errors, [""; 0], "{status:#}");
        assert_eq!(project.state("cache"), state);
    };
    let Some(mut project) = Project::new(Mode::Systemd, "1h") else {
        return;
    };
    let limited = project.toml("1h") + "limits = { memory = \"1GB\", tasks = 90 }\n";
    project.declare(&limited);
    check(&project, "not up");
    project.up();
    check(&project, "asleep");
    project.run(&["wake", "cache"]);
    check(&project, "idling");
    let engine = row(&project.status(), "cache")["engine_pid"].to_string();
    project.world.run(&["kill", "-9", &engine]);
    wait_until("the cache to fail", BOUND, || {
        match project.state("cache").as_str() {
            "asleep, failed" => Ok(()),
            other => Err(other.to_owned()),
        }
    });
    check(&project, "asleep, failed");
    let said = row(&project.status(), "cache")["error"].clone();
    assert!(said.is_string(), "the reason is told: {said}");
    // The schema would not take anything.
    assert!(!validator.is_valid(&serde_json::json!({ "project": "shop" })));
}

/// Reads until a text was there.
fn read_until(from: &mut impl Read, what: &str) -> String {
    let mut said = Vec::new();
    let mut byte = [0];
    while !String::from_utf8_lossy(&said).contains(what) {
        let read = from.read(&mut byte).expect("a pipe");
        assert!(
            read == 1,
            "no {what:?} in {}",
            String::from_utf8_lossy(&said)
        );
        said.extend(byte);
    }
    String::from_utf8_lossy(&said).into_owned()
}

fn finish(mut child: Child, mut stdout: impl Read) -> String {
    let mut rest = String::new();
    stdout.read_to_string(&mut rest).expect("text");
    let status = child.wait().expect("our child");
    assert!(status.success(), "{status}: {rest}");
    rest
}

#[test]
fn status_watches_until_a_key_and_restores_the_terminal() {
    let Some(mut project) = Project::new(Mode::Systemd, "1h") else {
        return;
    };
    project.up();
    for key in [b"q", b"\x03"] {
        let line = "stty -g; doze status --watch && stty -g";
        let mut watcher = terminal(&project, 80, line)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let mut stdout = watcher.stdout.take().expect("a pipe");
        let before = read_until(&mut stdout, "\n");
        read_until(&mut stdout, "\x1b[?1049h");
        let shown = read_until(&mut stdout, "\x1b[J");
        assert!(
            shown.contains("cache") && shown.contains("asleep"),
            "{shown}"
        );
        // A change is shown without a key.
        project.run(&["wake", "cache"]);
        read_until(&mut stdout, "idling");
        project.run(&["sleep", "cache"]);
        watcher
            .stdin
            .take()
            .expect("a pipe")
            .write_all(key)
            .expect("it reads");
        let rest = finish(watcher, stdout);
        let (_, after) = rest
            .split_once("\x1b[?25h\x1b[?1049l")
            .expect("the first screen");
        assert_eq!(after.trim(), before.trim());
    }
    let refused = output(&mut project.doze(&["status", "--watch"]));
    assert_eq!(refused.status.code(), Some(2), "a pipe is refused");
}

fn logs_of_many_have_names_and_can_be_shortened(mode: Mode) {
    let Some(mut project) = Project::new(mode, "1h") else {
        return;
    };
    project.up();
    for name in ["app", "cache"] {
        project.run(&["wake", name]);
        project.run(&["sleep", name]);
    }
    project.run(&["wake", "cache"]);
    let all = project.run(&["logs"]);
    assert!(all.lines().count() > 5, "{all}");
    for line in all.lines() {
        assert!(
            line.starts_with("app   | ") || line.starts_with("cache | "),
            "{line}"
        );
    }
    let last = project.run(&["logs", "app", "cache", "-n", "2"]);
    let last: Vec<_> = last.lines().collect();
    assert_eq!(last.len(), 4, "{last:#?}");
    assert!(
        last.get(1)
            .is_some_and(|line| line.contains("leaving with exit status 0"))
    );
    let ready = "valkey cache is ready after";
    let count = |arguments: &[&str]| project.run(arguments).matches(ready).count();
    assert_eq!(count(&["logs", "cache"]), 2);
    assert_eq!(count(&["logs", "cache", "--since-boot"]), 1);
    assert_eq!(project.run(&["logs", "cache", "-n", "0"]), "");

    let mut follower = project.doze(&["logs", "-f", "-n", "0"]);
    let mut follower = follower.stdout(Stdio::piped()).spawn().expect("it starts");
    let mut lines = BufReader::new(follower.stdout.take().expect("a pipe"))
        .lines()
        .map_while(Result::ok);
    follower_listens(&project, &mut lines);
    for name in ["app", "cache"] {
        project.run(&["sleep", name]);
        project.run(&["wake", name]);
        let prefix = format!("{name:<5} | doze: ");
        let found =
            lines.find(|line| line.starts_with(&prefix) && line.contains(" is ready after"));
        assert!(found.is_some(), "{name} is followed");
    }
    follower.kill().expect("our child");
    follower.wait().expect("our child");
}

/// Wakes the cache until the follower has told of it: before the first line it may not be listening.
fn follower_listens(project: &Project, lines: &mut (impl Iterator<Item = String> + Send)) {
    let log = project.home().join("logs/cache.log");
    let mut file = fs::File::options().append(true).open(log).expect("a log");
    thread::scope(|scope| {
        let told = scope.spawn(|| lines.find(|line| line == "cache | knock"));
        wait_until("the follower", BOUND, || {
            file.write_all(b"knock\n").expect("it can be written");
            if told.is_finished() {
                Ok(())
            } else {
                Err("it says nothing".to_owned())
            }
        });
    });
}

#[test]
fn shell_points_to_no_url_where_there_is_none() {
    let world = World::new();
    world.write("home/shop/doze.toml", "[process.web]\ncommand = 'true'\n");
    let mut command = world.command("doze");
    command
        .args(["shell", "web"])
        .current_dir(world.home().join("shop"));
    let refused = output(&mut command);
    assert_eq!(
        String::from_utf8_lossy(&refused.stderr),
        "error: the driver of process names no client\n"
    );
}

#[test]
fn shell_is_the_client_of_the_engine_without_a_password_in_its_arguments() {
    let Some(project) = Project::new(Mode::Systemd, "1h") else {
        return;
    };
    let toml = project.toml("1h") + "password = \"s3 cret'%\"\n";
    let toml = toml.replace(
        "owner = \"app\"\n",
        "owner = \"app\"\n[postgres.app.role.app]\npassword = \"pg $ecret\"\n",
    );
    project.declare(&toml);
    let refused = output(&mut project.doze(&["shell", "cache"]));
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(1));
    assert!(said.contains("is not up"), "{said}");
    project.run(&["up"]);
    assert_eq!(
        project.run(&["shell", "app", "--", "-XAtqc", "select current_user"]),
        "app\n"
    );
    assert_eq!(project.run(&["shell", "cache", "--", "ping"]), "PONG\n");
    // Its exit status is that of the client.
    let failed = output(&mut project.doze(&["shell", "app", "--", "-XAtqc", "no sql"]));
    assert_eq!(failed.status.code(), Some(1));

    // One that waits for input is in the process table.
    let mut waiting = project.doze(&["shell", "cache"]);
    let mut waiting = waiting
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut stdin = waiting.stdin.take().expect("a pipe");
    stdin.write_all(b"ping\n").expect("it reads");
    read_until(waiting.stdout.as_mut().expect("a pipe"), "PONG");
    let table = doze_tests::process::list(&project.processes());
    assert!(table.contains("-cli -h 127.0.0.1 -p "), "{table}");
    assert!(!table.contains("cret"), "{table}");
    drop(stdin);
    assert!(waiting.wait().expect("our child").success());
}

#[test]
fn restart_leaves_asleep_what_sleeps() {
    let Some(mut project) = Project::new(Mode::Systemd, "1h") else {
        return;
    };
    project.up();
    project.run(&["wake", "cache"]);
    let engine = |project: &Project| row(&project.status(), "cache")["engine_pid"].clone();
    let first = engine(&project);
    let said: Value = serde_json::from_str(&project.run(&["restart", "--json"])).expect("JSON");
    assert_eq!(said, serde_json::json!({ "restarted": ["cache"] }));
    assert_ne!(engine(&project), first);
    assert!(engine(&project).is_number());
    assert_eq!(project.state("app"), "asleep");
    assert_eq!(project.run(&["restart", "app"]), "");
    assert_eq!(project.state("app"), "asleep");

    // One that failed is started anew.
    let pid = engine(&project).to_string();
    project.world.run(&["kill", "-9", &pid]);
    wait_until("the cache to fail", BOUND, || {
        match project.state("cache").as_str() {
            "asleep, failed" => Ok(()),
            other => Err(other.to_owned()),
        }
    });
    project.run(&["restart"]);
    assert_eq!(project.state("cache"), "idling");
    assert_eq!(project.state("app"), "asleep");

    project.down();
    let refused = output(&mut project.doze(&["restart", "cache"]));
    assert_eq!(refused.status.code(), Some(0), "nothing is awake");
}

fn wait_tells_when_it_is_so_and_changes_nothing(mode: Mode) {
    let Some(mut project) = Project::new(mode, "1h") else {
        return;
    };
    let failed = |arguments: &[&str]| failed(&project, arguments);
    let (code, said) = failed(&["wait", "cache", "--ready", "--timeout", "50ms"]);
    assert_eq!(code, Some(1));
    assert!(
        said.contains("`cache` is not ready after 50ms: it is asleep"),
        "{said}"
    );
    assert_eq!(failed(&["wait", "cache"]).0, Some(2), "ready or asleep?");
    assert_eq!(
        failed(&["wait", "cache", "--ready", "--timeout", "soon"]).0,
        Some(2)
    );

    // It is there before the project is up.
    let mut waiting = project.doze(&["wait", "cache", "app", "--ready", "--timeout", "60s"]);
    let mut waiting = waiting.spawn().expect("it starts");
    project.up();
    project.run(&["wake", "cache"]);
    assert_eq!(project.state("app"), "asleep", "to wait wakes nobody");
    assert!(waiting.try_wait().expect("our child").is_none());
    project.run(&["wake", "app"]);
    assert!(waiting.wait().expect("our child").success());

    let (code, said) = crate::failed(
        &project,
        &["wait", "cache", "--asleep", "--timeout", "50ms"],
    );
    assert_eq!(code, Some(1));
    assert!(
        said.contains("`cache` is not asleep after 50ms: it is idling"),
        "{said}"
    );
    let mut waiting = project.doze(&["wait", "cache", "--asleep", "--json"]);
    let waiting = waiting.stdout(Stdio::piped()).spawn().expect("it starts");
    project.run(&["sleep", "cache"]);
    let said = waiting.wait_with_output().expect("our child");
    assert!(said.status.success());
    let said: Value = serde_json::from_slice(&said.stdout).expect("JSON");
    assert_eq!(said["state"], "asleep");
    assert_eq!(said["instances"], serde_json::json!(["cache"]));
}

fn failed(project: &Project, arguments: &[&str]) -> (Option<i32>, String) {
    let output = output(&mut project.doze(arguments));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code(), said)
}

#[test]
fn every_command_that_does_something_answers_programs_in_one_object() {
    let Some(project) = Project::new(Mode::Systemd, "1h") else {
        return;
    };
    let text = fs::read_to_string(workspace().join("docs/reference/schemas/action.json"));
    let all: Value = serde_json::from_str(&text.expect("the schema")).expect("JSON");
    let json = |arguments: &[&str]| -> Value {
        let said: Value = serde_json::from_str(&project.run(arguments)).expect("one object");
        let reference = format!("#/$defs/{}", arguments[0]);
        let schema = serde_json::json!({ "$ref": reference, "$defs": all["$defs"] });
        let validator = jsonschema::draft202012::new(&schema).expect("a schema");
        validator.validate(&said).expect("as the schema says");
        assert!(!validator.is_valid(&serde_json::json!({})));
        said
    };
    let up = |started: &[&str], restarted: &[&str], removed: &[&str]| {
        let told = serde_json::json!({
            "project": "shop", "started": started, "restarted": restarted, "removed": removed
        });
        assert_eq!(json(&["up", "--json"]), told);
    };
    up(&["app", "cache"], &[], &[]);
    up(&[], &[], &[]);
    let woken = json(&["wake", "cache", "--json"]);
    assert_eq!(
        (&woken["name"], &woken["state"]),
        (&"cache".into(), &"ready".into())
    );
    let ready = json(&["wait", "cache", "--ready", "--json"]);
    assert_eq!(ready["instances"], serde_json::json!(["cache"]));
    let restarted = serde_json::json!({ "restarted": ["cache"] });
    assert_eq!(json(&["restart", "--json"]), restarted);
    let toml = project.toml("1h");
    project.declare(&project.toml("2h"));
    up(&[], &["cache"], &[]);
    project.declare(toml.split("[valkey").next().expect("what stands before"));
    up(&[], &[], &["cache"]);
    project.declare(&toml);
    up(&["cache"], &[], &[]);
    json(&["wake", "cache", "--json"]);
    let down = serde_json::json!({ "project": "shop", "stopped": ["cache"] });
    assert_eq!(json(&["down", "--json"]), down);
    up(&["app", "cache"], &[], &[]);
    json(&["wake", "cache", "--json"]);
    let slept = serde_json::json!({ "name": "cache", "was_awake": true });
    assert_eq!(json(&["sleep", "cache", "--json"]), slept);
    assert_eq!(json(&["sleep", "cache", "--json"])["was_awake"], false);
    let reset = json(&["reset", "cache", "--yes", "--json"]);
    assert!(
        reset["removed_bytes"]
            .as_u64()
            .is_some_and(|bytes| bytes > 0),
        "{reset}"
    );
    assert_eq!(json(&["destroy", "--yes", "--json"])["project"], "shop");
}
