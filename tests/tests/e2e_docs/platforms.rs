//! `docs/reference/platforms.md`: it has every promise, and names nothing as tested but by a test that
//! is there, and that runs where the column says.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use doze_tests::programs::workspace;

use crate::acceptance::{sources, text};
use crate::markdown::{Page, code, rows};

/// What a project is promised, each in the words of the page.
const PROMISES: [&str; 13] = [
    "asleep costs nothing",
    "fast wake",
    "thin pipe",
    "no pipe: a unix endpoint",
    "no pipe: an engine that takes sockets",
    "small: the file of the activator",
    "small: its memory",
    "nothing lost at sleep",
    "nothing dies for ever",
    "one engine per data directory",
    "reproducible",
    "unix endpoints are for their user alone",
    "TCP clients of other users are refused",
];

/// The sections that have a table of them.
const SECTIONS: [&str; 5] = [
    "Promises",
    "Safety",
    "Life of an instance",
    "Commands",
    "Underneath",
];

const STAND_IN: &str = "tested here over a stand-in";
const TESTED: &str = "tested here";
const NOT_THERE: &str = "not there";

/// What a cell can say, the longer one first.
const WORDS: [&str; 5] = [
    STAND_IN,
    TESTED,
    "checked by compiler",
    "unverified",
    NOT_THERE,
];

/// What concerns no mode in particular, as the tests of one package do not.
const OF_NO_MODE: [&str; 3] = ["e2e_config", "e2e_recipes", "graph"];

/// What a test says that runs in the foreground.
const FOREGROUND: [&str; 4] = [
    "foreground",
    "in_every_mode!(",
    "without_launchd!(",
    "without_a_manager",
];

#[test]
fn platforms_md_has_every_promise_and_names_tests_that_show_it() {
    let page = Page::read("docs/reference/platforms.md");
    let notes = page.section("Not there");
    let mut promises = BTreeSet::new();
    let mut over_launchd = BTreeSet::new();
    for heading in SECTIONS {
        for row in rows(&page.section(heading)) {
            let [promise, systemd, launchd, foreground] = row.as_slice() else {
                panic!("{row:?} has not four cells");
            };
            let (systemd, foreground) = (Cell::of(systemd), Cell::of(foreground));
            let launchd = Cell::of(launchd);
            for cell in [&systemd, &launchd, &foreground] {
                cell.assert_told(&notes);
            }
            for (name, source) in &launchd.tests {
                let runs = launchd.word != STAND_IN || runs_over_launchd(source);
                assert!(runs, "{promise}: {name} does not run over launchd");
            }
            for (name, source) in &foreground.tests {
                let runs = runs_in_the_foreground(name, source);
                assert!(runs, "{promise}: {name} does not run in the foreground");
            }
            assert_ne!(systemd.word, STAND_IN, "{promise}: systemd is real");
            assert_ne!(foreground.word, STAND_IN, "{promise}: doze is real");
            promises.insert(promise.clone());
            over_launchd.extend(launchd.tests.into_keys());
        }
    }
    for promise in PROMISES {
        assert!(promises.contains(promise), "the page lacks: {promise}");
    }
    let folder = fs::read_dir(workspace().join("tests/tests")).expect("it is there");
    for entry in folder {
        let path = entry.expect("it can be listed").path();
        let name = path.file_stem().and_then(|name| name.to_str());
        let name = name.expect("UTF-8");
        let is_named = over_launchd.contains(name);
        assert!(
            is_named || !runs_over_launchd(&source(name)),
            "the page lacks {name}"
        );
    }
}

/// What a cell says.
struct Cell<'a> {
    word: &'static str,
    rest: &'a str,
    /// The tests that it names, with their sources.
    tests: BTreeMap<String, String>,
}

impl<'a> Cell<'a> {
    fn of(text: &'a str) -> Self {
        let begins = WORDS
            .into_iter()
            .find_map(|word| Some((word, text.strip_prefix(word)?)));
        let (word, rest) = begins.unwrap_or_else(|| panic!("{text:?} is none of {WORDS:?}"));
        let tests = code(rest).into_iter().map(|name| {
            let source = source(&name);
            (name, source)
        });
        Self {
            word,
            rest,
            tests: tests.collect(),
        }
    }

    /// That it says by what, and no more.
    fn assert_told(&self, notes: &[&str]) {
        let Self { word, rest, tests } = self;
        let is_told = match *word {
            STAND_IN | TESTED => rest.starts_with(": ") && !tests.is_empty(),
            NOT_THERE => {
                let note = format!("{rest}: ");
                rest.starts_with("[^") && notes.iter().any(|line| line.starts_with(&note))
            }
            _ => rest.is_empty(),
        };
        assert!(is_told, "{word}{rest}: by what?");
        for (name, source) in tests {
            assert!(!source.is_empty(), "{word}{rest}: there is no {name}");
        }
    }
}

/// The text of a test's binary, of a benchmark, or of a file in the repository; nothing if there is
/// no such one.
fn source(name: &str) -> String {
    let root = workspace();
    let mut places = [
        root.join("tests/tests").join(name),
        root.join(format!("tests/tests/{name}.rs")),
        root.join(format!("tests/benches/{name}.rs")),
        root.join(name),
    ]
    .into_iter();
    let folder_or_file = places.find(|place| place.is_dir() || place.is_file());
    let files = folder_or_file.map(|place| sources(&place));
    files
        .into_iter()
        .flatten()
        .map(|file| text(&file))
        .collect()
}

/// Whether one of its tests has the launchd for Linux.
fn runs_over_launchd(source: &str) -> bool {
    [
        "in_every_mode!(",
        "World::with_launchd",
        "Project::new(Mode::Launchd",
    ]
    .iter()
    .any(|word| source.contains(word))
}

fn runs_in_the_foreground(name: &str, source: &str) -> bool {
    let has_a_mode = !name.contains('/') && !OF_NO_MODE.contains(&name);
    !has_a_mode || FOREGROUND.iter().any(|word| source.contains(word))
}
