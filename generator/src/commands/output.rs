//! `doze output`: what a project tells others.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::Context;
use crate::{
    config::Output,
    diagnostic::nearest,
    failure::Failure,
    output::{print, print_lines},
};

pub(super) fn run(context: &Context, name: Option<&str>, as_json: bool) -> Result<(), Failure> {
    let outputs = context.project()?.outputs;
    let printed = match name {
        Some(name) => {
            let output = find(&outputs, name)?;
            // Who asks for it by name is to have it, sensitive or not.
            let value = if as_json {
                output.value.to_string()
            } else {
                plain(&output.value)
            };
            print(format_args!("{value}\n"))
        }
        None if as_json => {
            let all: BTreeMap<_, _> = outputs.iter().map(described).collect();
            let all = serde_json::to_string_pretty(&all).unwrap_or_default();
            print(format_args!("{all}\n"))
        }
        None => {
            let line = |output: &Output| {
                let value = plain(&output.value);
                let value = if output.sensitive {
                    "(sensitive)"
                } else {
                    &value
                };
                format!("{} = {value}", output.name)
            };
            print_lines(&outputs.iter().map(line).collect::<Vec<_>>())
        }
    };
    printed.map_err(Failure::io("print"))
}

fn find<'a>(outputs: &'a [Output], name: &str) -> Result<&'a Output, Failure> {
    let found = outputs.iter().find(|output| output.name == name);
    found.ok_or_else(|| {
        let names = || outputs.iter().map(|output| output.name.as_str());
        let hint = match nearest(name, names()) {
            Some(near) => format!("did you mean `{near}`?"),
            None if outputs.is_empty() => "the project has none; add [outputs]".to_owned(),
            None => format!("the outputs are {}", names().collect::<Vec<_>>().join(", ")),
        };
        Failure::usage(format!("there is no output `{name}`; {hint}"))
    })
}

/// A text as it is, anything else as JSON.
fn plain(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), ToOwned::to_owned)
}

fn described(output: &Output) -> (&str, Value) {
    let value = (!output.sensitive).then_some(&output.value);
    let about = json!({
        "value": value,
        "sensitive": output.sensitive,
        "description": output.description,
    });
    (&output.name, about)
}
