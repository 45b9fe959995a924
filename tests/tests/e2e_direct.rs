//! Clients of a unix endpoint and the engine, with nothing between them: who is on the other side,
//! and that no sleep and no kill loses them.
#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a surprise fails the test, and says what it was"
)]

use std::fs;
use std::io::{ErrorKind, Read as _};
use std::path::Path;
use std::time::Duration;

use doze_contract::{Endpoint, Plan};
use doze_tests::client::Client;
use doze_tests::exchange::Exchange;
use doze_tests::process;
use doze_tests::project::{Mode, Project};
use doze_tests::{wait_until, without_launchd};
use rustix::net::sockopt::socket_peercred;
use rustix::process::Signal;
use serde_json::Value;

without_launchd!(
    the_engine_itself_answers_at_the_path,
    a_direct_client_counts_and_keeps_the_engine_awake,
    doze_sleep_ends_direct_clients_and_the_next_one_wakes_again,
    a_killed_engine_or_activator_leaves_a_path_that_works,
);

const BOUND: Duration = Duration::from_mins(1);

const INSTANCES: [&str; 2] = ["app", "cache"];

fn the_engine_itself_answers_at_the_path(mode: Mode) {
    let Some(project) = project(mode, "1h") else {
        return;
    };
    for instance in INSTANCES {
        let plan = project.plan(instance);
        let first = served(&plan);
        let engine = number(&project, instance, "engine_pid");
        assert_ne!(Some(peer(&first)), engine, "{instance}: nobody was awake");
        // The path had changed before the first one was answered.
        let second = served(&plan);
        assert_eq!(Some(peer(&second)), engine, "{instance}");

        drop((first, second));
        project.run(&["sleep", instance]);
        let third = served(&plan);
        let engine = number(&project, instance, "engine_pid");
        assert_ne!(Some(peer(&third)), engine, "{instance}: nobody was awake");
        assert_eq!(Some(peer(&served(&plan))), engine, "{instance}");
    }
}

fn a_direct_client_counts_and_keeps_the_engine_awake(mode: Mode) {
    let Some(project) = project(mode, "300ms") else {
        return;
    };
    for (instance, other) in [("app", "cache"), ("cache", "app")] {
        let plan = project.plan(instance);
        let carried = served(&plan);
        let direct = [served(&plan), served(&plan)];
        assert_eq!(number(&project, instance, "connections"), Some(3));
        drop(carried);
        let engine = number(&project, instance, "engine_pid");
        assert_eq!(Some(peer(direct.first().expect("two"))), engine);

        // While the other one with the same timeout comes and goes, this one stays.
        for _ in 0..2 {
            project.run(&["wake", other]);
            wait_until("the other one to sleep", BOUND, || {
                match project.state(other) {
                    state if state == "asleep" => Ok(()),
                    state => Err(state),
                }
            });
        }
        assert_eq!(number(&project, instance, "connections"), Some(2));
        assert_eq!(number(&project, instance, "engine_pid"), engine);
        for client in direct {
            assert_is_connected(client);
        }
        project.wait_asleep();
        drop(served(&plan));
        project.wait_asleep();
    }
}

fn doze_sleep_ends_direct_clients_and_the_next_one_wakes_again(mode: Mode) {
    let Some(project) = project(mode, "1h") else {
        return;
    };
    for instance in INSTANCES {
        let plan = project.plan(instance);
        let carried = served(&plan);
        let direct = served(&plan);
        project.run(&["sleep", instance]);
        assert_eq!(project.state(instance), "asleep");
        ends(carried);
        ends(direct);
        drop(served(&plan));
        assert_eq!(project.wakes(instance), 2, "{instance}");
    }
}

fn a_killed_engine_or_activator_leaves_a_path_that_works(mode: Mode) {
    let Some(project) = project(mode, "1h") else {
        return;
    };
    for instance in INSTANCES {
        let plan = project.plan(instance);
        for who in ["engine", "activator"] {
            let carried = served(&plan);
            let direct = served(&plan);
            let victim = match who {
                "engine" => i32::try_from(peer(&direct)).expect("a process id"),
                _ => activator(&project, instance),
            };
            assert!(process::signal(victim, project.world.dir(), Signal::KILL));
            ends(carried);
            ends(direct);
            // As long as the engine's name is still there, nobody answers at it.
            wait_until("the path to lead to the init system", BOUND, || {
                fs::read_link(path(&plan)).map_err(|error| error.to_string())
            });
            drop(served(&plan));
            let next = number(&project, instance, "engine_pid");
            assert_eq!(Some(peer(&served(&plan))), next, "{instance}, {who}");
        }
        // Twice killed, so thrice booted; nobody is on the data besides.
        assert_eq!(project.wakes(instance), 3, "{instance}");
    }
}

/// A project that is up, with both instances on unix sockets.
fn project(mode: Mode, idle_timeout: &str) -> Option<Project> {
    let mut project = Project::new(mode, idle_timeout)?;
    let mut toml = project.toml(idle_timeout);
    for port in [project.app, project.cache] {
        toml = toml.replace(&format!("port = {port}"), "listen = \"unix\"");
    }
    project.declare(&toml);
    project.up();
    Some(project)
}

fn path(plan: &Plan) -> &Path {
    match plan.endpoints.first() {
        Some(Endpoint::Unix(path)) => path.as_std_path(),
        other => panic!("no unix endpoint: {other:?}"),
    }
}

/// A client that connected at the first try, and was answered.
#[track_caller]
fn served(plan: &Plan) -> Client {
    let endpoint = plan.endpoints.first().expect("an endpoint");
    let mut client = Client::connect(endpoint, BOUND).expect("somebody listens");
    let heard = Exchange::of(plan).with(&mut client);
    assert!(heard.expect("an answer"), "it is ready");
    client
}

/// Who listened when a client connected (unix(7), `SO_PEERCRED`).
fn peer(client: &Client) -> u64 {
    let Client::Unix(stream) = client else {
        panic!("not of a unix endpoint: {client:?}");
    };
    let peer = socket_peercred(stream).expect("it is connected");
    u64::try_from(peer.pid.as_raw_nonzero().get()).expect("a process id")
}

/// Nobody has ended its connection.
#[track_caller]
fn assert_is_connected(mut client: Client) {
    if let Client::Unix(stream) = &client {
        stream.set_nonblocking(true).expect("a socket");
    }
    let read = client.read(&mut [0]).map_err(|error| error.kind());
    assert_eq!(read, Err(ErrorKind::WouldBlock));
}

/// Reads to the end of a connection that somebody else ends.
#[track_caller]
fn ends(mut client: Client) {
    match client.read_to_end(&mut Vec::new()) {
        Ok(_) => {}
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error}"),
    }
}

fn activator(project: &Project, instance: &str) -> i32 {
    let plan = format!("/plans/{instance}.json");
    let mut all = project.running("doze-activator");
    all.retain(|process| process.command.contains(" run ") && process.command.contains(&plan));
    assert_eq!(all.len(), 1, "{}", process::list(&all));
    all.first().expect("one").pid
}

/// A number of an instance in `doze status --json`.
fn number(project: &Project, instance: &str, field: &str) -> Option<u64> {
    let status = project.status();
    let rows = status.get("instances").and_then(Value::as_array)?;
    let of = |row: &&Value| row.get("name").is_some_and(|name| name == instance);
    rows.iter().find(of)?.get(field)?.as_u64()
}
