//! Two worlds, of which one depends on the other.

use std::{io::BufRead, time::Duration};

use doze_contract::{
    InstanceName,
    plan::{Condition, Dependency},
    status::Phase,
};
use rustix::process::{Pid, Signal, kill_process};

use crate::world::{World, ask};

/// An `app` that depends on `cache`, which has to be healthy.
fn app(cache: &World) -> World {
    app_with(cache, Condition::Healthy)
}

fn app_with(cache: &World, condition: Condition) -> World {
    let mut app = World::redis();
    app.plan.instance = InstanceName::new("app").unwrap();
    app.plan.holds = vec![Dependency {
        instance: cache.plan.instance.clone(),
        wake_socket: cache.plan.paths.wake_socket.clone(),
        condition,
        ready_within: Duration::from_secs(20),
        runs_by_itself: false,
    }];
    app
}

/// The answer on the wake socket.
fn answer(world: &World) -> String {
    let mut line = String::new();
    let mut hold = world.hold();
    let activator = world.activate();
    hold.read_line(&mut line).unwrap();
    drop(hold);
    assert_eq!(activator.exit(), Some(1));
    line
}

fn kill(pid: u32) {
    let pid = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    kill_process(pid, Signal::KILL).unwrap();
}

#[test]
fn a_dependency_is_ready_first_and_stays_awake_as_long() {
    let cache = World::redis();
    let app = app(&cache);
    let client = app.call();
    let app_activator = app.activate();
    app.until_status(|status| status.connections == 1);
    assert!(app.engines().is_empty(), "it waits for the dependency");

    let cache_activator = cache.activate();
    ask(&client, "", "+PONG\r\n");
    let status = cache.status().unwrap();
    assert_eq!(status.phase, Phase::Serving);
    assert_eq!((status.connections, status.holds), (0, 1));

    drop(client);
    assert_eq!(app_activator.exit(), Some(0));
    assert_eq!(cache_activator.exit(), Some(0));
}

#[test]
fn a_dependency_whose_engine_dies_is_held_again() {
    let cache = World::redis();
    let app = app(&cache);
    let client = app.call();
    let app_activator = app.activate();
    let first = cache.activate();
    ask(&client, "", "+PONG\r\n");
    kill(cache.status().unwrap().engine_pid.unwrap());
    assert_eq!(first.exit(), Some(1));

    // The init system would do so for the connection in the backlog.
    let second = cache.activate();
    cache.until_status(|status| status.phase == Phase::Serving && status.holds == 1);
    ask(&client, "PING\r\n", "+PONG\r\n");
    let said = "cache, which this instance depends on, went away; waking it again";
    assert_eq!(app.log().matches(said).count(), 1, "{}", app.log());

    app_activator.kill(Signal::KILL);
    assert_eq!(second.exit(), Some(0), "the kernel lets go");
    for engine in app.engines() {
        kill(engine);
    }
}

#[test]
fn a_dependency_whose_activator_is_killed_while_it_boots_is_called_again() {
    let mut cache = World::fake("exec sleep 1000");
    let app = app(&cache);
    let client = app.call();
    let app_activator = app.activate();
    let first = cache.activate();
    cache.until_status(|status| status.engine_pid.is_some() && status.holds == 1);
    first.kill(Signal::KILL);
    assert_eq!(first.exit(), None);
    for engine in cache.engines() {
        kill(engine);
    }
    cache.become_redis();
    let second = cache.activate();
    ask(&client, "", "+PONG\r\n");
    drop(client);
    assert_eq!(app_activator.exit(), Some(0));
    assert_eq!(second.exit(), Some(0));
}

#[test]
fn a_dependency_that_cannot_boot_is_the_reason() {
    let mut cache = World::redis();
    let member = cache.plan.body.members.first_mut().unwrap();
    member.argv = vec![String::from("/nowhere/redis-server")];
    let app = app(&cache);
    let activator = cache.activate();
    let expected = "failed: cache, which app depends on, cannot boot: \
                    cannot start /nowhere/redis-server for redis: \
                    No such file or directory (os error 2)\n";
    assert_eq!(answer(&app), expected);
    assert!(app.engines().is_empty());
    assert_eq!(activator.exit(), Some(1));
}

#[test]
fn a_dependency_that_is_not_up_is_the_reason() {
    let mut app = app(&World::redis());
    app.plan.holds[0].wake_socket = "/nowhere/wake.sock".into();
    let expected = "failed: cache, which app depends on, is not up: \
                    No such file or directory (os error 2)\n";
    assert_eq!(answer(&app), expected);
}

#[test]
fn a_dependency_that_never_answers_is_not_waited_for_without_end() {
    let cache = World::redis();
    let mut app = app(&cache);
    app.plan.holds[0].ready_within = Duration::from_millis(200);
    let expected = "failed: cache, which app depends on, was not ready within 200ms\n";
    assert_eq!(answer(&app), expected);
}

#[test]
fn a_dependency_that_is_only_started_is_not_waited_for() {
    let cache = World::fake("exec sleep 1000");
    let app = app_with(&cache, Condition::Started);
    let client = app.call();
    let app_activator = app.activate();
    // Nobody has activated the dependency yet, and the engine boots all the same.
    ask(&client, "", "+PONG\r\n");

    let cache_activator = cache.activate();
    cache.until_status(|status| status.phase == Phase::Booting && status.holds == 1);
    drop(client);
    assert_eq!(app_activator.exit(), Some(0));
    cache.until_status(|status| status.holds == 0);
    cache_activator.kill(Signal::TERM);
    assert_eq!(cache_activator.exit(), Some(0));
}

#[test]
fn a_dependency_that_is_only_started_is_held_again_when_it_goes_away() {
    let cache = World::redis();
    let app = app_with(&cache, Condition::Started);
    let client = app.call();
    let app_activator = app.activate();
    let first = cache.activate();
    ask(&client, "", "+PONG\r\n");
    let status = cache.until_status(|status| status.phase == Phase::Serving && status.holds == 1);
    kill(status.engine_pid.unwrap());
    assert_eq!(first.exit(), Some(1));

    let second = cache.activate();
    cache.until_status(|status| status.phase == Phase::Serving && status.holds == 1);
    ask(&client, "PING\r\n", "+PONG\r\n");
    drop(client);
    assert_eq!(app_activator.exit(), Some(0));
    assert_eq!(second.exit(), Some(0));
}

#[test]
fn a_dependency_that_is_only_started_may_fail_or_be_down() {
    let mut cache = World::redis();
    let program = cache.plan.body.members[0].argv[0].clone();
    let link = cache.folder.path().join("redis-server");
    cache.plan.body.members[0].argv[0] = link.to_str().unwrap().into();
    let mut app = app_with(&cache, Condition::Started);
    let mut absent = app.plan.holds[0].clone();
    absent.instance = InstanceName::new("absent").unwrap();
    absent.wake_socket = "/nowhere/wake.sock".into();
    app.plan.holds.push(absent);

    let client = app.call();
    let app_activator = app.activate();
    let cache_activator = cache.activate();
    ask(&client, "", "+PONG\r\n");
    cache.until_status(|status| status.phase == Phase::Failed);

    // It is asked again as soon as it can be had.
    std::os::unix::fs::symlink(program, &link).unwrap();
    cache.until_status(|status| status.phase == Phase::Serving && status.holds == 1);
    drop(client);
    assert_eq!(app_activator.exit(), Some(0));
    assert_eq!(cache_activator.exit(), Some(0));
}
