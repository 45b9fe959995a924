//! The manager, against a real `systemd --user` of the test's own.
//!
//! It runs as whoever runs the tests, for a session bus lets in nobody but its user.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::{
    ffi::OsString,
    fs,
    future::Future,
    net::{Ipv4Addr, TcpListener, TcpStream},
    os::unix::{fs::symlink, net::UnixStream},
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use doze_tests::{User, World, skip::unshown, wait_until};
use doze_units::{
    Controller,
    manager::{ConnectError, JobResult, Manager, ManagerError, UnitState},
};

const BOUND: Duration = Duration::from_secs(10);

#[test]
fn a_socket_and_its_service_are_started_watched_and_stopped() {
    let Some(world) = World::with_manager_of(User::Current) else {
        return;
    };
    let port = world.port();
    let unit = |name: &str, text: &str| world.write(world.units().join(name), text);
    unit(
        "pair.socket",
        &format!("[Socket]\nListenStream=127.0.0.1:{port}\n"),
    );
    let service = "[Unit]\nRequires=pair.socket\n[Service]\nExecStart=/usr/bin/sleep infinity\n";
    let file = unit("pair.service", service);

    wait(async {
        let manager = connect(&world).await;
        assert!(
            manager
                .version()
                .await
                .unwrap()
                .starts_with(|c: char| c.is_ascii_digit())
        );
        manager.reload().await.unwrap();

        assert_eq!(done(manager.start(&["pair.socket"]).await), ["pair.socket"]);
        assert_eq!(
            words(&state(&manager, "pair.socket").await.unwrap()),
            "loaded active listening"
        );
        assert!(
            !state(&manager, "pair.service")
                .await
                .is_some_and(|unit| unit.is_active())
        );

        let client = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
        let unit = until_active(&manager, "pair.service").await;
        let first = manager.service(&unit).await.unwrap();
        assert!(Path::new(&format!("/proc/{}", first.main_pid.unwrap())).is_dir());
        assert_eq!((first.result.as_str(), first.restarts), ("success", 0));
        drop(client);

        assert!(!manager.needs_reload(&unit).await.unwrap());
        world.write(&file, &format!("{service}# changed\n"));
        assert!(manager.needs_reload(&unit).await.unwrap());
        manager.reload().await.unwrap();
        assert!(!manager.needs_reload(&unit).await.unwrap());

        done(manager.restart(&["pair.service"]).await);
        let second = manager.service(&unit).await.unwrap();
        assert_ne!(first.main_pid, second.main_pid);
        done(manager.try_restart(&["pair.service"]).await);
        let third = manager.service(&unit).await.unwrap();
        assert_ne!(second.main_pid, third.main_pid);

        done(
            manager
                .stop(&["pair.socket", "pair.service", "never-loaded.service"])
                .await,
        );
        done(manager.try_restart(&["pair.service"]).await);
        for name in ["pair.socket", "pair.service"] {
            assert!(
                !state(&manager, name)
                    .await
                    .is_some_and(|unit| unit.is_active()),
                "{name}"
            );
        }
    });
}

#[test]
fn a_failed_start_is_a_result_and_not_an_error() {
    let Some(world) = World::with_manager_of(User::Current) else {
        return;
    };
    let other = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = other.local_addr().unwrap().port();
    let unit = |name: &str, text: &str| world.write(world.units().join(name), text);
    unit(
        "busy.socket",
        &format!("[Socket]\nListenStream=127.0.0.1:{port}\n"),
    );
    unit("busy.service", "[Service]\nExecStart=/usr/bin/true\n");
    unit(
        "needy.service",
        "[Unit]\nRequires=busy.socket\nAfter=busy.socket\n[Service]\nExecStart=/usr/bin/true\n",
    );
    unit("good.target", "[Unit]\n");

    wait(async {
        let manager = connect(&world).await;
        manager.reload().await.unwrap();
        let units = [
            "busy.socket",
            "good.target",
            "needy.service",
            "absent.service",
        ];
        let results = manager.start(&units).await.unwrap();
        let (names, results): (Vec<_>, Vec<_>) = results.into_iter().unzip();
        assert_eq!(names, units);
        assert_eq!(
            results[..3],
            [JobResult::Failed, JobResult::Done, JobResult::Dependency]
        );
        assert!(
            matches!(&results[3], JobResult::Refused(why) if why.contains("absent.service")),
            "{results:?}"
        );

        let socket = state(&manager, "busy.socket").await.unwrap();
        assert!(socket.is_failed(), "{socket:?}");
        assert_eq!(manager.socket(&socket).await.unwrap().result, "resources");
        manager
            .reset_failed(&["busy.socket", "never-loaded.socket"])
            .await
            .unwrap();
        assert!(
            !state(&manager, "busy.socket")
                .await
                .is_some_and(|unit| unit.is_failed())
        );

        drop(other);
        done(manager.start(&["busy.socket"]).await);
    });
}

#[test]
fn a_limit_holds_exactly_where_the_manager_has_its_controller() {
    let Some(world) = World::with_manager_of(User::Current) else {
        return;
    };
    // Tries to start more processes than it may: the kernel, not systemd, has the last word.
    let over = world.dir().join("over");
    let crowd = "for n in 1 2 3 4 5 6 7 8 9 10 11 12; do sleep infinity & done";
    world.write(
        world.units().join("limited.service"),
        &format!(
            "[Service]\nExecStart=/bin/sh -c '(sh -c \"{crowd}\"); echo >{}; exec sleep infinity'\n\
             MemoryMax=100M\nMemorySwapMax=0\nCPUQuota=50%\nTasksMax=8\n",
            over.display()
        ),
    );
    wait(async {
        let manager = connect(&world).await;
        manager.reload().await.unwrap();
        let there = manager.controllers().await.unwrap();
        done(manager.start(&["limited.service"]).await);
        let unit = until_active(&manager, "limited.service").await;
        let limited = manager.limited(&unit).await.unwrap();
        assert_eq!(limited.as_deref(), Some(there.as_slice()));

        let missing = Controller::ALL
            .into_iter()
            .filter(|controller| !there.contains(controller));
        for controller in missing {
            unshown(&format!(
                "that a limit of {controller} holds: the private manager has no such controller"
            ));
        }
        wait_until("the crowd", BOUND, || {
            over.try_exists()
                .is_ok_and(|over| over)
                .then_some(())
                .ok_or_else(|| format!("{:?}", world.processes()))
        });
        // The shell that started the crowd has left it.
        let most = if there.contains(&Controller::Pids) {
            8 - 1
        } else {
            1 + 12
        };
        assert_eq!(world.processes().len(), most, "{:?}", world.processes());
        done(manager.stop(&["limited.service"]).await);
        let unit = state(&manager, "limited.service").await;
        if let Some(unit) = unit {
            assert_eq!(manager.limited(&unit).await.unwrap(), None);
        }
    });
}

#[test]
fn a_unit_that_is_started_alone_starts_nothing_that_it_wants() {
    let Some(world) = World::with_manager_of(User::Current) else {
        return;
    };
    let unit = |name: &str, text: &str| world.write(world.units().join(name), text);
    unit("whole.target", "[Unit]\nWants=part.target\n");
    unit("part.target", "[Unit]\n");

    wait(async {
        let manager = connect(&world).await;
        manager.reload().await.unwrap();
        let started = manager.start_alone("whole.target").await;
        assert_eq!(done(started), ["whole.target"]);
        let part = state(&manager, "part.target").await;
        assert!(!part.is_some_and(|unit| unit.is_active()));
        done(manager.start(&["whole.target", "part.target"]).await);
    });
}

#[test]
fn more_jobs_than_signals_fit_into_a_queue_are_waited_for() {
    let Some(world) = World::with_manager_of(User::Current) else {
        return;
    };
    let names: Vec<String> = (0..200).map(|n| format!("many-{n}.target")).collect();
    for name in &names {
        world.write(world.units().join(name), "[Unit]\n");
    }
    wait(async {
        let manager = connect(&world).await;
        manager.reload().await.unwrap();
        assert_eq!(done(manager.start(&names).await), names);
        let states = manager.units(&["many-*.target"]).await.unwrap();
        assert_eq!(
            states.iter().filter(|unit| unit.is_active()).count(),
            names.len()
        );
        assert_eq!(done(manager.stop(&names).await), names);
    });
}

#[test]
fn each_way_to_have_no_manager_has_its_own_error() {
    let world = World::new();
    let dir = |name: &str| {
        let path = world.dir().join(name);
        fs::create_dir_all(&path).unwrap();
        path
    };
    let connect = |variable: &'static str, value: OsString| {
        let var = move |name: &str| (name == variable).then(|| value.clone());
        match wait(Manager::connect_in(var)) {
            Err(ManagerError::Connect(error)) => error,
            other => panic!("{other:?}"),
        }
    };

    let error = connect("HOME", world.home().into());
    assert!(
        matches!(error, ConnectError::NoAddress) && error.is_absent(),
        "{error:?}"
    );

    let error = connect("XDG_RUNTIME_DIR", dir("empty").into());
    assert!(
        matches!(error, ConnectError::NoBus { .. }) && error.is_absent(),
        "{error:?}"
    );

    let error = connect("DBUS_SESSION_BUS_ADDRESS", "nonsense".into());
    assert!(
        matches!(error, ConnectError::Refused { .. }) && !error.is_absent(),
        "{error:?}"
    );

    let bare = dir("bare");
    let address = format!("unix:path={}", bare.join("bus").display());
    let mut bus = Command::new("/usr/bin/dbus-daemon")
        .args([
            "--session",
            "--nofork",
            "--nopidfile",
            "--address",
            &address,
        ])
        .env_clear()
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    wait_until("the session bus", BOUND, || {
        let connected = UnixStream::connect(bare.join("bus"));
        connected.map(drop).map_err(|error| error.to_string())
    });
    let error = connect("XDG_RUNTIME_DIR", bare.into());
    bus.kill().unwrap();
    bus.wait().unwrap();
    assert!(
        matches!(error, ConnectError::NoSystemd { .. }) && error.is_absent(),
        "{error:?}"
    );

    let Some(managed) = World::with_manager_of(User::Current) else {
        return;
    };
    let half = dir("half");
    symlink(managed.runtime_dir().join("systemd"), half.join("systemd")).unwrap();
    let error = connect("XDG_RUNTIME_DIR", half.into());
    assert!(
        matches!(error, ConnectError::ManagerWithoutBus { .. }),
        "{error:?}"
    );
    assert!(
        !error.is_absent() && error.to_string().contains("dbus-user-session"),
        "{error}"
    );
}

/// Runs on a runtime such as `doze` has.
fn wait<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.unwrap().block_on(future)
}

async fn connect(world: &World) -> Manager {
    let dir = OsString::from(world.runtime_dir());
    let var = |name: &str| (name == "XDG_RUNTIME_DIR").then(|| dir.clone());
    Manager::connect_in(var).await.unwrap()
}

async fn state(manager: &Manager, unit: &str) -> Option<UnitState> {
    manager.units(&[unit]).await.unwrap().pop()
}

async fn until_active(manager: &Manager, unit: &str) -> UnitState {
    let deadline = Instant::now() + BOUND;
    loop {
        let state = state(manager, unit).await;
        if state.as_ref().is_some_and(UnitState::is_active) {
            return state.unwrap();
        }
        assert!(
            Instant::now() < deadline,
            "{unit} is not active but {state:?}"
        );
    }
}

/// The units of jobs that are all done.
#[track_caller]
fn done(results: Result<Vec<(String, JobResult)>, ManagerError>) -> Vec<String> {
    let results = results.unwrap();
    assert!(
        results.iter().all(|(_, result)| result.is_done()),
        "{results:?}"
    );
    results.into_iter().map(|(unit, _)| unit).collect()
}

fn words(unit: &UnitState) -> String {
    format!("{} {} {}", unit.load, unit.active, unit.sub)
}
