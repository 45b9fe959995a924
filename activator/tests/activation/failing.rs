//! Engines that do not boot, engines that die, and plans that cannot be read.

use std::{
    io::{BufRead, Read},
    net::TcpStream,
    process::Command,
};

use doze_contract::status::Phase;
use rustix::process::{Pid, Signal, kill_process};

use crate::world::{ACTIVATOR, World, ask, put, rest, until};

#[test]
fn an_engine_that_cannot_boot_turns_everybody_away_with_the_reason() {
    let mut world = World::redis();
    world.plan.body.members[0]
        .argv
        .push(String::from("--no-such-directive"));
    world.plan.body.members[0].argv.push(String::from("1"));
    world
        .drive("#!/bin/sh\nprintf 'no: %s; see %s' \"$DOZE_REFUSAL\" \"$DOZE_REFUSAL_HINT\" >&0\n");
    let client = world.call();
    let mut hold = world.hold();
    let activator = world.activate();
    let refusal = rest(client);
    let mut line = String::new();
    hold.read_line(&mut line).unwrap();
    let reason = line.trim_end().strip_prefix("failed: ").unwrap();
    assert_eq!(refusal, format!("no: {reason}; see doze logs cache"));
    assert!(
        line.starts_with("failed: redis ended before it was ready (exit status: 1)"),
        "{line}"
    );
    assert!(line.contains("Bad directive"), "{line}");

    // Whoever comes in the pause is not put off with an old reason but waits for the next try.
    let status = world.status().unwrap();
    assert_eq!(status.phase, Phase::Failed);
    assert_eq!(format!("failed: {}\n", status.error.unwrap()), line);
    assert_eq!(rest(world.call()), refusal);
    assert_eq!(rest(world.hold().get_mut()), line);
    assert_eq!(activator.exit(), Some(1));
    let log = world.log();
    assert_eq!(log.matches("boot failed").count(), 3, "{log}");
}

#[test]
fn a_cause_that_is_gone_does_not_outlive_the_pause() {
    let mut world = World::redis();
    let program = world.plan.body.members[0].argv[0].clone();
    let link = world.folder.path().join("redis-server");
    world.plan.body.members[0].argv[0] = link.to_str().unwrap().into();
    let failed = world.call();
    let activator = world.activate();
    assert_eq!(rest(failed), "");
    let early = world.call();
    std::os::unix::fs::symlink(program, &link).unwrap();
    ask(&early, "", "+PONG\r\n");
    assert_eq!(world.status().unwrap().error, None);
    drop(early);
    assert_eq!(activator.exit(), Some(0));
}

#[test]
fn a_program_that_is_not_there_is_named() {
    let mut world = World::redis();
    world.plan.body.members[0].argv[0] = String::from("/nowhere/redis-server");
    let mut hold = world.hold();
    let activator = world.activate();
    let mut line = String::new();
    hold.read_line(&mut line).unwrap();
    let expected = "failed: cannot start /nowhere/redis-server for redis: \
                    No such file or directory (os error 2)\n";
    assert_eq!(line, expected);
    assert_eq!(activator.exit(), Some(1));
}

#[test]
fn an_engine_that_is_not_ready_in_time_is_killed() {
    let mut world = World::fake("echo warming up; echo busy > ../run/state; exec sleep 1000");
    world.plan.body.members[0].ready_within = std::time::Duration::from_millis(300);
    let mut hold = world.hold();
    let activator = world.activate();
    let mut line = String::new();
    hold.read_line(&mut line).unwrap();
    let expected = "failed: redis was not ready within 300ms: its file does not say so; \
                    it said: warming up\n";
    assert_eq!(line, expected);
    assert!(world.engines().is_empty());
    assert_eq!(activator.exit(), Some(1));
}

#[test]
fn an_engine_that_dies_ends_its_clients_and_the_next_one_wakes_it_again() {
    let world = World::redis();
    let client = world.connect();
    let activator = world.activate();
    ask(&client, "PING\r\n", "+PONG\r\n");
    let engine = world.status().unwrap().engine_pid.unwrap();
    let pid = Pid::from_raw(i32::try_from(engine).unwrap()).unwrap();
    kill_process(pid, Signal::KILL).unwrap();
    assert_eq!(rest(&client), "");
    assert_eq!(activator.exit(), Some(1));
    assert!(
        world
            .log()
            .contains("redis ended unasked (signal: 9 (SIGKILL))"),
        "{}",
        world.log()
    );

    let client = world.connect();
    let activator = world.activate();
    ask(&client, "PING\r\n", "+PONG\r\n");
    drop(client);
    assert_eq!(activator.exit(), Some(0));
}

/// The server of the second boot is ended while a driver still refuses the client of the first.
#[test]
fn what_left_the_group_of_an_engine_ends_with_it_and_a_refusing_driver_does_not() {
    let mut world = World::fake(
        "setsid sh -c 'trap \"\" INT TERM; : >../run/left; exec sleep 1000' &\n\
         until [ -e ../run/left ]; do :; done; exit 1",
    );
    let go = world.folder.path().join("go");
    world.drive(&format!(
        "#!/bin/sh\nuntil [ -e '{}' ]; do sleep 0.01; done; printf told >&0\n",
        go.display()
    ));
    let failed = |times| {
        until("the boots", || {
            let log = world.log();
            let seen = log.matches("boot failed").count() == times;
            seen.then_some(()).ok_or(log)
        });
        assert_eq!(world.engines(), Vec::<u32>::new());
    };
    let first = world.call();
    let activator = world.activate();
    failed(1);
    let second = world.call();
    failed(2);
    put(go, "");
    assert_eq!((rest(first), rest(second)), ("told".into(), "told".into()));
    assert_eq!(activator.exit(), Some(1));
}

#[test]
fn no_retry_is_asked_for_where_none_can_help() {
    let folder = tempfile::tempdir().unwrap();
    let newer = folder.path().join("newer.json");
    put(&newer, r#"{"format": 2}"#);
    let listener = World::redis().listener();
    let run = |words: &[&str], sockets: bool| {
        let mut command = Command::new(ACTIVATOR);
        command
            .args(words)
            .env_remove("LISTEN_FDS")
            .env_remove("LISTEN_PID");
        if sockets {
            use command_fds::{CommandFdExt, FdMapping};
            let parent_fd = listener.try_clone().unwrap().into();
            command.env("LISTEN_FDS", "1");
            command
                .fd_mappings(vec![FdMapping {
                    parent_fd,
                    child_fd: 3,
                }])
                .unwrap();
        }
        let output = command.output().unwrap();
        (
            output.status.code(),
            String::from_utf8(output.stderr).unwrap(),
        )
    };
    let newer = newer.to_str().unwrap();
    let mut waiting = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (code, message) = run(&["run", newer], true);
    assert_eq!(code, Some(100));
    // Left in the backlog, it would cause the next start at once.
    waiting.set_nonblocking(true).unwrap();
    assert_eq!(waiting.read(&mut [0]).unwrap(), 0);
    assert!(
        message.contains("has format 2") && message.contains("`doze up`"),
        "{message}"
    );
    let (code, message) = run(&["run", newer], false);
    assert_eq!(code, Some(100));
    assert!(
        message.contains("no listening socket was passed"),
        "{message}"
    );
    let (code, message) = run(&["run", "/nowhere/plan.json"], true);
    assert_eq!(code, Some(100));
    assert!(
        message.contains("cannot read the plan /nowhere/plan.json"),
        "{message}"
    );
    assert_eq!(run(&["walk"], false).0, Some(100));
}

#[test]
fn who_waits_for_one_that_cannot_have_its_log_is_let_go() {
    let world = World::redis();
    put(world.plan.paths.log.parent().unwrap(), "no folder");
    let client = world.connect();
    assert_eq!(world.activate().exit(), Some(1));
    assert_eq!(rest(client), "");
}
