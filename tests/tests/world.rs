//! The world that other tests stand on: a real private user manager, alone and in company, and
//! nothing left of it afterwards.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::fs;
use std::io::{self, BufRead as _, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use doze_tests::{User, World, process, wait_until};

/// Set for a copy of this program that makes a world and waits for its end.
const DOOMED: &str = "DOZE_TESTS_DOOMED";

const BOUND: Duration = Duration::from_secs(20);

/// Writes `NAME.socket`, listening on `address`, and its `NAME.service`, and starts the socket.
fn serve_echo(world: &World, name: &str, address: &str) {
    let echo = world.programs().join("echo-activated");
    let socket = format!("[Socket]\nListenStream={address}\n");
    let service = format!("[Service]\nExecStart={}\n", echo.display());
    world.write(world.units().join(format!("{name}.socket")), &socket);
    world.write(world.units().join(format!("{name}.service")), &service);
    world.run(&["systemctl", "--user", "daemon-reload"]);
    world.run(&["systemctl", "--user", "start", &format!("{name}.socket")]);
}

/// What an echo service answers.
fn ask(mut server: impl Read + Write) -> io::Result<String> {
    server.write_all(b"hello")?;
    let mut answer = String::new();
    server.read_to_string(&mut answer)?;
    Ok(answer)
}

fn ask_tcp(port: u16) -> String {
    let server = TcpStream::connect(("127.0.0.1", port)).unwrap();
    ask(server).unwrap()
}

fn wait_until_asleep(world: &World) {
    wait_until("the world to be asleep", BOUND, || {
        let awake = world.processes();
        if awake.is_empty() {
            Ok(())
        } else {
            Err(process::list(&awake))
        }
    });
}

/// The cgroups called as the world is.
fn cgroups_of(world: &Path) -> Vec<PathBuf> {
    let name = world.file_name().unwrap();
    let mut found = Vec::new();
    let mut open = vec![PathBuf::from("/sys/fs/cgroup")];
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(&dir).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                if entry.file_name() == name {
                    found.push(entry.path());
                }
                open.push(entry.path());
            }
        }
    }
    found
}

#[test]
fn a_socket_wakes_its_service_for_each_client() {
    let Some(world) = World::with_manager() else {
        return;
    };
    let port = world.port();
    let path = world.runtime_dir().join("echo.sock");
    serve_echo(&world, "tcp", &format!("127.0.0.1:{port}"));
    serve_echo(&world, "unix", "%t/echo.sock");

    for _ in 0..2 {
        wait_until_asleep(&world);
        assert_eq!(ask_tcp(port), "hello");
        assert_eq!(ask(UnixStream::connect(&path).unwrap()).unwrap(), "hello");
    }
}

#[test]
fn a_service_runs_as_the_worlds_user_in_a_cgroup_of_the_manager() {
    let Some(world) = World::with_manager() else {
        return;
    };
    let port = world.port();
    serve_echo(&world, "echo", &format!("127.0.0.1:{port}"));
    wait_until_asleep(&world);

    let client = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let awake = wait_until("the service", BOUND, || {
        let awake = world.processes();
        let running = awake
            .iter()
            .any(|process| process.command.ends_with("/echo-activated"));
        if running {
            Ok(awake)
        } else {
            Err(process::list(&awake))
        }
    });
    assert_eq!(awake.len(), 1, "{}", process::list(&awake));
    assert!(
        awake[0].cgroup.ends_with("/manager/app.slice/echo.service"),
        "{}",
        awake[0]
    );
    let user = world.run(&["id", "-un"]);
    let runs = world.run(&["stat", "--format=%U", &format!("/proc/{}", awake[0].pid)]);
    assert_eq!(runs.trim(), user.trim());
    assert_ne!(user.trim(), "root");

    client.shutdown(Shutdown::Both).unwrap();
    wait_until_asleep(&world);
}

#[test]
fn the_session_bus_knows_the_manager() {
    let Some(world) = World::with_manager() else {
        return;
    };
    let names = world.run(&["busctl", "--user", "list", "--no-legend"]);
    assert!(names.contains("org.freedesktop.systemd1"), "{names}");
}

#[test]
fn a_manager_can_run_as_whoever_runs_the_tests() {
    let Some(world) = World::with_manager_of(User::Current) else {
        return;
    };
    let port = world.port();
    serve_echo(&world, "echo", &format!("127.0.0.1:{port}"));
    assert_eq!(ask_tcp(port), "hello");
}

#[test]
fn two_worlds_at_once_do_not_see_each_other() {
    let Some(one) = World::with_manager() else {
        return;
    };
    let Some(other) = World::with_manager() else {
        return;
    };
    let (port, other_port) = (one.port(), other.port());
    serve_echo(&one, "echo", &format!("127.0.0.1:{port}"));
    serve_echo(&other, "echo", &format!("127.0.0.1:{other_port}"));
    let id = |world: &World| {
        world.run(&[
            "systemctl",
            "--user",
            "show",
            "-P",
            "InvocationID",
            "echo.socket",
        ])
    };
    assert_ne!(id(&one), id(&other));

    one.run(&["systemctl", "--user", "stop", "echo.socket"]);
    TcpStream::connect(("127.0.0.1", port)).unwrap_err();
    assert_eq!(ask_tcp(other_port), "hello");
    drop(one);
    assert_eq!(ask_tcp(other_port), "hello");
}

#[test]
fn nothing_outlives_its_world() {
    let Some(world) = World::with_manager() else {
        return;
    };
    let dir = world.dir().to_path_buf();
    // A unit that has to be killed, and a program that left the session it was started from.
    world.run(&[
        "systemd-run",
        "--user",
        "--property=TimeoutStopSec=200ms",
        "sh",
        "-c",
        "trap '' TERM; while :; do sleep 1000; done",
    ]);
    world.run(&[
        "sh",
        "-c",
        "setsid --fork env -i sleep 1001 >/dev/null 2>&1",
    ]);
    wait_until("both", BOUND, || {
        let awake = process::list(&world.processes());
        let both = ["sleep 1000", "sleep 1001"]
            .iter()
            .all(|sleep| awake.contains(sleep));
        if both { Ok(()) } else { Err(awake) }
    });
    assert_eq!(cgroups_of(&dir).len(), 1);

    drop(world);
    assert_eq!(process::of(&dir), []);
    assert_eq!(cgroups_of(&dir), Vec::<PathBuf>::new());
    assert!(!dir.try_exists().unwrap());
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(!mounts.contains(dir.to_str().unwrap()), "{mounts}");
}

#[test]
fn nothing_outlives_a_killed_test_for_long() {
    if std::env::var_os(DOOMED).is_some() {
        let world = World::with_manager().unwrap();
        let mut stay = world.command("sleep").arg("1002").spawn().unwrap();
        println!("\nworld {}", world.dir().display());
        stay.wait().unwrap();
        return;
    }
    let Some(other) = World::with_manager() else {
        return;
    };
    drop(other);

    let mut doomed = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "nothing_outlives_a_killed_test_for_long",
            "--nocapture",
        ])
        .env(DOOMED, "1")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let said = BufReader::new(doomed.stdout.take().unwrap());
    let dir = said
        .lines()
        .find_map(|line| line.unwrap().strip_prefix("world ").map(PathBuf::from))
        .expect("a world");
    wait_until("its program to have started", BOUND, || {
        let alive = process::of(&dir);
        let started = alive.iter().any(|process| process.command == "sleep 1002");
        if started {
            Ok(())
        } else {
            Err(process::list(&alive))
        }
    });

    doomed.kill().unwrap();
    doomed.wait().unwrap();
    wait_until("its processes to end", BOUND, || {
        let alive = process::of(&dir);
        if alive.is_empty() {
            Ok(())
        } else {
            Err(process::list(&alive))
        }
    });
    // The next world tidies up what a dead test cannot.
    drop(World::with_manager());
    assert_eq!(cgroups_of(&dir), Vec::<PathBuf>::new());
    fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn a_failed_test_keeps_its_directory_and_nothing_else() {
    let (tell, told) = std::sync::mpsc::channel();
    let failed = std::thread::spawn(move || {
        let world = World::new();
        world.run(&["sh", "-c", "setsid --fork sleep 1003 >/dev/null 2>&1"]);
        assert!(process::list(&world.processes()).contains("sleep 1003"));
        tell.send(world.dir().to_path_buf()).unwrap();
        panic!("on purpose");
    });
    failed.join().unwrap_err();
    let dir = told.recv().unwrap();
    assert!(dir.join("home").is_dir());
    assert_eq!(process::of(&dir), []);
    fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn a_command_sees_the_worlds_environment_and_nothing_else() {
    let world = World::new();
    let dir = world.dir().to_str().unwrap();
    let user = world.run(&["id", "-un"]);
    let user = user.trim();
    let expected = format!(
        "DBUS_SESSION_BUS_ADDRESS=unix:path={dir}/run/bus\n\
         DOZE_TEST_WORLD={dir}\n\
         HOME={dir}/home\n\
         LANG=C.UTF-8\n\
         LOGNAME={user}\n\
         PATH={dir}/bin:/usr/local/bin:/usr/bin:/bin\n\
         SHELL=/bin/sh\n\
         TMPDIR={dir}/tmp\n\
         USER={user}\n\
         XDG_CONFIG_HOME={dir}/home/.config\n\
         XDG_DATA_HOME={dir}/home/.local/share\n\
         XDG_RUNTIME_DIR={dir}/run\n"
    );
    let seen = world.run(&["env"]);
    let mut seen: Vec<&str> = seen.lines().collect();
    seen.sort_unstable();
    assert_eq!(seen.join("\n") + "\n", expected);
    assert!(world.runtime_dir().as_os_str().len() <= 18);
}

#[test]
fn a_command_beside_a_manager_starts_in_its_directory_on_a_booted_machine() {
    let Some(world) = World::with_manager() else {
        return;
    };
    world.write("home/shop/doze.toml", "");
    let output = world
        .command("pwd")
        .current_dir(world.home().join("shop"))
        .output()
        .unwrap();
    let expected = format!("{}/home/shop\n", world.dir().display());
    assert_eq!(String::from_utf8_lossy(&output.stdout), expected);
    world.run(&["test", "-d", "/run/systemd/system"]);
    world.run(&["test", "-O", "shop/doze.toml"]);
}

#[test]
fn the_programs_under_test_run_as_the_worlds_user() {
    let world = World::new();
    let output = world.command("echo-activated").output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("no socket was passed"), "{said}");
}
