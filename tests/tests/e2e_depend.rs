//! Chains and diamonds of instances that depend on each other, with real engines. Every test runs
//! under a private systemd and in the foreground.
#![expect(
    clippy::expect_used,
    reason = "a surprise fails the test, and says what it was"
)]

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::process::Command;
use std::time::Duration;

use doze_tests::process::{self, Process};
use doze_tests::project::{Mode, Project};
use doze_tests::{engines, in_every_mode, wait_until};
use rustix::process::{Pid, Signal, kill_process};

const BOUND: Duration = Duration::from_mins(1);

in_every_mode!(
    a_chain_wakes_and_sleeps_by_its_top_whatever_the_timeouts,
    both_sides_of_a_diamond_boot_at_the_same_time,
    a_chain_whose_middle_is_killed_is_held_again,
);

/// Nobody but the top has a client, and the timeout of the others is over whenever it could be.
fn a_chain_wakes_and_sleeps_by_its_top_whatever_the_timeouts(mode: Mode) {
    let Some(mut project) = chain(mode) else {
        return;
    };
    project.up();
    assert_eq!(project.processes(), [], "nobody is awake");
    assert_eq!(project.sql("select 1"), "1");
    let ready = |name: &str| time(&project, name, " is ready after ");
    assert!(ready("cache") <= ready("middle") && ready("middle") <= ready("app"));

    let engines = ["cache", "middle", "app"].map(|name| engine_pid(&project, name));
    assert!(engines.iter().all(Option::is_some), "{engines:?}");
    for _ in 0..20 {
        // A client that goes is what the timeout starts with.
        assert_eq!(project.cached(&["ping"]), "PONG");
        assert_eq!(project.sql("select 1"), "1");
    }
    let held = |name: &str| number(&project, name, "holds");
    assert_eq!(["cache", "middle", "app"].map(held), [1, 1, 0].map(Some));
    let now = ["cache", "middle", "app"].map(|name| engine_pid(&project, name));
    assert_eq!(now, engines, "all were awake all the time");

    project.run(&["sleep", "app"]);
    project.wait_asleep();
    let left = |name: &str| time(&project, name, "leaving with exit status 0");
    let stopping = |name: &str| time(&project, name, &format!("stopping {name}"));
    assert!(left("app") <= stopping("middle") && left("middle") <= stopping("cache"));
    for name in ["cache", "middle", "app"] {
        assert_eq!(project.wakes(name), 1, "{name}");
        let log = project.log(name);
        assert!(!log.contains("went away"), "{log}");
    }
}

/// Neither of the two goes on before the other has come as far, so one after the other would never
/// end.
fn both_sides_of_a_diamond_boot_at_the_same_time(mode: Mode) {
    let Some(mut project) = Project::new(mode, "1h") else {
        return;
    };
    meet(&mut project);
    let toml = project.toml("1h").replace(
        "owner = \"app\"\n",
        "owner = \"app\"\ndepends_on = [\"left\", \"right\"]\n",
    );
    let sides = ["left", "right"].map(|name| valkey(&project, name, "cache"));
    project.declare(&format!(
        "{toml}idle_timeout = \"1ms\"\n{}{}",
        sides[0], sides[1]
    ));
    project.up();
    assert_eq!(project.sql("select 1"), "1");
    for name in ["cache", "left", "right", "app"] {
        assert_eq!(project.wakes(name), 1, "{name}");
    }
    assert_eq!(number(&project, "cache", "holds"), Some(2));
    project.run(&["sleep", "app"]);
    project.wait_asleep();
    assert_eq!(project.wakes("cache"), 1, "it was held by the last of them");
}

fn a_chain_whose_middle_is_killed_is_held_again(mode: Mode) {
    let Some(mut project) = chain(mode) else {
        return;
    };
    project.up();
    project.sql("create table t (n int); insert into t values (1)");
    let app = engine_pid(&project, "app");

    let engine = engine_pid(&project, "middle").expect("it is awake");
    kill(i32::try_from(engine).expect("a pid"));
    wait_until_held_again(&project, engine);

    let engine = engine_pid(&project, "middle").expect("it is awake");
    let mut activators = project.running("doze-activator");
    activators.retain(|process| process.command.contains("/middle.json"));
    kill(only(&activators).pid);
    wait_until_held_again(&project, engine);

    assert_eq!(project.sql("select n from t"), "1");
    assert_eq!(engine_pid(&project, "app"), app, "the top goes on");
    let clients = number(&project, "middle", "connections");
    assert_eq!(clients, Some(0), "no client woke it");
    let log = project.log("app");
    let told = "middle, which this instance depends on, went away; waking it again";
    assert!(log.matches(told).count() >= 2, "{log}");
    project.run(&["sleep", "app"]);
    project.wait_asleep();
}

/// The project, with an `app` that depends on `middle`, which depends on `cache`. Only `app` has
/// time.
fn chain(mode: Mode) -> Option<Project> {
    let project = Project::new(mode, "1h")?;
    let toml = project.toml("1h").replace(
        "owner = \"app\"\n",
        "owner = \"app\"\ndepends_on = [\"middle\"]\n",
    );
    let middle = valkey(&project, "middle", "cache");
    project.declare(&format!("{toml}idle_timeout = \"1ms\"\n{middle}"));
    Some(project)
}

/// The block of another Valkey.
fn valkey(project: &Project, name: &str, depends_on: &str) -> String {
    let toml = project.toml("1h");
    let (_, cache) = toml.split_once("[valkey.cache]\n").expect("a cache");
    let port = project.world.port().to_string();
    let block = cache.replace(&project.cache.to_string(), &port);
    format!("\n[valkey.{name}]\n{block}depends_on = [\"{depends_on}\"]\nidle_timeout = \"1ms\"\n")
}

/// Replaces the server of Valkey by one that waits in `left` and `right` for the other.
fn meet(project: &mut Project) {
    let world = &project.world;
    let folder = world.dir().join("meeting");
    fs::create_dir(&folder).expect("a fresh folder");
    let found = [engines::postgres(), engines::valkey()].map(|engine| engine.expect("an engine"));
    for engine in &found {
        for program in fs::read_dir(world.bindir(engine)).expect("it is there") {
            let program = program.expect("it can be listed");
            let link = folder.join(program.file_name());
            if !program.file_name().to_string_lossy().ends_with("-server") {
                symlink(program.path(), link).expect("a fresh name");
                continue;
            }
            // To open one end of a FIFO waits for who opens the other.
            let script = format!(
                "#!/bin/sh\ncase $PWD in\n*/left) echo here >'{0}/fifo' ;;\n\
                 */right) read there <'{0}/fifo' ;;\nesac\nexec '{1}' \"$@\"\n",
                folder.display(),
                program.path().display()
            );
            world.write(&link, &script);
            fs::set_permissions(&link, fs::Permissions::from_mode(0o755)).expect("our file");
        }
    }
    let made = Command::new("mkfifo")
        .args(["-m", "666"])
        .arg(folder.join("fifo"))
        .status();
    assert!(made.is_ok_and(|status| status.success()), "mkfifo");
    project.use_programs(&folder);
}

/// Waits until `middle` has another engine than this, and all are held as before.
#[track_caller]
fn wait_until_held_again(project: &Project, before: u64) {
    wait_until("the middle to be held again", BOUND, || {
        let now = engine_pid(project, "middle");
        let holds = ["cache", "middle"].map(|name| number(project, name, "holds"));
        if now.is_some() && now != Some(before) && holds == [Some(1), Some(1)] {
            Ok(())
        } else {
            Err(format!("engine {now:?}, was {before}, holds {holds:?}"))
        }
    });
}

/// When an activator last wrote a line with this in it.
fn time(project: &Project, name: &str, what: &str) -> String {
    let log = project.log(name);
    let line = log.lines().rfind(|line| line.contains(what));
    let time = line.and_then(|line| line.split_whitespace().nth(1));
    time.expect("it says so").to_owned()
}

/// A number of an instance in `doze status --json`.
fn number(project: &Project, instance: &str, field: &str) -> Option<u64> {
    let status = project.status();
    let rows = status.get("instances")?.as_array()?;
    let row = rows
        .iter()
        .find(|row| row.get("name").is_some_and(|name| name == instance));
    row?.get(field)?.as_u64()
}

fn engine_pid(project: &Project, instance: &str) -> Option<u64> {
    number(project, instance, "engine_pid")
}

#[track_caller]
fn only(processes: &[Process]) -> &Process {
    assert_eq!(processes.len(), 1, "{}", process::list(processes));
    processes.first().expect("one")
}

/// Kills a process of the world, which its own status and cgroup have shown to be it.
fn kill(pid: i32) {
    kill_process(Pid::from_raw(pid).expect("a pid"), Signal::KILL).expect("it runs");
}
