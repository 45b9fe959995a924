//! The first slice end to end: real engines behind real sockets, from asleep to awake and back.
//! Every test runs under a private systemd and in the foreground.
#![expect(
    clippy::expect_used,
    reason = "a surprise fails the test, and says what it was"
)]

use std::process::Child;
use std::time::Duration;

use doze_tests::process::{self, Process};
use doze_tests::project::{Mode, Project, output};
use doze_tests::{User, in_every_mode, wait_until};
use rustix::process::{Pid, Signal, kill_process};

const BOUND: Duration = Duration::from_mins(1);

in_every_mode!(
    data_is_there_after_the_next_wake,
    two_hundred_clients_share_one_boot,
    wake_sleep_and_down_do_what_they_say,
    a_killed_activator_takes_its_engine_along,
    a_killed_engine_is_booted_again,
    half_close_is_carried_through,
    an_engine_that_refuses_root_runs_all_the_same,
);

/// Must hold 1: clients work, everything sleeps afterwards, the ports still accept, nothing is
/// lost, and the log tells what happened.
fn data_is_there_after_the_next_wake(mode: Mode) {
    let Some(mut project) = Project::new(mode, "300ms") else {
        return;
    };
    project.up();
    assert_eq!(process::list(&project.processes()), "", "asleep after up");
    assert_eq!(project.state("app"), "asleep");

    project.sql("create table t (n int); insert into t values (42)");
    assert_eq!(project.cached(&["set", "k", "wert ü"]), "OK");
    project.wait_asleep();
    assert_eq!(project.state("app"), "asleep");
    assert_eq!(project.state("cache"), "asleep");
    assert_eq!(
        process::list(&project.processes()),
        "",
        "status wakes nobody"
    );

    assert!(project.accepts(project.app) && project.accepts(project.cache));
    assert_eq!(project.sql("select n from t"), "42");
    assert_eq!(project.cached(&["get", "k"]), "wert ü");
    project.wait_asleep();

    let log = project.log("app");
    assert!(
        log.contains("database system is ready to accept connections"),
        "{log}"
    );
    assert!(
        project.log("cache").contains("doze: "),
        "{}",
        project.log("cache")
    );
}

/// Must hold 2.
fn two_hundred_clients_share_one_boot(mode: Mode) {
    let Some(mut project) = Project::new(mode, "1s") else {
        return;
    };
    // Postgres lets 50 in by default, so the cache takes the crowd.
    project.up();
    let mut clients: Vec<Child> = (0..200)
        .map(|n| {
            let words = format!("key{n}");
            let mut command = project.cli(&["incr", &words]);
            command
                .stdout(std::process::Stdio::piped())
                .spawn()
                .expect("a client starts")
        })
        .collect();
    for client in clients.drain(..) {
        let output = client.wait_with_output().expect("our child");
        assert_eq!(String::from_utf8_lossy(&output.stdout).trim_end(), "1");
        assert!(output.status.success());
    }
    let log = project.log("cache");
    let boots = log.matches("Ready to accept connections").count();
    assert_eq!(boots, 1, "one boot for all:\n{log}");
    project.wait_asleep();
}

fn wake_sleep_and_down_do_what_they_say(mode: Mode) {
    let Some(mut project) = Project::new(mode, "1h") else {
        return;
    };
    let early = output(&mut project.doze(&["wake", "app"]));
    assert_eq!(early.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&early.stderr).contains("not up"));

    project.up();
    project.run(&["wake", "app"]);
    let state = project.state("app");
    assert!(
        ["serving", "idling"].contains(&state.as_str()),
        "wake returned while the engine is {state}"
    );
    wait_for_one_server(&project);
    wait_until("app to idle", BOUND, || {
        match project.state("app").as_str() {
            "idling" => Ok(()),
            other => Err(other.to_owned()),
        }
    });
    project.run(&["sleep", "app"]);
    assert_eq!(
        process::list(&project.running("postgres")),
        "",
        "sleep waits for the engine"
    );
    project.run(&["sleep", "app"]);

    project.run(&["wake", "app"]);
    project.cached(&["ping"]);
    project.down();
    project.wait_asleep();
    assert!(!project.accepts(project.app), "the address is free again");
    assert_eq!(project.state("app"), "not up");
}

/// Must hold 7.
fn a_killed_activator_takes_its_engine_along(mode: Mode) {
    let Some(mut project) = Project::new(mode, "1h") else {
        return;
    };
    project.up();
    project.sql("create table t (n int); insert into t values (1)");
    let mut client = project
        .psql("select pg_sleep(600)")
        .spawn()
        .expect("psql starts");
    wait_until("the client to be served", BOUND, || {
        match number(&project, "app", "connections") {
            Some(1) => Ok(()),
            other => Err(format!("{other:?} connections")),
        }
    });
    let server = server(&project);
    let activator = only(project.running("doze-activator"));
    kill(&activator);
    assert!(
        !client.wait().expect("our child").success(),
        "its client is told"
    );

    // The lock is inherited by the engine, so this one is another server, on the same data.
    assert_eq!(project.sql("select n from t"), "1");
    assert_ne!(self::server(&project), server);
    assert_ne!(only(project.running("doze-activator")).pid, activator.pid);
    wait_for_one_server(&project);
    let log = project.log("app");
    assert!(
        !log.contains("lock file"),
        "the data was never opened twice:\n{log}"
    );
}

fn a_killed_engine_is_booted_again(mode: Mode) {
    let Some(mut project) = Project::new(mode, "1h") else {
        return;
    };
    project.up();
    project.cached(&["set", "k", "v"]);
    kill(&only(project.running("valkey-server")));
    wait_until("the cache to answer", BOUND, || {
        let output = output(&mut project.cli(&["ping"]));
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        if said.trim_end() == "PONG" {
            Ok(())
        } else {
            Err(said)
        }
    });
}

/// A client that has sent everything and closed its side still gets the whole answer.
fn half_close_is_carried_through(mode: Mode) {
    use std::io::{Read, Write};
    use std::net::{Shutdown, TcpStream};
    let Some(mut project) = Project::new(mode, "300ms") else {
        return;
    };
    project.up();
    let mut client = TcpStream::connect(("127.0.0.1", project.cache)).expect("it accepts");
    client
        .write_all(b"PING\r\nECHO hello\r\nQUIT\r\n")
        .expect("it takes bytes");
    client.shutdown(Shutdown::Write).expect("our half");
    let mut answer = String::new();
    client.read_to_string(&mut answer).expect("an answer");
    assert_eq!(answer, "+PONG\r\n$5\r\nhello\r\n+OK\r\n");
    project.wait_asleep();
}

/// Postgres refuses root, so for root it runs in a user namespace as somebody else.
fn an_engine_that_refuses_root_runs_all_the_same(mode: Mode) {
    let Some(mut project) = Project::of(User::Current, mode, "300ms") else {
        return;
    };
    project.up();
    project.sql("create table t (n int); insert into t values (1)");
    project.wait_asleep();
    assert_eq!(project.sql("select n from t"), "1");
    project.wait_asleep();
}

/// Ctrl-C is an orderly stop of everything that is awake.
#[test]
fn ctrl_c_stops_the_engines_cleanly() {
    let Some(mut project) = Project::new(Mode::Foreground, "1h") else {
        return;
    };
    project.up();
    project.sql("create table t (n int); insert into t values (1)");
    project.cached(&["set", "k", "v"]);
    project.signal_listener(Signal::INT);
    assert!(project.wait_for_listener());
    project.wait_asleep();
    assert!(!project.accepts(project.app) && !project.accepts(project.cache));
    let log = project.log("app");
    assert!(log.contains("database system is shut down"), "{log}");

    project.up();
    assert_eq!(project.sql("select n from t"), "1");
    assert!(!project.log("app").contains("was not properly shut down"));
    assert_eq!(project.cached(&["get", "k"]), "v");
    project.down();
}

/// Nothing outlives a listener that was killed: there is nobody left to hold an address for.
#[test]
fn a_killed_listener_takes_everything_along() {
    let Some(mut project) = Project::new(Mode::Foreground, "1h") else {
        return;
    };
    project.up();
    project.sql("create table t (n int); insert into t values (1)");
    project.cached(&["set", "k", "v"]);
    project.signal_listener(Signal::KILL);
    assert!(!project.wait_for_listener());
    project.wait_asleep();
    project.up();
    assert_eq!(project.sql("select n from t"), "1");
    assert_eq!(project.cached(&["get", "k"]), "v");
    project.down();
}

/// A number that `doze status` tells of an instance.
fn number(project: &Project, instance: &str, field: &str) -> Option<u64> {
    let status = project.status();
    let rows = status.get("instances")?.as_array()?;
    let row = rows
        .iter()
        .find(|row| row.get("name").is_some_and(|name| name == instance));
    row?.get(field)?.as_u64()
}

/// The process that the Postgres of the project started with.
fn server(project: &Project) -> Option<u64> {
    number(project, "app", "engine_pid")
}

/// Waits until one Postgres runs: a process that it has just forked still looks like another.
fn wait_for_one_server(project: &Project) {
    wait_until("one Postgres", BOUND, || {
        let mut all = project.running("postgres");
        all.retain(|process| process.command.contains(" -D "));
        if all.len() == 1 {
            Ok(())
        } else {
            Err(process::list(&all))
        }
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
