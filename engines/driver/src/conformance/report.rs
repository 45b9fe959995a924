//! What came of a rule. It must not know any rule.

use std::{error::Error, fmt};

use doze_contract::error::chain;

/// One rule, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The rule, as a fragment: `plan: the same answer each time`.
    pub rule: &'static str,
    /// What came of it.
    pub outcome: Outcome,
}

/// What came of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The driver keeps it.
    Kept,
    /// It does not: what was expected, and what came.
    Broken(String),
    /// Nobody knows, and why.
    NotRun(String),
    /// Nobody knows, for something is not on this machine: what.
    Missing(String),
    /// It is about something that the engine does not have.
    Unfit(String),
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mark, why) = match &self.outcome {
            Outcome::Kept => ("ok", ""),
            Outcome::Broken(why) => ("failed", why.as_str()),
            Outcome::NotRun(why) | Outcome::Missing(why) => ("not run", why.as_str()),
            Outcome::Unfit(why) => ("none", why.as_str()),
        };
        write!(f, "{mark:8} {}", self.rule)?;
        for line in why.lines() {
            write!(f, "\n         {line}")?;
        }
        Ok(())
    }
}

/// Why a rule is not kept, not known to be, or not there to be.
#[derive(Debug, Clone)]
pub(super) enum Flaw {
    Broken(String),
    NotRun(String),
    Missing(String),
    Unfit(String),
}

impl Flaw {
    /// The rule is about something that the engine does not have.
    pub(super) fn unfit(why: &str) -> Self {
        Self::Unfit(why.to_owned())
    }
}

impl<E: Error> From<E> for Flaw {
    fn from(error: E) -> Self {
        Self::Broken(chain(&error))
    }
}

/// For the errors of [`super::Engine`].
#[expect(
    clippy::needless_pass_by_value,
    reason = "the signature that `map_err` calls"
)]
pub(super) fn boxed(error: Box<dyn Error>) -> Flaw {
    Flaw::Broken(chain(error.as_ref()))
}

/// Breaks a rule unless something is so.
pub(super) fn demand(kept: bool, why: impl FnOnce() -> String) -> Result<(), Flaw> {
    if kept {
        Ok(())
    } else {
        Err(Flaw::Broken(why()))
    }
}

/// Breaks a rule unless two things are the same.
pub(super) fn same<T: PartialEq + fmt::Debug>(came: &T, expected: &T) -> Result<(), Flaw> {
    demand(came == expected, || {
        format!("expected {expected:?}\ncame     {came:?}")
    })
}

/// The findings, told as they come.
pub(super) struct Rules<'a>(&'a mut dyn FnMut(Finding));

impl<'a> Rules<'a> {
    pub(super) fn new(told: &'a mut dyn FnMut(Finding)) -> Self {
        Self(told)
    }

    /// Puts one rule to the test. What it gives is there for the rules that come after it; if
    /// there is none, the error says why those cannot be run.
    pub(super) fn rule<T>(
        &mut self,
        rule: &'static str,
        test: impl FnOnce() -> Result<T, Flaw>,
    ) -> Result<T, Flaw> {
        let (outcome, result) = match test() {
            Ok(value) => (Outcome::Kept, Ok(value)),
            Err(Flaw::Broken(why)) => {
                let after = Flaw::NotRun(format!("needs: {rule}"));
                (Outcome::Broken(why), Err(after))
            }
            Err(Flaw::NotRun(why)) => (Outcome::NotRun(why.clone()), Err(Flaw::NotRun(why))),
            Err(Flaw::Missing(why)) => (Outcome::Missing(why.clone()), Err(Flaw::Missing(why))),
            Err(Flaw::Unfit(why)) => (Outcome::Unfit(why.clone()), Err(Flaw::Unfit(why))),
        };
        (self.0)(Finding { rule, outcome });
        result
    }

    /// The same for a rule that nothing comes after.
    pub(super) fn last(&mut self, rule: &'static str, test: impl FnOnce() -> Result<(), Flaw>) {
        // It is told, and no other rule needs it.
        drop(self.rule(rule, test));
    }
}

impl fmt::Debug for Rules<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Rules")
    }
}
