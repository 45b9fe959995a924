//! Checking a block against the table of its keys: all problems at once, each with the keys that
//! lead to it.

use doze_contract::protocol::{Checked, Problem};
use serde_json::{Map, Value};

use super::{Key, Kind, Rule, schema::default};

/// Checks `block` against `keys` and fills in the defaults.
pub fn check(keys: &[Key], block: &Map<String, Value>) -> Checked {
    table(keys, "this engine", block)
}

/// The one of `names` that somebody meant who wrote `name`, if one is near enough.
pub fn nearest<'a>(name: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // A slip of the finger is one edit in three letters; a greater distance is another word.
    let most = (name.chars().count() / 3).max(1);
    let distances = names
        .into_iter()
        .map(|near| (strsim::damerau_levenshtein(name, near), near));
    let near = distances.filter(|(distance, _)| *distance <= most).min();
    near.map(|(_, near)| near)
}

/// Checks one table, which is `of` something.
fn table(keys: &[Key], of: &str, found: &Map<String, Value>) -> Checked {
    let mut problems: Vec<_> = found
        .keys()
        .filter(|name| keys.iter().all(|key| key.name != *name))
        .map(|name| unknown(keys, of, name))
        .collect();
    let mut filled = Map::new();
    for key in keys {
        if let Some(value) = found.get(key.name) {
            let mut checked = checked(key, value);
            under(key.name, &mut checked.problems);
            problems.append(&mut checked.problems);
            filled.insert(key.name.to_owned(), checked.block);
        } else if let Some(value) = default(key.kind) {
            filled.insert(key.name.to_owned(), value);
        } else if let Kind::Needed { .. } = key.kind {
            problems.push(problem(&[key.name], false, ("is missing".to_owned(), None)));
        }
    }
    Checked {
        block: Value::Object(filled),
        problems,
    }
}

/// Puts a key before the ones that lead to each problem.
fn under(key: &str, problems: &mut [Problem]) {
    for problem in problems {
        problem.at.insert(0, key.to_owned());
    }
}

fn unknown(keys: &[Key], of: &str, name: &str) -> Problem {
    let near = nearest(name, keys.iter().map(|key| key.name));
    Problem {
        at: vec![name.to_owned()],
        key: true,
        message: format!("is no key of {of}"),
        hint: Some(near.map_or_else(
            || {
                let names: Vec<_> = keys.iter().map(|key| key.name).collect();
                format!("the keys are {}", names.join(", "))
            },
            |near| format!("did you mean `{near}`?"),
        )),
    }
}

/// The value of a key with the defaults inside it, and what is wrong with it, told from there.
fn checked(key: &Key, value: &Value) -> Checked {
    let problems = match (key.kind, value) {
        (Kind::Tables { name, keys }, Value::Object(tables)) => {
            return named_tables(key, name, keys, tables);
        }
        (Kind::Table { keys }, Value::Object(found)) => {
            return table(keys, &format!("`{}`", key.name), found);
        }
        (Kind::TableList { keys }, Value::Array(tables)) => {
            return listed_tables(key, keys, tables);
        }
        (Kind::Settings { .. }, Value::Object(settings)) => settings
            .iter()
            .filter_map(|(name, value)| setting_problem(key, name, value))
            .collect(),
        (Kind::Texts { rule } | Kind::OneOrMany { rule }, Value::Array(items)) => items
            .iter()
            .enumerate()
            .filter_map(|(at, item)| item_problem(rule, at, item))
            .collect(),
        _ => {
            let flaw = scalar_flaw(key.kind, value).err();
            flaw.map(|flaw| problem(&[], false, flaw))
                .into_iter()
                .collect()
        }
    };
    Checked {
        block: value.clone(),
        problems,
    }
}

fn scalar_flaw(kind: Kind, value: &Value) -> Result<(), Flaw> {
    match (kind, value) {
        (Kind::Flag { .. } | Kind::FlagOrText { .. }, Value::Bool(_)) => Ok(()),
        (
            Kind::Text { rule, .. }
            | Kind::Needed { rule, .. }
            | Kind::NumberOrText { rule, .. }
            | Kind::FlagOrText { rule, .. }
            | Kind::OneOrMany { rule },
            Value::String(text),
        ) => obey(rule, text),
        (
            Kind::Number { min, max, .. } | Kind::NumberOrText { min, max, .. },
            Value::Number(number),
        ) => {
            let whole = number.as_i64();
            if whole.is_some_and(|whole| (min..=max).contains(&whole)) {
                Ok(())
            } else if number.is_f64() {
                Err(expected(kind, value))
            } else {
                Err((format!("has to be {min} to {max}, not {number}"), None))
            }
        }
        (Kind::Choice { of, .. }, Value::String(text)) => {
            if of.contains(&text.as_str()) {
                Ok(())
            } else {
                let words = of.join(", ");
                Err((
                    format!("cannot be `{text}`"),
                    Some(format!("the values are {words}")),
                ))
            }
        }
        _ => Err(expected(kind, value)),
    }
}

fn named_tables(key: &Key, rule: Rule, keys: &[Key], tables: &Map<String, Value>) -> Checked {
    let mut problems = Vec::new();
    let mut filled = Map::new();
    for (name, value) in tables {
        if let Err(flaw) = obey(rule, name) {
            problems.push(problem(&[name], true, flaw));
        }
        let Value::Object(found) = value else {
            let message = format!("has to be a table, not {}", what(value));
            // Who writes `[….role]` instead of `[….role.NAME]` finds a key where names are.
            let slip = keys.iter().any(|key| key.name == name);
            let hint = slip.then(|| format!("it belongs into a `{}` with a name", key.name));
            problems.push(problem(&[name], false, (message, hint)));
            continue;
        };
        let mut checked = table(keys, &format!("a `{}`", key.name), found);
        under(name, &mut checked.problems);
        problems.append(&mut checked.problems);
        filled.insert(name.clone(), checked.block);
    }
    Checked {
        block: Value::Object(filled),
        problems,
    }
}

fn listed_tables(key: &Key, keys: &[Key], tables: &[Value]) -> Checked {
    let mut problems = Vec::new();
    let mut filled = Vec::new();
    for (at, value) in tables.iter().enumerate() {
        let at = at.to_string();
        let Value::Object(found) = value else {
            let message = format!("has to be a table, not {}", what(value));
            problems.push(problem(&[&at], false, (message, None)));
            continue;
        };
        let mut checked = table(keys, &format!("a `{}`", key.name), found);
        under(&at, &mut checked.problems);
        problems.append(&mut checked.problems);
        filled.push(checked.block);
    }
    Checked {
        block: Value::Array(filled),
        problems,
    }
}

fn item_problem(rule: Rule, at: usize, item: &Value) -> Option<Problem> {
    let flaw = if let Value::String(text) = item {
        obey(rule, text).err()?
    } else {
        (format!("has to be a string, not {}", what(item)), None)
    };
    Some(problem(&[&at.to_string()], false, flaw))
}

fn problem(at: &[&str], key: bool, (message, hint): Flaw) -> Problem {
    Problem {
        at: at.iter().map(ToString::to_string).collect(),
        key,
        message,
        hint,
    }
}

fn setting_problem(key: &Key, name: &str, value: &Value) -> Option<Problem> {
    let Kind::Settings {
        owned,
        name: name_rule,
        value: value_rule,
    } = key.kind
    else {
        return None;
    };
    let problem = |of_key, message| problem(&[name], of_key, (message, None));
    let lower = name.to_ascii_lowercase();
    if let Some((_, reason)) = owned.iter().find(|(owned, _)| *owned == lower) {
        return Some(problem(true, (*reason).to_owned()));
    }
    if let Err((message, _)) = obey(name_rule, name) {
        return Some(problem(true, message));
    }
    match value {
        Value::Bool(_) | Value::Number(_) => None,
        Value::String(text) => {
            let (message, _) = obey(value_rule, text).err()?;
            Some(problem(false, message))
        }
        Value::Null | Value::Array(_) | Value::Object(_) => Some(problem(
            false,
            format!(
                "has to be a string, a number or a boolean, not {}",
                what(value)
            ),
        )),
    }
}

/// A message and a hint.
type Flaw = (String, Option<String>);

fn obey(rule: Rule, text: &str) -> Result<(), Flaw> {
    // The text is not repeated: it may be a secret, and its place is told.
    rule(text).map_err(|message| (message, None))
}

fn expected(kind: Kind, found: &Value) -> Flaw {
    let kind = match kind {
        Kind::Flag { .. } => "a boolean",
        Kind::Number { .. } => "a whole number",
        Kind::Text { .. } | Kind::Needed { .. } | Kind::Choice { .. } => "a string",
        Kind::NumberOrText { .. } => "a whole number or a string",
        Kind::FlagOrText { .. } => "a boolean or a string",
        Kind::Settings { .. } | Kind::Table { .. } | Kind::Tables { .. } => "a table",
        Kind::Texts { .. } => "an array of strings",
        Kind::OneOrMany { .. } => "a string or an array of strings",
        Kind::TableList { .. } => "an array of tables",
    };
    (format!("has to be {kind}, not {}", what(found)), None)
}

fn what(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "a boolean",
        Value::Number(number) if number.is_f64() => "a number with a fraction",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "a table",
    }
}

#[cfg(test)]
mod tests;
