//! What ends an agent, and what is left then.

use std::net::{Ipv4Addr, TcpStream};

use doze_tests::process;
use rustix::process::Signal;
use serde_json::json;

use super::{
    LABEL, ask_tcp, bootstrap, clients, complaint, launchctl, number, story, target, world, write,
    write_probe,
};

#[test]
fn boot_out_ends_an_agent_that_does_not_heed_it_and_its_process_group() {
    let Some(world) = world() else { return };
    let port = world.port();
    let keys = format!(
        "<key>ExitTimeOut</key><integer>1</integer>{}",
        clients(port)
    );
    let plist = write_probe(&world, &["--child", "clients", "--deaf"], &keys);
    bootstrap(&world, &plist);
    ask_tcp(port);

    let in_progress = "Boot-out failed: 36: Operation now in progress\n";
    let out = complaint(&world, &["bootout", &target(&world)]);
    assert_eq!(out, (36, in_progress.to_owned()));
    let printed = launchctl(&world, &["print", &target(&world)]).stdout;
    assert!(String::from_utf8_lossy(&printed).contains("\tstate = SIGTERMed\n"));
    let domain = world.launchd_domain();
    let again = complaint(&world, &["bootstrap", &domain, plist.to_str().unwrap()]);
    let refused = "Bootstrap failed: 5: Input/output error\n\
        Try re-running the command as root for richer errors.\n";
    assert_eq!(again, (5, refused.to_owned()), "it is still there");

    let out = complaint(&world, &["bootout", "--wait", &target(&world)]);
    assert_eq!(out, (0, String::new()));
    assert_eq!(world.processes(), []);
    let expected = ["signaled", "signaled", "killed-group", "exited", "removed"];
    assert_eq!(story(&world)[3..], expected);
    let signals = world.launchd_events_of(LABEL, "signaled");
    assert_eq!(
        [15, 9],
        [0, 1].map(|nth: usize| number(&signals[nth], "signal"))
    );
    TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap_err();

    let out = complaint(&world, &["bootout", &target(&world)]);
    assert_eq!(out, (3, "Boot-out failed: 3: No such process\n".to_owned()));
    let (code, said) = complaint(&world, &["print", &target(&world)]);
    let uid = domain.trim_start_matches("gui/");
    let nowhere =
        format!("Bad request.\nCould not find service \"{LABEL}\" in domain for user gui: {uid}\n");
    assert_eq!((code, said), (113, nowhere));
    bootstrap(&world, &plist);
}

#[test]
fn boot_out_of_an_agent_that_is_being_restarted_ends_it_in_the_same_time() {
    let Some(world) = world() else { return };
    let port = world.port();
    let keys = format!(
        "<key>ExitTimeOut</key><integer>1</integer>{}",
        clients(port)
    );
    bootstrap(&world, &write_probe(&world, &["clients", "--deaf"], &keys));
    ask_tcp(port);
    let target = target(&world);
    let mut kick = world.command("launchctl");
    let mut kick = kick.args(["kickstart", "-k", &target]).spawn().unwrap();
    world.wait_for_event(LABEL, "signaled", 1);
    launchctl(&world, &["bootout", "--wait", &target]);
    assert_eq!(kick.wait().unwrap().code(), Some(3), "it never came again");
    assert_eq!(world.launchd_events_of(LABEL, "signaled").len(), 2);
    assert_eq!(world.processes(), []);
}

#[test]
fn what_leaves_the_process_group_survives_and_is_reported() {
    let Some(world) = world() else { return };
    let port = world.port();
    let plist = write_probe(&world, &["--escape", "clients", "--serve"], &clients(port));
    bootstrap(&world, &plist);
    let pid = ask_tcp(port);
    world.wait_for_event(LABEL, "exited", 1);
    let escaped = world.wait_for_event(LABEL, "escaped", 1);
    let left = world.processes();
    assert_eq!(left.len(), 1, "{}", process::list(&left));
    assert_ne!(i64::from(left[0].pid), pid);
    let name = escaped.pointer(&format!("/processes/{}", left[0].pid));
    assert_eq!(name, Some(&json!("probe")));
    process::signal(left[0].pid, world.dir(), Signal::KILL);
}

#[test]
fn an_agent_can_be_kicked_and_killed() {
    let Some(world) = world() else { return };
    let target = target(&world);
    let keys = "<key>ThrottleInterval</key><integer>1</integer>";
    bootstrap(&world, &write(&world, &["/bin/sleep", "1000"], keys));
    assert_eq!(complaint(&world, &["kill", "SIGTERM", &target]).0, 3);
    assert_eq!(complaint(&world, &["kill", "SIGNOTHING", &target]).0, 64);

    let kick = |flags: &str| world.run(&["launchctl", "kickstart", flags, &target]);
    let first = kick("-p");
    assert_eq!(kick("-p"), first, "it runs already");
    let second = kick("-kp");
    assert_ne!(first, second);
    let exited = world.wait_for_event(LABEL, "exited", 1);
    assert_eq!(number(&exited, "signal"), 15);

    world.run(&["launchctl", "kill", "KILL", &target]);
    let exited = world.wait_for_event(LABEL, "exited", 2);
    assert_eq!(number(&exited, "signal"), 9);
    let printed = world.run(&["launchctl", "print", &target]);
    assert!(
        printed.contains("\tlast terminating signal = Killed: 9\n"),
        "{printed}"
    );
    let (code, said) = complaint(&world, &["kickstart", &format!("{target}x")]);
    assert_eq!(code, 113, "{said}");
}

#[test]
fn a_login_loads_the_agents_and_nothing_outlives_a_killed_launchd() {
    let Some(mut world) = world() else { return };
    write(
        &world,
        &["/bin/sleep", "1000"],
        "<key>RunAtLoad</key><true/>",
    );
    assert_eq!(story(&world), [""; 0]);
    for (nth, signal) in [(1, Signal::TERM), (2, Signal::KILL)] {
        world.restart_manager(signal);
        let spawned = world.wait_for_event(LABEL, "spawned", nth);
        let left: Vec<_> = world
            .processes()
            .iter()
            .map(|process| process.pid)
            .collect();
        assert_eq!(
            left.iter().map(|pid| i64::from(*pid)).collect::<Vec<_>>(),
            [number(&spawned, "pid")]
        );
    }
}

#[test]
fn nothing_outlives_its_world() {
    let Some(world) = world() else { return };
    let port = world.port();
    let keys = format!(
        "<key>ExitTimeOut</key><integer>1</integer>{}",
        clients(port)
    );
    bootstrap(
        &world,
        &write_probe(&world, &["--escape", "--child", "clients", "--deaf"], &keys),
    );
    ask_tcp(port);
    let dir = world.dir().to_path_buf();
    drop(world);
    assert_eq!(process::of(&dir), []);
    assert!(!dir.try_exists().unwrap());
}
