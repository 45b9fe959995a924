//! What the command line says of itself: help and man pages.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use clap::Command;
use doze_tests::project::{output, succeed};
use doze_tests::{World, needed};

use crate::generated::settle;

/// The words of every command, those that only lead to others as well.
fn commands() -> Vec<String> {
    fn add(command: &Command, words: &str, all: &mut Vec<String>) {
        all.push(words.to_owned());
        for below in command.get_subcommands() {
            add(below, &format!("{words} {}", below.get_name()), all);
        }
    }
    let mut all = Vec::new();
    add(&doze::cli::command(), "doze", &mut all);
    all
}

fn run_at_80(world: &World, line: &str) -> String {
    let mut words = line.split(' ');
    let mut command = world.command(words.next().expect("a program"));
    succeed(command.args(words).env("COLUMNS", "80"))
}

#[test]
fn generated_the_help_of_doze_is_as_it_was_reviewed() {
    let world = World::new();
    settle(
        "tests/tests/e2e_docs/help.txt",
        &run_at_80(&world, "doze --help"),
    );
}

#[test]
fn every_help_fits_80_columns_and_ends_its_sentences_alike() {
    let world = World::new();
    for command in commands() {
        let text = run_at_80(&world, &format!("{command} --help"));
        for line in text.lines() {
            assert!(line.chars().count() <= 80, "{command}: {line}");
        }
        let first = text.lines().next().unwrap_or_default();
        assert!(!first.ends_with('.'), "{command}: {first}");
        let words = command.trim_start_matches("doze").trim();
        if !words.is_empty() {
            assert_eq!(
                run_at_80(&world, &format!("doze help {words}")),
                text,
                "{command}"
            );
        }
    }
}

#[test]
fn nothing_at_all_is_answered_with_the_help_and_exit_status_2() {
    let world = World::new();
    let said = output(world.command("doze").env("COLUMNS", "80"));
    assert_eq!(said.status.code(), Some(2));
    assert_eq!(
        String::from_utf8_lossy(&said.stderr),
        run_at_80(&world, "doze --help")
    );
}

#[test]
fn a_wrong_word_is_answered_with_the_nearest() {
    let world = World::new();
    world.write(
        "home/doze.toml",
        "[postgres.app]\nversion = 17\nport = 5432\n",
    );
    for (line, near) in [
        ("wakee app", "'wake'"),
        ("sleep ap", "`app`"),
        ("man wakee", "`wake`"),
    ] {
        let mut doze = world.command("doze");
        let said = output(doze.args(line.split(' ')).current_dir(world.home()));
        let text = String::from_utf8_lossy(&said.stderr).into_owned();
        assert_eq!(said.status.code(), Some(2), "{text}");
        assert!(text.contains(near), "{text}");
    }
}

#[test]
fn every_command_has_a_man_page_without_faults() {
    let world = World::new();
    world.run(&["doze", "man", "--out", "man"]);
    let folder = world.home().join("man");
    let files = fs::read_dir(&folder).expect("the pages are there");
    let there: BTreeSet<_> = files
        .map(|file| {
            file.expect("it can be listed")
                .file_name()
                .into_string()
                .expect("UTF-8")
        })
        .collect();
    let commands = commands();
    let pages = commands.iter().map(|words| words.replace(' ', "-") + ".1");
    assert_eq!(there, pages.collect());
    for words in &commands {
        let page = fs::read_to_string(folder.join(words.replace(' ', "-") + ".1")).expect("text");
        let printed = words.replacen("doze", "doze man", 1);
        assert_eq!(
            world.run(&printed.split(' ').collect::<Vec<_>>()),
            page,
            "{words}"
        );
    }

    let groff = Path::new("/usr/bin/groff");
    if needed("groff", groff.is_file().then_some(())).is_none() {
        return;
    }
    for name in there {
        let mut groff = world.command("groff");
        groff
            .args(["-man", "-Kutf8", "-Tutf8", "-ww", "-z"])
            .arg(folder.join(&name));
        let said = output(&mut groff);
        assert_eq!(String::from_utf8_lossy(&said.stderr), "", "{name}");
    }
}
