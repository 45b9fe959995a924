//! How the activator sees that a program is ready, and what it says when it is not.

use std::{io::BufRead, time::Duration};

use doze_contract::{
    Endpoint,
    plan::{Probe, Readiness, Start},
};
use rustix::process::Signal;

use crate::world::{World, printed};

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
        printed("listening on port"),
        Readiness::Output {
            argv: ["/bin/sh", "-c", "head -c 29 | grep -q 'a prompt$'"]
                .map(String::from)
                .to_vec(),
        },
        Readiness::Connect { at },
        Readiness::Alive {
            lasts: Duration::from_millis(20),
        },
    ] {
        let mut world = World::process(
            "touch ../there; echo listening on port 80; printf 'a prompt'; exec sleep 1000",
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
        (printed("ready"), "its output does not say so"),
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

    let mut world = World::process("echo no; exit 1");
    world.member().ready = Readiness::Alive {
        lasts: Duration::from_secs(20),
    };
    assert_eq!(
        failure(&world),
        "web ended before it was ready (exit status: 1); it said: no"
    );
}

#[test]
fn a_program_that_does_its_work_within_its_window_was_ready_and_has_ended() {
    let alive = Readiness::Alive {
        lasts: Duration::from_secs(20),
    };
    for ready in [alive.clone(), printed("done")] {
        let mut world = World::process("echo done");
        world.member().ready = ready;
        world.own().post_start = vec![vec![String::from("/bin/touch"), String::from("../after")]];
        let mut hold = world.hold();
        assert_eq!(world.activate().exit(), Some(2), "{}", world.log());
        let mut line = String::new();
        hold.read_line(&mut line).unwrap();
        assert_eq!(line, "ready\n");
        assert!(world.folder.path().join("after").is_file());
        assert!(world.log().contains(" is ready after "));
    }

    for ready in [printed("something else"), exec("false")] {
        let mut world = World::process("echo done");
        world.member().ready = ready;
        assert_eq!(
            failure(&world),
            "web ended before it was ready (exit status: 0); it said: done"
        );
    }
    let mut world = World::process("echo done");
    world.member().ready = alive;
    world.plan.body.start = Start::OnDemand;
    failure(&world);
}

#[test]
fn what_listens_is_started_first_and_is_gone_when_the_program_is() {
    let mut world = World::process("exec sleep 1000");
    world.member().ready = Readiness::Output {
        argv: vec![String::from("/nowhere/listener")],
    };
    assert_eq!(
        failure(&world),
        "cannot watch for web to become ready: cannot run `/nowhere/listener`: \
         No such file or directory (os error 2)"
    );

    for script in ["echo up; exit 3", "echo up; exec sleep 1000"] {
        let mut world = World::process(script);
        world.member().ready = printed("ready");
        world.member().ready_within = Duration::from_millis(400);
        failure(&world);
        assert_eq!(world.engines(), [0; 0]);
    }
}

#[test]
fn what_fails_to_listen_is_told_when_the_time_is_over() {
    let mut world = World::process("echo up; exec sleep 1000");
    world.member().ready = Readiness::Output {
        argv: ["/bin/sh", "-c", "echo no pattern >&2; exit 2"]
            .map(String::from)
            .to_vec(),
    };
    world.member().ready_within = Duration::from_millis(400);
    let reason = failure(&world);
    assert!(
        reason.starts_with(
            "web was not ready within 400ms: the command that checks it failed (exit status: 2)"
        ),
        "{reason}"
    );
}
