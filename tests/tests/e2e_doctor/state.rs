//! Faults in what is kept: folders, data, registrations, the limits of a session.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Stdio;
use std::time::Duration;

use doze_tests::project::{Mode, Project};
use doze_tests::wait_until;

use crate::patient::{By, Patient};

const BOUND: Duration = Duration::from_secs(30);

#[test]
fn every_folder_that_is_not_as_it_should_be_is_found_and_mended() {
    let Some(patient) = Patient::new() else {
        return;
    };
    let project = &patient.project;

    patient.say("chmod 755 ~/.local/share/doze");
    let fault = "others may look into the home";
    patient.suffers(
        fault,
        By::Itself,
        "",
        "folders",
        "share/doze has the mode 0755",
    );

    patient.say("chmod 750 ../../run/doze");
    let fault = "others may look into the folder of the sockets";
    patient.suffers(
        fault,
        By::Itself,
        "",
        "folders",
        "run/doze has the mode 0750",
    );

    let fault = "a process may open few files only";
    patient.suffers(
        fault,
        By::Advice,
        "ulimit -S -n 100; ",
        "limits",
        "100 files",
    );

    project.cached(&["set", "k", "v"]);
    project.run(&["sleep", "cache"]);
    let lock = project.home().join("locks/cache");
    let line = format!("exec flock --no-fork {} sleep 1000", lock.display());
    let mut shell = patient.shell(&line);
    let mut holder = shell.stdout(Stdio::null()).spawn().expect("it starts");
    let locked = || match fs::File::open(&lock).expect("it stays").try_lock() {
        Ok(()) => Err("nobody has the lock".into()),
        Err(_) => Ok(()),
    };
    wait_until("the lock to be taken", BOUND, locked);
    let fault = "a process has the data of an instance that is asleep";
    patient.suffers(fault, By::Advice, "", "locks", "sleep (pid ");
    holder.wait().expect("our child");
    assert_eq!(project.cached(&["get", "k"]), "v");

    let whole = project.toml("1h");
    let (without, _) = whole.split_once("[valkey.cache]").expect("it is declared");
    project.declare(without);
    project.run(&["up"]);
    let data = project.home().join("data/cache");
    let fault = "data has no instance";
    patient.suffers(fault, By::Advice, "", "data", &data.display().to_string());
    assert!(!data.is_dir());
}

#[test]
fn every_registration_without_effect_is_found_and_taken_back() {
    let Some(project) = Project::new(Mode::Systemd, "1h") else {
        return;
    };
    let generator = project.world.generators().join("doze-generator");
    fs::create_dir(project.world.generators()).expect("a fresh folder");
    symlink(project.world.programs().join("doze"), &generator).expect("a fresh folder");
    let patient = Patient::of(project);

    let gone = "source = '/nonexistent/doze.toml'\n";
    let config = "home/.config/doze/projects/gone.toml";
    patient.project.world.write(config, gone);
    let fault = "a registered project is gone";
    patient.suffers(
        fault,
        By::Advice,
        "",
        "registered",
        "/nonexistent/doze.toml",
    );

    patient.project.run(&["up", "--register"]);
    assert!(patient.examine("").ok, "it is registered");
    fs::remove_file(&generator).expect("it is there");
    patient.say("systemctl --user daemon-reload");
    let fault = "the generator is not found";
    patient.suffers(
        fault,
        By::Advice,
        "",
        "generator",
        "doze-generator has not made",
    );
    assert_eq!(patient.project.cached(&["set", "k", "v"]), "OK");
}
