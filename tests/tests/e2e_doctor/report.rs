//! What the doctor says, and that it is what the reference says.

use std::collections::BTreeSet;
use std::fs;

use doze_tests::World;
use doze_tests::programs::workspace;
use doze_tests::project::output;

use crate::FAULTS;
use crate::patient::{Patient, validate};

#[test]
fn doctor_md_lists_the_faults_that_are_planted() {
    let page = fs::read_to_string(workspace().join("docs/reference/doctor.md")).expect("a page");
    let (_, faults) = page.split_once("## Planted faults").expect("a section");
    let cells = faults.lines().filter_map(|line| line.strip_prefix("| "));
    let first = cells.filter_map(|line| Some(line.split_once(" |")?.0.to_owned()));
    let listed: BTreeSet<String> = first.skip(1).collect();
    assert_eq!(listed, FAULTS.map(str::to_owned).into());
}

/// A session that looks wakes nobody and writes nothing.
#[test]
fn it_wakes_nobody_and_says_so_in_lines_that_fit() {
    let Some(patient) = Patient::new() else {
        return;
    };
    let said = doze_tests::project::succeed(&mut patient.shell("doze doctor"));
    assert_eq!(patient.project.processes(), []);
    for (line, name) in said.lines().zip(["folders", "space"]) {
        assert!(line.starts_with(&format!("ok    {name}  ")), "{said}");
    }
    assert!(!said.contains("fix:"), "{said}");
    assert!(said.contains("what runs is what doze.toml says"), "{said}");
}

#[test]
fn without_a_project_and_without_a_manager_it_looks_at_the_machine() {
    let world = World::new();
    let found = output(world.command("doze").args(["doctor", "--json"]));
    assert_eq!(found.status.code(), Some(0), "{found:?}");
    let report = serde_json::from_slice(&found.stdout).expect("JSON");
    validate(&report);
    let report = report.to_string();
    assert!(
        report.contains("only the machine was looked at"),
        "{report}"
    );
    assert!(
        report.contains("no systemd user manager answers here"),
        "{report}"
    );
}

/// What is wrong with the file is for `doze lint` to show.
#[test]
fn a_file_that_is_wrong_is_one_finding() {
    let world = World::new();
    world.write(
        "home/doze.toml",
        "name = \"shop\"\n[valkey.cache]\nverison = 8\n",
    );
    let found = output(world.command("doze").args(["doctor"]));
    assert_eq!(found.status.code(), Some(1), "{found:?}");
    let said = String::from_utf8_lossy(&found.stdout);
    assert!(said.contains("fail  config"), "{said}");
    assert!(said.contains("fix: doze lint"), "{said}");
}

#[test]
fn an_engine_that_no_package_installs_is_found_missing() {
    let world = World::new();
    world.write(
        "home/doze.toml",
        "[kvrocks.store]\nversion = \"2.0.0\"\nport = 6666\n",
    );
    let found = output(world.command("doze").args(["doctor"]));
    assert_eq!(found.status.code(), Some(1), "{found:?}");
    let said = String::from_utf8_lossy(&found.stdout);
    let missing = "fail  engines     kvrocks 2.0.0 is not installed, and no registry named; \
                   DOZE_KVROCKS_BINDIR may name the folder of its programs\n";
    assert!(said.contains(missing), "{said}");
}
