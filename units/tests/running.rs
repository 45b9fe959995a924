//! What units do in a real `systemd --user` of the test's own, as an unprivileged user.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt as _,
    path::PathBuf,
    process::Command,
    time::Duration,
};

use camino::Utf8Path;
use doze_contract::{
    Endpoint, EngineName, InstanceName, ProjectName,
    plan::{InitSocket, Signal, Start},
};
use doze_tests::World;
use doze_units::{InstanceUnits, Limits, Prefix, Profile, ProjectUnits, escape};

#[test]
fn arguments_reach_the_program_as_they_were() {
    let Some(world) = World::with_manager() else {
        return;
    };
    let program = script(
        &world,
        "100% ;$HOME größe/it",
        "printf '%s\\0' \"$@\" >\"${0%/*}/said\"",
    );
    let words: Vec<String> = (1..=127u8)
        .map(char::from)
        .chain([
            '\u{80}', 'ü', '\u{a0}', '\u{2028}', '\u{fdd0}', '\u{ffff}', '🦀',
        ])
        .flat_map(|c| {
            [
                format!("{c}"),
                format!("{c}a"),
                format!("a{c}{c}a"),
                format!("a{c}"),
            ]
        })
        .chain(
            [
                "",
                "$HOME",
                "${HOME}",
                "$$",
                "a$HOME",
                "%h",
                "%%",
                "\\x41",
                "\\n",
                " ; ",
                "\\;",
                "'a' \"b\"",
            ]
            .map(String::from),
        )
        .collect();
    let arguments: Vec<String> = words.iter().map(|word| escape::argument(word)).collect();
    let start = escape::program(program.to_str().unwrap()).unwrap();
    world.write(
        world.units().join("say.service"),
        &format!(
            "[Service]\nType=oneshot\nExecStart={start} {}\n",
            arguments.join(" ")
        ),
    );
    world.run(&["systemctl", "--user", "start", "say.service"]);
    let said = fs::read(program.with_file_name("said")).unwrap();
    let said: Vec<_> = said
        .split(|byte| *byte == 0)
        .map(String::from_utf8_lossy)
        .collect();
    assert_eq!(said[..said.len() - 1], words);
}

#[test]
fn the_units_of_a_hostile_project_run_hardened() {
    let Some(world) = World::with_manager() else {
        return;
    };
    give_unit_root(&world);
    let dir = Utf8Path::from_path(world.dir()).unwrap();
    let data = dir.join("100% ;$HOME größe");
    let sockets = dir.join("run/$x %h");
    // Says what it may do, then that it is ready; it does not stay, so it is told to stop at once.
    let text = r#"
exec >>"${0%/*}/said"
case $1 in
run)
    unshare -U --map-user=65534 --map-group=65534 true 2>&- && unshares=' unshares'
    grep -q ' / / ro' /proc/self/mountinfo && reads=' only reads'
    echo "$*$unshares$reads"
    exec systemd-notify --ready
    ;;
*) echo "$*" ;;
esac"#;
    let activator = script(&world, "100% ;$HOME größe/doze activator", text);
    world.write(sockets.join("x"), "");
    let project = ProjectName::new(r#"100% "$HOME"-größe"#).unwrap();
    let engine = EngineName::new("valkey").unwrap();
    let names = ["full", "it's ; a\\x2db", "-unshare"].map(|name| InstanceName::new(name).unwrap());
    let shape = |at: usize| match at {
        0 => (Profile::Full, false),
        1 => (Profile::Seccomp, false),
        _ => (Profile::Full, true),
    };

    let prefix = Prefix::of(&project);
    let source = dir.join("doze.toml");
    let project_units = ProjectUnits {
        project: &project,
        source: &source,
    };
    let mut files = vec![
        project_units.target(&names.each_ref(), &[]).unwrap(),
        project_units.slice().unwrap(),
    ];
    for (at, instance) in names.iter().enumerate() {
        let (profile, user_namespaces) = shape(at);
        let folder = sockets.join(at.to_string());
        let endpoint = format!("127.0.0.1:{}", world.port()).parse().unwrap();
        let init_socket = InitSocket {
            public: folder.join("public"),
            path: folder.join("init.sock"),
        };
        let units = InstanceUnits {
            project: &project,
            instance,
            depends_on: &[],
            engine: &engine,
            source: &source,
            start: &Start::OnDemand,
            endpoints: &[endpoint, Endpoint::Unix(init_socket.public.clone())],
            init_sockets: &[init_socket],
            takes_sockets: false,
            wake_socket: &folder.join("wake.sock"),
            status_socket: &folder.join("status $HOME.sock"),
            activator: Utf8Path::from_path(&activator).unwrap(),
            plan: &Utf8Path::new("/100% $HOME").join(at.to_string()),
            kill_signal: Signal::Term,
            start_timeout: Duration::from_secs(10),
            stop_timeout: Duration::from_secs(10),
            writable: &[&data, &sockets],
            readable: &[],
            limits: Limits::default(),
            environment: None,
            profile,
            generates_code: false,
            user_namespaces,
        };
        files.extend([units.socket().unwrap(), units.service().unwrap()]);
    }
    for file in &files {
        world.write(world.units().join(&file.name), &file.text);
    }

    let systemctl = |words: &[&str]| world.run(&[&["systemctl", "--user"], words].concat());
    let services = names.each_ref().map(|name| prefix.service(name));
    let patterns = prefix.patterns();
    let [target, slice, sockets_of, services_of] = patterns.each_ref().map(String::as_str);
    let list = || {
        systemctl(&[
            "list-units",
            "--plain",
            target,
            slice,
            sockets_of,
            services_of,
        ])
    };

    systemctl(&["start", target]);
    let up = list();
    assert_eq!(up.matches("listening").count(), names.len(), "{up}");
    systemctl(&["start", &services[0], &services[1], &services[2]]);
    systemctl(&["stop", target, slice]);
    let left = list();
    assert!(left.contains("0 loaded units listed"), "{left}");

    let said = fs::read_to_string(data.join("said")).unwrap();
    let lines = |line: &str| said.lines().filter(|said| *said == line).count();
    for (at, may) in [" only reads", "", " unshares only reads"]
        .iter()
        .enumerate()
    {
        assert_eq!(lines(&format!("run /100% $HOME/{at}{may}")), 1, "{said}");
        let line = format!("stop {sockets}/{at}/status $HOME.sock");
        assert_eq!(lines(&line), 1, "{said}");
        // At the start of the socket and at the end of the service.
        assert_eq!(lines(&format!("link /100% $HOME/{at}")), 2, "{said}");
        assert_eq!(lines(&format!("unlink /100% $HOME/{at}")), 1, "{said}");
    }
}

fn script(world: &World, path: &str, text: &str) -> PathBuf {
    let path = world.write(path, &format!("#!/bin/sh\n{text}\n"));
    fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
    path
}

/// On a machine that was not booted with systemd, the folder is missing in which older versions
/// build the view of a service's file system.
fn give_unit_root(world: &World) {
    let namespace = format!("--mount=/proc/{}/ns/mnt", world.manager_pid().unwrap());
    let made = Command::new("/usr/bin/nsenter")
        .args([&namespace, "mkdir", "-p", "/run/systemd/unit-root"])
        .status();
    assert!(made.unwrap().success());
}
