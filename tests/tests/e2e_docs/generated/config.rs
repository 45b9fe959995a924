//! The tables of keys in `docs/reference/config.md`, from what `doze schema` is made of.

use std::fs;

use doze_tests::programs::workspace;
use serde_json::Value;

use super::{fill, keys, settle};

const PAGE: &str = "docs/reference/config.md";

/// What the tables of the page are called, with where in the schema their keys are.
const TABLES: [(&str, &str); 5] = [
    ("project", ""),
    ("defaults", "/properties/defaults"),
    ("variables", "/properties/variables/additionalProperties"),
    (
        "outputs",
        "/properties/outputs/additionalProperties/anyOf/0",
    ),
    ("registries", "/properties/registries/additionalProperties"),
];

#[test]
fn config_md_has_the_keys_of_the_schema() {
    let there = fs::read_to_string(workspace().join(PAGE)).expect("the page is there");
    let project = doze::schema::project_keys();
    let instance = doze::schema::instance_keys();
    let mut made = 0;
    let text = fill(&there, |name| {
        made += 1;
        let schema: Option<&Value> = match name {
            "instance" => Some(&instance),
            "limits" => instance.pointer("/properties/limits/anyOf/0"),
            _ => {
                let (_, path) = TABLES.iter().find(|(table, _)| *table == name)?;
                project.pointer(path)
            }
        };
        schema.map(keys)
    });
    assert_eq!(made, TABLES.len() + 2, "each of the tables once");
    settle(PAGE, &text);
}
