//! `doze env` and `doze url`: how programs find the instances.

use std::collections::{BTreeMap, BTreeSet};

use doze_contract::plan::Body;

use super::{Context, instance};
use crate::{
    cli::EnvFormat,
    failure::Failure,
    output::{complain, print},
    variables::{Variable, variables},
};

pub(super) fn print_all(
    context: &Context,
    names: &[String],
    format: EnvFormat,
) -> Result<(), Failure> {
    let project = context.project()?;
    let wanted = names.iter().map(|name| Ok(&instance(&project, name)?.name));
    let wanted = wanted.collect::<Result<BTreeSet<_>, Failure>>()?;
    let all = variables(&project.instances);
    let is_wanted = |v: &&Variable| wanted.is_empty() || wanted.contains(&v.instance);
    let variables: Vec<&Variable> = all.iter().filter(is_wanted).collect();
    let text = if format.json {
        let map: BTreeMap<_, _> = variables.iter().map(|v| (&v.name, &v.value)).collect();
        serde_json::to_string_pretty(&map).unwrap_or_default() + "\n"
    } else {
        let line = |variable: &&Variable| {
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
    print(format_args!("{text}")).map_err(Failure::io("print the environment"))?;
    for note in notes(&all, &variables) {
        complain(format_args!("{note}"));
    }
    Ok(())
}

/// Who has the name that clients of several instances look for, as far as it is shown.
fn notes(all: &[Variable], shown: &[&Variable]) -> Vec<String> {
    let usual: BTreeSet<_> = shown.iter().filter_map(|v| v.usual.as_ref()).collect();
    let note = |usual: &String| {
        let having: Vec<_> = all
            .iter()
            .filter(|v| v.usual.as_ref() == Some(usual))
            .collect();
        let [first, second, ..] = having.as_slice() else {
            return None;
        };
        Some(format!(
            "note: {usual} is that of `{}`, the first of {}; those of the others end in their \
             names, as {} does\n",
            first.instance,
            having.len(),
            second.name
        ))
    };
    usual.into_iter().filter_map(note).collect()
}

pub(super) fn url(context: &Context, name: &str, side: Option<&str>) -> Result<(), Failure> {
    let project = context.project()?;
    let body = &instance(&project, name)?.body;
    let url = match side {
        None => body.connection.url.clone(),
        Some(wanted) => {
            let side = body.side.iter().find(|side| side.name == wanted);
            let url = side.map(|side| body.side_url(side));
            Some(url.ok_or_else(|| no_side(name, wanted, body))?)
        }
    };
    let url = url.ok_or_else(|| Failure::plain(format!("`{name}` has no URL")))?;
    print(format_args!("{url}\n")).map_err(Failure::io("print the URL"))
}

fn no_side(name: &str, wanted: &str, body: &Body) -> Failure {
    let known: Vec<_> = body.side.iter().map(|side| side.name.as_str()).collect();
    Failure::usage(match known.as_slice() {
        [] => format!("`{name}` has no address besides its own"),
        _ => format!(
            "`{name}` has no address `{wanted}`, but {}",
            known.join(", ")
        ),
    })
}

/// Quoted for a POSIX shell.
fn single_quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// Quoted for a .env file, and for `EnvironmentFile=` (systemd.exec(5)).
pub(in crate::commands) fn double_quoted(text: &str) -> String {
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
    fn a_path_cannot_leave_its_quotes() {
        assert_eq!(double_quoted(r#"/a b:/"c"$x\`"#), r#""/a b:/\"c\"\$x\\\`""#);
    }

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
