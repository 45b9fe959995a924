//! The paths of unix endpoints: where they lead, and that they survive what becomes of the
//! processes behind them.
#![expect(
    clippy::expect_used,
    reason = "a surprise fails the test, and says what it was"
)]

use std::fs::{self, Metadata};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::time::Duration;

use doze_tests::project::{Mode, Project, output, succeed};
use doze_tests::wait_until;
use rustix::process::{Pid, Signal, kill_process};

const BOUND: Duration = Duration::from_mins(1);

/// A project whose `app` has a unix endpoint, and stays awake once it is.
fn project(mode: Mode) -> Option<Project> {
    let project = Project::new(mode, "1h")?;
    let unix = "listen = \"unix\"\n\n[valkey.cache]";
    project.declare(&project.toml("1h").replace("[valkey.cache]", unix));
    Some(project)
}

/// The folder with the sockets of `app`.
fn folder(project: &Project) -> PathBuf {
    project.world.runtime_dir().join("doze/shop/app")
}

fn public(project: &Project) -> PathBuf {
    folder(project).join(".s.PGSQL.5432")
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    let name = |entry: fs::DirEntry| entry.file_name().to_string_lossy().into_owned();
    let mut names: Vec<_> = entries.flatten().map(name).collect();
    names.sort();
    names
}

/// What is there itself, not what it leads to.
fn there(path: &Path) -> Option<Metadata> {
    fs::symlink_metadata(path).ok()
}

#[track_caller]
fn assert_out(project: &Project) {
    let target = fs::read_link(public(project));
    assert_eq!(
        target.ok().as_deref(),
        Some(Path::new("init.sock")),
        "{:?}",
        names(&folder(project))
    );
}

/// Puts the engine's own socket at the public path, unless it is there.
fn swap_in(project: &Project) {
    let engine = folder(project).join("engine/.s.PGSQL.5432");
    let inode = |path: &Path| there(path).map(|found| found.ino());
    if inode(&engine) != inode(&public(project)) {
        let beside = folder(project).join("beside");
        fs::hard_link(&engine, &beside).expect("the engine runs");
        fs::rename(&beside, public(project)).expect("our folder");
    }
    let found = there(&public(project)).expect("it is there");
    assert!(found.file_type().is_socket());
    assert_eq!(found.permissions().mode() & 0o777, 0o600);
}

/// Asks as people do: by folder and port.
fn sql(project: &Project, sql: &str) -> String {
    let folder = folder(project);
    let folder = folder.to_str().expect("UTF-8");
    let mut psql = project.world.command("psql");
    psql.args(["-XAtq", "-h", folder, "-p", "5432", "-U", "app", "-c", sql]);
    succeed(psql.arg("app")).trim_end().to_owned()
}

fn kill(project: &Project, program: &str) {
    let all = project.running(program);
    let first = all.first().expect("it runs");
    let pid = Pid::from_raw(first.pid).expect("a pid");
    kill_process(pid, Signal::KILL).expect("it runs");
}

fn a_killed_activator(mode: Mode) {
    let Some(mut project) = project(mode) else {
        return;
    };
    project.up();
    assert_out(&project);
    assert_eq!(
        names(&folder(&project)),
        [".s.PGSQL.5432", "init.sock", "wake.sock"]
    );
    assert_eq!(sql(&project, "create table t (n int)"), "");
    for _ in 0..2 {
        swap_in(&project);
        assert_eq!(sql(&project, "select 1"), "1");
        kill(&project, "doze-activator");
        wait_until(
            "the path to lead to the init system",
            BOUND,
            || match fs::read_link(public(&project)) {
                Ok(_) => Ok(()),
                Err(error) => Err(error.to_string()),
            },
        );
        assert_out(&project);
        assert_eq!(sql(&project, "select count(*) from t"), "0");
    }
    swap_in(&project);
    project.down();
    assert_eq!(names(&folder(&project)), ["engine"]);
}

#[test]
fn a_killed_activator_gives_the_path_back() {
    a_killed_activator(Mode::Systemd);
}

#[test]
fn a_killed_activator_gives_the_path_back_in_the_foreground() {
    a_killed_activator(Mode::Foreground);
}

/// The socket unit brings its path along, whatever is there.
#[test]
fn the_path_comes_and_goes_with_the_socket_unit() {
    let Some(project) = project(Mode::Systemd) else {
        return;
    };
    project.run(&["up"]);
    let systemctl = |verb: &str| {
        let unit = "doze-shop-app.socket";
        project.world.run(&["systemctl", "--user", verb, unit]);
    };
    for verb in ["restart", "stop"] {
        assert_eq!(sql(&project, "select 1"), "1");
        swap_in(&project);
        systemctl(verb);
        if verb == "stop" {
            assert_eq!(names(&folder(&project)), ["engine"]);
            systemctl("start");
        }
        assert_out(&project);
    }
    // Somebody removed it.
    assert_eq!(sql(&project, "select 1"), "1");
    fs::remove_file(public(&project)).expect("it is there");
    systemctl("stop");
    systemctl("start");
    assert_out(&project);
    assert_eq!(sql(&project, "select 1"), "1");

    // Everything was killed at once, the manager included.
    project.run(&["down"]);
    for name in ["init.sock", ".s.PGSQL.5432", ".doze-.s.PGSQL.5432"] {
        drop(UnixListener::bind(folder(&project).join(name)).expect("nothing is there"));
    }
    project.run(&["up"]);
    assert_out(&project);
    assert_eq!(sql(&project, "select 1"), "1");
    assert!(there(&folder(&project).join(".doze-.s.PGSQL.5432")).is_none());
    assert_eq!(project.run(&["up"]), "");
    project.run(&["down"]);
    assert_eq!(names(&folder(&project)), ["engine"]);
}

#[test]
fn an_endpoint_that_moves_takes_its_path_along() {
    let Some(project) = Project::new(Mode::Systemd, "1h") else {
        return;
    };
    let at = |name: &str| project.world.home().join("new").join(name);
    let declare = |name: &str| {
        let unix = format!("listen = \"unix:{}\"\n", at(name).display());
        project.declare(&(project.toml("1h") + &unix));
        project.run(&["up"]);
        let socket = at(name).display().to_string();
        assert_eq!(
            succeed(&mut project.cli(&["-s", &socket, "ping"])),
            "PONG\n"
        );
    };
    declare("one");
    assert_eq!(names(&at("")), ["one"]);
    declare("two");
    assert_eq!(names(&at("")), ["two"]);
    assert_eq!(project.run(&["up"]), "");
    let mode = |path: &Path| fs::metadata(path).expect("it is there").mode() & 0o777;
    assert_eq!((mode(&at("")), mode(&at("two"))), (0o700, 0o600));
    project.declare(&project.toml("1h"));
    project.run(&["up"]);
    assert_eq!(names(&at("")), [""; 0]);
}

#[test]
fn a_file_at_the_path_is_never_replaced() {
    let Some(project) = Project::new(Mode::Systemd, "1h") else {
        return;
    };
    let path = project.world.home().join("precious");
    let socket = path.to_str().expect("UTF-8");
    project.declare(&(project.toml("1h") + &format!("listen = \"unix:{socket}\"\n")));
    project.run(&["generate"]);
    project.world.run(&["systemctl", "--user", "daemon-reload"]);
    project.world.write(&path, "data");
    let unit = "doze-shop-cache.socket";
    let mut start = project.world.command("systemctl");
    start.args(["--user", "start", unit]);
    assert!(!output(&mut start).status.success());
    let kept = fs::read_to_string(&path);
    assert_eq!(kept.ok().as_deref(), Some("data"));
    assert!(!project.accepts(project.cache), "all of it or nothing");

    fs::remove_file(&path).expect("it is there");
    succeed(&mut start);
    assert_eq!(succeed(&mut project.cli(&["-s", socket, "ping"])), "PONG\n");
}

#[test]
fn an_endpoint_cannot_be_a_socket_of_dozes_own() {
    let Some(project) = Project::new(Mode::Systemd, "1h") else {
        return;
    };
    let own = project.world.runtime_dir().join("doze/shop/cache");
    for name in ["wake.sock", "init.sock", "engine/x"] {
        let unix = format!("listen = \"unix:{}\"\n", own.join(name).display());
        project.declare(&(project.toml("1h") + &unix));
        let refused = output(&mut project.doze(&["up"]));
        assert_eq!(refused.status.code(), Some(2), "{name}");
        let said = String::from_utf8_lossy(&refused.stderr);
        assert!(said.contains("error[D005]"), "{said}");
    }
}
