//! Checking a block against the table of its keys: all problems at once, each with the keys that
//! lead to it.

use doze_contract::protocol::{Checked, Problem};
use serde_json::{Map, Value};

use super::{Key, Kind, Rule, schema::default};

/// Checks `block` against `keys` and fills in the defaults.
pub fn check(keys: &[Key], block: &Map<String, Value>) -> Checked {
    let mut problems: Vec<_> = block
        .keys()
        .filter(|name| keys.iter().all(|key| key.name != *name))
        .map(|name| unknown(keys, name))
        .collect();
    let mut filled = Map::new();
    for key in keys {
        if let Some(value) = block.get(key.name) {
            problems.extend(value_problems(key, value));
            filled.insert(key.name.to_owned(), value.clone());
        } else if let Some(value) = default(key.kind) {
            filled.insert(key.name.to_owned(), value);
        }
    }
    Checked {
        block: Value::Object(filled),
        problems,
    }
}

fn unknown(keys: &[Key], name: &str) -> Problem {
    // A slip of the finger is one edit in three letters; a greater distance is another word.
    let near = keys
        .iter()
        .map(|key| (strsim::damerau_levenshtein(name, key.name), key.name))
        .filter(|(distance, _)| *distance <= (name.chars().count() / 3).max(1))
        .min();
    Problem {
        at: vec![name.to_owned()],
        key: true,
        message: "is no key of this engine".to_owned(),
        hint: Some(near.map_or_else(
            || {
                let names: Vec<_> = keys.iter().map(|key| key.name).collect();
                format!("the keys are {}", names.join(", "))
            },
            |(_, near)| format!("did you mean `{near}`?"),
        )),
    }
}

fn value_problems(key: &Key, value: &Value) -> Vec<Problem> {
    let one = |(message, hint)| {
        vec![Problem {
            at: vec![key.name.to_owned()],
            key: false,
            message,
            hint,
        }]
    };
    let flaw = match (key.kind, value) {
        (Kind::Flag { .. } | Kind::FlagOrText { .. }, Value::Bool(_)) => Ok(()),
        (Kind::Text { rule, .. } | Kind::FlagOrText { rule, .. }, Value::String(text)) => {
            obey(rule, text)
        }
        (Kind::Number { min, max, .. }, Value::Number(number)) => {
            let whole = number.as_i64();
            if whole.is_some_and(|whole| (min..=max).contains(&whole)) {
                Ok(())
            } else if number.is_f64() {
                Err(expected(key.kind, value))
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
        (Kind::Settings { .. }, Value::Object(settings)) => {
            return settings
                .iter()
                .filter_map(|(name, value)| setting_problem(key, name, value))
                .collect();
        }
        _ => Err(expected(key.kind, value)),
    };
    flaw.err().map(one).unwrap_or_default()
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
    let problem = |of_key, message| Problem {
        at: vec![key.name.to_owned(), name.to_owned()],
        key: of_key,
        message,
        hint: None,
    };
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
        Kind::Text { .. } | Kind::Choice { .. } => "a string",
        Kind::FlagOrText { .. } => "a boolean or a string",
        Kind::Settings { .. } => "a table",
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
mod tests {
    use serde_json::json;

    use super::*;
    use crate::block::{any, schema};

    const KEYS: &[Key] = &[
        Key {
            name: "sync",
            kind: Kind::Flag { default: true },
            doc: "Waits.",
        },
        Key {
            name: "workers",
            kind: Kind::Number {
                default: 4,
                min: 1,
                max: 9,
            },
            doc: "How many.",
        },
        Key {
            name: "title",
            kind: Kind::Text {
                default: None,
                rule: |text| match text {
                    "" => Err("is empty".to_owned()),
                    _ => Ok(()),
                },
            },
            doc: "A title.",
        },
        Key {
            name: "level",
            kind: Kind::Choice {
                default: Some("low"),
                of: &["low", "high"],
            },
            doc: "A level.",
        },
        Key {
            name: "settings",
            kind: Kind::Settings {
                owned: &[("port", "is made by doze")],
                name: any,
                value: any,
            },
            doc: "More.",
        },
    ];

    fn checked(block: Value) -> Checked {
        let Value::Object(block) = block else {
            panic!("a block is an object");
        };
        check(KEYS, &block)
    }

    fn problems(block: Value) -> Vec<(String, bool, String)> {
        let problem = |p: Problem| (p.at.join("."), p.key, p.message);
        checked(block).problems.into_iter().map(problem).collect()
    }

    #[test]
    fn what_is_left_out_gets_its_default_or_stays_out() {
        let checked = checked(json!({ "workers": 2 }));
        assert_eq!(checked.problems, []);
        assert_eq!(
            checked.block,
            json!({ "sync": true, "workers": 2, "level": "low", "settings": {} })
        );
    }

    #[test]
    fn all_problems_are_told_at_once_each_with_its_path() {
        let found = problems(json!({
            "sync": "yes", "workers": 0, "title": "", "level": "mid", "wrkers": 1,
            "settings": { "Port": 1, "x": [], "y": 1.5 },
        }));
        let told = |at: &str, key, message: &str| (at.to_owned(), key, message.to_owned());
        assert_eq!(
            found,
            [
                told("wrkers", true, "is no key of this engine"),
                told("sync", false, "has to be a boolean, not a string"),
                told("workers", false, "has to be 1 to 9, not 0"),
                told("title", false, "is empty"),
                told("level", false, "cannot be `mid`"),
                told("settings.Port", true, "is made by doze"),
                told(
                    "settings.x",
                    false,
                    "has to be a string, a number or a boolean, not an array"
                ),
            ]
        );
    }

    #[test]
    fn a_wrong_type_names_both_types() {
        for (block, message) in [
            (
                json!({ "workers": 1.5 }),
                "has to be a whole number, not a number with a fraction",
            ),
            (
                json!({ "workers": true }),
                "has to be a whole number, not a boolean",
            ),
            (json!({ "title": 7 }), "has to be a string, not a number"),
            (
                json!({ "settings": "x" }),
                "has to be a table, not a string",
            ),
            (
                json!({ "workers": u64::MAX }),
                "has to be 1 to 9, not 18446744073709551615",
            ),
        ] {
            assert_eq!(problems(block)[0].2, message);
        }
    }

    #[test]
    fn an_unknown_key_is_answered_with_the_nearest_or_with_all() {
        let hint = |name: &str| {
            let block = Map::from_iter([(name.to_owned(), json!(1))]);
            check(KEYS, &block).problems[0].hint.clone().unwrap()
        };
        assert_eq!(hint("wrokers"), "did you mean `workers`?");
        assert_eq!(hint("synk"), "did you mean `sync`?");
        assert_eq!(
            hint("colour"),
            "the keys are sync, workers, title, level, settings"
        );
    }

    #[test]
    fn the_schema_tells_the_same_table() {
        let schema = schema(KEYS);
        assert_eq!(schema["additionalProperties"], json!(false));
        assert_eq!(
            schema["properties"]["workers"],
            json!({ "type": "integer", "minimum": 1, "maximum": 9, "default": 4, "description": "How many." })
        );
        assert_eq!(
            schema["properties"]["title"],
            json!({ "type": "string", "description": "A title." })
        );
        assert_eq!(
            schema["properties"]["settings"]["propertyNames"],
            json!({ "not": { "enum": ["port"] } })
        );
    }
}
