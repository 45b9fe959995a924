//! `doze env` and `doze url`: how programs find the instances.

use std::collections::BTreeMap;

use doze_contract::Plan;

use super::Context;
use crate::{cli::EnvFormat, failure::Failure, output::print, supply::Reach};

pub(super) fn print_all(context: &Context, format: EnvFormat) -> Result<(), Failure> {
    let variables = variables(&context.compile(Reach::Pinned)?.plans);
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

pub(super) fn url(context: &Context, name: &str) -> Result<(), Failure> {
    let compiled = context.compile(Reach::Pinned)?;
    let plan = compiled.plan(name)?;
    let url = plan.body.connection.url.as_deref();
    let url = url.ok_or_else(|| Failure::plain(format!("`{name}` has no address")))?;
    print(format_args!("{url}\n")).map_err(Failure::io("print the URL"))
}

/// A variable of the environment.
pub(super) struct Variable {
    pub(super) name: String,
    pub(super) value: String,
    comment: String,
}

/// Two variables for each instance with an address: the one that clients of its engine look for,
/// and `DOZE_<NAME>_URL`. The first instance in the file has the name that clients look for; the
/// name of a further one of the same kind ends in its own name.
pub(super) fn variables(plans: &[Plan]) -> Vec<Variable> {
    let mut found: Vec<Variable> = Vec::new();
    for plan in plans {
        let connection = &plan.body.connection;
        let Some(url) = &connection.url else {
            continue;
        };
        let own = shouted(plan.instance.as_str());
        let usual = connection.variable.iter().map(|usual| {
            let taken = found.iter().any(|variable| variable.name == *usual);
            if taken {
                format!("{usual}_{own}")
            } else {
                usual.clone()
            }
        });
        let names: Vec<_> = usual.chain([format!("DOZE_{own}_URL")]).collect();
        for mut name in names {
            // Two names may come down to one in capital letters.
            while found.iter().any(|variable| variable.name == name) {
                name.push('_');
            }
            let comment = format!("{} {}", plan.engine, plan.instance);
            let value = url.clone();
            found.push(Variable {
                name,
                value,
                comment,
            });
        }
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
    use std::process::Command;

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
