//! What starts an agent, and what it is given.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use doze_tests::project::output;
use doze_tests::wait_until;
use serde_json::{Value, json};

use super::{
    BOUND, LABEL, ask, ask_tcp, bootstrap, clients, launchctl, number, story, target, wake, world,
    write, write_probe,
};

#[test]
fn a_client_starts_an_agent_that_gets_all_sockets_of_a_name() {
    let Some(world) = world() else { return };
    let (port, other) = (world.port(), world.port());
    let path = world.runtime_dir().join("wake.sock");
    let entry = |port: u16, family: &str| {
        format!(
            "<dict><key>SockNodeName</key><string>localhost</string>\
             <key>SockServiceName</key><string>{port}</string>{family}</dict>"
        )
    };
    let only_v4 = "<key>SockFamily</key><string>IPv4</string>";
    let sockets = format!(
        "<key>Sockets</key><dict><key>clients</key><array>{}{}</array><key>wake</key>\
         <dict><key>SockPathName</key><string>{}</string></dict></dict>",
        entry(port, only_v4),
        entry(other, ""),
        path.display()
    );
    let plist = write_probe(&world, &["clients", "wake", "--serve"], &sockets);
    bootstrap(&world, &plist);
    assert_eq!(story(&world), ["bootstrapped"]);

    let pid = ask_tcp(other);
    let spawned = world.wait_for_event(LABEL, "spawned", 1);
    assert_eq!(number(&spawned, "pid"), pid);
    let said = fs::read_to_string(world.dir().join("said")).unwrap();
    let path = path.display();
    assert_eq!(
        said,
        format!("clients 0 v4:{port} v4:{other} v6:{other}\nwake 0 {path}\n")
    );
}

#[test]
fn a_name_is_given_once_and_only_to_the_agent_itself() {
    let Some(world) = world() else { return };
    let port = world.port();
    let plist = write_probe(
        &world,
        &["clients", "clients", "none", "--serve"],
        &clients(port),
    );
    bootstrap(&world, &plist);
    let probe = world.probe();
    let outside = world.run(&[probe.to_str().unwrap(), "clients"]);
    assert_eq!(outside, "clients ESRCH\n");

    ask_tcp(port);
    let said = fs::read_to_string(world.dir().join("said")).unwrap();
    assert_eq!(
        said,
        format!("clients 0 v4:{port}\nclients EALREADY\nnone ENOENT\n")
    );

    let path = "DOZE_TEST_LAUNCHD_CHECKIN";
    let mut stranger = world.command(&probe);
    stranger
        .arg("clients")
        .env(path, world.dir().join("launchd/check-in"));
    let said = String::from_utf8(output(&mut stranger).stdout).unwrap();
    assert_eq!(said, "clients ESRCH\n", "launchd knows who asks");
}

#[test]
fn an_agent_has_its_standard_streams_and_nothing_else() {
    let Some(world) = world() else { return };
    let keys = "<key>RunAtLoad</key><true/>\
        <key>EnvironmentVariables</key><dict><key>OWN</key><string>a b</string></dict>";
    bootstrap(&world, &write(&world, &["/bin/sleep", "1000"], keys));
    let pid = number(&world.wait_for_event(LABEL, "spawned", 1), "pid");
    let proc = PathBuf::from(format!("/proc/{pid}"));
    wait_until("the program", BOUND, || {
        let name = fs::read_to_string(proc.join("comm")).unwrap();
        if name == "sleep\n" { Ok(()) } else { Err(name) }
    });

    let mut open: Vec<_> = fs::read_dir(proc.join("fd"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    open.sort();
    assert_eq!(open, ["0", "1", "2"]);
    let group = fs::read_to_string(proc.join("stat")).unwrap();
    let group: Vec<_> = group.split_whitespace().collect();
    assert_eq!(
        [group[4], group[5]],
        [group[0]; 2],
        "a process group and a session"
    );

    let environment = fs::read_to_string(proc.join("environ")).unwrap();
    let mut names: Vec<_> = environment
        .split_terminator('\0')
        .map(|entry| entry.split_once('=').unwrap().0)
        .collect();
    names.sort_unstable();
    let expected = [
        "DOZE_TEST_LAUNCHD_CHECKIN",
        "DOZE_TEST_WORLD",
        "HOME",
        "LOGNAME",
        "OWN",
        "PATH",
        "SHELL",
        "TMPDIR",
        "USER",
        "XPC_FLAGS",
        "XPC_SERVICE_NAME",
    ];
    assert_eq!(names, expected);
    assert!(environment.contains("PATH=/usr/bin:/bin:/usr/sbin:/sbin\0"));
    assert!(environment.contains("OWN=a b\0"));
}

/// When it happened.
fn seconds(event: &Value) -> f64 {
    event.pointer("/at").unwrap().as_f64().unwrap()
}

#[test]
fn a_client_within_the_throttle_waits_for_its_end() {
    let Some(world) = world() else { return };
    let port = world.port();
    bootstrap(
        &world,
        &write_probe(&world, &["clients", "--serve"], &clients(port)),
    );
    let first = ask_tcp(port);
    let second = ask_tcp(port);
    assert_ne!(first, second);

    let expected = [
        "bootstrapped",
        "spawned",
        "checked-in",
        "exited",
        "throttled",
        "spawned",
        "checked-in",
    ];
    assert_eq!(story(&world)[..expected.len()], expected);
    let spawned = world.launchd_events_of(LABEL, "spawned");
    assert!(seconds(&spawned[1]) - seconds(&spawned[0]) >= 1.0);
    world.wait_for_event(LABEL, "exited", 2);
    assert_eq!(world.processes(), []);
}

#[test]
fn an_agent_whose_address_is_taken_is_loaded_without_that_socket() {
    let Some(world) = world() else { return };
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = taken.local_addr().unwrap().port();
    let keys = format!("<key>RunAtLoad</key><true/>{}", clients(port));
    bootstrap(&world, &write_probe(&world, &["clients"], &keys));
    let failed = world.wait_for_event(LABEL, "bind-failed", 1);
    let error = failed.pointer("/error").unwrap().as_str().unwrap();
    assert!(error.contains("Address already in use"), "{error}");
    world.wait_for_event(LABEL, "exited", 1);
    assert_eq!(
        fs::read_to_string(world.dir().join("said")).unwrap(),
        "clients 0\n"
    );
}

#[test]
fn a_unix_socket_has_its_mode_and_takes_the_place_of_an_old_one() {
    let Some(world) = world() else { return };
    let path = world.runtime_dir().join("wake.sock");
    let plist = write_probe(&world, &["wake", "--serve"], &wake(&path));
    for _ in 0..2 {
        bootstrap(&world, &plist);
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        ask(UnixStream::connect(&path).unwrap()).unwrap();
        launchctl(&world, &["bootout", "--wait", &target(&world)]);
        UnixStream::connect(&path).unwrap_err();
        assert!(path.try_exists().unwrap(), "launchd leaves the path");
    }
}

#[test]
fn an_agent_is_kept_alive_on_its_conditions() {
    let Some(world) = world() else { return };
    let keep = |value: &str| {
        format!(
            "<key>ThrottleInterval</key><integer>1</integer><key>KeepAlive</key>\
             <dict><key>SuccessfulExit</key><{value}/></dict>"
        )
    };
    bootstrap(
        &world,
        &write(&world, &["/bin/sh", "-c", "exit 3"], &keep("false")),
    );
    let again = world.wait_for_event(LABEL, "spawned", 2);
    assert_eq!(again.pointer("/reason"), Some(&json!("semaphore")));
    launchctl(&world, &["bootout", "--wait", &target(&world)]);

    bootstrap(
        &world,
        &write(&world, &["/bin/sh", "-c", "exit 0"], &keep("false")),
    );
    world.wait_for_event(LABEL, "bootstrapped", 2);
    let spawned = world.launchd_events_of(LABEL, "spawned").len();
    wait_until("the end of the last run", BOUND, || {
        match launchctl(&world, &["print", &target(&world)]).stdout {
            printed if String::from_utf8_lossy(&printed).contains("last exit code = 0\n") => Ok(()),
            printed => Err(String::from_utf8_lossy(&printed).into_owned()),
        }
    });
    let printed = launchctl(&world, &["print", &target(&world)]).stdout;
    let printed = String::from_utf8_lossy(&printed);
    assert!(printed.contains("\tstate = not running\n"), "{printed}");
    assert_eq!(world.launchd_events_of(LABEL, "spawned").len(), spawned);
}

#[test]
fn a_program_that_is_not_there_is_an_exit_by_configuration() {
    let Some(world) = world() else { return };
    bootstrap(
        &world,
        &write(&world, &["/nowhere"], "<key>RunAtLoad</key><true/>"),
    );
    world.wait_for_event(LABEL, "spawn-failed", 1);
    let printed = world.run(&["launchctl", "print", &target(&world)]);
    assert!(
        printed.contains("\tlast exit code = 78: EX_CONFIG\n"),
        "{printed}"
    );
}
