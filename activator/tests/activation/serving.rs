//! Clients that come, are served, and leave.

use std::{
    io::Write,
    net::{Shutdown, TcpListener, TcpStream},
    process::{Command, Stdio},
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::world::{ACTIVATOR, World, ask, is_alive, put, rest, until};

#[test]
fn the_first_client_is_answered_and_the_data_is_kept_over_a_sleep() {
    let world = World::redis();
    let client = world.connect();
    let activator = world.activate();
    ask(&client, "SET greeting hello\r\n", "+OK\r\n");
    let status = world.status().unwrap();
    let engine = status.engine_pid.unwrap();
    assert_eq!((status.connections, status.holds), (1, 0));
    assert_eq!(status.activator_pid, activator.id());
    assert_eq!(status.revision, "r1");
    assert!(status.boot_ms.is_some() && status.sleeps_in_ms.is_none());
    drop(client);
    assert_eq!(activator.exit(), Some(0));
    assert!(!is_alive(engine), "{}", world.log());
    assert!(world.engines().is_empty());
    assert!(!world.plan.paths.status_socket.try_exists().unwrap());

    // Nothing runs; the listener is the init system's and still takes clients.
    let client = world.connect();
    let activator = world.activate();
    ask(&client, "GET greeting\r\n", "$5\r\nhello\r\n");
    drop(client);
    assert_eq!(activator.exit(), Some(0));
}

#[test]
fn two_hundred_clients_at_once_share_one_engine() {
    let world = World::redis();
    let clients: Vec<TcpStream> = (0..200).map(|_| world.connect()).collect();
    for mut client in &clients {
        client.write_all(b"INCR visitors\r\n").unwrap();
    }
    let activator = world.activate();
    for client in &clients {
        let mut first = [0];
        std::io::Read::read_exact(&mut &*client, &mut first).unwrap();
        assert_eq!(&first, b":");
    }
    assert_eq!(world.engines().len(), 1);
    assert_eq!(world.status().unwrap().connections, 200);
    let last = world.connect();
    ask(&last, "GET visitors\r\n", "$3\r\n200\r\n");
    drop((clients, last));
    assert_eq!(activator.exit(), Some(0));
}

#[test]
fn a_client_that_left_before_it_was_accepted_keeps_nobody_awake() {
    let world = World::redis();
    drop(world.connect());
    assert_eq!(world.activate().exit(), Some(0));
    assert!(world.engines().is_empty());
}

#[test]
fn an_activation_without_any_client_goes_back_to_sleep() {
    let world = World::redis();
    assert_eq!(world.activate().exit(), Some(0));
}

#[test]
fn without_an_idle_timeout_it_stays_awake() {
    let mut world = World::redis();
    world.plan.idle_timeout = None;
    let client = world.connect();
    let activator = world.activate();
    ask(&client, "PING\r\n", "+PONG\r\n");
    drop(client);
    let status = world.until_status(|status| status.connections == 0);
    assert_eq!(status.sleeps_in_ms, None);
    ask(world.connect(), "PING\r\n", "+PONG\r\n");
    activator.kill(rustix::process::Signal::TERM);
    assert_eq!(activator.exit(), Some(0));
}

#[test]
fn a_client_that_has_said_all_gets_its_answer() {
    let world = World::redis();
    let mut client = world.connect();
    client.write_all(b"PING\r\n").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    let activator = world.activate();
    assert_eq!(rest(&client), "+PONG\r\n");
    drop(client);
    assert_eq!(activator.exit(), Some(0));
}

#[test]
fn four_megabytes_go_through_whole() {
    let world = World::redis();
    let mut client = world.connect();
    let activator = world.activate();
    let value = "0123456789abcdef".repeat(1 << 18);
    write!(
        client,
        "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n${}\r\n{value}\r\n",
        value.len()
    )
    .unwrap();
    ask(&client, "", "+OK\r\n");
    ask(
        &client,
        "GET k\r\n",
        &format!("${}\r\n{value}\r\n", value.len()),
    );
    drop(client);
    assert_eq!(activator.exit(), Some(0));
}

/// With an idle timeout this short, clients come at every moment of a going to sleep.
#[test]
fn hammered_while_it_falls_asleep_it_loses_nobody() {
    let mut world = World::redis();
    world.plan.idle_timeout = Some(Duration::from_millis(2));
    let (over, listener) = (AtomicBool::new(false), world.listener());
    let activations = std::thread::scope(|scope| {
        let init = scope.spawn(|| {
            let mut activations = 0;
            while !over.load(Ordering::Relaxed) {
                let mut fds = [PollFd::new(&listener, PollFlags::IN)];
                let tenth = Timespec {
                    tv_sec: 0,
                    tv_nsec: 100_000_000,
                };
                if poll(&mut fds, Some(&tenth)).unwrap() == 1 {
                    assert_eq!(world.activate().exit(), Some(0), "{}", world.log());
                    activations += 1;
                }
            }
            activations
        });
        let clients: Vec<_> = (0..4)
            .map(|seed: u64| {
                let world = &world;
                scope.spawn(move || {
                    for round in 0..100_u64 {
                        ask(world.connect(), "PING\r\n", "+PONG\r\n");
                        let pause = Duration::from_micros((round * 7919 + seed * 104_729) % 9000);
                        let begun = std::time::Instant::now();
                        until("pause", || {
                            let left = pause.saturating_sub(begun.elapsed());
                            if left.is_zero() { Ok(()) } else { Err(left) }
                        });
                    }
                })
            })
            .collect();
        for client in clients {
            client.join().unwrap();
        }
        over.store(true, Ordering::Relaxed);
        init.join().unwrap()
    });
    assert!(
        activations > 5,
        "it hardly ever slept: {activations} activations"
    );
}

#[test]
fn the_engine_gets_no_descriptor_and_no_variable_that_is_not_its_own() {
    let world = World::fake("echo ready > ../run/state; exec sleep 1000");
    let activator = world.activate();
    let engine = world
        .until_status(|status| status.boot_ms.is_some())
        .engine_pid
        .unwrap();
    let proc = format!("/proc/{engine}");
    // What the test itself inherited, and so the activator, is not the activator's leak.
    let own = open_files("/proc/self");
    // A program that has just started may still be reading its locale.
    until("its descriptors", || {
        let mut open = open_files(&proc);
        open.retain(|file| file.0 <= 2 || !own.contains(file));
        let mut open: Vec<String> = open.into_iter().map(|(_, target)| target).collect();
        open.sort();
        if open == ["/dev/null", "lock", "pipe:[]", "pipe:[]"] {
            Ok(())
        } else {
            Err(open)
        }
    });

    let environment = std::fs::read_to_string(format!("{proc}/environ")).unwrap();
    let mut variables: Vec<&str> = environment.split_terminator('\0').collect();
    // The shell that becomes the fake engine adds its own.
    variables.retain(|variable| !variable.starts_with("PWD=") && !variable.starts_with("OLDPWD"));
    variables.sort_unstable();
    assert_eq!(variables, ["LANG=C.UTF-8", "PATH=/usr/bin:/bin"]);

    let limits = |pid: &str| {
        let limits = std::fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
        let line = limits
            .lines()
            .find(|line| line.starts_with("Max open files"));
        String::from(line.unwrap())
    };
    assert_eq!(limits(&engine.to_string()), limits("self"));
    activator.kill(rustix::process::Signal::TERM);
    assert_eq!(activator.exit(), Some(0));
}

/// The descriptors of a process and what they lead to, without numbers and folders.
fn open_files(proc: &str) -> Vec<(u32, String)> {
    std::fs::read_dir(format!("{proc}/fd"))
        .unwrap()
        .filter_map(|entry| {
            let path = entry.unwrap().path();
            let target = std::fs::read_link(&path).ok()?;
            let target = target.to_string_lossy().replace(char::is_numeric, "");
            let short = if target.ends_with("/lock") {
                "lock"
            } else {
                &target
            };
            let number = path.file_name()?.to_str()?.parse().ok()?;
            Some((number, String::from(short)))
        })
        .collect()
}

/// The other way to pass sockets: with `LISTEN_PID`, by systemd's own tool.
#[test]
fn under_systemd_socket_activate_the_first_client_is_answered() {
    let world = World::redis();
    let plan = world.folder.path().join("plan.json");
    put(&plan, &serde_json::to_string(&world.plan).unwrap());
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let mut tool = Command::new("systemd-socket-activate")
        .args(["-l", &format!("127.0.0.1:{port}"), ACTIVATOR, "run"])
        .arg(&plan)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("systemd-socket-activate is missing: apt-get install systemd");
    let client = until("listening", || TcpStream::connect(("127.0.0.1", port)));
    ask(&client, "PING\r\n", "+PONG\r\n");
    drop(client);
    let status = until("exit", || tool.try_wait().unwrap().ok_or("running"));
    assert_eq!(status.code(), Some(0));
    assert!(
        world.log().contains("is no endpoint of the plan"),
        "{}",
        world.log()
    );
}
