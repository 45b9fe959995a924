//! Clients that say nothing: no engine is booted for them, and none is kept awake.

use std::fs;

use doze_contract::status::Phase;
use rustix::process::Signal;

use crate::world::{World, ask, rest, until};

#[test]
fn a_port_scan_boots_nothing() {
    let world = World::redis();
    drop(world.connect());
    assert_eq!(world.activate().exit(), Some(0));
    assert_eq!(
        world.log().matches("is ready").count(),
        0,
        "{}",
        world.log()
    );
}

#[test]
fn a_client_that_speaks_late_is_served() {
    let world = World::redis();
    let client = world.connect();
    let gone = world.connect();
    let activator = world.activate();
    drop(gone);
    assert_eq!(world.engines(), Vec::<u32>::new());
    ask(&client, "PING\r\n", "+PONG\r\n");
    drop(client);
    assert_eq!(activator.exit(), Some(0));
}

#[test]
fn a_start_by_hand_boots_although_nobody_is_there() {
    let world = World::redis();
    assert_eq!(world.activate().exit(), Some(0));
    assert!(world.log().contains("is ready after"), "{}", world.log());
}

#[test]
fn a_silent_connection_keeps_no_engine_awake_and_can_still_wake_it() {
    let world = World::redis();
    let first = world.call();
    let activator = world.activate();
    ask(&first, "", "+PONG\r\n");
    drop(first);
    world.until_status(|status| status.phase == Phase::Idling);
    let silent = world.connect();
    until("the engine to sleep", || {
        let engines = world.engines();
        if engines.is_empty() {
            Ok(())
        } else {
            Err(engines)
        }
    });
    // The lock is free and the address answers, here and through the old connection.
    ask(&silent, "PING\r\n", "+PONG\r\n");
    ask(world.connect(), "PING\r\n", "+PONG\r\n");
    assert_eq!(
        world.log().matches("is ready").count(),
        2,
        "{}",
        world.log()
    );
    drop(silent);
    assert_eq!(activator.exit(), Some(0));
}

#[test]
fn a_stop_ends_the_silent_ones_too() {
    let world = World::redis();
    let silent = world.connect();
    let activator = world.activate();
    let status = format!("/proc/{}/status", activator.id());
    until("a handler for SIGTERM", || {
        let status = fs::read_to_string(&status).unwrap();
        let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
        let caught = u64::from_str_radix(caught.unwrap().trim(), 16).unwrap();
        if caught & (1 << 14) == 0 {
            Err(caught)
        } else {
            Ok(())
        }
    });
    activator.kill(Signal::TERM);
    assert_eq!(rest(&silent), "");
    assert_eq!(activator.exit(), Some(0));
}
