//! Which instance needs which: `depends_on`, and what can be wrong with it.
//!
//! Needs nothing but the names, so what is wrong is known before any driver is asked.

use std::collections::{BTreeMap, BTreeSet};

use doze_contract::InstanceName;

use super::{file::Block, reader::At};
use crate::diagnostic::{Code, Diagnostic, nearest};

/// The instances that a block needs, each once.
pub(super) fn names(blocks: &[Block], block: &Block) -> Vec<InstanceName> {
    let known = by_name(blocks);
    let mut names: Vec<InstanceName> = Vec::new();
    for needed in &block.depends_on {
        if let Some(needed) = known.get(needed.value.as_str())
            && !names.contains(&needed.name)
        {
            names.push(needed.name.clone());
        }
    }
    names
}

/// Reports what cannot be depended on.
pub(super) fn check(blocks: &[Block], problems: &mut Vec<Diagnostic>) {
    let known = by_name(blocks);
    for block in blocks {
        for needed in &block.depends_on {
            match known.get(needed.value.as_str()) {
                None => problems.push(unknown(blocks, block, needed)),
                Some(other) if block.enabled && !other.enabled => {
                    problems.push(disabled(block, needed, other));
                }
                Some(_) => {}
            }
        }
    }
    circles(blocks, &known, problems);
}

fn by_name(blocks: &[Block]) -> BTreeMap<&str, &Block> {
    let named = blocks.iter().map(|block| (block.name.as_str(), block));
    named.collect()
}

fn unknown(blocks: &[Block], block: &Block, needed: &At<String>) -> Diagnostic {
    let others = blocks.iter().map(|other| other.name.as_str());
    let others: Vec<_> = others.filter(|name| *name != block.name.as_str()).collect();
    let hint = match nearest(&needed.value, others.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None if others.is_empty() => "there is no other instance".into(),
        None => format!("the other instances are {}", others.join(", ")),
    };
    let message = format!("there is no instance `{}`", needed.value);
    Diagnostic::new(Code::Dependency, needed.span.clone(), message).hint(hint)
}

fn disabled(block: &Block, needed: &At<String>, other: &Block) -> Diagnostic {
    let message = format!(
        "`{}` depends on `{}`, which is disabled",
        block.name, other.name
    );
    Diagnostic::new(Code::Dependency, needed.span.clone(), message)
        .see(other.name_span.clone(), "this one has `enabled = false`")
        .hint(format!("enable `{}`, or disable both", other.name))
}

/// A step of the way from one block to the next.
struct Step<'a> {
    block: &'a Block,
    /// What was not looked at yet.
    rest: std::slice::Iter<'a, At<String>>,
    /// Where the way goes on.
    taken: Option<&'a At<String>>,
}

impl<'a> Step<'a> {
    fn to(block: &'a Block) -> Self {
        Self {
            block,
            rest: block.depends_on.iter(),
            taken: None,
        }
    }
}

/// Follows every dependency once, in the order of the file, and reports each that leads back to
/// where the way has come from.
fn circles(blocks: &[Block], known: &BTreeMap<&str, &Block>, problems: &mut Vec<Diagnostic>) {
    let mut done: BTreeSet<&str> = BTreeSet::new();
    for block in blocks {
        let mut way = vec![Step::to(block)];
        while let Some(step) = way.last_mut() {
            step.taken = step.rest.next();
            let Some(taken) = step.taken else {
                done.insert(step.block.name.as_str());
                way.pop();
                continue;
            };
            let name = taken.value.as_str();
            let back = way.iter().position(|step| step.block.name.as_str() == name);
            match (back, known.get(name)) {
                (Some(back), _) => problems.extend(circle(way.get(back..).unwrap_or_default())),
                (None, Some(next)) if !done.contains(name) => way.push(Step::to(next)),
                (None, _) => {}
            }
        }
    }
}

/// The last step is the one to edit, for the others were there when it was written.
fn circle(steps: &[Step<'_>]) -> Option<Diagnostic> {
    let (last, before) = steps.split_last()?;
    let label = |step: &Step<'_>| {
        let taken = step.taken?;
        let text = format!("`{}` depends on `{}`", step.block.name, taken.value);
        Some((taken.span.clone(), text))
    };
    let (span, text) = label(last)?;
    let found = if before.is_empty() {
        let message = format!("`{}` depends on itself", last.block.name);
        Diagnostic::new(Code::Circle, span, message)
    } else {
        let message = "these instances depend on each other in a circle";
        Diagnostic::new(Code::Circle, span, message).label(text)
    };
    let seen = before.iter().filter_map(label);
    Some(seen.fold(found, |found, (span, text)| found.see(span, text)))
}
