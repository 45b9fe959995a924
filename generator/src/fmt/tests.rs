//! The look, and that nothing but it changes.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::*;

#[track_caller]
fn assert_look(text: &str, wanted: &str) {
    let formatted = format(text).unwrap();
    assert_eq!(formatted, wanted);
    assert_eq!(format(&formatted).unwrap(), wanted, "the second time");
}

#[test]
fn blanks_are_as_everywhere() {
    assert_look(
        "\n\n  name=\"shop\"   # the name\n\n\n\n[ postgres . app ]\nversion   = 17\n\tport=5432\t# usual\n[valkey.cache]\n\n\n",
        "name = \"shop\"   # the name\n\n[postgres.app]\nversion = 17\nport = 5432 # usual\n\n[valkey.cache]\n",
    );
}

#[test]
fn comments_stay_where_they_were() {
    assert_look(
        "# head\n\n#:schema x\na = 1\n   # of b\nb . c = 2\n# of t\n[t]\n# in t\n\n# at the end\n\n\n",
        "# head\n\n#:schema x\na = 1\n# of b\nb.c = 2\n\n# of t\n[t]\n# in t\n\n# at the end\n",
    );
}

#[test]
fn an_array_stays_on_one_line_or_on_several() {
    assert_look(
        "a=[ 1,2 , 3, ]\nb=[\n1, # one\n  # two\n 2\n]\nc = [\n[1,\n2], { x=1 , y = [ 2 ] }]\nd=[ ]\n",
        "a = [1, 2, 3]\nb = [\n    1, # one\n    # two\n    2,\n]\nc = [\n    [\n        1,\n        2,\n    ],\n    { x = 1, y = [2] },\n]\nd = []\n",
    );
}

#[test]
fn how_a_value_is_written_stays() {
    let text = "a = '''\n  x  # no comment\n'''\nb = 0xFF\nc = \"\\u00e9\"\n\"d e\" = 1_000\n";
    assert_look(text, text);
}

#[test]
fn what_is_no_toml_has_no_look() {
    assert_eq!(format("a = "), None);
    assert_look("", "");
}

/// The files of this repository: fixtures, seeds of the fuzzing, right and wrong ones.
fn texts() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut open = [
        "fuzz/seeds",
        "fuzz/Cargo.toml",
        "../tests/tests",
        "../Cargo.toml",
    ]
    .map(|path| root.join(path))
    .to_vec();
    let mut found = Vec::new();
    while let Some(path) = open.pop() {
        if path.is_dir() {
            let entries = fs::read_dir(&path).unwrap();
            open.extend(entries.map(|entry| entry.unwrap().path()));
        } else if let Ok(text) = fs::read_to_string(&path) {
            found.push((path, text));
        }
    }
    found
}

#[test]
fn no_file_means_anything_else_afterwards_and_the_second_time_changes_nothing() {
    let mut seen = 0;
    for (path, text) in texts() {
        let Ok(meaning) = text.parse::<toml::Table>() else {
            assert_eq!(format(&text), None, "{}", path.display());
            continue;
        };
        let formatted = format(&text).unwrap_or_else(|| panic!("{}", path.display()));
        assert_eq!(formatted.parse::<toml::Table>().unwrap(), meaning);
        let again = format(&formatted).unwrap();
        assert_eq!(again, formatted, "{}", path.display());
        let comments = |text: &str| text.matches('#').count();
        assert_eq!(comments(&formatted), comments(&text), "{}", path.display());
        seen += 1;
    }
    assert!(seen > 40, "only {seen} files");
}
