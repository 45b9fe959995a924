//! The limits of an instance: read back, and said where they do not hold.
#![expect(
    clippy::expect_used,
    reason = "a surprise fails the test, and says what it was"
)]

use std::fs;

use doze_tests::project::{Mode, Project, output};
use serde_json::{Value, json};

/// Stands at the end of the file, so it is that of the cache.
const LIMITS: &str = "limits = { memory = \"512MB\", tasks = 64 }\n";

#[test]
fn limits_without_a_controller_are_told_once_and_shown_by_status() {
    let Some(project) = Project::new(Mode::Systemd, "1h") else {
        return;
    };
    project.declare(&(project.toml("1h") + LIMITS));
    let up = output(&mut project.doze(&["up"]));
    assert!(up.status.success());
    let said = String::from_utf8_lossy(&up.stderr);
    // Here as the private manager has them; on most machines of developers it has none.
    let lacks = |controller: &str| said.contains(controller);
    assert_eq!(
        said.contains("note: cache: "),
        lacks("memory") || lacks("pids"),
        "{said}"
    );
    assert!(!said.contains("note: app: "), "{said}");
    let again = output(&mut project.doze(&["up"]));
    assert_eq!(String::from_utf8_lossy(&again.stderr), "");

    let wanted = json!({
        "memory": { "declared": 512 << 20, "held": !lacks("memory") },
        "tasks": { "declared": 64, "held": !lacks("pids") },
    });
    assert_eq!(limits(&project), wanted);
    assert_eq!(project.cached(&["ping"]), "PONG");
    assert_eq!(limits(&project), wanted, "awake as asleep");
}

#[test]
fn in_the_foreground_no_limit_holds_and_that_is_said() {
    let Some(mut project) = Project::new(Mode::Foreground, "1h") else {
        return;
    };
    project.declare(&(project.toml("1h") + LIMITS));
    project.up();
    let said = fs::read_to_string(project.world.dir().join("listener.log")).expect("it says so");
    let note = "note: cache: nothing holds it to its limits (memory, tasks): in the foreground \
                there are no cgroups\n";
    assert!(said.contains(note), "{said}");
    project.down();
}

fn limits(project: &Project) -> Value {
    let status = project.status();
    let cache = status.pointer("/instances/1/limits");
    cache.expect("status has them").clone()
}
