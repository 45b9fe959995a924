//! `[locals]`: names for what is written or computed once and used often.

use std::collections::BTreeMap;

use super::{
    reader::Reader,
    scope::{Evaluator, Names, Visible},
    toml_tree::{Item, Table, Value},
};
use crate::{
    diagnostic::{Code, Diagnostic, Span},
    expression::{Known, Reference},
};

/// Reads `[locals]`.
pub(super) fn declared(reader: &mut Reader, problems: &mut Vec<Diagnostic>) -> Table {
    let table = reader.typed("locals", "a table", problems, |value| {
        value.as_table().cloned()
    });
    table.map(|at| at.value).unwrap_or_default()
}

/// The value of each, in the order in which they need each other.
pub(super) fn values(
    declared: &Table,
    visible: &Visible<'_>,
    evaluator: &Evaluator<'_>,
    problems: &mut Vec<Diagnostic>,
) -> Names {
    let needs: BTreeMap<&str, Vec<(String, Span)>> = declared
        .0
        .iter()
        .map(|(name, item)| {
            let needs = needs(declared, item, visible, evaluator, problems);
            (name.as_str(), needs)
        })
        .collect();
    let mut values = Names::new();
    for name in declared.in_order().into_iter().map(|(name, _)| name) {
        // The way from this one to one that is not evaluated yet, with how much was looked at.
        let mut way = vec![(name, 0)];
        while let Some((name, seen)) = way.last_mut() {
            let name = *name;
            let next = needs.get(name).and_then(|needs| needs.get(*seen));
            *seen += 1;
            if let Some((next, _)) = next.filter(|(next, _)| !values.contains_key(next)) {
                match way.iter().position(|(known, _)| known == next) {
                    Some(back) => {
                        let circle: Vec<_> = way.get(back..).unwrap_or_default().to_vec();
                        problems.extend(told(&circle, &needs));
                        for (name, _) in circle {
                            values.insert(name.to_owned(), None);
                        }
                    }
                    None => way.extend(needs.get_key_value(next.as_str()).map(|(k, _)| (*k, 0))),
                }
            } else if next.is_none() {
                if !values.contains_key(name)
                    && let Some(item) = declared.0.get(name)
                {
                    let visible = Visible {
                        locals: &values,
                        ..*visible
                    };
                    let value = value(item, &visible, evaluator, problems);
                    values.insert(name.to_owned(), value);
                }
                way.pop();
            }
        }
    }
    values
}

fn value(
    item: &Item,
    visible: &Visible<'_>,
    evaluator: &Evaluator<'_>,
    problems: &mut Vec<Diagnostic>,
) -> Option<Known> {
    let done = evaluator.item(item, visible, problems);
    let json = done
        .value
        .map_or(serde_json::Value::Null, |item| item.value.to_json());
    done.sound.then_some(Known {
        value: json,
        sensitive: done.sensitive,
    })
}

/// The other locals that one needs, and where it says so. What else is wrong with it is told when
/// it is evaluated.
fn needs(
    declared: &Table,
    item: &Item,
    visible: &Visible<'_>,
    evaluator: &Evaluator<'_>,
    problems: &mut Vec<Diagnostic>,
) -> Vec<(String, Span)> {
    let mut found = Vec::new();
    let mut open = vec![item];
    while let Some(item) = open.pop() {
        match &item.value {
            Value::Expression(expression) => {
                let all = match expression.references(evaluator.world(visible)) {
                    Ok(all) => all,
                    Err(problem) => {
                        // It is told once, and to nobody who evaluates.
                        problems.extend(problem.filter(|_| evaluator.budget.is_spent()));
                        Vec::new()
                    }
                };
                let local = |(reference, span)| {
                    let Reference::Local(name) = reference else {
                        return None;
                    };
                    declared.0.contains_key(&name).then_some((name, span))
                };
                found.extend(all.into_iter().filter_map(local));
            }
            Value::Array(items) => open.extend(items),
            Value::Table(table) => open.extend(table.0.values()),
            Value::Text(_)
            | Value::Integer(_)
            | Value::Float(_)
            | Value::Boolean(_)
            | Value::Datetime(_) => {}
        }
    }
    found
}

/// The last step is the one to edit, for the others were there when it was written.
fn told(
    circle: &[(&str, usize)],
    needs: &BTreeMap<&str, Vec<(String, Span)>>,
) -> Option<Diagnostic> {
    let step = |(name, seen): &(&str, usize)| {
        let (next, span) = needs.get(name)?.get(seen.checked_sub(1)?)?;
        Some((span.clone(), format!("`{name}` needs `{next}`")))
    };
    let (last, before) = circle.split_last()?;
    let (span, text) = step(last)?;
    let found = if before.is_empty() {
        Diagnostic::new(
            Code::Circle,
            span,
            format!("the local `{}` needs itself", last.0),
        )
    } else {
        let message = "these locals need each other in a circle";
        Diagnostic::new(Code::Circle, span, message).label(text)
    };
    let seen = before.iter().filter_map(step);
    Some(seen.fold(found, |found, (span, text)| found.see(span, text)))
}
