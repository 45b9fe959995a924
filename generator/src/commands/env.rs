//! `doze env` and `doze url`: how programs find the instances.

use std::collections::BTreeMap;

use super::Context;
use crate::{
    cli::EnvFormat,
    failure::Failure,
    output::print,
    supply::Reach,
    variables::{Variable, variables},
};

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
