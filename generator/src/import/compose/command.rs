//! The `command` of a service, as words.

use std::collections::BTreeMap;

use super::reader::Entry;
use crate::import::Note;

/// The words of a command: those of a list, or those that a shell would make of a text. What a
/// shell inside of the container was to run is taken apart where it is one plain command; its
/// variables are those of the container.
pub(super) fn words(
    entry: &Entry,
    environment: &BTreeMap<String, String>,
    notes: &mut Vec<Note>,
) -> Option<Vec<String>> {
    let mut problem = |why: &str| {
        notes.push(entry.note(why));
        None
    };
    let words = match (entry.node.text(), entry.node.texts()) {
        (Some(text), _) => shlex::split(text),
        (None, Some(list)) => Some(list.into_iter().map(ToOwned::to_owned).collect()),
        (None, None) => None,
    };
    let Some(words) = words else {
        return problem("is no command that can be understood");
    };
    let [shell, option, script] = words.as_slice() else {
        return Some(words);
    };
    let is_shell = matches!(shell.rsplit('/').next(), Some("sh" | "bash"));
    if !is_shell || option != "-c" {
        return Some(words);
    }
    match plain_command(script, environment) {
        Some(words) => Some(words),
        None => problem("is a script for a shell; write what it does into the instance's keys"),
    }
}

fn plain_command(script: &str, environment: &BTreeMap<String, String>) -> Option<Vec<String>> {
    let expanded = |word: String| {
        let Some(name) = word.strip_prefix('$') else {
            return (!word.contains(['$', '`'])).then_some(word);
        };
        let name = name.trim_start_matches('{').trim_end_matches('}');
        Some(environment.get(name).cloned().unwrap_or_default())
    };
    if script.contains([';', '|', '&', '<', '>', '(', '\n']) {
        return None;
    }
    let words = shlex::split(script)?;
    let words = words.strip_prefix(&["exec".to_owned()]).unwrap_or(&words);
    words.iter().cloned().map(expanded).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::compose::yaml::{Node, Value};

    fn read(text: &str) -> Option<Vec<String>> {
        let value = Value::Text(text.into());
        let (line, at) = (1, "command".into());
        let entry = Entry {
            at,
            line,
            node: Node { line, value },
        };
        words(
            &entry,
            &[("P".into(), "a b".into())].into(),
            &mut Vec::new(),
        )
    }

    #[test]
    fn a_plain_command_of_a_shell_is_taken_apart() {
        let line = "redis-server --requirepass 'a b'";
        let expected = ["redis-server", "--requirepass", "a b"].map(String::from);
        for text in [
            line.to_owned(),
            format!("sh -c \"{line}\""),
            "/bin/sh -c 'exec redis-server --requirepass \"$P\"'".to_owned(),
            "bash -c 'redis-server --requirepass ${P}'".to_owned(),
        ] {
            assert_eq!(read(&text).as_deref(), Some(&expected[..]), "{text}");
        }
        for script in ["sh -c 'a; b'", "sh -c 'a $(b)'", "sh -c 'a x$P'", "a 'b"] {
            assert_eq!(read(script), None, "{script}");
        }
    }
}
