//! The data directory, made by a fake driver: a shell script that speaks just enough of the
//! driver protocol.

use std::{fs, io::BufRead, os::unix::fs::PermissionsExt};

use rustix::process::Signal;

use crate::world::{World, ask, put, until};

/// Notes each call beside itself and leaves a mark in the directory that it is given.
const DRIVER: &str = r#"#!/bin/sh
IFS= read -r request
data=$(printf %s "$request" | sed -n 's/.*"data":"\([^"]*\)","fresh":\(true\|false\)}.*/\1/p')
fresh=$(printf %s "$request" | sed -n 's/.*"fresh":\(true\|false\)}.*/\1/p')
echo "fresh=$fresh LISTEN_FDS=$LISTEN_FDS LISTEN_FDNAMES=$LISTEN_FDNAMES" >> "$0.calls"
echo mark >> "$data/mark" || exit 1
echo "made $data" >&2
echo '{"answer":"provision"}'
"#;

fn world() -> World {
    let mut world = World::redis();
    world.drive(DRIVER);
    fs::remove_dir_all(&world.plan.paths.data).unwrap();
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

#[test]
fn data_is_made_once_and_brought_up_to_date_when_the_fingerprint_changes() {
    let mut world = world();
    // What a failed attempt left behind is no part of the next one.
    let aside = world.folder.path().join(".data.new");
    fs::create_dir(&aside).unwrap();
    put(aside.join("mark"), "stale\n");
    wakes(&world);
    assert_eq!(read(&world, "data/doze-provisioned"), "one");
    assert_eq!(read(&world, "data/mark"), "mark\n");
    let mode = fs::metadata(&world.plan.paths.data)
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o700);
    assert!(!aside.try_exists().unwrap());

    wakes(&world);
    assert_eq!(read(&world, "data/mark"), "mark\n");

    world.plan.body.provision.fingerprint = String::from("two");
    wakes(&world);
    assert_eq!(read(&world, "data/doze-provisioned"), "two");
    assert_eq!(read(&world, "data/mark"), "mark\nmark\n");
    assert_eq!(
        read(&world, "fake-driver.calls"),
        "fresh=true LISTEN_FDS= LISTEN_FDNAMES=\nfresh=false LISTEN_FDS= LISTEN_FDNAMES=\n"
    );
    assert!(world.log().contains("made "), "{}", world.log());
}

/// The driver is asked for it by whoever had new data made, when nobody waits, and by nobody else.
#[test]
fn what_the_next_new_data_begin_with_is_made_ahead() {
    let mut world = world();
    world.plan.body.provision.replenishes = true;
    let ahead = r#"case $request in *'{"replenish":'*)
        echo ahead >> "$0.calls"; echo '{"answer":"replenish"}'; exit;;
        esac"#;
    world.drive(&DRIVER.replacen("data=", &format!("{ahead}\ndata="), 1));
    let calls = || read(&world, "fake-driver.calls");
    let client = world.connect();
    let activator = world.activate();
    ask(&client, "PING\r\n", "+PONG\r\n");
    until("a call", || match calls() {
        calls if calls.ends_with("\nahead\n") => Ok(()),
        calls => Err(calls),
    });
    drop(client);
    assert_eq!(activator.exit(), Some(0));
    let before = calls();
    assert_eq!(before.lines().count(), 2, "{before}");
    wakes(&world);
    assert_eq!(calls(), before);
}

#[test]
fn data_that_doze_did_not_make_is_left_alone() {
    let world = world();
    fs::create_dir(&world.plan.paths.data).unwrap();
    put(world.plan.paths.data.join("precious"), "data");
    let line = fails(&world);
    assert!(
        line.contains("it is not empty and has no doze-provisioned file"),
        "{line}"
    );
    assert_eq!(read(&world, "fake-driver.calls"), "");
    assert_eq!(read(&world, "data/precious"), "data");
}

#[test]
fn a_driver_that_cannot_says_why_and_leaves_nothing_that_is_used() {
    let mut world = world();
    world.drive("#!/bin/sh\nread request\necho '{\"error\":\"the disk is full\"}'\n");
    let line = fails(&world);
    assert_eq!(line, "failed: cannot provision: the disk is full\n");
    assert!(!world.plan.paths.data.try_exists().unwrap());

    world.drive("#!/bin/sh\necho out of luck >&2\nexit 3\n");
    let line = fails(&world);
    assert!(
        line.contains("without an answer (exit status: 3); it said: out of luck"),
        "{line}"
    );
    assert!(!world.plan.paths.data.try_exists().unwrap());
    world.drive(DRIVER);
    wakes(&world);
}

#[test]
fn a_signal_while_provisioning_ends_the_driver_and_leaves_no_data() {
    let mut world = world();
    world.drive("#!/bin/sh\nread request\necho $$ > \"$0.pid\"\nexec sleep 1000\n");
    let activator = world.activate();
    let pid: u32 = until("driver", || read(&world, "fake-driver.pid").trim().parse());
    activator.kill(Signal::TERM);
    assert_eq!(activator.exit(), Some(0));
    assert!(!crate::world::is_alive(pid));
    assert!(!world.plan.paths.data.try_exists().unwrap());
    world.drive(DRIVER);
    wakes(&world);
}
