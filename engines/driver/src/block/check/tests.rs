//! Blocks with all that can be wrong with them.

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
            rule: not_empty,
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
    Key {
        name: "parts",
        kind: Kind::Texts { rule: not_empty },
        doc: "Parts.",
    },
    Key {
        name: "role",
        kind: Kind::Tables {
            name: not_empty,
            keys: ROLE,
        },
        doc: "Roles.",
    },
    Key {
        name: "grant",
        kind: Kind::TableList { keys: ROLE },
        doc: "Grants.",
    },
];

const ROLE: &[Key] = &[
    Key {
        name: "password",
        kind: Kind::Text {
            default: None,
            rule: not_empty,
        },
        doc: "A password.",
    },
    Key {
        name: "login",
        kind: Kind::Flag { default: true },
        doc: "May log in.",
    },
];

fn not_empty(text: &str) -> Result<(), String> {
    match text {
        "" => Err("is empty".to_owned()),
        _ => Ok(()),
    }
}

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
        json!({
            "sync": true, "workers": 2, "level": "low", "settings": {}, "parts": [], "role": {}, "grant": [],
        })
    );
}

#[test]
fn named_tables_are_checked_and_filled_each_by_itself() {
    let checked = checked(json!({ "role": { "web": { "password": "x" }, "b%": {} } }));
    assert_eq!(checked.problems, []);
    assert_eq!(
        checked.block["role"],
        json!({ "web": { "password": "x", "login": true }, "b%": { "login": true } })
    );
}

#[test]
fn listed_tables_are_checked_and_filled_each_by_itself() {
    let checked = checked(json!({ "grant": [{ "password": "x" }, { "login": false }] }));
    assert_eq!(checked.problems, []);
    assert_eq!(
        checked.block["grant"],
        json!([{ "password": "x", "login": true }, { "login": false }])
    );
}

#[test]
fn the_nearest_name_is_one_slip_of_the_finger_away() {
    let names = ["billing", "stock"];
    assert_eq!(nearest("biling", names), Some("billing"));
    assert_eq!(nearest("sales", names), None);
}

#[test]
fn problems_inside_tables_and_lists_tell_the_whole_path() {
    let found = problems(json!({
        "parts": ["", 1, "x"],
        "role": { "": {}, "login": true, "web": { "pasword": "s3cret", "login": "s3cret", "password": "" } },
        "grant": [{}, 1, { "login": 1 }],
    }));
    let told = |at: &str, key, message: &str| (at.to_owned(), key, message.to_owned());
    assert_eq!(
        found,
        [
            told("parts.0", false, "is empty"),
            told("parts.1", false, "has to be a string, not a number"),
            told("role.", true, "is empty"),
            told("role.login", false, "has to be a table, not a boolean"),
            told("role.web.pasword", true, "is no key of a `role`"),
            told("role.web.password", false, "is empty"),
            told("role.web.login", false, "has to be a boolean, not a string"),
            told("grant.1", false, "has to be a table, not a number"),
            told("grant.2.login", false, "has to be a boolean, not a number"),
        ]
    );
    let hint = |block: Value| checked(block).problems[0].hint.clone().unwrap();
    assert_eq!(
        hint(json!({ "role": { "web": { "pasword": 1 } } })),
        "did you mean `password`?"
    );
    assert_eq!(
        hint(json!({ "role": { "password": "s3cret" } })),
        "it belongs into a `role` with a name"
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
        "the keys are sync, workers, title, level, settings, parts, role, grant"
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
    assert_eq!(
        schema["properties"]["parts"],
        json!({ "type": "array", "items": { "type": "string" }, "default": [], "description": "Parts." })
    );
    let role = &schema["properties"]["role"];
    assert_eq!(role["default"], json!({}));
    assert_eq!(
        role["additionalProperties"],
        json!({
            "type": "object",
            "properties": {
                "password": { "type": "string", "description": "A password." },
                "login": { "type": "boolean", "default": true, "description": "May log in." },
            },
            "additionalProperties": false,
        })
    );
    let grant = &schema["properties"]["grant"];
    assert_eq!(grant["items"], role["additionalProperties"]);
    assert_eq!(
        (&grant["type"], &grant["default"]),
        (&json!("array"), &json!([]))
    );
}
