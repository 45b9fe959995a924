//! Variables and locals that no expression refers to: right, and most often a mistake.
//!
//! Must not know what else a project is made of.

use std::{collections::BTreeSet, rc::Rc};

use super::{
    file::File,
    scope::{Evaluator, Visible},
    toml_tree::{Table, Value},
};
use crate::{
    diagnostic::Span,
    expression::{Expression, Reference},
};

/// A name that is declared for nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unused {
    /// As expressions would say it, such as `var.tier`.
    pub name: String,
    /// Where it is declared.
    pub span: Span,
}

/// All that could refer to something, and what there is to refer to.
#[derive(Debug, Default)]
pub(super) struct Mentions {
    expressions: Vec<Rc<Expression>>,
    declared: Vec<(Reference, Span)>,
}

impl Mentions {
    /// What a whole project says, with all of its profiles.
    pub(super) fn of(table: &Table) -> Self {
        let mut expressions = Vec::new();
        collect(table, &mut expressions);
        let mut declared = Vec::new();
        for (word, reference) in [
            ("variables", Reference::Variable as fn(String) -> Reference),
            ("locals", Reference::Local),
        ] {
            let below = table.0.get(word).and_then(|item| item.value.as_table());
            for (name, item) in below.map(Table::in_order).unwrap_or_default() {
                declared.push((reference(name.to_owned()), item.key.clone()));
            }
        }
        Self {
            expressions,
            declared,
        }
    }
}

fn collect(table: &Table, found: &mut Vec<Rc<Expression>>) {
    table.0.values().for_each(|item| visit(&item.value, found));
}

fn visit(value: &Value, found: &mut Vec<Rc<Expression>>) {
    match value {
        Value::Expression(expression) => found.push(Rc::clone(expression)),
        Value::Array(items) => items.iter().for_each(|item| visit(&item.value, found)),
        Value::Table(table) => collect(table, found),
        Value::Text(_)
        | Value::Integer(_)
        | Value::Float(_)
        | Value::Boolean(_)
        | Value::Datetime(_) => {}
    }
}

impl File {
    /// The variables and locals that nobody refers to. Nothing is said of a file with an expression
    /// that cannot be read.
    pub fn unused(&self) -> Vec<Unused> {
        let evaluator = Evaluator::new(&self.sources, self.isolated);
        let visible = Visible {
            variables: &self.values.variables,
            locals: &self.values.locals,
            engines: &self.values.engines,
            ..Visible::NOTHING
        };
        let mut used = BTreeSet::new();
        for expression in &self.mentions.expressions {
            match expression.references(evaluator.world(&visible)) {
                Ok(found) => used.extend(found.into_iter().map(|(reference, _)| reference)),
                Err(_) => return Vec::new(),
            }
        }
        let unused = self.mentions.declared.iter();
        let unused = unused.filter(|(reference, _)| !used.contains(reference));
        unused
            .map(|(reference, span)| Unused {
                name: reference.to_string(),
                span: span.clone(),
            })
            .collect()
    }

    /// How many variables and locals there are.
    pub fn declared(&self) -> (usize, usize) {
        (self.values.variables.len(), self.values.locals.len())
    }
}
