//! Being told to stop, and being killed.

use std::{
    fs::File,
    process::{Command, ExitStatus},
    time::Duration,
};

use doze_contract::status::Phase;
use rustix::process::{Pid, Signal, kill_process_group};

use crate::world::{ACTIVATOR, World, ask, is_alive, rest, until};

fn stop(world: &World) -> ExitStatus {
    let path = &world.plan.paths.status_socket;
    Command::new(ACTIVATOR)
        .arg("stop")
        .arg(path)
        .status()
        .unwrap()
}

#[test]
fn a_signal_while_serving_stops_the_engine_in_its_own_dialect() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut world = World::redis();
        world.plan.idle_timeout = None;
        let client = world.connect();
        let activator = world.activate();
        ask(&client, "SET kept yes\r\n", "+OK\r\n");
        let engine = world.status().unwrap().engine_pid.unwrap();
        let begun = std::time::Instant::now();
        activator.kill(signal);
        assert_eq!(rest(&client), "");
        assert_eq!(activator.exit(), Some(0));
        // The client never closed its side, and nobody waited for that.
        assert!(
            begun.elapsed() < Duration::from_millis(1500),
            "{:?}",
            begun.elapsed()
        );
        assert!(!is_alive(engine));
        assert!(
            world.log().contains("User requested shutdown"),
            "{}",
            world.log()
        );
        assert!(world.plan.paths.data.join("dump.rdb").is_file());
    }
}

#[test]
fn a_client_that_comes_during_the_stop_is_served_by_the_next_activation() {
    let mut world = World::fake(
        "trap 'while [ ! -e ../go ]; do sleep 0.01; done; exit' TERM
         echo ready > ../run/state; while :; do sleep 0.01; done",
    );
    let activator = world.activate();
    world.until_status(|status| status.phase == Phase::Draining);
    let client = world.connect();
    File::create(world.folder.path().join("go")).unwrap();
    assert_eq!(activator.exit(), Some(0));

    // The client is still in the backlog; a real engine can answer it.
    world.become_redis();
    let activator = world.activate();
    ask(&client, "PING\r\n", "+PONG\r\n");
    drop(client);
    assert_eq!(activator.exit(), Some(0));
}

#[test]
fn the_stop_verb_returns_when_the_engine_is_gone() {
    let mut world = World::redis();
    world.plan.idle_timeout = None;
    let client = world.connect();
    let activator = world.activate();
    ask(&client, "PING\r\n", "+PONG\r\n");
    let engine = world.status().unwrap().engine_pid.unwrap();
    assert_eq!(stop(&world).code(), Some(0));
    assert!(!is_alive(engine));
    assert_eq!(activator.exit(), Some(0));
    assert_eq!(rest(&client), "");
}

#[test]
fn the_stop_verb_finds_nothing_to_stop() {
    let world = World::redis();
    assert_eq!(stop(&world).code(), Some(0));
    drop(std::os::unix::net::UnixListener::bind(&world.plan.paths.status_socket).unwrap());
    assert_eq!(stop(&world).code(), Some(0));
}

#[test]
fn a_signal_while_booting_gives_up_the_boot() {
    let world = World::fake("sleep 1000 & exec sleep 1000");
    let client = world.connect();
    let mut hold = world.hold();
    let activator = world.activate();
    let engine = until("spawn", || {
        world.status()?.engine_pid.ok_or(String::from("no engine"))
    });
    activator.kill(Signal::TERM);
    assert_eq!(activator.exit(), Some(0));
    assert!(!is_alive(engine));
    until("the group", || match world.engines() {
        left if left.is_empty() => Ok(()),
        left => Err(left),
    });
    assert_eq!(rest(&client), "");
    assert_eq!(
        rest(hold.get_mut()),
        "failed: the instance is going to sleep\n"
    );
}

#[test]
fn an_engine_that_does_not_stop_is_killed_with_all_it_started() {
    let mut world = World::fake(
        "trap '' TERM; echo ready > ../run/state; sleep 1000 & while :; do sleep 0.1; done",
    );
    world.plan.body.members[0].stop.within = Duration::from_millis(200);
    let activator = world.activate();
    assert_eq!(activator.exit(), Some(0));
    until("the group", || match world.engines() {
        left if left.is_empty() => Ok(()),
        left => Err(left),
    });
    assert!(
        world
            .log()
            .contains("did not stop within 200ms; killing it"),
        "{}",
        world.log()
    );
}

#[test]
fn an_engine_that_survives_a_killed_activator_keeps_the_lock_until_it_is_gone() {
    let world = World::redis();
    let client = world.connect();
    let activator = world.activate();
    ask(&client, "PING\r\n", "+PONG\r\n");
    let orphan = world.status().unwrap().engine_pid.unwrap();
    activator.kill(Signal::KILL);
    assert_eq!(activator.exit(), None);
    drop(client);
    assert!(is_alive(orphan));
    assert!(
        File::open(&world.plan.paths.lock)
            .unwrap()
            .try_lock()
            .is_err()
    );

    let client = world.connect();
    let activator = world.activate();
    // It waits for the lock: the status socket, which only an owner replaces, answers nobody.
    until("waiting for the lock", || {
        let wchan = std::fs::read_to_string(format!("/proc/{}/wchan", activator.id())).unwrap();
        if wchan.contains("poll") {
            Ok(())
        } else {
            Err(wchan)
        }
    });
    assert!(world.status().is_err());
    assert_eq!(world.engines(), [orphan]);

    let group = Pid::from_raw(i32::try_from(orphan).unwrap()).unwrap();
    kill_process_group(group, Signal::KILL).unwrap();
    ask(&client, "PING\r\n", "+PONG\r\n");
    assert_ne!(world.status().unwrap().engine_pid, Some(orphan));
    drop(client);
    assert_eq!(activator.exit(), Some(0));
}
