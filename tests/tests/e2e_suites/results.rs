//! What became of each test of a suite, and whether that is the same twice. It must not know what
//! is tested.

use std::collections::BTreeMap;
use std::fmt::Write as _;

/// The tests of one run by their names, each with what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Results(BTreeMap<String, String>);

impl Results {
    /// From pairs of a name and an outcome.
    pub(crate) fn of(pairs: impl IntoIterator<Item = (String, String)>) -> Self {
        Self(pairs.into_iter().collect())
    }

    /// From what `outcomes.py` writes: a line for each test, its outcome behind the last tab.
    pub(crate) fn of_pytest(text: &str) -> Self {
        let line = |line: &str| {
            let (name, outcome) = line.rsplit_once('\t').expect("a tab in each line");
            (name.to_owned(), outcome.to_owned())
        };
        Self::of(text.lines().map(line))
    }

    /// From what `pg_regress` prints: `test NAME ... ok 12 ms` up to Postgres 15, later a line of
    /// TAP, `not ok 12 + NAME 34 ms`.
    pub(crate) fn of_pg_regress(text: &str) -> Self {
        let line = |line: &str| {
            let (name, outcome) = if let Some((left, right)) = line.split_once(" ... ") {
                (
                    left.split_whitespace().next_back()?,
                    right.split_whitespace().next()?,
                )
            } else if let Some(rest) = line.strip_prefix("ok ") {
                (rest.split_whitespace().nth(2)?, "ok")
            } else {
                let rest = line.strip_prefix("not ok ")?;
                (rest.split_whitespace().nth(2)?, "FAILED")
            };
            Some((name.to_owned(), outcome.to_owned()))
        };
        Self::of(text.lines().filter_map(|text| line(text.trim_end())))
    }

    /// How many there are of each outcome: `passed 12, skipped 3`.
    pub(crate) fn summary(&self) -> String {
        let mut counts = BTreeMap::<&str, usize>::new();
        for outcome in self.0.values() {
            *counts.entry(outcome).or_default() += 1;
        }
        let words = counts.iter().map(|(outcome, n)| format!("{outcome} {n}"));
        words.collect::<Vec<_>>().join(", ")
    }

    /// The names of those that failed.
    pub(crate) fn failed(&self) -> Vec<&str> {
        let failed = self
            .0
            .iter()
            .filter(|(_, outcome)| outcome.eq_ignore_ascii_case("failed"));
        failed.map(|(name, _)| name.as_str()).collect()
    }

    /// How many have this outcome.
    pub(crate) fn count(&self, outcome: &str) -> usize {
        self.0.values().filter(|of| *of == outcome).count()
    }

    /// A line for each test that did not end in the same way in both.
    pub(crate) fn differences(&self, other: &Self) -> String {
        let mut names: Vec<_> = self.0.keys().chain(other.0.keys()).collect();
        names.sort_unstable();
        names.dedup();
        let outcome = |of: &Self, name: &str| of.0.get(name).cloned().unwrap_or_default();
        let mut text = String::new();
        for name in names {
            let (here, there) = (outcome(self, name), outcome(other, name));
            if here != there {
                writeln!(text, "{name}: {here:?}, {there:?}").expect("memory");
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_is_named_and_nothing_else() {
        let direct = Results::of_pytest("a\tpassed\nb\tpassed\nc[\t]\tskipped\n");
        let through = Results::of_pytest("a\tpassed\nb\tfailed\nd\tpassed\n");
        assert_eq!(
            direct.differences(&through),
            "b: \"passed\", \"failed\"\nc[\t]: \"skipped\", \"\"\nd: \"\", \"passed\"\n"
        );
        assert_eq!(direct.differences(&direct), "");
        assert_eq!(direct.summary(), "passed 2, skipped 1");
    }

    #[test]
    fn both_ways_of_pg_regress_to_tell_are_read() {
        let old = "test test_setup                   ... ok          288 ms\n\
                   parallel group (2 tests):  char boolean\n\
                   \x20    boolean                      ... ok           99 ms\n\
                   \x20    char                         ... FAILED       51 ms\n";
        let new = "# parallel group (2 tests):  char boolean\n\
                   ok 1         - test_setup                                288 ms\n\
                   ok 2         + boolean                                    99 ms\n\
                   not ok 3     + char                                       51 ms\n1..3\n";
        let wanted = Results::of_pytest("test_setup\tok\nboolean\tok\nchar\tFAILED\n");
        assert_eq!(Results::of_pg_regress(old), wanted);
        assert_eq!(Results::of_pg_regress(new), wanted);
    }
}
