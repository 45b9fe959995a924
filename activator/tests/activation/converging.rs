//! The structure in the engine, made by a fake driver: a shell script that speaks just enough of
//! the driver protocol.

use std::{
    fs,
    io::{BufRead, Read},
    time::Duration,
};

use doze_contract::{Opaque, plan::Converge};
use rustix::process::Signal;

use crate::world::{World, ask, put, until};

/// Notes each call beside itself, and that the engine answered meanwhile.
const DRIVER: &str = r#"#!/bin/sh
IFS= read -r request
dry=$(printf %s "$request" | sed -n 's/.*"call":{"converge":{"plan":.*,"dry_run":\(true\|false\)}}}$/\1/p')
socket=$(printf %s "$request" | sed -n 's/.*"upstream":"unix:\([^"]*\)".*/\1/p')
echo "dry_run=$dry $(redis-cli -s "$socket" ping) LISTEN_FDS=$LISTEN_FDS" >> "$0.calls"
echo '{"answer":{"converge":{"changes":[{"action":"create","object":"role a","statement":"CREATE a"},{"action":"alter","object":"role b","statement":"ALTER b"}]}}}'
"#;

fn world(driver: &str) -> World {
    let mut world = World::redis();
    world.drive(driver);
    world.plan.body.converge = Some(Converge {
        fingerprint: String::from("one"),
        block: Opaque::new(&["a"]).unwrap(),
        within: Duration::from_secs(30),
    });
    world
}

fn wakes(world: &World) {
    let client = world.connect();
    let activator = world.activate();
    ask(&client, "PING\r\n", "+PONG\r\n");
    drop(client);
    assert_eq!(activator.exit(), Some(0));
}

fn fails(world: &World) -> String {
    let mut hold = world.hold();
    let activator = world.activate();
    let mut line = String::new();
    hold.read_line(&mut line).unwrap();
    assert_eq!(activator.exit(), Some(1));
    line
}

fn read(world: &World, name: &str) -> String {
    fs::read_to_string(world.folder.path().join(name)).unwrap_or_default()
}

const CALL: &str = "dry_run=false PONG LISTEN_FDS=\n";

#[test]
fn the_ready_engine_is_converged_once_and_again_when_the_fingerprint_changes() {
    let mut world = world(DRIVER);
    wakes(&world);
    assert_eq!(read(&world, "data/doze-converged"), "one");
    let log = world.log();
    for line in ["Z converged: CREATE a\n", "Z converged: ALTER b\n"] {
        assert!(log.contains(line), "{log}");
    }
    wakes(&world);
    assert_eq!(read(&world, "fake-driver.calls"), CALL);

    world.plan.body.converge.as_mut().unwrap().fingerprint = String::from("two");
    wakes(&world);
    wakes(&world);
    assert_eq!(read(&world, "data/doze-converged"), "two");
    assert_eq!(read(&world, "fake-driver.calls"), CALL.repeat(2));
}

#[test]
fn a_plan_without_a_structure_starts_no_driver() {
    let mut world = world(DRIVER);
    world.plan.body.converge = None;
    wakes(&world);
    assert_eq!(read(&world, "fake-driver.calls"), "");
    assert_eq!(read(&world, "data/doze-converged"), "");
}

#[test]
fn a_driver_that_cannot_fails_the_boot_and_the_next_client_tries_again() {
    let mut world = world("#!/bin/sh\nread request\necho '{\"error\":\"no such extension\"}'\n");
    let line = fails(&world);
    assert_eq!(
        line,
        "failed: cannot make the structure: no such extension\n"
    );
    assert_eq!(read(&world, "data/doze-converged"), "");
    // The engine was well, so it was stopped in its own way.
    assert!(
        world.log().contains("User requested shutdown"),
        "{}",
        world.log()
    );
    assert_eq!(world.engines(), [0; 0]);

    world.drive("#!/bin/sh\nread request\necho '{\"answer\":\"provision\"}'\n");
    let line = fails(&world);
    assert!(line.contains("answered another question"), "{line}");

    world.drive(DRIVER);
    wakes(&world);
    assert_eq!(read(&world, "data/doze-converged"), "one");
}

#[test]
fn a_driver_has_as_long_as_the_plan_says() {
    let mut world = world("#!/bin/sh\nread request\necho $$ > \"$0.pid\"\nexec sleep 1000\n");
    world.plan.body.converge.as_mut().unwrap().within = Duration::from_millis(300);
    let line = fails(&world);
    assert!(line.contains("was not done within 300ms"), "{line}");
    let pid = read(&world, "fake-driver.pid").trim().parse().unwrap();
    assert!(!crate::world::is_alive(pid));
    assert_eq!(world.engines(), [0; 0]);
}

#[test]
fn nobody_is_connected_before_the_structure_is_there() {
    // The driver waits for a file that the test writes.
    let mut world = world(
        "#!/bin/sh\nIFS= read -r request\nmkfifo \"$0.gate\"\nread go < \"$0.gate\"\n\
         echo '{\"answer\":{\"converge\":{\"changes\":[]}}}'\n",
    );
    world.plan.body.clients_speak_first = false;
    let mut client = world.call();
    let activator = world.activate();
    let gate = world.folder.path().join("fake-driver.gate");
    until("the gate", || match gate.try_exists() {
        Ok(true) => Ok(()),
        other => Err(format!("{other:?}")),
    });
    client.set_nonblocking(true).unwrap();
    client.read(&mut [0]).unwrap_err();
    world.until_status(|status| status.boot_ms.is_none());
    put(&gate, "go\n");
    client.set_nonblocking(false).unwrap();
    let mut reply = [0; 7];
    client.read_exact(&mut reply).unwrap();
    assert_eq!(&reply, b"+PONG\r\n");
    drop(client);
    assert_eq!(activator.exit(), Some(0));
}

#[test]
fn a_signal_while_converging_ends_driver_and_engine_and_leaves_no_stamp() {
    let mut world = world("#!/bin/sh\nread request\necho $$ > \"$0.pid\"\nexec sleep 1000\n");
    let activator = world.activate();
    let pid: u32 = until("driver", || read(&world, "fake-driver.pid").trim().parse());
    activator.kill(Signal::TERM);
    assert_eq!(activator.exit(), Some(0));
    assert!(!crate::world::is_alive(pid));
    assert_eq!(world.engines(), [0; 0]);
    assert_eq!(read(&world, "data/doze-converged"), "");
    world.drive(DRIVER);
    wakes(&world);
    assert_eq!(read(&world, "fake-driver.calls"), CALL);
}
