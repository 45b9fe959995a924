//! `doze doctor`: what is wrong here, and the command that mends it.
//!
//! Looks, and wakes nobody. With `--fix` it says those of its own commands to the shell that
//! disturb nobody and remove nothing.

mod machine;
mod manager;
mod programs;
mod project;
mod units;

use std::{
    collections::BTreeSet,
    env,
    process::{Command, Stdio},
};

use doze_contract::{error::chain, exit::Exit};

use super::Context;
use crate::{
    config::ConfigError,
    doctor::{Report, Row},
    failure::Failure,
    output::{Paint, complain, print, print_lines},
};

/// One fix may show what another one has to mend: so often is looked again.
const ROUNDS: usize = 4;

pub(super) fn run(context: &Context, fix: bool, json: bool) -> Result<(), Failure> {
    let mut report = examine(context);
    let mut tried = BTreeSet::new();
    for _ in 0..if fix { ROUNDS } else { 0 } {
        let commands = report.harmless().into_iter();
        let new: Vec<_> = commands
            .filter(|it| tried.insert((*it).to_owned()))
            .collect();
        if new.is_empty() {
            break;
        }
        for command in new {
            carry_out(context, command)?;
        }
        report = examine(context);
    }
    if json {
        let text = serde_json::to_string_pretty(&report).unwrap_or_default();
        print(format_args!("{text}\n"))
    } else {
        print_lines(&report.lines(Paint::stdout()))
    }
    .map_err(Failure::io("print"))?;
    if report.ok {
        Ok(())
    } else {
        Err(Failure::Told(Exit::Failed))
    }
}

/// Says a command to the shell, as the user would. What it does not mend is found again.
fn carry_out(context: &Context, command: &str) -> Result<(), Failure> {
    complain(format_args!("fix: {command}\n"));
    // The doze that is meant is this one.
    let own = context.dirs.programs.as_std_path().to_owned();
    let path = env::var_os("PATH").unwrap_or_default();
    let path = env::join_paths([own].into_iter().chain(env::split_paths(&path)));
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", command]).stdin(Stdio::null());
    if let Ok(path) = path {
        shell.env("PATH", path);
    }
    // What it prints is no part of the report.
    shell.stdout(Stdio::null());
    shell
        .status()
        .map(drop)
        .map_err(Failure::io(format!("run `{command}`")))
}

/// Every check in the order in which one builds on another.
fn examine(context: &Context) -> Report {
    let mut rows = machine::rows(context);
    let (found, manager) = manager::rows(&context.dirs);
    rows.extend(found);
    match context.file() {
        Ok(file) => rows.extend(project::rows(context, &file, manager.as_deref())),
        Err(Failure::Config(ConfigError::NotFound(folder))) => {
            let detail =
                format!("no doze.toml in {folder} or above: only the machine was looked at");
            rows.push(Row::ok("config", detail));
            rows.extend(programs::store(context, None));
        }
        Err(failure) => rows.push(failed("config", &failure)),
    }
    Report::new(rows)
}

/// A check that could not be made, or that failed as a whole.
fn failed(name: &'static str, failure: &Failure) -> Row {
    if let Failure::Config(ConfigError::Wrong { sources, problems }) = failure {
        let first = crate::diagnostic::ordered(sources, problems)
            .into_iter()
            .next();
        let first = first.map(|found| format!(": {}", found.message));
        let detail = chain(failure) + &first.unwrap_or_default();
        return Row::fail(name, detail).fix("doze lint");
    }
    Row::fail(name, chain(failure))
}

/// The rows of a check, or that it could not be made.
fn rows_of(name: &'static str, made: Result<Vec<Row>, Failure>) -> Vec<Row> {
    made.unwrap_or_else(|failure| vec![failed(name, &failure)])
}
