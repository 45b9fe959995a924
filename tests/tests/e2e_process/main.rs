//! `[process.NAME]`: programs of the user's own, under a private systemd and in the foreground.
#![expect(
    clippy::expect_used,
    reason = "a surprise fails the test, and says what it was"
)]

mod declared;
mod health;
mod lazy;
mod restarts;
mod running;

use std::fs;
use std::time::Duration;

use doze_tests::project::{Mode, Project, output};
use doze_tests::wait_until;

/// How long a step may take on a busy machine.
const BOUND: Duration = Duration::from_mins(1);

/// A process by which time is told: it writes a line into `ticks` ten times a second.
const CLOCK: &str = "[process.clock]\ncommand = \"while :; do echo >> ticks; sleep 0.1; done\"\n";

/// A project with a Valkey `cache` and these blocks, written but not up.
fn project(mode: Mode, blocks: &str) -> Option<Project> {
    let project = Project::new(mode, "1h")?;
    declare(&project, blocks);
    Some(project)
}

/// Replaces its blocks, but for `cache`.
fn declare(project: &Project, blocks: &str) {
    project.declare(&whole(project, blocks));
}

/// The whole file.
fn whole(project: &Project, blocks: &str) -> String {
    let toml = project.toml("300ms");
    let (head, rest) = toml.split_once("[postgres.app]").expect("it has one");
    let (_, cache) = rest.split_once("[valkey.cache]").expect("it has one");
    format!("{head}[valkey.cache]{cache}\n{blocks}")
}

/// What a process has written into a file of its folder so far.
fn text(project: &Project, file: &str) -> String {
    let path = project.world.home().join("shop").join(file);
    fs::read_to_string(path).unwrap_or_default()
}

/// Waits until a file has so many lines, and returns it.
#[track_caller]
fn lines(project: &Project, file: &str, count: usize) -> Vec<String> {
    wait_until(&format!("{count} lines in {file}"), BOUND, || {
        let found: Vec<String> = text(project, file).lines().map(str::to_owned).collect();
        if found.len() < count {
            return Err(format!("{found:?}"));
        }
        Ok(found)
    })
}

/// Waits until the clock has ticked so often from now on.
#[track_caller]
fn ticks(project: &Project, count: usize) {
    let now = text(project, "ticks").lines().count();
    lines(project, "ticks", now + count);
}

/// What `doze generate` says of these blocks, which are wrong.
fn refused(blocks: &str) -> String {
    let world = doze_tests::World::new();
    world.write("home/shop/doze.toml", blocks);
    let mut command = world.command("doze");
    command
        .args(["generate", "--out", "out"])
        .current_dir(world.home().join("shop"));
    let output = output(&mut command);
    assert_eq!(output.status.code(), Some(2));
    String::from_utf8_lossy(&output.stderr).into_owned()
}
