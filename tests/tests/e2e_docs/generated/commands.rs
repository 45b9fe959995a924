//! `docs/reference/commands.md`, from the definition of the command line.
//!
//! What stands before the first command and behind the last one is written by hand, and in the
//! section of a command what stands behind its mark.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;

use clap::{Arg, Command};
use doze::cli::GROUPS;
use doze_tests::programs::workspace;

use super::{BY_HAND, cell, fill, settle, wrapped};

const PAGE: &str = "docs/reference/commands.md";

#[test]
fn commands_md_is_what_the_command_line_says() {
    let there = fs::read_to_string(workspace().join(PAGE)).expect("the page is there");
    let (intro, rest) = there.split_once("\n## doze ").expect("it has commands");
    let sections = rest.split("\n## doze ");
    let by_hand: BTreeMap<&str, &str> = sections
        .filter_map(|section| {
            let (heading, text) = section.split_once('\n')?;
            let (_, text) = text.split_once(BY_HAND)?;
            // The last one goes on with sections that are of no command.
            Some((heading, text.split("\n## ").next()?.trim()))
        })
        .collect();
    let (_, end) = rest
        .split_once("\n## Environment")
        .expect("it has an environment");

    let mut command = doze::cli::command().disable_help_subcommand(true);
    command.build();
    let options = table(&everybodys(&command), "option");
    let mut text = fill(intro.trim_end(), |name| {
        (name == "options").then(|| options.clone())
    });
    text.push('\n');
    for name in GROUPS.iter().flat_map(|(_, names)| *names) {
        // The parser makes `help` by itself.
        if let Some(command) = command.find_subcommand(name) {
            add(&mut text, command, name, &by_hand);
        }
    }
    text += "\n## Environment";
    text += end;
    settle(PAGE, &text);
}

/// The section of a command, or those of the commands below one that only leads to them.
fn add(text: &mut String, command: &Command, words: &str, by_hand: &BTreeMap<&str, &str>) {
    if !command.is_subcommand_required_set() {
        let usage = command.clone().render_usage().to_string();
        let usage = usage.trim_start_matches("Usage: ");
        writeln!(text, "\n## doze {words}\n\n    {usage}\n").expect("memory");
        let about = command.get_long_about().or(command.get_about());
        let about = about.map(ToString::to_string).unwrap_or_default();
        let (first, more) = about.split_once('\n').unwrap_or((&about, ""));
        let first = format!(
            "{}.{}{more}",
            first.trim_end_matches('.'),
            if more.is_empty() { "" } else { "\n" }
        );
        *text += &wrapped(&first);
        text.push('\n');
        let own: Vec<_> = command
            .get_arguments()
            .filter(|argument| !argument.is_global_set() && argument.get_id() != "help")
            .collect();
        if !own.is_empty() {
            text.push('\n');
            *text += &table(&own, "argument");
        }
        if let Some(more) = by_hand.get(words) {
            writeln!(text, "\n{BY_HAND}\n\n{more}").expect("memory");
        }
    }
    for below in command.get_subcommands() {
        add(
            text,
            below,
            &format!("{words} {}", below.get_name()),
            by_hand,
        );
    }
}

/// What every command takes.
fn everybodys(command: &Command) -> Vec<&Arg> {
    let arguments = command.get_arguments();
    arguments
        .filter(|argument| argument.is_global_set() || argument.get_id() == "help")
        .collect()
}

/// The rows of arguments and options.
fn table(arguments: &[&Arg], head: &str) -> String {
    let mut text = format!("| {head} | |\n|---|---|\n");
    for argument in arguments {
        let help = argument.get_long_help().or(argument.get_help());
        let mut help = help.map(ToString::to_string).unwrap_or_default();
        let defaults: Vec<_> = argument
            .get_default_values()
            .iter()
            .map(|value| value.to_string_lossy())
            .collect();
        let takes_value = argument.get_action().takes_values();
        if takes_value && !defaults.is_empty() {
            write!(help, " [default: {}]", defaults.join(" ")).expect("memory");
        }
        if let Some(variable) = argument.get_env() {
            write!(help, " [env: {}]", variable.to_string_lossy()).expect("memory");
        }
        let name = argument.to_string();
        let name = match argument.get_short() {
            Some(short) => format!("-{short}, {name}"),
            None => name,
        };
        writeln!(text, "| `{name}` | {} |", cell(&help)).expect("memory");
    }
    text
}
