//! Reads the plan, the only thing that tells an activator what to do.

use std::{fs, io};

use camino::{Utf8Path, Utf8PathBuf};
use doze_contract::{Plan, plan::FORMAT};
use serde_json::Value;

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
    OtherFormat { path: Utf8PathBuf, found: Value },
    #[error("the plan {path} is damaged; run `doze up`")]
    Damaged {
        path: Utf8PathBuf,
        #[source]
        source: serde_json::Error,
    },
}

/// Reads the plan at `path`.
pub(crate) fn read(path: &Utf8Path) -> Result<Plan, PlanError> {
    let text = fs::read(path).map_err(|source| PlanError::Unreadable {
        path: path.to_owned(),
        source,
    })?;
    parse(path, &text)
}

fn parse(path: &Utf8Path, text: &[u8]) -> Result<Plan, PlanError> {
    let source = match serde_json::from_slice::<Plan>(text) {
        Ok(plan) if plan.format == FORMAT => return Ok(plan),
        Ok(plan) => {
            return Err(PlanError::OtherFormat {
                path: path.to_owned(),
                found: plan.format.into(),
            });
        }
        Err(source) => source,
    };
    // Another format need not look like ours at all, so its number is looked for by itself.
    match serde_json::from_slice::<Value>(text) {
        Ok(plan) if plan.get("format").is_some_and(|format| *format != FORMAT) => {
            Err(PlanError::OtherFormat {
                path: path.to_owned(),
                found: plan.get("format").cloned().unwrap_or_default(),
            })
        }
        _ => Err(PlanError::Damaged {
            path: path.to_owned(),
            source,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        parse(Utf8Path::new("app.json"), text.as_bytes())
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
