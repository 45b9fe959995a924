//! Endpoints besides those of the engine's own protocol, each with an upstream of its own.

use std::{
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
};

use doze_contract::{
    Endpoint,
    plan::{Readiness, SideEndpoint},
};

use crate::world::{BOUND, World, ask, rest};

/// Serves a page behind each of its ports once the engine is ready, and what it was told.
const PAGES: &str = r#"
import os, socket, sys, threading
def serve(name):
    server = socket.create_server(("127.0.0.1", int(os.environ[name])))
    while True:
        client, _ = server.accept()
        client.recv(64)
        client.sendall(b"page of " + name.encode() + b"\n")
        client.recv(64)
        client.close()
pages = [threading.Thread(target=serve, args=(name,)) for name in ("UI", "METRICS")]
engine = socket.socket(socket.AF_UNIX)
engine.bind(sys.argv[1])
engine.listen()
while True:
    client, _ = engine.accept()
    client.recv(64)
    client.sendall(b"+PONG\r\n")
    client.close()
    # It is ready now, and only then comes the rest.
    while pages:
        pages.pop().start()
"#;

fn world() -> World {
    let mut world = World::redis();
    let argv = ["/usr/bin/python3", "-c", PAGES];
    let socket = world.plan.paths.run.join("engine.sock");
    let member = world.member();
    member.argv = argv.map(String::from).to_vec();
    member.argv.push(socket.into_string());
    member.stop.say = None;
    for (name, variable) in [("ui", "UI"), ("metrics", "METRICS")] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        world.plan.body.side.push(SideEndpoint {
            name: String::from(name),
            endpoint: Endpoint::Tcp(listener.local_addr().unwrap()),
            variable: String::from(variable),
        });
        world.side.push(listener);
    }
    world
}

/// A client of a side endpoint that has said its first words.
fn call(world: &World, at: usize) -> TcpStream {
    let mut all = world.side.iter();
    let listener = all.nth(at).unwrap();
    let mut stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    stream.set_read_timeout(Some(BOUND)).unwrap();
    stream.write_all(b"GET /\r\n").unwrap();
    stream
}

fn first_line(stream: &TcpStream) -> String {
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).unwrap();
    line
}

#[test]
fn each_client_comes_to_the_upstream_of_its_endpoint() {
    let world = world();
    let page = call(&world, 0);
    let activator = world.activate();
    assert_eq!(first_line(&page), "page of UI\n");
    assert_eq!(first_line(&call(&world, 1)), "page of METRICS\n");
    ask(world.connect(), "PING\r\n", "+PONG\r\n");
    drop(page);
    assert_eq!(activator.exit(), Some(0));
}

#[test]
fn a_client_of_a_side_endpoint_counts_and_keeps_awake() {
    let world = world();
    let page = call(&world, 0);
    let activator = world.activate();
    assert_eq!(first_line(&page), "page of UI\n");
    let status = world.status().unwrap();
    assert_eq!((status.connections, status.holds), (1, 0));
    ask(world.connect(), "PING\r\n", "+PONG\r\n");
    world.until_status(|status| status.connections == 1);
    drop(page);
    assert_eq!(activator.exit(), Some(0));
}

#[test]
fn a_client_of_a_side_endpoint_is_refused_when_the_engine_does_not_boot() {
    let mut world = world();
    world.member().argv = ["/bin/sh", "-c", "exit 1"].map(String::from).to_vec();
    world.member().ready = Readiness::Connect { at: None };
    world.drive("#!/bin/sh\nprintf 'no page: %s' \"$DOZE_REFUSAL\" >&0\n");
    let page = call(&world, 1);
    let activator = world.activate();
    let told = rest(&page);
    assert!(told.starts_with("no page: redis ended"), "{told}");
    assert_eq!(activator.exit(), Some(1));
}
