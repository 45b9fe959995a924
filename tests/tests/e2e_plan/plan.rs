//! What `doze plan` sees, and that nobody sees it.

use doze_tests::in_every_mode;
use doze_tests::process::Process;
use doze_tests::project::{Mode, Project, output};
use doze_tests::stamps::Stamps;
use serde_json::{Value, json};

use crate::{Guest, Said, assert_settled, ended, project, without_cache};

in_every_mode!(an_unchanged_project_is_silent_wakes_nobody_and_writes_nothing);

/// Must hold 6.
fn an_unchanged_project_is_silent_wakes_nobody_and_writes_nothing(mode: Mode) {
    let Some(mut project) = Project::new(mode, "1h") else {
        return;
    };
    if mode.has_manager() {
        project.run(&["up"]);
    } else {
        project.up();
    }
    let (home, runtime) = (
        project.world.home(),
        project.world.runtime_dir().join("doze"),
    );
    let asleep = Stamps::of(&[&home, &runtime]);
    assert_settled(&project);
    assert_eq!(project.processes(), []);
    let changed = asleep.differences(&Stamps::of(&[&home, &runtime]));
    assert!(changed.is_empty(), "{changed:?}");

    project.run(&["wake", "app"]);
    project.wait_for_spare();
    let mut guest = Guest::of(&project, "cache");
    // The first session after a change has Postgres write its caches.
    assert_settled(&project);
    let (awake, before) = (lasting(&project), Stamps::of(&[&home, &runtime]));
    assert_settled(&project);
    assert_eq!(lasting(&project), awake);
    let changed = before.differences(&Stamps::of(&[&home, &runtime]));
    assert!(changed.is_empty(), "{changed:?}");
    assert!(guest.is_served());
    let plan = json(&project, &["plan", "--json"]);
    for list in ["files", "units", "restarts", "structure", "data"] {
        assert_eq!(plan.get(list), Some(&json!([])), "{list}");
    }
    if mode == Mode::Foreground {
        project.down();
    }
}

/// The processes but for those of single sessions, which Postgres ends in its own time, and for
/// those that have ended.
fn lasting(project: &Project) -> Vec<Process> {
    let mut all = project.processes();
    all.retain(|process| !process.command.contains("[local]") && !process.command.is_empty());
    all
}

fn json(project: &Project, arguments: &[&str]) -> Value {
    serde_json::from_str(&project.run(arguments)).expect("it prints JSON")
}

#[test]
fn what_was_never_up_is_all_new_and_leaves_no_trace() {
    let Some(project) = Project::new(Mode::Systemd, "1h") else {
        return;
    };
    let (home, runtime) = (project.world.home(), project.world.runtime_dir());
    let before = Stamps::of(&[&home, &runtime.join("doze")]);
    let said = ended(&project, &["plan"], 0).out;
    let told = |line: &str| said.lines().any(|said| said.trim() == line);
    let unit = project.world.units().join("doze-shop-app.socket");
    assert!(told(&format!("+ {}", unit.display())), "{said}");
    assert!(told("start doze-shop-cache.socket"), "{said}");
    assert!(
        told("start doze-shop.target") && told("enable doze-shop.target"),
        "{said}"
    );
    assert!(
        !said.contains("restarts") && !said.contains("data\n"),
        "{said}"
    );
    ended(&project, &["plan", "--check"], 5);
    let changed = before.differences(&Stamps::of(&[&home, &runtime.join("doze")]));
    assert!(changed.is_empty(), "{changed:?}");
    assert_eq!(project.processes(), []);
}

#[test]
fn without_a_manager_there_are_no_units_in_a_plan() {
    let Some(project) = Project::new(Mode::Systemd, "1h") else {
        return;
    };
    let mut plan = project.doze(&["plan"]);
    plan.env_remove("XDG_RUNTIME_DIR")
        .env_remove("DBUS_SESSION_BUS_ADDRESS");
    let said = Said::from(output(&mut plan));
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(said.out.contains("/plans/app.json"), "{said:?}");
    assert!(!said.out.contains(".socket"), "{said:?}");
}

#[test]
fn those_whom_it_would_disturb_are_counted_and_not_disturbed() {
    let Some(project) = project() else { return };
    let mut guests = [Guest::of(&project, "cache"), Guest::of(&project, "cache")];
    project.declare(&(project.toml("1h") + "maxmemory = \"100mb\"\n"));
    let said = ended(&project, &["plan"], 0).out;
    assert!(
        said.contains("restarts\n  cache: stops for its new settings (2 clients)"),
        "{said}"
    );
    assert!(!said.contains("app"), "{said}");
    let plan = json(&project, &["plan", "--json"]);
    let restart = json!([{"instance": "cache", "reason": "settings", "clients": 2, "holds": 0}]);
    assert_eq!(plan.get("restarts"), Some(&restart));
    assert!(guests.iter_mut().all(Guest::is_served));
    // Two lines in the same words: what was planned, and what is done.
    let up = project.run(&["up"]);
    assert_eq!(up, "cache: stops for its new settings (2 clients)\n");
    assert_settled(&project);
}

/// Upstream §3.10: its plan compares names and hashes of objects, and these are none.
#[test]
fn an_edit_of_nothing_but_settings_is_no_empty_plan() {
    let Some(project) = project() else { return };
    let toml = project.toml("1h");
    let settings = "owner = \"app\"\nsettings = { work_mem = \"8MB\" }";
    project.declare(&toml.replace("owner = \"app\"", settings));
    let said = ended(&project, &["plan", "--check"], 5).out;
    assert!(said.contains("/plans/app.json"), "{said}");
    project.run(&["apply"]);
    assert_settled(&project);
    assert_eq!(project.sql("show work_mem"), "8MB");
    assert_settled(&project);
}

/// Upstream §3.10: what is no longer declared is planned by every later run.
#[test]
fn a_removed_instance_is_planned_once_and_its_data_is_named() {
    let Some(project) = project() else { return };
    project.cached(&["set", "k", "v"]);
    project.declare(&without_cache(&project));
    let data = project.home().join("data/cache");
    let said = ended(&project, &["plan", "--check"], 5);
    let unit = project.world.units().join("doze-shop-cache.socket");
    for line in [
        format!("- {}", unit.display()),
        "stop doze-shop-cache.socket".into(),
        "cache: stops, for it is no longer declared".into(),
    ] {
        assert!(said.out.contains(&line), "{line}: {}", said.out);
    }
    let note = format!("note: no instance owns {}", data.display());
    assert!(said.err.contains(&note), "{}", said.err);

    project.run(&["up"]);
    let said = ended(&project, &["plan", "--check"], 0);
    assert_eq!(said.out, "");
    assert!(said.err.contains(&note), "{}", said.err);
    let plan = json(&project, &["plan", "--json"]);
    assert_eq!(plan.pointer("/data/0/action"), Some(&json!("keep")));
    let said = ended(&project, &["plan", "--check", "--prune"], 5).out;
    assert!(
        said.contains(&format!("data\n  remove {}", data.display())),
        "{said}"
    );
    assert!(data.is_dir());
}

#[test]
fn what_was_edited_by_hand_or_only_generated_differs() {
    let Some(project) = project() else { return };
    project.run(&["wake", "cache"]);
    let unit = project.world.units().join("doze-shop-cache.service");
    let by_hand = std::fs::read_to_string(&unit).expect("it is installed") + "# mine\n";
    project.world.write(&unit, &by_hand);
    let said = ended(&project, &["plan", "--check"], 5).out;
    assert!(said.contains(&format!("~ {}", unit.display())), "{said}");
    project.run(&["up"]);
    assert_settled(&project);

    project.run(&["wake", "cache"]);
    project.declare(&(project.toml("1h") + "maxmemory = \"100mb\"\n"));
    project.run(&["generate"]);
    let said = ended(&project, &["plan", "--check"], 5).out;
    assert_eq!(said, "restarts\n  cache: stops for its new settings\n");
}

/// An edit concerns the instance that it is about, and the clients of others notice nothing.
#[test]
fn an_edit_leaves_the_others_with_their_clients_alone() {
    let Some(mut project) = project() else { return };
    project.run(&["wake", "app"]);
    let mut guest = Guest::of(&project, "cache");
    let cache = |project: &Project| {
        let mut all = project.processes();
        all.retain(|process| {
            process.command.contains("valkey") || process.command.contains("/cache")
        });
        all
    };
    let before = cache(&project);
    let settings = "owner = \"app\"\nsettings = { work_mem = \"8MB\" }";
    let toml = project.toml("1h").replace("owner = \"app\"", settings);
    project.declare(&toml);
    assert_eq!(project.run(&["up"]), "app: stops for its new settings\n");
    // A new address, and an instance more.
    project.app = project.world.port();
    let port = project.world.port();
    let more = "[valkey.more]\nversion = 8\nport = ";
    project.declare(&format!("{}\n{more}{port}\n", project.toml("1h")));
    let said = project.run(&["apply"]);
    assert!(said.contains("restart doze-shop-app.socket"), "{said}");
    assert_eq!(project.sql("select 1"), "1");
    assert!(guest.is_served());
    assert_eq!(cache(&project), before);
    assert_settled(&project);
}
