//! `doze destroy`: nothing of the project is left, and nothing of another is gone.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::Path;

use doze_tests::process;
use doze_tests::project::{Mode, Project, output, succeed};
use doze_tests::wait_until;
use rustix::process::Signal;

use crate::{BOUND, Said, ended, project};

/// What there is of a project called `shop`, and nothing else is called so.
fn left_of(project: &Project) -> Vec<String> {
    let mut found = Vec::new();
    let mut open = vec![
        project.world.data_home(),
        project.world.config_home(),
        project.world.runtime_dir(),
    ];
    open.push(project.world.home().join("shop"));
    while let Some(path) = open.pop() {
        let about = fs::symlink_metadata(&path).expect("it is there");
        let text = path.display().to_string();
        if text.contains("shop") && !about.is_dir() || text.contains("/projects/shop") {
            found.push(text);
        }
        if about.is_dir() {
            let entries = fs::read_dir(&path).expect("it can be listed");
            open.extend(entries.map(|entry| entry.expect("it is there").path()));
        }
    }
    found.retain(|path| !path.ends_with("/shop/doze.toml"));
    found.sort();
    found
}

/// The units of the project that the manager still knows.
fn loaded(project: &Project) -> String {
    let list = [
        "systemctl",
        "--user",
        "list-units",
        "--all",
        "--plain",
        "--no-legend",
        "doze-shop*",
    ];
    project.world.run(&list)
}

#[test]
fn nothing_is_left_of_it_and_nothing_gone_of_another() {
    let Some(project) = project() else { return };
    let port = project.world.port();
    let toml = format!("name = \"bar\"\n[valkey.cache]\nversion = 8\nport = {port}\n");
    project.world.write("home/other/doze.toml", &toml);
    let other = |arguments: &[&str]| {
        let mut doze = project.doze(arguments);
        doze.current_dir(project.world.home().join("other"));
        doze
    };
    succeed(&mut other(&["up"]));
    project.cached(&["set", "k", "v"]);
    project.sql("select 1");
    let precious = project.world.write("home/precious/file", "mine");
    let link = project.home().join("data/cache/link");
    symlink(precious.parent().expect("a folder"), link).expect("a fresh name");
    let refused = ended(&project, &["destroy"], 2).err;
    for name in ["app", "cache"] {
        let data = project.home().join("data").join(name);
        assert!(
            refused.contains(&format!("{}: ", data.display())),
            "{refused}"
        );
        assert!(refused.contains(&format!("stop {name}")), "{refused}");
    }
    assert_eq!(project.cached(&["get", "k"]), "v");

    project.run(&["destroy", "--yes"]);
    assert_eq!(left_of(&project), [""; 0]);
    assert_eq!(loaded(&project), "");
    assert_eq!(project.processes(), []);
    assert!(!project.accepts(project.app) && !project.accepts(project.cache));
    assert!(!project.world.home().join("shop/.doze").is_dir());
    assert_eq!(fs::read_to_string(&precious).expect("it is there"), "mine");
    assert_eq!(succeed(&mut other(&["plan", "--check"])), "");
    succeed(&mut other(&["wake", "cache"]));

    // Again is as good, and it can come back.
    project.run(&["destroy"]);
    assert_eq!(left_of(&project), [""; 0]);
    project.run(&["up"]);
    assert_eq!(project.cached(&["exists", "k"]), "0");
}

#[test]
fn the_listener_in_the_foreground_goes_as_well() {
    let Some(mut project) = Project::new(Mode::Foreground, "1h") else {
        return;
    };
    project.up();
    project.cached(&["set", "k", "v"]);
    project.run(&["destroy", "--yes"]);
    assert!(project.wait_for_listener());
    assert_eq!(left_of(&project), [""; 0]);
}

#[test]
fn the_name_of_another_project_is_not_destroyed() {
    let Some(project) = project() else { return };
    project.cached(&["set", "k", "v"]);
    project
        .world
        .write("home/other/doze.toml", &project.toml("1h"));
    for arguments in [
        &["destroy", "--yes"][..],
        &["apply", "--yes"],
        &["reset", "cache", "-y"],
        &["plan"],
    ] {
        let mut other = project.doze(arguments);
        let refused = output(other.current_dir(project.world.home().join("other")));
        let said = Said::from(refused);
        assert_eq!(said.code, Some(2), "{arguments:?}: {said:?}");
        assert!(said.err.contains("/shop/doze.toml"), "{said:?}");
    }
    assert_eq!(project.cached(&["get", "k"]), "v");
}

/// What a killed one leaves behind is no data for anybody, and the next one removes it.
#[test]
fn a_second_run_finishes_what_a_killed_one_has_begun() {
    let Some(project) = project() else { return };
    let data = project.home().join("data");
    let one = project.world.write(data.join("old/many/0"), "");
    for number in 1..60_000 {
        fs::hard_link(&one, one.with_file_name(number.to_string())).expect("a fresh name");
    }

    let mut first = project
        .doze(&["destroy", "--yes"])
        .spawn()
        .expect("doze starts");
    let gone = |path: &Path| fs::symlink_metadata(path).is_ok();
    wait_until("the data to go", BOUND, || {
        if gone(&data.join(".old.gone")) {
            return Ok(());
        }
        Err("it is not renamed yet".into())
    });
    let doze = project.running("doze");
    for process in &doze {
        process::signal(process.pid, project.world.dir(), Signal::KILL);
    }
    assert!(
        !first.wait().expect("our child").success(),
        "it was not done"
    );
    assert!(gone(&data.join(".old.gone")) && !gone(&data.join("old")));

    project.run(&["destroy", "--yes"]);
    assert_eq!(left_of(&project), [""; 0]);
    assert_eq!(loaded(&project), "");
}

#[test]
fn data_that_another_process_has_open_stays_with_its_lock() {
    let Some(project) = project() else { return };
    project.cached(&["set", "k", "v"]);
    project.run(&["sleep", "cache"]);
    let path = project.home().join("locks/cache");
    let lock = File::open(&path).expect("it is never removed");
    lock.lock().expect("nobody has it");
    let said = ended(&project, &["destroy", "--yes"], 1).err;
    let me = format!("(pid {})", std::process::id());
    assert!(
        said.contains("/data/cache is in use by ") && said.contains(&me),
        "{said}"
    );
    assert!(project.home().join("data/cache").is_dir() && path.is_file());
    drop(lock);
    project.run(&["destroy", "--yes"]);
    assert_eq!(left_of(&project), [""; 0]);
}
