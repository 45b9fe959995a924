//! Programs whose port or socket the activator chooses, woken by their first client.

use std::{
    io::{Read, Write},
    time::Duration,
};

use doze_contract::plan::{Chosen, Own, Probe, Readiness};

use crate::world::{World, ask, rest, until};

/// Debian's, as `apt-get install python3` puts it.
const PYTHON: &str = "/usr/bin/python3";

/// A program of the user's own that clients wake.
fn lazy(argv: &[&str], chosen: Chosen) -> World {
    assert!(
        std::path::Path::new(PYTHON).is_file(),
        "{PYTHON} is missing: apt-get install python3"
    );
    let mut world = World::redis();
    let body = &mut world.plan.body;
    body.upstream = None;
    body.hello = None;
    body.chosen = Some(chosen);
    body.clients_speak_first = false;
    let member = world.member();
    member.argv = argv.iter().copied().map(String::from).collect();
    member.own = Some(Own::default());
    member.stop.say = None;
    world
}

#[test]
fn a_web_server_is_told_its_port_and_answers_its_first_client() {
    let script = r#"exec python3 -m http.server --bind 127.0.0.1 "$PORT""#;
    let mut world = lazy(
        &["/bin/sh", "-c", script],
        Chosen::Port(String::from("PORT")),
    );
    world.member().ready = Readiness::Http {
        at: None,
        path: String::from("/"),
        probe: Probe {
            interval: Duration::from_millis(100),
            timeout: Duration::from_secs(5),
        },
    };
    let hook = "echo $PORT >> ../ports".into();
    world.member().own.as_mut().unwrap().pre_start =
        vec![vec!["/bin/sh".into(), "-c".into(), hook]];
    for _ in 0..2 {
        let mut client = world.connect();
        client.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
        let activator = world.activate();
        let answer = rest(&client);
        assert!(answer.starts_with("HTTP/1.0 200 OK\r\n"), "{answer}");
        drop(client);
        assert_eq!(activator.exit(), Some(0));
    }
    let ports = std::fs::read_to_string(world.folder.path().join("ports")).unwrap();
    let ports: Vec<u16> = ports.lines().map(|port| port.parse().unwrap()).collect();
    assert_eq!(ports.len(), 2);
}

#[test]
fn a_port_is_chosen_anew_for_the_next_boot() {
    let mut world = lazy(
        &["/bin/sh", "-c", "echo $PORT >> ../ports; exit 1"],
        Chosen::Port(String::from("PORT")),
    );
    world.member().ready = Readiness::Connect { at: None };
    let activator = world.activate();
    until("the failure", || {
        let log = world.log();
        log.contains("boot failed").then_some(()).ok_or(log)
    });
    let mut client = world.connect();
    // It is refused after the second boot.
    assert_eq!(client.read(&mut [0]).unwrap(), 0);
    assert_eq!(activator.exit(), Some(1));
    let ports = std::fs::read_to_string(world.folder.path().join("ports")).unwrap();
    assert_eq!(ports.lines().count(), 2, "{ports}");
}

/// Takes over the socket that it was handed, and says who it was meant for.
const TAKES_OVER: &str = r#"
import os, socket, stat
assert stat.S_ISCHR(os.fstat(0).st_mode), "standard input is empty"
meant = os.environ["LISTEN_PID"] == str(os.getpid()) and os.environ["LISTEN_FDS"] == "1"
server = socket.socket(fileno=3)
while True:
    client, _ = server.accept()
    client.recv(4)
    client.sendall(b"mine\n" if meant else b"not mine\n")
    client.close()
"#;

#[test]
fn a_program_inherits_its_listening_socket() {
    let mut world = lazy(&[PYTHON, "-c", TAKES_OVER], Chosen::Socket);
    world.member().ready = Readiness::Connect { at: None };
    let client = world.connect();
    let activator = world.activate();
    ask(&client, "who?", "mine\n");
    drop(client);
    assert_eq!(activator.exit(), Some(0));
}
