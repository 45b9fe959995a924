//! The shape of the repository: who may depend on whom, how much the activator may carry, how
//! long a file may be, and what stands at the top.
#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests fail like tests"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use doze_tests::programs::{cargo, target, workspace};
use doze_tests::skip::skip;
use serde_json::Value;

/// Packages that the activator may be made of, itself included.
const ACTIVATOR_PACKAGES: usize = 40;

/// Bytes of the activator as it ships.
const ACTIVATOR_BYTES: u64 = 800_000;

/// Lines of a file.
const FILE_LINES: usize = 600;

/// What may stand at the top of the repository; `target` and `.git` are not part of it.
const TOP: [&str; 19] = [
    ".ci",
    ".config",
    ".git",
    ".gitignore",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "README.md",
    "activator",
    "clippy.toml",
    "docs",
    "engines",
    "generator",
    "launchd",
    "rust-toolchain.toml",
    "rustfmt.toml",
    "target",
    "tests",
    "units",
];

/// How far up a package stands; dependencies point down, never sideways.
fn level(package: &str) -> Option<u8> {
    match package {
        "doze-contract" => Some(0),
        "doze-driver" | "doze-registry" | "doze-units" | "doze-launchd" => Some(1),
        "doze-activator" | "doze" => Some(2),
        _ if package.starts_with("doze-engine-") => Some(2),
        _ => None,
    }
}

/// Why one package must not depend on another, if so.
fn objection(from: &str, to: &str, kind: Option<&str>) -> Option<String> {
    let refused = |why: &str| Some(format!("{from} -> {to}: {why}"));
    if from == "doze-tests" || (to == "doze-tests" && kind == Some("dev")) {
        return None;
    }
    let (Some(upper), Some(lower)) = (level(from), level(to)) else {
        return refused("a package without a place in the graph");
    };
    if lower >= upper {
        return refused("arrows point down only");
    }
    match (from, to) {
        ("doze-activator", "doze-contract" | "doze-launchd") => None,
        ("doze-activator", _) => refused("the activator knows the contract and how to check in"),
        (_, "doze-units" | "doze-launchd" | "doze-registry") if from != "doze" => {
            refused("a driver knows neither init systems nor registries")
        }
        _ => None,
    }
}

/// The workspace as cargo sees it, without asking for anything that is not in the lock file.
fn metadata() -> Value {
    let output = cargo()
        .args(["metadata", "--format-version=1", "--no-deps"])
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    assert!(output.status.success());
    serde_json::from_slice(&output.stdout).unwrap()
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key]
        .as_str()
        .unwrap_or_else(|| panic!("no text {key:?} in {value}"))
}

fn packages(metadata: &Value) -> BTreeMap<&str, &Value> {
    let packages = metadata["packages"].as_array().unwrap();
    packages
        .iter()
        .map(|package| (text(package, "name"), package))
        .collect()
}

fn rust_files(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

#[test]
fn arrows_between_packages_point_down_only() {
    let metadata = metadata();
    let packages = packages(&metadata);
    assert!(
        packages.contains_key("doze-contract"),
        "{:?}",
        packages.keys()
    );
    let mut objections = Vec::new();
    for (from, package) in &packages {
        for dependency in package["dependencies"].as_array().unwrap() {
            let to = text(dependency, "name");
            if packages.contains_key(to) {
                objections.extend(objection(from, to, dependency["kind"].as_str()));
            }
        }
    }
    assert!(objections.is_empty(), "{}", objections.join("\n"));
}

#[test]
fn an_edge_that_the_design_does_not_have_is_refused() {
    for (from, to, kind) in [
        ("doze-contract", "doze-driver", None),
        ("doze-units", "doze-driver", None),
        ("doze-engine-postgres", "doze-engine-valkey", None),
        ("doze-engine-postgres", "doze", None),
        ("doze-engine-postgres", "doze-units", None),
        ("doze-activator", "doze-units", None),
        ("doze-activator", "doze-driver", None),
        ("doze", "doze-activator", None),
        ("doze", "doze-activator", Some("dev")),
        ("doze", "doze-tests", None),
        ("doze-stranger", "doze-contract", None),
    ] {
        assert!(objection(from, to, kind).is_some(), "{from} -> {to}");
    }
    for (from, to, kind) in [
        ("doze-engine-postgres", "doze-driver", None),
        ("doze", "doze-units", None),
        ("doze", "doze-tests", Some("dev")),
        ("doze-tests", "doze-activator", None),
    ] {
        assert_eq!(objection(from, to, kind), None);
    }
}

#[test]
fn the_activator_is_made_of_few_packages() {
    let output = cargo()
        .args([
            "tree",
            "--package=doze-activator",
            "--edges=normal",
            "--prefix=none",
        ])
        .args(["--target=x86_64-unknown-linux-gnu", "--format={p}"])
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    assert!(output.status.success());
    let tree = String::from_utf8(output.stdout).unwrap();
    // `NAME VERSION`, then a path or (*) for one that was listed before.
    let packages: BTreeSet<String> = tree
        .lines()
        .map(|line| line.split(' ').take(2).collect::<Vec<_>>().join(" "))
        .collect();
    assert!(
        packages
            .iter()
            .any(|package| package.starts_with("doze-contract ")),
        "{tree}"
    );
    assert!(
        packages.len() <= ACTIVATOR_PACKAGES,
        "{} packages under the activator: {packages:#?}",
        packages.len()
    );
}

#[test]
fn the_activator_that_ships_is_small() {
    let path = target().join("release/doze-activator");
    let Ok(metadata) = fs::metadata(&path) else {
        return skip("no release build of the activator to weigh");
    };
    assert!(
        metadata.len() <= ACTIVATOR_BYTES,
        "{}: {} bytes",
        path.display(),
        metadata.len()
    );
}

#[test]
fn no_file_is_too_long() {
    let metadata = metadata();
    let mut long = Vec::new();
    let mut read = 0;
    for package in packages(&metadata).values() {
        let room = Path::new(text(package, "manifest_path")).parent().unwrap();
        for path in rust_files(&room.join("src")) {
            read += 1;
            let lines = fs::read_to_string(&path).unwrap().lines().count();
            if lines > FILE_LINES {
                long.push(format!("{}: {lines} lines", path.display()));
            }
        }
    }
    assert!(read >= 10, "only {read} files found");
    assert!(
        long.is_empty(),
        "more than {FILE_LINES} lines:\n{}",
        long.join("\n")
    );
}

/// The compiler denies it everywhere but where it is told not to.
#[test]
fn one_file_needs_unsafe_code() {
    let metadata = metadata();
    let mut told = Vec::new();
    for package in packages(&metadata).values() {
        let room = Path::new(text(package, "manifest_path")).parent().unwrap();
        for path in rust_files(&room.join("src")) {
            let code = fs::read_to_string(&path).unwrap();
            if code.contains("unsafe {") {
                told.push(path.strip_prefix(workspace()).unwrap().to_owned());
            }
        }
    }
    assert_eq!(told, [Path::new("launchd/src/check_in.rs")]);
}

#[test]
fn nothing_new_stands_at_the_top() {
    let allowed = BTreeSet::from(TOP.map(str::to_owned));
    let there: BTreeSet<String> = fs::read_dir(workspace())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let strange: Vec<_> = there.difference(&allowed).collect();
    assert!(
        strange.is_empty(),
        "{strange:?} stand at the top of the repository"
    );
    for room in [
        "activator",
        "engines",
        "generator",
        "launchd",
        "tests",
        "units",
    ] {
        assert!(there.contains(room), "{room} is missing from {there:?}");
    }
}
