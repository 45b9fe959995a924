//! Reads the plan, the only thing that tells an activator what to do.

use std::{fs, io, ops::Deref};

use camino::{Utf8Path, Utf8PathBuf};
use doze_contract::{Plan, plan::FORMAT};
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
    let text = fs::read_to_string(path).map_err(|source| PlanError::Unreadable {
        path: path.to_owned(),
        source,
    })?;
    parse(path, &text)
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
