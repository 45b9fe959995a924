//! A project with a fault in it, its doctor, and the way from one to the other.

use std::fs;
use std::process::{Command, Output};

use doze_tests::engines;
use doze_tests::programs::workspace;
use doze_tests::project::{Mode, Project, output};
use serde_json::Value;

use crate::FAULTS;

/// So many pieces of advice may lead from one to the next.
const ROUNDS: usize = 4;

/// A project that is up, and of which the doctor has said what it says of a healthy one.
pub(crate) struct Patient {
    pub(crate) project: Project,
    healthy: Vec<(String, String)>,
}

/// How a fault is mended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum By {
    /// By saying to the shell what the doctor says.
    Advice,
    /// By `doze doctor --fix`.
    Itself,
}

/// What the doctor found.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) ok: bool,
    pub(crate) rows: Vec<Row>,
}

#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) state: String,
    pub(crate) detail: String,
    pub(crate) fix: Option<String>,
}

impl Patient {
    /// A project that is up.
    pub(crate) fn new() -> Option<Self> {
        Some(Self::of(Project::new(Mode::Systemd, "1h")?))
    }

    /// This project, which is brought up.
    pub(crate) fn of(project: Project) -> Self {
        project.run(&["up"]);
        let mut patient = Self {
            project,
            healthy: Vec::new(),
        };
        let report = patient.examine("");
        assert!(report.ok, "it is healthy: {report:?}");
        patient.healthy = report.ill();
        patient
    }

    /// Plants a fault after these words to the shell. It has to be found by this check, with this
    /// in the detail, and to be mended.
    #[track_caller]
    pub(crate) fn suffers(&self, fault: &str, by: By, words: &str, check: &str, detail: &str) {
        assert!(FAULTS.contains(&fault), "{fault} is listed");
        let report = self.examine(words);
        let found = report
            .rows
            .iter()
            .find(|row| row.name == check && row.state != "ok" && row.detail.contains(detail));
        let found = found.unwrap_or_else(|| panic!("{fault} is not found: {report:#?}"));
        assert!(found.fix.is_some(), "{fault}: {found:?}");
        let after = match by {
            By::Itself => self.examine_with(words, &["--fix"]),
            By::Advice => self.advised(words, report),
        };
        assert!(after.ok, "{fault} is still there: {after:#?}");
        assert_eq!(after.ill(), self.healthy, "{fault}: {after:#?}");
    }

    /// Does what the doctor says, one piece of advice after the other.
    fn advised(&self, words: &str, report: Report) -> Report {
        let (mut words, mut report) = (words.to_owned(), report);
        for _ in 0..ROUNDS {
            let ill = |row: &&Row| row.state != "ok" && !self.healthy.contains(&row.key());
            let Some(row) = report.rows.iter().find(ill) else {
                break;
            };
            let Some(fix) = row.fix.clone() else {
                panic!("no advice for {row:?} of {report:#?}")
            };
            let step = format!("{words}{fix} >&2 || exit 9; ");
            // What is said of the session holds for its next words only.
            if fix.starts_with("unset ") || fix.starts_with("ulimit ") {
                words.clone_from(&step);
            }
            report = self.examine(&step);
        }
        report
    }

    /// What the doctor says, after these words to the shell.
    #[track_caller]
    pub(crate) fn examine(&self, words: &str) -> Report {
        self.examine_with(words, &[])
    }

    #[track_caller]
    fn examine_with(&self, words: &str, options: &[&str]) -> Report {
        let doctor = format!("{words}doze doctor --json {}", options.join(" "));
        let Output {
            status,
            stdout,
            stderr,
        } = output(&mut self.shell(&doctor));
        let said = String::from_utf8_lossy(&stderr);
        let report: Value = serde_json::from_slice(&stdout)
            .unwrap_or_else(|error| panic!("{doctor}: {status}, {error}\n{said}"));
        validate(&report);
        let text = |row: &Value, key: &str| row.get(key).and_then(Value::as_str).map(str::to_owned);
        let row = |row: &Value| Row {
            name: text(row, "name").unwrap_or_default(),
            state: text(row, "state").unwrap_or_default(),
            detail: text(row, "detail").unwrap_or_default(),
            fix: text(row, "fix"),
        };
        let rows = report.get("checks").and_then(Value::as_array);
        let rows: Vec<Row> = rows.into_iter().flatten().map(row).collect();
        let ok = report.get("ok") == Some(&Value::Bool(true));
        assert_eq!(status.code(), Some(i32::from(!ok)), "{doctor}: {said}");
        Report { ok, rows }
    }

    /// A line of the shell, as the user says it in the project's folder.
    pub(crate) fn shell(&self, line: &str) -> Command {
        let world = &self.project.world;
        let mut shell = world.command("/bin/sh");
        shell
            .args(["-c", line])
            .current_dir(world.home().join("shop"));
        for (name, engine) in [
            ("DOZE_POSTGRES_BINDIR", engines::postgres()),
            ("DOZE_VALKEY_BINDIR", engines::valkey()),
        ] {
            if let Some(engine) = engine {
                shell.env(name, world.bindir(&engine));
            }
        }
        shell
    }

    /// Says a line to the shell that has to succeed.
    #[track_caller]
    pub(crate) fn say(&self, line: &str) {
        doze_tests::project::succeed(&mut self.shell(line));
    }
}

impl Report {
    /// What is not well, by check and state.
    fn ill(&self) -> Vec<(String, String)> {
        let ill = self.rows.iter().filter(|row| row.state != "ok");
        ill.map(Row::key).collect()
    }
}

impl Row {
    fn key(&self) -> (String, String) {
        (self.name.clone(), self.state.clone())
    }
}

/// Holds a report against the published schema.
#[track_caller]
pub(crate) fn validate(report: &Value) {
    let path = workspace().join("docs/reference/schemas/doctor.json");
    let schema = fs::read(path).expect("a schema");
    let schema = serde_json::from_slice(&schema).expect("JSON");
    let validator = jsonschema::draft202012::new(&schema).expect("a schema");
    let errors: Vec<_> = validator
        .iter_errors(report)
        .map(|error| format!("{error} at {}", error.instance_path()))
        .collect();
    assert_eq!(errors, [""; 0]);
}
