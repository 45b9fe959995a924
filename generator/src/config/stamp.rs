//! `count` and `for_each`: several instances of one block.

use doze_contract::InstanceName;
use serde_json::Value as Json;

use super::{
    scope::{Evaluator, Stamp, Visible},
    toml_tree::Item,
};
use crate::{
    diagnostic::{Code, Diagnostic},
    expression::Known,
};

/// The most instances that one block makes.
const MOST: usize = 100_000;

/// The instances that a block makes, each with what it knows of itself; none if that cannot be
/// told. A block without both keys makes one.
pub(super) fn stamps(
    name: &str,
    count: Option<&Item>,
    for_each: Option<&Item>,
    visible: &Visible<'_>,
    evaluator: &Evaluator<'_>,
    problems: &mut Vec<Diagnostic>,
) -> Vec<(String, Stamp)> {
    let mut known = |item: &Item| {
        let done = evaluator.item(item, visible, problems);
        let sensitive = done.sensitive;
        done.value
            .filter(|_| done.sound)
            .map(|item| (item, sensitive))
    };
    match (count, for_each) {
        (None, None) => vec![(name.to_owned(), Stamp::default())],
        (Some(count), Some(for_each)) => {
            let message = format!("`{name}` has both `count` and `for_each`");
            let found = Diagnostic::new(Code::Stamp, for_each.key.clone(), message)
                .label("and this")
                .see(count.key.clone(), "this");
            problems.push(found.hint("one of them says how many there are"));
            Vec::new()
        }
        (Some(item), None) => known(item)
            .map(|(item, _)| counted(name, &item, problems))
            .unwrap_or_default(),
        (None, Some(item)) => known(item)
            .map(|(item, sensitive)| each(name, &item, sensitive, problems))
            .unwrap_or_default(),
    }
}

fn counted(name: &str, item: &Item, problems: &mut Vec<Diagnostic>) -> Vec<(String, Stamp)> {
    let number = item
        .value
        .as_integer()
        .and_then(|it| usize::try_from(it).ok());
    let Some(number) = number.filter(|number| *number <= MOST) else {
        let message = format!("`count` has to be a whole number from 0 to {MOST}");
        problems.push(Diagnostic::new(Code::Stamp, item.span.clone(), message));
        return Vec::new();
    };
    let stamp = |index: usize| {
        let stamp = Stamp {
            each: None,
            index: Some(index),
        };
        (format!("{name}_{index}"), stamp)
    };
    (0..number).map(stamp).collect()
}

fn each(
    name: &str,
    item: &Item,
    sensitive: bool,
    problems: &mut Vec<Diagnostic>,
) -> Vec<(String, Stamp)> {
    let pairs: Option<Vec<(String, Json)>> = match item.value.to_json() {
        Json::Object(map) => Some(map.into_iter().collect()),
        Json::Array(items) => {
            let key = |item: Json| Some((item.as_str()?.to_owned(), item));
            items.into_iter().map(key).collect()
        }
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => None,
    };
    let Some(mut pairs) = pairs.filter(|pairs| pairs.len() <= MOST) else {
        let message =
            format!("`for_each` has to be a table or a list of texts, of at most {MOST} items");
        let found = Diagnostic::new(Code::Stamp, item.span.clone(), message);
        problems.push(found.label(format!("this is {}", item.value.kind())));
        return Vec::new();
    };
    pairs.sort_by(|(a, _), (b, _)| a.cmp(b));
    if let Some(twice) = pairs
        .windows(2)
        .find(|two| matches!(two, [(a, _), (b, _)] if a == b))
    {
        let key = twice.first().map_or("", |(key, _)| key);
        let message = format!("`for_each` has {key:?} twice");
        problems.push(Diagnostic::new(Code::Stamp, item.span.clone(), message));
        return Vec::new();
    }
    let mut stamps = Vec::new();
    for (key, value) in pairs {
        let stamped = format!("{name}_{key}");
        if let Err(error) = InstanceName::new(stamped.as_str()) {
            let message = format!("the instance name {stamped:?} {error}");
            let found = Diagnostic::new(Code::Name, item.span.clone(), message);
            problems.push(found.hint("an instance is called like its block and the key"));
            continue;
        }
        let value = Known { value, sensitive };
        let stamp = Stamp {
            each: Some((key, value)),
            index: None,
        };
        stamps.push((stamped, stamp));
    }
    stamps
}
