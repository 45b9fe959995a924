//! How the activator sees that a program is ready, and what it says when it is not.

use std::time::Duration;

use doze_contract::{
    Endpoint,
    plan::{Probe, Readiness},
};
use rustix::process::Signal;

use crate::world::World;

const PROBE: Probe = Probe {
    interval: Duration::from_millis(20),
    timeout: Duration::from_secs(5),
};

fn exec(script: &str) -> Readiness {
    Readiness::Exec {
        argv: ["/bin/sh", "-c", script].map(String::from).to_vec(),
        probe: PROBE,
    }
}

fn log_line(pattern: &str) -> Readiness {
    Readiness::LogLine {
        pattern: String::from(pattern),
    }
}

/// The line that tells why there was no boot.
fn failure(world: &World) -> String {
    assert_eq!(world.activate().exit(), Some(1));
    let log = world.log();
    let reason = log.split_once("boot failed: ").unwrap().1;
    String::from(reason.lines().next().unwrap())
}

#[test]
fn each_kind_of_readiness_is_seen() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let at = Some(Endpoint::Tcp(listener.local_addr().unwrap()));
    for ready in [
        exec("test -e ../there"),
        log_line("^listening on port [0-9]+$"),
        log_line("^prompt> $"),
        Readiness::Connect { at },
        Readiness::Alive {
            lasts: Duration::from_millis(20),
        },
    ] {
        let mut world = World::process(
            "touch ../there; echo listening on port 80; printf 'prompt> '; exec sleep 1000",
        );
        world.member().ready = ready;
        let activator = world.activate();
        world.until_status(|status| status.boot_ms.is_some());
        activator.kill(Signal::TERM);
        assert_eq!(activator.exit(), Some(0));
    }
}

#[test]
fn who_is_late_is_told_what_is_missing() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = Endpoint::Tcp(listener.local_addr().unwrap());
    let closed = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        Endpoint::Tcp(listener.local_addr().unwrap())
    };
    let http = |at: &Endpoint, timeout| Readiness::Http {
        at: Some(at.clone()),
        path: String::from("/"),
        probe: Probe { timeout, ..PROBE },
    };
    for (ready, missing) in [
        (
            Readiness::Connect {
                at: Some(closed.clone()),
            },
            "it accepts no connection",
        ),
        (http(&closed, PROBE.timeout), "it accepts no connection"),
        (
            http(&silent, Duration::from_millis(50)),
            "it does not answer within 50ms",
        ),
        (
            exec("exit 4"),
            "the command that checks it failed (exit status: 4)",
        ),
        (log_line("ready"), "it has printed no line that matches"),
        (
            Readiness::Alive {
                lasts: Duration::from_mins(1),
            },
            "it has to live for longer",
        ),
    ] {
        let mut world = World::process("echo starting; exec sleep 1000");
        world.member().ready = ready;
        world.member().ready_within = Duration::from_millis(400);
        let expected = format!("web was not ready within 400ms: {missing}; it said: starting");
        assert_eq!(failure(&world), expected);
    }
}

#[test]
fn a_program_has_to_live_through_its_window() {
    let mut world = World::process("exec sleep 1000");
    world.member().ready = Readiness::Alive {
        lasts: Duration::from_millis(300),
    };
    let activator = world.activate();
    let status = world.until_status(|status| status.boot_ms.is_some());
    assert!(status.boot_ms.unwrap() >= 300, "{status:?}");
    activator.kill(Signal::TERM);
    assert_eq!(activator.exit(), Some(0));

    let mut world = World::process("echo no; exit 0");
    world.member().ready = Readiness::Alive {
        lasts: Duration::from_secs(20),
    };
    assert_eq!(
        failure(&world),
        "web ended before it was ready (exit status: 0); it said: no"
    );
}

#[test]
fn a_pattern_that_is_none_is_said() {
    let mut world = World::process("exec sleep 1000");
    world.member().ready = log_line("(");
    let reason = failure(&world);
    assert!(
        reason.starts_with("cannot watch for web to become ready: `(` is no regular expression: "),
        "{reason}"
    );
}
