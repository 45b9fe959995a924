//! `doze env`, `doze run` and `doze url`: how programs find the instances.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    io::ErrorKind,
    os::unix::process::ExitStatusExt,
    process::{Command, ExitCode},
};

use doze_contract::Plan;

use super::{Context, unknown_instance};
use crate::{cli::EnvFormat, failure::Failure, output::print};

pub(super) fn print_all(context: &Context, format: EnvFormat) -> Result<(), Failure> {
    let variables = variables(&context.compile()?.plans);
    let text = if format.json {
        let map: BTreeMap<_, _> = variables.iter().map(|v| (&v.name, &v.value)).collect();
        serde_json::to_string_pretty(&map).unwrap_or_default() + "\n"
    } else {
        let line = |variable: &Variable| {
            let (name, value) = (&variable.name, &variable.value);
            if format.dotenv {
                format!("{name}={}\n", double_quoted(value))
            } else {
                format!(
                    "export {name}={}  # {}\n",
                    single_quoted(value),
                    variable.comment
                )
            }
        };
        variables.iter().map(line).collect()
    };
    print(format_args!("{text}")).map_err(Failure::io("print the environment"))
}

pub(super) fn run(context: &Context, command: &[OsString]) -> Result<ExitCode, Failure> {
    let Some((program, arguments)) = command.split_first() else {
        return Err(Failure::plain("there is no command to run"));
    };
    let variables = variables(&context.compile()?.plans);
    let started = Command::new(program)
        .args(arguments)
        .envs(
            variables
                .into_iter()
                .map(|variable| (variable.name, variable.value)),
        )
        .status();
    let status = match started {
        Ok(status) => status,
        Err(source) => {
            // As a shell says that there is no such program, or that it is none.
            let code = if source.kind() == ErrorKind::NotFound {
                127
            } else {
                126
            };
            Failure::io(format!("run {}", program.display()))(source).report();
            return Ok(code.into());
        }
    };
    // A command that a signal ended has the status that a shell gives it.
    let code = status
        .code()
        .or_else(|| status.signal().map(|signal| 128 + signal));
    Ok(code
        .and_then(|code| u8::try_from(code).ok())
        .unwrap_or(u8::MAX)
        .into())
}

pub(super) fn url(context: &Context, name: &str) -> Result<(), Failure> {
    let compiled = context.compile()?;
    let Some(plan) = compiled
        .plans
        .iter()
        .find(|plan| plan.instance.as_str() == name)
    else {
        let names = compiled.plans.iter().map(|plan| plan.instance.as_str());
        return Err(unknown_instance(name, &compiled.project.name, names));
    };
    print(format_args!("{}\n", plan.body.connection.url)).map_err(Failure::io("print the URL"))
}

struct Variable {
    name: String,
    value: String,
    comment: String,
}

/// One variable an instance. The first instance in the file has the name that clients look for;
/// the name of a further one of the same kind ends in its own name.
fn variables(plans: &[Plan]) -> Vec<Variable> {
    let mut found: Vec<Variable> = Vec::new();
    for plan in plans {
        let connection = &plan.body.connection;
        let plain = connection.variable.clone();
        let taken = |name: &str| found.iter().any(|variable| variable.name == name);
        let mut name = plain.clone();
        if taken(&name) {
            name = format!("{plain}_{}", shouted(plan.instance.as_str()));
        }
        // Two names may come down to one in capital letters.
        while taken(&name) {
            name.push('_');
        }
        let comment = format!("{} {}", plan.engine, plan.instance);
        found.push(Variable {
            name,
            value: connection.url.clone(),
            comment,
        });
    }
    found
}

/// A name as a part of a variable's name.
fn shouted(name: &str) -> String {
    let letter = |c: char| {
        if c.is_ascii_alphanumeric() {
            c.to_ascii_uppercase()
        } else {
            '_'
        }
    };
    name.chars().map(letter).collect()
}

/// Quoted for a POSIX shell.
fn single_quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// Quoted for a .env file.
fn double_quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        if matches!(c, '"' | '\\' | '$' | '`') {
            quoted.push('\\');
        }
        quoted.push(c);
    }
    quoted + "\""
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_survives_a_shell() {
        for text in ["plain", "it's", "$HOME `x` \"q\" \\", "a b\tc", "ü"] {
            let script = format!("printf %s {}", single_quoted(text));
            let output = Command::new("sh").args(["-c", &script]).output().unwrap();
            assert_eq!(String::from_utf8(output.stdout).unwrap(), text);
            let script = format!("printf %s {}", double_quoted(text));
            let output = Command::new("sh").args(["-c", &script]).output().unwrap();
            assert_eq!(String::from_utf8(output.stdout).unwrap(), text);
        }
    }
}
