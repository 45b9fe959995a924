//! The report as a tree: below each instance stands what it depends on. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::{Report, Row, show};
use crate::output::{Paint, table};

/// The lines. What several depend on stands below each of them, with what it depends on itself
/// only below the first.
pub(super) fn lines(report: &Report, paint: Paint) -> Vec<String> {
    let all = report.instances.iter();
    let mut tree = Tree {
        by_name: all.clone().map(|row| (row.name.as_str(), row)).collect(),
        told: BTreeSet::new(),
        rows: vec![
            ["NAME", "ENGINE", "STATE", "ENDPOINT"]
                .map(String::from)
                .into(),
        ],
    };
    let needed: BTreeSet<&str> = all
        .clone()
        .flat_map(|row| row.depends_on.iter().map(String::as_str))
        .collect();
    for row in all
        .clone()
        .filter(|row| !needed.contains(row.name.as_str()))
    {
        tree.add(row, "", "");
    }
    // Plans that were installed at different times may form a circle, which nobody leads into.
    for row in all {
        if !tree.told.contains(row.name.as_str()) {
            tree.add(row, "", "");
        }
    }
    table(&tree.rows, paint, show::colour)
}

struct Tree<'a> {
    by_name: BTreeMap<&'a str, &'a Row>,
    /// Those whose own dependencies are shown.
    told: BTreeSet<&'a str>,
    rows: Vec<Vec<String>>,
}

impl<'a> Tree<'a> {
    /// Adds an instance and what it depends on; `first` stands before its name, `rest` before
    /// those below.
    fn add(&mut self, row: &'a Row, first: &str, rest: &str) {
        self.rows.push(vec![
            format!("{first}{}", row.name),
            show::engine(row),
            row.state.to_owned(),
            row.places(),
        ]);
        if !self.told.insert(row.name.as_str()) {
            return;
        }
        let below = row.depends_on.iter();
        let below: Vec<_> = below
            .filter_map(|name| self.by_name.get(name.as_str()).copied())
            .collect();
        let last = below.len().saturating_sub(1);
        for (at, row) in below.into_iter().enumerate() {
            let (branch, trunk) = if at == last {
                ("└─ ", "   ")
            } else {
                ("├─ ", "│  ")
            };
            self.add(row, &format!("{rest}{branch}"), &format!("{rest}{trunk}"));
        }
    }
}
