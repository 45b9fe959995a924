//! What `doze doctor` found: a row for each check, and how the rows are shown.
//!
//! Pure. Must not know how anything is found out or mended.

use serde::Serialize;

use crate::output::{Paint, harmless};

/// All that was looked at. Its JSON form is `doze doctor --json`.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    /// Nothing failed.
    pub(crate) ok: bool,
    pub(crate) checks: Vec<Row>,
}

/// A finding, or that there is none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Row {
    /// The check.
    pub(crate) name: &'static str,
    pub(crate) state: State,
    pub(crate) detail: String,
    /// What to say to the shell, in the folder of the project, so that the finding goes.
    pub(crate) fix: Option<String>,
    /// The fix disturbs nobody and removes nothing, so that `--fix` may do it.
    #[serde(skip)]
    pub(crate) is_harmless: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum State {
    Ok,
    /// It works, but not as well as it could, or not for long.
    Warn,
    /// Something does not work.
    Fail,
}

impl Report {
    pub(crate) fn new(checks: Vec<Row>) -> Self {
        Self {
            ok: checks.iter().all(|row| row.state != State::Fail),
            checks,
        }
    }

    /// The commands that mend something and do no harm, each once.
    pub(crate) fn harmless(&self) -> Vec<&str> {
        let mut commands = Vec::new();
        for row in self.checks.iter().filter(|row| row.is_harmless) {
            match row.fix.as_deref() {
                Some(fix) if !commands.contains(&fix) => commands.push(fix),
                _ => {}
            }
        }
        commands
    }

    /// A line for each row, and one below it for what mends it.
    pub(crate) fn lines(&self, paint: Paint) -> Vec<String> {
        let names = self.checks.iter().map(|row| row.name.len());
        let width = names.max().unwrap_or(0);
        let mut lines = Vec::new();
        for row in &self.checks {
            let state = match row.state {
                State::Ok => paint.dim("ok  "),
                State::Warn => paint.yellow("warn"),
                State::Fail => paint.red("fail"),
            };
            let (name, detail) = (row.name, harmless(&row.detail).replace('\n', " "));
            lines.push(format!("{state}  {name:width$}  {detail}"));
            if let Some(fix) = &row.fix {
                let (blank, fix) = (" ".repeat(width + 6), harmless(fix));
                lines.push(format!("{blank}  {} {fix}", paint.bold("fix:")));
            }
        }
        lines
    }
}

impl Row {
    pub(crate) fn ok(name: &'static str, detail: impl Into<String>) -> Self {
        Self::new(name, State::Ok, detail)
    }

    pub(crate) fn warn(name: &'static str, detail: impl Into<String>) -> Self {
        Self::new(name, State::Warn, detail)
    }

    pub(crate) fn fail(name: &'static str, detail: impl Into<String>) -> Self {
        Self::new(name, State::Fail, detail)
    }

    fn new(name: &'static str, state: State, detail: impl Into<String>) -> Self {
        Self {
            name,
            state,
            detail: detail.into(),
            fix: None,
            is_harmless: false,
        }
    }

    /// With the command that mends it, for people to decide on.
    pub(crate) fn fix(self, command: impl Into<String>) -> Self {
        Self {
            fix: Some(command.into()),
            ..self
        }
    }

    /// Says whether the command does no harm.
    pub(crate) fn harmless(self, is_harmless: bool) -> Self {
        Self {
            is_harmless,
            ..self
        }
    }
}

/// What was found of one check or, if that is nothing, that all is well.
pub(crate) fn or_ok(found: Vec<Row>, name: &'static str, well: impl Into<String>) -> Vec<Row> {
    if found.is_empty() {
        vec![Row::ok(name, well)]
    } else {
        found
    }
}

/// A word as a shell takes it.
pub(crate) fn quoted(word: impl AsRef<str>) -> String {
    let word = word.as_ref();
    // No path and no name of a unit has a zero byte in it.
    shlex::try_quote(word).map_or_else(|_| word.to_owned(), Into::into)
}

/// The process in `PROGRAM (pid PID)`, by which this project names whoever holds something.
pub(crate) fn pid_of(holder: &str) -> Option<u32> {
    let (_, pid) = holder.rsplit_once("(pid ")?;
    pid.strip_suffix(')')?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn one_failed_check_is_enough_and_a_warning_is_not() {
        let rows = vec![Row::ok("a", "well"), Row::warn("b", "soon")];
        assert!(Report::new(rows.clone()).ok);
        let worse = [rows, vec![Row::fail("c", "broken")]].concat();
        assert!(!Report::new(worse).ok);
    }

    #[test]
    fn only_harmless_commands_are_run_and_each_once() {
        let report = Report::new(vec![
            Row::fail("a", "").fix("doze up").harmless(true),
            Row::fail("b", "").fix("kill 1"),
            Row::fail("c", "").fix("doze up").harmless(true),
        ]);
        assert_eq!(report.harmless(), ["doze up"]);
    }

    #[test]
    fn the_process_is_read_from_the_name_of_a_holder() {
        assert_eq!(pid_of("a (pid 1) (pid 27)"), Some(27));
        assert_eq!(pid_of("a process of another user"), None);
    }

    #[test]
    fn a_word_goes_through_a_shell_as_it_is() {
        for word in ["/plain", "doze-a\\x2db.socket", "it's $HOME", "ü \"q\""] {
            let script = format!("printf %s {}", quoted(word));
            let said = Command::new("sh").args(["-c", &script]).output().unwrap();
            assert_eq!(String::from_utf8(said.stdout).unwrap(), word);
        }
    }
}
