//! Engines that accept on the init system's own sockets: who is on the other side, and that no
//! sleep, no failure and no kill loses a client.

use std::{
    fs::{self, File},
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    os::fd::AsFd,
    sync::Barrier,
    thread::{self, ScopedJoinHandle},
    time::Duration,
};

use doze_contract::{
    Opaque,
    plan::{Converge, OpenTo},
    status::Phase,
};
use doze_tests::skip::unshown;
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, Signal, kill_process},
};
use socket2::{SockFilter, SockRef};

use crate::world::{BOUND, World, ask, put, rest, until};

/// Takes sockets and answers on all of them, and says who asks. Told to stop, it leaves after a
/// while, in which it closes the connection of whoever comes: nobody may.
const TAKES: &str = r#"
import os, signal, socket, stat, sys, threading, time
count, names = int(os.environ["LISTEN_FDS"]), os.environ["LISTEN_FDNAMES"].split(":")
assert os.environ["LISTEN_PID"] == str(os.getpid()), "they are for somebody else"
assert names == ["upstream"] + ["endpoint"] * (count - 1), names
def is_socket(fd):
    try:
        return stat.S_ISSOCK(os.fstat(fd).st_mode)
    except OSError:
        return False
assert [fd for fd in range(64) if is_socket(fd)] == list(range(3, 3 + count)), "no more than that"
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
stops = threading.Event()
def serve(listener):
    assert os.get_blocking(listener.fileno())
    while True:
        client, _ = listener.accept()
        if stops.is_set():
            client.close()
        else:
            threading.Thread(target=answer, args=(client,), daemon=True).start()
def answer(client):
    with client:
        while line := client.recv(64):
            who = f"{client.family.name} {client.getpeername()}\r\n"
            client.sendall(who.encode() if line == b"WHO\r\n" else b"+PONG\r\n")
for fd in range(3, 3 + count):
    listener = socket.socket(fileno=fd)
    threading.Thread(target=serve, args=(listener,), daemon=True).start()
signal.sigwait([signal.SIGTERM])
stops.set()
time.sleep(float(sys.argv[1]))
os._exit(0)
"#;

/// An engine that takes so many seconds to stop; `None` where it gets no sockets, after saying so.
fn world(stop: &str) -> Option<World> {
    if !can_keep_out() {
        unshown("this kernel has no gate for this user");
        return None;
    }
    let mut world = World::redis();
    let argv = ["/usr/bin/python3", "-c", TAKES, stop];
    let member = world.member();
    member.argv = argv.map(String::from).to_vec();
    member.stop.say = None;
    world.plan.open_to = OpenTo::All;
    let body = &mut world.plan.body;
    body.takes_sockets = true;
    body.clients_speak_first = false;
    Some(world)
}

/// Whether this user may put a filter on a TCP socket.
fn can_keep_out() -> bool {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    // BPF_RET | BPF_K: all of it.
    let all = SockFilter::new(0x06, 0, 0, u32::MAX);
    SockRef::from(&socket).attach_filter(&[all]).is_ok()
}

/// Who the engine says that this client is.
fn who(mut client: &TcpStream) -> String {
    client.write_all(b"WHO\r\n").unwrap();
    let mut heard = vec![0; 100];
    let count = client.read(&mut heard).unwrap();
    heard.truncate(count);
    String::from_utf8(heard).unwrap()
}

fn assert_nothing_between(client: &TcpStream) {
    let port = client.local_addr().unwrap().port();
    assert_eq!(who(client), format!("AF_INET ('127.0.0.1', {port})\r\n"));
}

#[test]
fn the_engine_accepts_its_first_client_and_every_other_one() {
    let Some(world) = world("0") else { return };
    let first = world.connect();
    let activator = world.activate();
    assert_nothing_between(&first);
    let second = world.connect();
    assert_nothing_between(&second);
    let status = world.until_status(|status| status.phase == Phase::Serving);
    assert_eq!((status.connections, status.sleeps_in_ms), (2, None));
    drop((first, second));
    assert_eq!(activator.exit(), Some(0));
    assert!(world.engines().is_empty());
}

#[test]
fn a_client_that_stays_keeps_the_engine_awake() {
    let Some(world) = world("0") else { return };
    let client = world.connect();
    let activator = world.activate();
    assert_nothing_between(&client);
    // Many timeouts of another instance later.
    for _ in 0..3 {
        let other = World::redis();
        let hold = other.hold();
        let activator = other.activate();
        drop(hold);
        assert_eq!(activator.exit(), Some(0));
    }
    assert_nothing_between(&client);
    assert_eq!(world.status().unwrap().connections, 1);
    drop(client);
    assert_eq!(activator.exit(), Some(0));
}

#[test]
fn a_hold_keeps_awake_and_who_serves_not_everybody_looks_at_them() {
    let Some(mut world) = world("0") else { return };
    let hold = world.hold();
    let activator = world.activate();
    assert_nothing_between(&world.connect());
    assert_eq!(world.until_status(|status| status.holds == 1).holds, 1);
    drop(hold);
    assert_eq!(activator.exit(), Some(0));

    world.plan.open_to = OpenTo::User;
    let client = world.connect();
    let activator = world.activate();
    assert_eq!(who(&client), "AF_UNIX \r\n");
    drop(client);
    assert_eq!(activator.exit(), Some(0));
}

#[test]
fn nobody_meets_an_engine_that_is_not_as_declared_even_if_it_was_a_moment_ago() {
    let Some(mut world) = world("0") else { return };
    world.drive("#!/bin/sh\nread request\necho '{\"answer\":{\"converge\":{\"changes\":[]}}}'\n");
    world.plan.body.converge = Some(Converge {
        fingerprint: String::from("one"),
        block: Opaque::new(&()).unwrap(),
        within: BOUND,
    });
    let paths = &world.plan.paths;
    let stamp = paths.data.join("doze-converged");
    put(&stamp, "one");
    // Somebody takes the data away while the instance is being woken.
    let lock = File::create(&paths.lock).unwrap();
    lock.lock().unwrap();
    let client = world.connect();
    let activator = world.activate();
    until("waiting for the lock", || {
        let open = fs::read_dir(format!("/proc/{}/fd", activator.id())).unwrap();
        let mut open = open.flatten().map(|fd| fs::read_link(fd.path()));
        let waits = open.any(|file| file.is_ok_and(|file| file == paths.lock));
        waits.then_some(()).ok_or("it does not know it yet")
    });
    fs::remove_file(&stamp).unwrap();
    drop(lock);
    assert_eq!(who(&client), "AF_UNIX \r\n");
    // And whoever comes then.
    assert_eq!(who(&world.connect()), "AF_UNIX \r\n");
    drop(client);
    assert_eq!(activator.exit(), Some(0));
    assert_eq!(fs::read_to_string(&stamp).unwrap(), "one");

    let client = world.connect();
    let activator = world.activate();
    assert_nothing_between(&client);
    drop(client);
    assert_eq!(activator.exit(), Some(0));
}

#[test]
fn whoever_waits_for_an_engine_that_cannot_boot_is_told_why() {
    let Some(mut world) = world("0") else { return };
    let argv = std::mem::replace(
        &mut world.member().argv,
        ["/bin/sh", "-c", "exit 1"].map(String::from).to_vec(),
    );
    world.drive("#!/bin/sh\nprintf 'no: %s' \"$DOZE_REFUSAL\" >&0\n");
    let clients = [world.connect(), world.connect()];
    let activator = world.activate();
    for client in &clients {
        let told = rest(client);
        assert!(told.starts_with("no: redis ended"), "{told}");
    }
    // Who comes then waits for the next one.
    let late = world.connect();
    drop(clients);
    assert_eq!(activator.exit(), Some(1));
    world.member().argv = argv;
    let activator = world.activate();
    assert_nothing_between(&late);
    drop(late);
    assert_eq!(activator.exit(), Some(0));
}

#[test]
fn a_killed_engine_costs_its_clients_and_nobody_else() {
    let Some(world) = world("0") else { return };
    let client = world.connect();
    let activator = world.activate();
    assert_nothing_between(&client);
    // It answers even before it is seen to be ready.
    let engine = world.until_status(|status| status.phase == Phase::Serving);
    let engine = i32::try_from(engine.engine_pid.unwrap()).unwrap();
    kill_process(Pid::from_raw(engine).unwrap(), Signal::KILL).unwrap();
    rest(&client);
    let next = world.connect();
    assert_eq!(activator.exit(), Some(1));
    let activator = world.activate();
    assert_nothing_between(&next);
    drop(next);
    assert_eq!(activator.exit(), Some(0));
}

#[test]
fn whoever_comes_while_it_stops_is_served_by_the_next_one() {
    let Some(world) = world("0.2") else { return };
    drop(world.hold());
    let activator = world.activate();
    world.until_status(|status| status.phase == Phase::Draining);
    let late = thread::scope(|scope| {
        let late = scope.spawn(|| world.connect());
        assert_eq!(activator.exit(), Some(0));
        late.join().unwrap()
    });
    let activator = world.activate();
    assert_nothing_between(&late);
    drop(late);
    assert_eq!(activator.exit(), Some(0));
}

#[test]
fn a_killed_activator_keeps_nobody_out_for_longer_than_until_the_next_one() {
    let Some(world) = world("0.2") else { return };
    drop(world.hold());
    let activator = world.activate();
    let status = world.until_status(|status| status.phase == Phase::Draining);
    activator.kill(Signal::KILL);
    activator.exit();
    let engine = status.engine_pid.unwrap();
    until("the engine to end", || {
        let left = world.engines();
        if left.is_empty() {
            Ok(())
        } else {
            Err((engine, left))
        }
    });
    thread::scope(|scope| {
        let client = scope.spawn(|| assert_nothing_between(&world.connect()));
        // The init system starts it again at once.
        assert_eq!(world.activate().exit(), Some(0));
        activate_until(&world, || client.is_finished());
    });
}

/// The init system: starts an activator whenever somebody waits. Returns how often it did.
fn activate_until(world: &World, is_over: impl Fn() -> bool) -> usize {
    let (listener, mut times) = (world.listener(), 0);
    let tick = Timespec::try_from(Duration::from_millis(20)).unwrap();
    while !is_over() {
        let mut waiting = [PollFd::from_borrowed_fd(listener.as_fd(), PollFlags::IN)];
        if poll(&mut waiting, Some(&tick)).unwrap() > 0 {
            assert_eq!(world.activate().exit(), Some(0));
            times += 1;
        }
    }
    times
}

/// Connections at a time, how many each makes in a row, and how often.
const THREADS: usize = 8;
const ROW: usize = 3;
const WAVES: usize = 12;

#[test]
fn nobody_is_lost_to_a_sleep_after_milliseconds() {
    let Some(mut world) = world("0.02") else {
        return;
    };
    world.plan.idle_timeout = Some(Duration::from_millis(5));
    let (world, together) = (world, Barrier::new(THREADS));
    let cycles = thread::scope(|scope| {
        let client = |seed: usize| {
            let (world, together) = (&world, &together);
            scope.spawn(move || {
                for wave in 0..WAVES {
                    for _ in 0..ROW {
                        ask(world.connect(), "PING\r\n", "+PONG\r\n");
                    }
                    together.wait();
                    // They come back together, at any point of the way to sleep.
                    let pause = wave * 17 % 61 + seed * wave % 7;
                    #[expect(
                        clippy::disallowed_methods,
                        reason = "the clients come at odd moments; nothing is waited for"
                    )]
                    thread::sleep(Duration::from_millis(pause as u64));
                }
            })
        };
        let crowd: Vec<_> = (0..THREADS).map(client).collect();
        activate_until(&world, || crowd.iter().all(ScopedJoinHandle::is_finished))
    });
    assert!(cycles > WAVES / 4, "only {cycles} cycles");
}
