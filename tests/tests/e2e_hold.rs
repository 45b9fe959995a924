//! Holds: `doze hold`, and instances that depend on others. Every test runs under a private systemd
//! and in the foreground.
#![expect(
    clippy::expect_used,
    reason = "a surprise fails the test, and says what it was"
)]

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Stdio};
use std::time::Duration;

use doze_tests::process::{self, Process};
use doze_tests::project::{Mode, Project, output};
use doze_tests::{in_every_mode, wait_until};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

const BOUND: Duration = Duration::from_mins(1);

in_every_mode!(
    a_held_instance_stays_awake_until_the_command_ends,
    a_killed_hold_lets_go,
    an_engine_that_dies_is_held_again,
    a_dependency_is_awake_as_long_as_its_dependent,
    a_dependency_that_dies_is_held_again,
    a_dependency_that_cannot_boot_is_the_reason,
    a_dependent_goes_down_before_what_it_depends_on,
);

fn a_held_instance_stays_awake_until_the_command_ends(mode: Mode) {
    let Some(mut project) = Project::new(mode, "300ms") else {
        return;
    };
    project.up();
    let mut held = Held::start(
        &project,
        "cache",
        "readlink /proc/$$/fd/* | grep -c socket; echo $REDIS_URL; cat; exit 7",
    );
    assert_eq!(held.says(), "0", "the connections are not for the command");
    assert_eq!(
        held.says(),
        format!("redis://127.0.0.1:{}/0", project.cache)
    );
    let before = engine_pid(&project, "cache");
    assert!(before.is_some(), "it is awake when the command starts");

    // While another one with the same timeout comes and goes, this one stays.
    project.run(&["wake", "app"]);
    wait_for_state(&project, "app", "asleep");
    assert_eq!(field(&project, "cache", "holds"), Some(1.into()));
    assert_eq!(engine_pid(&project, "cache"), before);
    assert_eq!(held.end(), Some(7));
    project.wait_asleep();
}

fn a_killed_hold_lets_go(mode: Mode) {
    let Some(mut project) = Project::new(mode, "300ms") else {
        return;
    };
    project.up();
    let mut held = Held::start(&project, "cache", "echo here; cat");
    assert_eq!(held.says(), "here");
    let mut doze = project.running("doze");
    doze.retain(|process| process.command.contains(" hold "));
    kill(&only(doze));
    wait_for_state(&project, "cache", "asleep");
    assert_eq!(project.running("cat").len(), 1, "the command is not told");
    held.end();
    project.wait_asleep();
}

fn an_engine_that_dies_is_held_again(mode: Mode) {
    let Some(mut project) = Project::new(mode, "1h") else {
        return;
    };
    project.up();
    let mut held = Held::start(&project, "cache", "echo here; cat");
    assert_eq!(held.says(), "here");
    kill_the_cache_and_wait_until_it_is_held_again(&project);
    assert_eq!(held.end(), Some(0), "the command went on");
    assert_eq!(
        held.complaints(),
        "doze: `cache` went away; waking it again\n"
    );
    project.down();
    project.wait_asleep();
}

/// The project, with an `app` that depends on `cache`.
fn depending(mode: Mode, app_timeout: &str, cache_timeout: &str) -> Option<Project> {
    let project = Project::new(mode, app_timeout)?;
    let toml = project.toml(app_timeout);
    let owner = "owner = \"app\"\n";
    let toml = toml.replace(owner, &format!("{owner}depends_on = [\"cache\"]\n"));
    project.declare(&format!("{toml}idle_timeout = \"{cache_timeout}\"\n"));
    Some(project)
}

fn a_dependency_is_awake_as_long_as_its_dependent(mode: Mode) {
    let Some(mut project) = depending(mode, "1h", "1ms") else {
        return;
    };
    project.up();
    // The timeout of the cache is over whenever it could be.
    assert_eq!(project.sql("select 1"), "1");
    assert_eq!(project.state("cache"), "serving");
    assert_eq!(field(&project, "cache", "holds"), Some(1.into()));
    let before = engine_pid(&project, "cache");
    assert!(before.is_some(), "it is awake");
    project.cached(&["set", "k", "v"]);
    assert_eq!(project.cached(&["get", "k"]), "v");
    assert_eq!(
        engine_pid(&project, "cache"),
        before,
        "it was awake all the time"
    );

    project.run(&["sleep", "app"]);
    project.wait_asleep();
    assert_eq!(project.cached(&["get", "k"]), "v");
    assert_eq!(project.state("app"), "asleep", "nobody depends on app");
}

fn a_dependency_that_dies_is_held_again(mode: Mode) {
    let Some(mut project) = depending(mode, "1h", "1h") else {
        return;
    };
    project.up();
    project.sql("create table t (n int); insert into t values (1)");
    let before = engine_pid(&project, "app");
    kill_the_cache_and_wait_until_it_is_held_again(&project);
    assert_eq!(project.sql("select n from t"), "1");
    assert_eq!(engine_pid(&project, "app"), before, "the dependent goes on");
    let log = project.log("app");
    let told = "cache, which this instance depends on, went away; waking it again";
    assert_eq!(log.matches(told).count(), 1, "{log}");
    project.down();
    project.wait_asleep();
}

fn a_dependency_that_cannot_boot_is_the_reason(mode: Mode) {
    let Some(mut project) = depending(mode, "1h", "1h") else {
        return;
    };
    let toml = std::fs::read_to_string(project.world.home().join("shop/doze.toml"));
    let toml = toml.expect("it was written");
    project.declare(&(toml.clone() + "settings = { no-such-setting = 1 }\n"));
    project.up();
    let refused = output(&mut project.doze(&["wake", "app"]));
    assert_eq!(refused.status.code(), Some(1));
    let said = String::from_utf8_lossy(&refused.stderr);
    let told = "`app` does not wake: cache, which app depends on, cannot boot: valkey-server ended";
    assert!(said.contains(told), "{said}");
    assert!(
        !project.log("app").contains("creating"),
        "nothing was begun"
    );

    project.down();
    project.declare(&toml);
    project.up();
    assert_eq!(project.sql("select 1"), "1");
    project.down();
    project.wait_asleep();
}

/// `down` stops both; the log of the dependency tells that it still ran when app had stopped.
fn a_dependent_goes_down_before_what_it_depends_on(mode: Mode) {
    let Some(mut project) = depending(mode, "1h", "1h") else {
        return;
    };
    project.up();
    project.sql("select 1");
    project.down();
    project.wait_asleep();
    let last = |instance: &str, what: &str| {
        let log = project.log(instance);
        let line = log.lines().rfind(|line| line.contains(what));
        line.map(str::to_owned).expect("it says so")
    };
    let app = last("app", "leaving with exit status 0");
    let cache = last("cache", "stopping cache");
    assert!(time(&app) <= time(&cache), "{app}\n{cache}");
    let log = project.log("app");
    assert!(!log.contains("went away"), "{log}");
}

/// When a line of an activator was written.
fn time(line: &str) -> &str {
    line.split_whitespace().nth(1).expect("a time")
}

/// Of a few names, those that they depend on come up as well.
#[test]
fn up_brings_up_what_is_needed() {
    let Some(project) = depending(Mode::Systemd, "1h", "1h") else {
        return;
    };
    project.run(&["up", "cache"]);
    assert_eq!(project.state("app"), "not up");
    assert_eq!(project.state("cache"), "asleep");
    project.run(&["down"]);
    let said = project.run(&["up", "app"]);
    assert_eq!(said.lines().count(), 2, "{said}");
    assert_eq!(project.state("cache"), "asleep");
    assert_eq!(project.sql("select 1"), "1");
    assert_eq!(project.state("cache"), "serving");
}

/// A request to end is for the command, and it is held until it has ended.
#[test]
fn hold_passes_a_request_to_end_on() {
    let Some(project) = Project::new(Mode::Systemd, "1h") else {
        return;
    };
    project.run(&["up"]);
    let script =
        "trap 'echo asked; read line; exit 9' TERM; echo here; while :; do read line; done";
    let mut held = Held::start(&project, "cache", script);
    assert_eq!(held.says(), "here");
    let mut doze = project.running("doze");
    doze.retain(|process| process.command.contains(" hold "));
    let doze = only(doze);
    for signal in [Signal::INT, Signal::TERM] {
        send(&doze, signal);
    }
    assert_eq!(held.says(), "asked");
    assert_eq!(field(&project, "cache", "holds"), Some(1.into()));
    assert_eq!(held.end(), Some(9));
}

#[test]
fn hold_says_what_it_cannot_hold() {
    let Some(project) = Project::new(Mode::Systemd, "1h") else {
        return;
    };
    let refused = |arguments: &[&str]| {
        let output = output(&mut project.doze(&[&["hold"], arguments].concat()));
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.code(), said)
    };
    let (code, said) = refused(&["cahce", "--", "true"]);
    assert_eq!(code, Some(2));
    assert!(said.contains("did you mean `cache`?"), "{said}");
    let (code, said) = refused(&["--", "true"]);
    assert_eq!(code, Some(2));
    assert!(said.contains("<NAMES>..."), "{said}");
    let (code, said) = refused(&["cache", "--", "true"]);
    assert_eq!(code, Some(1));
    assert!(said.contains("`cache` is not up"), "{said}");

    project.declare(&(project.toml("1h") + "settings = { no-such-setting = 1 }\n"));
    project.run(&["up"]);
    let (code, said) = refused(&["cache", "--", "true"]);
    assert_eq!(code, Some(1));
    assert!(said.contains("`cache` does not wake"), "{said}");
}

fn kill_the_cache_and_wait_until_it_is_held_again(project: &Project) {
    let before = engine_pid(project, "cache");
    kill(&only(project.running("valkey-server")));
    wait_until("the cache to be held again", BOUND, || {
        let now = engine_pid(project, "cache");
        let holds = field(project, "cache", "holds");
        if now.is_some() && now != before && holds == Some(1.into()) {
            Ok(())
        } else {
            Err(format!("engine {now:?}, was {before:?}, holds {holds:?}"))
        }
    });
    let clients = field(project, "cache", "connections");
    assert_eq!(clients, Some(0.into()), "no client woke it");
}

/// A running `doze hold` whose command is a shell.
struct Held {
    child: Child,
    stdout: BufReader<ChildStdout>,
}

impl Held {
    fn start(project: &Project, name: &str, script: &str) -> Self {
        let mut child = project
            .doze(&["hold", name, "--", "sh", "-c", script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("doze starts");
        let stdout = BufReader::new(child.stdout.take().expect("a pipe"));
        Self { child, stdout }
    }

    /// The next line of the command.
    fn says(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).expect("a line");
        line.trim_end().to_owned()
    }

    /// Ends the input of the command, and so the command; the exit code of doze.
    fn end(&mut self) -> Option<i32> {
        drop(self.child.stdin.take());
        self.child.wait().expect("our child").code()
    }

    /// What doze said on standard error.
    fn complaints(mut self) -> String {
        let stderr = self.child.stderr.take().expect("a pipe");
        std::io::read_to_string(stderr).expect("UTF-8")
    }
}

/// A field of an instance in `doze status --json`.
fn field(project: &Project, instance: &str, field: &str) -> Option<Value> {
    let status = project.status();
    let rows = status.get("instances")?.as_array()?;
    let row = rows
        .iter()
        .find(|row| row.get("name").is_some_and(|name| name == instance));
    Some(row?.get(field)?.clone())
}

fn engine_pid(project: &Project, instance: &str) -> Option<u64> {
    field(project, instance, "engine_pid")?.as_u64()
}

fn wait_for_state(project: &Project, instance: &str, wanted: &str) {
    let what = format!("{instance} to be {wanted}");
    wait_until(&what, BOUND, || match project.state(instance) {
        state if state == wanted => Ok(()),
        state => Err(state),
    });
}

#[track_caller]
fn only(processes: Vec<Process>) -> Process {
    assert_eq!(processes.len(), 1, "{}", process::list(&processes));
    processes.into_iter().next().expect("one")
}

/// Kills a process of the world, which the world's cgroup shows to be its own.
fn kill(process: &Process) {
    send(process, Signal::KILL);
}

fn send(process: &Process, signal: Signal) {
    let pid = Pid::from_raw(process.pid).expect("a pid");
    kill_process(pid, signal).expect("it runs");
}
