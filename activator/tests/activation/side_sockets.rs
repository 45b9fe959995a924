//! The wake socket and the status socket.

use std::{
    io::{BufRead, Read, Write},
    os::unix::{fs::PermissionsExt, net::UnixStream},
};

use doze_contract::status::Phase;

use crate::world::{World, ask, until};

#[test]
fn a_hold_hears_that_the_engine_is_ready_and_keeps_it_awake() {
    let world = World::redis();
    let mut hold = world.hold();
    let activator = world.activate();
    let mut line = String::new();
    hold.read_line(&mut line).unwrap();
    assert_eq!(line, "ready\n");
    let status = world.status().unwrap();
    assert_eq!(status.phase, Phase::Serving);
    assert_eq!((status.connections, status.holds), (0, 1));

    let mut late = world.hold();
    line.clear();
    late.read_line(&mut line).unwrap();
    assert_eq!(line, "ready\n");
    drop(late);
    ask(world.connect(), "PING\r\n", "+PONG\r\n");
    world.until_status(|status| (status.connections, status.holds) == (0, 1));
    drop(hold);
    assert_eq!(activator.exit(), Some(0));
}

#[test]
fn whatever_is_said_on_the_status_socket_neither_hurts_nor_keeps_awake() {
    let world = World::redis();
    let activator = world.activate();
    let path = &world.plan.paths.status_socket;
    let mut garbage = until("status socket", || UnixStream::connect(path));
    let _silent = UnixStream::connect(path).unwrap();
    let mode = std::fs::metadata(path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    garbage.write_all(&vec![b'x'; 100_000]).unwrap_or_default();
    let mut answer = Vec::new();
    garbage.read_to_end(&mut answer).unwrap_or_default();
    assert_eq!(answer, b"");
    assert_eq!(activator.exit(), Some(0));
}

#[test]
fn a_status_socket_that_a_dead_activator_left_is_replaced() {
    let world = World::redis();
    drop(std::os::unix::net::UnixListener::bind(&world.plan.paths.status_socket).unwrap());
    let client = world.connect();
    let activator = world.activate();
    ask(&client, "PING\r\n", "+PONG\r\n");
    assert_eq!(world.status().unwrap().phase, Phase::Serving);
    drop(client);
    assert_eq!(activator.exit(), Some(0));
}
