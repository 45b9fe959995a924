//! `doze demo`: for everybody, wherever it is tried.
#![expect(
    clippy::expect_used,
    reason = "a surprise fails the test, and says what it was"
)]

use std::path::Path;
use std::process::Command;

use doze_tests::project::output;
use doze_tests::{User, World, engines, needed, process};

/// Runs the demo to its end and looks at what it leaves: nothing.
fn demo(world: &World) -> String {
    demo_with(world, |_| {})
}

fn demo_with(world: &World, change: impl FnOnce(&mut Command)) -> String {
    let valkey = engines::valkey().expect("looked for before");
    let mut command = world.command("doze");
    command
        .arg("demo")
        .env("DOZE_VALKEY_BINDIR", world.bindir(&valkey));
    change(&mut command);
    let shown = output(&mut command);
    let text = String::from_utf8(shown.stdout).expect("UTF-8");
    let said = String::from_utf8_lossy(&shown.stderr);
    assert!(shown.status.success(), "{text}{said}");
    assert_eq!(said, "");
    for engine in ["app (postgres)", "cache (valkey)"] {
        assert!(text.contains(engine), "{text}");
    }
    // Other engines may be installed as well; each is shown twice.
    let shown = 2 * text.matches(" on 127.0.0.1:").count();
    assert!(shown >= 4, "{text}");
    for line in ["asleep            0 processes", "until the first reply"] {
        assert_eq!(text.matches(line).count(), shown, "{text}");
    }
    let alive = process::list(&world.processes());
    assert!(alive.is_empty(), "{text}{alive}");
    let look = "find . ../tmp ../run -name systemd -prune -o -name 'doze-*' -print";
    assert_eq!(world.run(&["sh", "-c", look]), "", "{text}");
    text
}

fn has_engines() -> bool {
    needed("a Postgres", engines::postgres()).is_some()
        && needed("a Valkey", engines::valkey()).is_some()
}

#[test]
fn under_systemd() {
    if !has_engines() {
        return;
    }
    let Some(world) = World::with_manager() else {
        return;
    };
    assert!(demo(&world).contains("held by the systemd user manager"));
}

#[test]
fn without_a_manager() {
    if has_engines() {
        assert!(demo(&World::new()).contains("there is no systemd user manager here"));
    }
}

#[test]
fn as_whoever_runs_the_tests() {
    if !has_engines() {
        return;
    }
    let world = World::of(User::Current);
    let text = demo(&world);
    if rustix::process::getuid().is_root() {
        assert!(text.contains("postgres refuses root"), "{text}");
    }
}

/// In a plain container there is no folder for sockets either.
#[test]
fn without_a_runtime_folder() {
    let uid = rustix::process::getuid().as_raw();
    let path = format!("/run/user/{uid}");
    if !has_engines() || Path::new(&path).try_exists().is_ok_and(|there| there) {
        // There doze would find one.
        return;
    }
    let world = World::of(User::Current);
    let text = demo_with(&world, |command| {
        command
            .env_remove("XDG_RUNTIME_DIR")
            .env_remove("DBUS_SESSION_BUS_ADDRESS");
    });
    assert!(!text.contains("0.0 s later"), "{text}");
}
