//! Reads the plan, the only thing that tells an activator what to do.

use std::{fs, io, ops::Deref, time::Duration};

use camino::{Utf8Path, Utf8PathBuf};
use doze_contract::{Plan, plan::FORMAT};
use rustix::fs::{Access, access};
use serde::Deserialize;

/// Why there is no plan. No retry helps.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PlanError {
    #[error("cannot read the plan {path}; run `doze up`")]
    Unreadable {
        path: Utf8PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("the plan {path} has format {found}, this activator reads {FORMAT}; run `doze up`")]
    OtherFormat { path: Utf8PathBuf, found: u32 },
    #[error("the plan {path} is damaged; run `doze up`")]
    Damaged {
        path: Utf8PathBuf,
        #[source]
        source: serde_json::Error,
    },
}

/// A plan, and what it was read from.
#[derive(Debug)]
pub(crate) struct Source {
    plan: Plan,
    /// On one line. A driver is sent this, and so nothing here can write a plan.
    pub(crate) line: String,
}

impl Source {
    fn new(plan: Plan, text: &str) -> Self {
        // Within a text JSON has no line breaks, so these are all between its words.
        let line = text.replace(['\n', '\r'], " ");
        Self { plan, line }
    }
}

impl Deref for Source {
    type Target = Plan;

    fn deref(&self) -> &Plan {
        &self.plan
    }
}

#[cfg(test)]
impl From<Plan> for Source {
    fn from(plan: Plan) -> Self {
        let text = serde_json::to_string_pretty(&plan).unwrap();
        Self::new(plan, &text)
    }
}

/// The part of a plan that every format has.
#[derive(Deserialize)]
struct Envelope {
    format: u32,
}

/// Reads the plan at `path`.
pub(crate) fn read(path: &Utf8Path) -> Result<Source, PlanError> {
    wait_until_made(path);
    let text = fs::read_to_string(path).map_err(|source| PlanError::Unreadable {
        path: path.to_owned(),
        source,
    })?;
    parse(path, &text)
}

/// How often a generated plan is looked for, and the time between two looks: ten seconds in all.
const LOOKS: u32 = 2_000;
const PAUSE: Duration = Duration::from_millis(5);

/// Generated plans are found over a link. When the user manager reloads, it removes them before it
/// has them made anew (systemd.generator(7)), and this process may just have been started.
fn wait_until_made(path: &Utf8Path) {
    if !path.parent().is_some_and(Utf8Path::is_symlink) {
        return;
    }
    for _ in 0..LOOKS {
        if access(path.as_std_path(), Access::EXISTS).is_ok() {
            return;
        }
        #[expect(
            clippy::disallowed_methods,
            reason = "a bounded poll for a file in a folder that is not there, which nothing can watch"
        )]
        std::thread::sleep(PAUSE);
    }
}

fn parse(path: &Utf8Path, text: &str) -> Result<Source, PlanError> {
    let other = |found| PlanError::OtherFormat {
        path: path.to_owned(),
        found,
    };
    // Another format need not look like ours at all, so its number is looked for by itself.
    match serde_json::from_str::<Plan>(text) {
        Ok(plan) if plan.format == FORMAT => Ok(Source::new(plan, text)),
        Ok(plan) => Err(other(plan.format)),
        Err(source) => match serde_json::from_str(text) {
            Ok(Envelope { format }) if format != FORMAT => Err(other(format)),
            _ => Err(PlanError::Damaged {
                path: path.to_owned(),
                source,
            }),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        parse(Utf8Path::new("app.json"), text)
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn a_generated_plan_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let folder = Utf8Path::from_path(folder.path()).unwrap();
        std::os::unix::fs::symlink("made", folder.join("plans")).unwrap();
        let path = folder.join("plans/app.json");
        let waiting = std::thread::spawn(move || {
            wait_until_made(&path);
            path.is_file()
        });
        fs::create_dir(folder.join("made")).unwrap();
        std::os::unix::fs::symlink("/proc/self/comm", folder.join("made/app.json")).unwrap();
        assert!(waiting.join().unwrap());

        let begun = std::time::Instant::now();
        wait_until_made(&folder.join("other/app.json"));
        assert!(begun.elapsed() < PAUSE * LOOKS, "no generator makes that");
    }

    #[test]
    fn a_newer_plan_is_named_as_such_and_not_as_damaged() {
        let message = error(r#"{"format": 7, "something": "new"}"#);
        assert_eq!(
            message,
            "the plan app.json has format 7, this activator reads 1; run `doze up`"
        );
    }

    #[test]
    fn a_damaged_plan_is_damaged() {
        for text in ["", "{", "[]", r#"{"format": 1}"#, "null"] {
            assert_eq!(error(text), "the plan app.json is damaged; run `doze up`");
        }
    }
}
