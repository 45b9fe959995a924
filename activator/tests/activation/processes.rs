//! Programs of the user's own that start with their project: environment, hooks, stop and end.

use std::{fs, process::Command, time::Duration};

use doze_contract::{
    InstanceName,
    plan::{Condition, Dependency, Start, UMASK},
    status::Phase,
};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use crate::world::{ACTIVATOR, World, printed, put, until};

/// Lives until the file `go` says with which status to end.
const WAITS: &str = "while [ ! -e ../go ]; do sleep 0.01; done; exit $(cat ../go)";

/// Notes its start and its stop.
const NOTES: &str = "echo main >> ../notes
    trap 'echo stopped >> ../notes; exit' TERM
    echo up; while :; do sleep 0.01; done";

fn shell(script: &str) -> Vec<String> {
    ["/bin/sh", "-c", script].map(String::from).to_vec()
}

/// A program that notes what happens to it, with hooks that note their own word.
fn noting() -> World {
    let mut world = World::process(NOTES);
    world.member().ready = printed("up");
    world.member().env.insert("WORD".into(), "word".into());
    let note = |name: &str| shell(&format!("echo {name} $WORD >> ../notes"));
    let own = world.own();
    own.pre_start = vec![note("before"), note("right before")];
    own.post_start = vec![note("after")];
    own.pre_stop = vec![note("at the end")];
    world
}

fn notes(world: &World) -> Vec<String> {
    let notes = fs::read_to_string(world.folder.path().join("notes")).unwrap_or_default();
    notes.lines().map(String::from).collect()
}

/// Waits until it is ready.
fn up(world: &World) {
    world.until_status(|status| status.boot_ms.is_some());
}

/// Waits until nothing works in the data directory any more.
fn nothing_is_left(world: &World) {
    until("the end of all", || match world.engines() {
        left if left.is_empty() => Ok(()),
        left => Err(left),
    });
}

/// The reason of the one boot, after which the activator leaves.
fn failure(world: &World) -> String {
    assert_eq!(world.activate().exit(), Some(1));
    let log = world.log();
    let reason = log.split_once("boot failed: ").unwrap().1;
    String::from(reason.split_once("\ndoze: ").unwrap().0)
}

#[test]
fn a_program_starts_with_nobody_there_and_stays() {
    let world = World::process("exec sleep 1000");
    let activator = world.activate();
    let status = world.until_status(|status| status.phase == Phase::Idling);
    assert_eq!(status.sleeps_in_ms, None);
    activator.kill(Signal::TERM);
    assert_eq!(activator.exit(), Some(0));
    nothing_is_left(&world);
}

#[test]
fn the_end_of_a_program_is_the_end_of_the_activator_and_says_how() {
    for (status, expected) in [("0", 2), ("3", 1)] {
        let world = World::process(WAITS);
        let activator = world.activate();
        up(&world);
        put(world.folder.path().join("go"), status);
        assert_eq!(activator.exit(), Some(expected), "{}", world.log());
    }
    let world = World::process("exec sleep 1000");
    let activator = world.activate();
    up(&world);
    let pid = world.status().unwrap().engine_pid.unwrap();
    let pid = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    kill_process(pid, Signal::KILL).unwrap();
    assert_eq!(activator.exit(), Some(1));
}

#[test]
fn a_program_that_its_clients_start_has_failed_when_it_ends_by_itself() {
    let mut world = World::process(WAITS);
    world.plan.body.start = Start::OnDemand;
    let activator = world.activate();
    up(&world);
    put(world.folder.path().join("go"), "0");
    assert_eq!(activator.exit(), Some(1));
    assert!(world.log().contains("web ended unasked"), "{}", world.log());
}

#[test]
fn the_hooks_run_in_their_order_and_in_the_programs_environment() {
    let world = noting();
    let activator = world.activate();
    up(&world);
    activator.kill(Signal::TERM);
    assert_eq!(activator.exit(), Some(0));
    let expected = [
        "before word",
        "right before word",
        "main",
        "after word",
        "at the end word",
        "stopped",
    ];
    assert_eq!(notes(&world), expected);
}

#[test]
fn a_program_that_is_put_to_sleep_says_goodbye_too() {
    let world = noting();
    let activator = world.activate();
    up(&world);
    let mut stop = Command::new(ACTIVATOR);
    stop.arg("stop").arg(&world.plan.paths.status_socket);
    assert!(stop.status().unwrap().success());
    assert_eq!(notes(&world)[4..], ["at the end word", "stopped"]);
    assert_eq!(activator.exit(), Some(0));
}

#[test]
fn a_hook_that_fails_before_the_start_leaves_nothing_started() {
    let mut world = noting();
    world.own().pre_start[0] = shell("echo no luck >&2; exit 3");
    assert_eq!(
        failure(&world),
        "the pre_start command `/bin/sh -c echo no luck >&2; exit 3` failed \
         (exit status: 3); it said: no luck"
    );
    assert_eq!(notes(&world), [""; 0]);

    world.own().pre_start[0] = vec![String::from("/nowhere/hook")];
    fs::remove_file(&world.plan.paths.log).unwrap();
    assert_eq!(
        failure(&world),
        "cannot run the pre_start command `/nowhere/hook`: No such file or directory (os error 2)"
    );
}

#[test]
fn a_hook_that_fails_after_the_start_stops_the_program_in_order() {
    let mut world = noting();
    world.own().post_start[0] = shell("exit 1");
    let reason = failure(&world);
    assert!(reason.starts_with("the post_start command"), "{reason}");
    assert_eq!(notes(&world)[3..], ["at the end word", "stopped"]);
}

#[test]
fn a_program_that_ends_under_its_hook_is_the_reason() {
    let mut world = noting();
    world.member().argv = shell("echo up; while [ ! -e ../hook ]; do sleep 0.01; done; exit 7");
    world.own().post_start = vec![shell("touch ../hook; sleep 1000")];
    let reason = failure(&world);
    assert!(
        reason.starts_with("web ended before it was ready (exit status: 7)"),
        "{reason}"
    );
    nothing_is_left(&world);
}

#[test]
fn a_hook_that_hangs_does_not_keep_the_activator() {
    let mut world = noting();
    world.own().pre_start = vec![shell("trap '' TERM; touch ../here; sleep 1000 & wait")];
    let activator = world.activate();
    until("the hook", || {
        let here = world.folder.path().join("here");
        here.try_exists().unwrap().then_some(()).ok_or("not there")
    });
    activator.kill(Signal::TERM);
    assert_eq!(activator.exit(), Some(0));
    nothing_is_left(&world);

    let mut world = noting();
    world.own().pre_stop = vec![shell("sleep 1000 & wait")];
    world.member().stop.within = Duration::from_millis(400);
    let activator = world.activate();
    up(&world);
    activator.kill(Signal::TERM);
    assert_eq!(activator.exit(), Some(0));
    assert_eq!(notes(&world).last().unwrap(), "stopped");
    nothing_is_left(&world);
}

#[test]
fn a_hook_that_hangs_is_killed_when_the_time_of_the_boot_is_over() {
    let mut world = noting();
    world.own().pre_start[1] = shell("trap '' TERM; sleep 1000 & wait");
    world.member().ready_within = Duration::from_millis(400);
    let expected = "the pre_start command `/bin/sh -c trap '' TERM; sleep 1000 & wait` was killed: \
                    the hooks took more than 400ms";
    assert_eq!(failure(&world), expected);
    assert_eq!(notes(&world), ["before word"]);
    nothing_is_left(&world);

    let mut world = noting();
    world.own().post_start.push(shell("echo here; sleep 1000"));
    world.member().ready_within = Duration::from_secs(1);
    let reason = failure(&world);
    assert!(
        reason.starts_with("the post_start command `/bin/sh -c echo here; sleep 1000` was killed"),
        "{reason}"
    );
    assert_eq!(notes(&world).last().unwrap(), "stopped");
    nothing_is_left(&world);
}

#[test]
fn a_program_has_the_umask_that_the_activator_is_told_and_keeps_it_to_itself() {
    for (told, expected) in [(Some("027"), "0027"), (None, "0022"), (Some("9"), "0022")] {
        let mut world = World::process("umask >> ../masks; env > ../env; echo up; exec sleep 1000");
        world.member().ready = printed("up");
        world.own().pre_start = vec![shell("umask >> ../masks")];
        let activator = world.activate_with(told.map(|mask| (UMASK, mask)));
        up(&world);
        activator.kill(Signal::TERM);
        assert_eq!(activator.exit(), Some(0));
        let of = |name: &str| fs::read_to_string(world.folder.path().join(name)).unwrap();
        assert_eq!(of("masks"), format!("{expected}\n{expected}\n"));
        assert!(!of("env").contains(UMASK), "{}", of("env"));
    }
}

#[test]
fn a_signal_reaches_the_whole_tree_and_all_of_it_may_take_its_time() {
    // The shell in front ends at once; what it started has something to finish.
    let mut world = World::process(
        "sh -c 'trap \"sleep 0.1; echo done >> ../notes; exit\" TERM
                echo up; while :; do sleep 0.01; done' &
         sleep 1000 & wait",
    );
    world.member().ready = printed("up");
    let activator = world.activate();
    up(&world);
    activator.kill(Signal::TERM);
    assert_eq!(activator.exit(), Some(0));
    assert_eq!(notes(&world), ["done"]);
    nothing_is_left(&world);
}

#[test]
fn what_does_not_heed_the_signal_is_killed_when_the_time_is_over() {
    let mut world = World::process(
        "sh -c 'trap \"\" TERM; echo up; while :; do sleep 0.01; done' & sleep 1000",
    );
    world.member().ready = printed("up");
    world.member().stop.within = Duration::from_millis(200);
    let activator = world.activate();
    up(&world);
    activator.kill(Signal::TERM);
    assert_eq!(activator.exit(), Some(0));
    nothing_is_left(&world);
}

#[test]
fn the_environment_is_the_activators_and_what_is_declared() {
    let mut world = World::process("env > ../env; echo up; exec sleep 1000");
    world.member().ready = printed("up");
    world.member().env.remove("PATH");
    let file = world.folder.path().join(".env");
    put(
        &file,
        "# from a file\nFROM_FILE='a b'\nLANG=file\nRUN=file\n",
    );
    let own = world.own();
    own.env_files = vec![file.to_str().unwrap().into()];
    own.variables = [("RUN", "run"), ("URL", "redis://cache")]
        .map(|(name, value)| (name.into(), value.into()))
        .into();
    let activator = world.activate();
    up(&world);
    activator.kill(Signal::TERM);
    assert_eq!(activator.exit(), Some(0));
    let env = fs::read_to_string(world.folder.path().join("env")).unwrap();
    let has = |line: &str| env.lines().any(|other| other == line);
    for line in [
        "FROM_FILE=a b",
        "LANG=C.UTF-8",
        "RUN=file",
        "URL=redis://cache",
    ] {
        assert!(has(line), "{line} in {env}");
    }
    assert!(has(&format!("PATH={}", std::env::var("PATH").unwrap())));
    assert!(!env.contains("LISTEN_"), "{env}");
}

#[test]
fn what_a_program_cannot_run_with_is_said() {
    let mut world = World::process("exec sleep 1000");
    let file = world.folder.path().join(".env");
    put(&file, "A=1\nB\n");
    world.own().env_files = vec![file.to_str().unwrap().into()];
    let expected = format!(
        "cannot make the environment of web: {}, line 2: there is no `=`; write NAME=value",
        file.display()
    );
    assert_eq!(failure(&world), expected);

    let mut world = World::process("exec sleep 1000");
    world.member().cwd = "/nowhere".into();
    let expected = "the folder that web runs in, /nowhere, is not there";
    assert_eq!(failure(&world), expected);
}

#[test]
fn a_dependency_sleeps_when_the_program_that_needs_it_has_ended() {
    let cache = World::redis();
    let mut app = World::process(WAITS);
    app.plan.instance = InstanceName::new("app").unwrap();
    app.plan.holds = vec![Dependency {
        instance: cache.plan.instance.clone(),
        wake_socket: cache.plan.paths.wake_socket.clone(),
        condition: Condition::Healthy,
        ready_within: Duration::from_secs(20),
        runs_by_itself: false,
    }];
    let app_activator = app.activate();
    let cache_activator = cache.activate();
    up(&app);
    assert_eq!(cache.status().unwrap().holds, 1);
    put(app.folder.path().join("go"), "0");
    assert_eq!(app_activator.exit(), Some(2));
    assert_eq!(cache_activator.exit(), Some(0));
}

#[test]
fn one_that_has_done_its_work_is_not_woken_again_by_those_that_needed_it() {
    let migrate = World::process(WAITS);
    let mut app = World::process(WAITS);
    app.plan.instance = InstanceName::new("app").unwrap();
    app.plan.holds = vec![Dependency {
        instance: migrate.plan.instance.clone(),
        wake_socket: migrate.plan.paths.wake_socket.clone(),
        condition: Condition::Healthy,
        ready_within: Duration::from_secs(20),
        runs_by_itself: true,
    }];
    let (activator, work) = (app.activate(), migrate.activate());
    // Nobody would activate it again for who came too late.
    migrate.until_status(|status| status.holds == 1);
    put(migrate.folder.path().join("go"), "0");
    assert_eq!(work.exit(), Some(2));
    up(&app);
    put(app.folder.path().join("go"), "0");
    assert_eq!(activator.exit(), Some(2));
    assert!(!app.log().contains("went away"), "{}", app.log());
}

#[test]
fn a_program_that_outlives_a_killed_activator_keeps_the_lock() {
    let world = World::process("sleep 1000 & wait");
    let activator = world.activate();
    up(&world);
    let orphan = world.status().unwrap().engine_pid.unwrap();
    activator.kill(Signal::KILL);
    assert_eq!(activator.exit(), None);
    let lock = fs::File::open(&world.plan.paths.lock).unwrap();
    assert!(lock.try_lock().is_err());
    let group = Pid::from_raw(i32::try_from(orphan).unwrap()).unwrap();
    kill_process_group(group, Signal::KILL).unwrap();
    until("the lock", || lock.try_lock());
}
