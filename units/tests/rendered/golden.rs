//! The text of the units, kept as golden trees that `systemd-analyze verify` accepts.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use camino::Utf8Path;
use doze_contract::{
    EngineName,
    plan::{InitSocket, Signal, Start},
};
use doze_tests::{Tree, World};
use doze_units::{InstanceUnits, Limits, Profile, ProjectUnits, UnitError, UnitFile};

use crate::sample;

#[test]
fn a_plain_project_has_its_golden_units() {
    judge("plain", |_| sample::plain());
}

#[test]
fn a_project_of_hostile_names_has_its_golden_units() {
    judge("hostile", sample::hostile);
}

#[test]
fn the_same_project_has_the_same_units() {
    assert_eq!(sample::plain(), sample::plain());
    let dir = Utf8Path::new("/opt");
    assert_eq!(sample::hostile(dir), sample::hostile(dir));
}

#[test]
fn temporary_files_are_private_unless_something_needed_lies_among_them() {
    let (project, instance) = (sample::project("shop"), sample::instance("app"));
    let engine = EngineName::new("valkey").unwrap();
    let base = InstanceUnits {
        project: &project,
        instance: &instance,
        depends_on: &[],
        engine: &engine,
        source: "/tmp/doze.toml".into(),
        start: &Start::OnDemand,
        endpoints: &["unix:/srv/app.sock".parse().unwrap()],
        init_sockets: &[],
        takes_sockets: false,
        wake_socket: "/srv/wake.sock".into(),
        status_socket: "/srv/status.sock".into(),
        activator: "/srv/activator".into(),
        plan: "/tmpfs/plan.json".into(),
        kill_signal: Signal::Term,
        start_timeout: Duration::from_mins(1),
        stop_timeout: Duration::from_mins(1),
        writable: &["/srv/data".into()],
        readable: &["/srv/bin".into()],
        limits: Limits::default(),
        environment: None,
        profile: Profile::Full,
        generates_code: false,
        user_namespaces: false,
    };
    let is_private = |units: InstanceUnits<'_>| {
        let text = units.service().unwrap().text;
        let private = text.contains("\nPrivateTmp=yes\n");
        assert_ne!(private, text.contains("\nReadWritePaths=/tmp /var/tmp\n"));
        private
    };
    assert!(is_private(base));

    let path = Utf8Path::new("/tmp/a");
    let endpoint = "unix:/tmp/app.sock".parse().unwrap();
    let (plan, activator) = (path, Utf8Path::new("/var/tmp/a"));
    let (wake_socket, status_socket) = (path, path);
    let init_sockets = &[InitSocket {
        public: "/srv/app.sock".into(),
        path: path.into(),
    }];
    let (writable, readable, endpoints) = (&[path], &[path], &[endpoint]);
    for (what, units) in [
        ("plan", InstanceUnits { plan, ..base }),
        ("activator", InstanceUnits { activator, ..base }),
        (
            "wake socket",
            InstanceUnits {
                wake_socket,
                ..base
            },
        ),
        (
            "status socket",
            InstanceUnits {
                status_socket,
                ..base
            },
        ),
        ("writable", InstanceUnits { writable, ..base }),
        ("readable", InstanceUnits { readable, ..base }),
        ("endpoint", InstanceUnits { endpoints, ..base }),
        (
            "init socket",
            InstanceUnits {
                init_sockets,
                ..base
            },
        ),
    ] {
        assert!(!is_private(units), "{what}");
    }
}

#[test]
fn names_that_are_too_long_together_are_refused() {
    let (long, longer) = ("ü".repeat(28), "ü".repeat(31));
    let units = |project: &str| {
        let project = sample::project(project);
        let units = ProjectUnits {
            project: &project,
            source: "/srv/doze.toml".into(),
        };
        units.slice()
    };
    assert_eq!(units(&long).unwrap().name.len(), 5 + 28 * 8 + 6);
    let refused = units(&longer).unwrap_err();
    assert!(
        matches!(&refused, UnitError::NameTooLong { name } if name.len() == 5 + 31 * 8 + 6),
        "{refused}"
    );
}

#[test]
fn a_value_that_systemd_cannot_be_told_is_refused() {
    let project = sample::project("shop");
    let units = ProjectUnits {
        project: &project,
        source: "/srv/line\nbreak/doze.toml".into(),
    };
    assert!(matches!(units.slice(), Err(UnitError::Value(_))));
}

/// Compares with the golden tree, and asks `systemd-analyze verify`, which says of an unknown key
/// no more than a line on standard error.
fn judge(name: &str, units: impl Fn(&Utf8Path) -> Vec<UnitFile>) {
    let world = World::new();
    let dir = Utf8Path::from_path(world.dir()).unwrap();
    let activator = world.write(sample::hostile_activator(dir), "#!/bin/sh\n");
    fs::set_permissions(activator, Permissions::from_mode(0o755)).unwrap();

    let files = units(dir);
    let paths: Vec<PathBuf> = files
        .iter()
        .map(|file| world.write(world.units().join(&file.name), &file.text))
        .collect();

    let golden = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(name);
    Tree::read(&world.units())
        .replacing(dir.as_str(), "/WORLD")
        .assert_golden(&golden);

    let verify = world
        .command("systemd-analyze")
        .args(["--user", "verify"])
        .args(paths)
        .output()
        .unwrap();
    assert!(
        verify.status.success() && verify.stderr.is_empty(),
        "{}: {}",
        verify.status,
        String::from_utf8_lossy(&verify.stderr)
    );
}
