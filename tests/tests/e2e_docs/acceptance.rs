//! Every test that `docs/reference/acceptance.md` names, looked up in the sources.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use doze_tests::programs::workspace;

use crate::markdown::{Page, code, rows};

/// The tests that are there for this page, so it has all of them.
const OF_THE_PAGE: [&str; 3] = [
    "tests/tests/e2e_language",
    "tests/tests/e2e_lifecycle.rs",
    "tests/tests/e2e_process",
];

#[test]
fn acceptance_md_names_tests_that_exist() {
    let page = Page::read("docs/reference/acceptance.md");
    let packages = packages();
    let mut named = Vec::new();
    for heading in [
        "Config",
        "State",
        "Lifecycle",
        "Process",
        "Health",
        "Restarts",
        "Engine acceptance",
        "Regressions",
    ] {
        for row in rows(&page.section(heading)) {
            let [what, tests] = row.as_slice() else {
                panic!("{row:?} has not two cells");
            };
            let tests = code(tests);
            assert!(!tests.is_empty(), "nothing shows that {what}");
            for test in tests {
                let parts: Vec<&str> = test.split("::").collect();
                let [package, file @ .., name] = parts.as_slice() else {
                    panic!("{test} has no package");
                };
                let folder = packages.get(*package);
                let folder = folder.unwrap_or_else(|| panic!("{test}: there is no such package"));
                let there = sources(folder)
                    .into_iter()
                    .filter(|path| is_below(path, file))
                    .any(|path| text(&path).contains(&format!("fn {name}(")));
                assert!(there, "{test} is not in {}", folder.display());
                named.push(name.to_string());
            }
        }
    }
    for path in OF_THE_PAGE {
        for path in sources(&workspace().join(path)) {
            for name in tests(&text(&path)) {
                let place = path.display();
                assert!(named.contains(&name), "{place}: the page lacks {name}");
            }
        }
    }
}

/// The folders of the packages, by their names.
fn packages() -> BTreeMap<String, PathBuf> {
    let rooms = ["activator", "engines", "generator", "tests", "units"];
    let rooms = rooms.map(|room| workspace().join(room));
    let manifests = rooms.iter().flat_map(|room| files(room, "toml"));
    let package = |path: PathBuf| {
        let manifest: toml::Table = text(&path).parse().ok()?;
        let name = manifest.get("package")?.get("name")?.as_str()?.to_owned();
        Some((name, path.parent()?.to_owned()))
    };
    manifests
        .filter(|path| path.file_name() == Some(OsStr::new("Cargo.toml")))
        .filter_map(package)
        .collect()
}

/// The source files at a path.
pub(crate) fn sources(path: &Path) -> Vec<PathBuf> {
    files(path, "rs")
}

fn files(path: &Path, extension: &str) -> Vec<PathBuf> {
    if !path.is_dir() {
        let has = path.extension() == Some(OsStr::new(extension));
        return has.then(|| path.to_owned()).into_iter().collect();
    }
    let entries = fs::read_dir(path).expect("it can be read");
    let paths = entries.map(|entry| entry.expect("it can be listed").path());
    paths.flat_map(|path| files(&path, extension)).collect()
}

/// Whether the path of a file has these words, as folders or as its name.
fn is_below(path: &Path, words: &[&str]) -> bool {
    let path = path.with_extension("");
    words
        .iter()
        .all(|word| path.iter().any(|part| part == OsStr::new(word)))
}

/// The names of the tests of a source: those marked as such, and those that run in both modes.
fn tests(source: &str) -> Vec<String> {
    let mut marked = false;
    let mut names = Vec::new();
    for line in source.lines() {
        let name = line.strip_prefix("fn ").and_then(|it| it.split_once('('));
        if let Some((name, arguments)) = name {
            if marked || arguments.starts_with("mode: Mode) {") {
                names.push(name.to_owned());
            }
            marked = false;
        }
        marked |= line == "#[test]";
    }
    names
}

pub(crate) fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
