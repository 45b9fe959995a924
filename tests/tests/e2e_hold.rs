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
use doze_tests::wait_until;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

const BOUND: Duration = Duration::from_mins(1);

/// Runs a test in both modes.
macro_rules! in_both_modes {
    ($($test:ident),* $(,)?) => {
        mod systemd {
            $(#[test] fn $test() { super::$test(doze_tests::project::Mode::Systemd); })*
        }
        mod foreground {
            $(#[test] fn $test() { super::$test(doze_tests::project::Mode::Foreground); })*
        }
    };
}

in_both_modes!(
    a_held_instance_stays_awake_until_the_command_ends,
    a_killed_hold_lets_go,
    an_engine_that_dies_is_held_again,
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
    let pid = Pid::from_raw(process.pid).expect("a pid");
    kill_process(pid, Signal::KILL).expect("it runs");
}
