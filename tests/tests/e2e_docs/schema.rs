//! The JSON Schema of `doze.toml`, put to another implementation: it is one, it takes every example
//! and fixture, and it refuses what it can.

use std::fs;

use doze_tests::World;
use doze_tests::programs::workspace;
use jsonschema::Validator;
use serde_json::Value;

use crate::markdown::{Page, code, pages, rows};

fn schema() -> Value {
    let printed = World::new().run(&["doze", "schema"]);
    serde_json::from_str(&printed).expect("a schema is JSON")
}

fn validator() -> Validator {
    jsonschema::draft7::new(&schema()).expect("a schema of draft-07")
}

/// What the schema has against a file.
fn errors(validator: &Validator, toml: &str) -> Vec<String> {
    let value: Value = toml::from_str(toml).expect("TOML");
    let errors = validator.iter_errors(&value);
    errors
        .map(|error| format!("{} at {}", error, error.instance_path()))
        .collect()
}

#[test]
fn it_is_a_schema() {
    jsonschema::draft7::meta::validate(&schema()).expect("a schema of draft-07");
}

#[test]
fn it_takes_every_example_and_refuses_unknown_keys() {
    let validator = validator();
    let (mut right, mut wrong) = (0, 0);
    for page in pages() {
        for block in page
            .blocks()
            .iter()
            .filter(|block| block.is("toml") && block.file().is_none())
        {
            let found = errors(&validator, &block.lines.join("\n"));
            match block.info.get(1..) {
                Some([mark, codes @ ..]) if mark == "wrong" => {
                    // That a key or an engine is unknown, the schema can tell.
                    if codes.iter().any(|code| code == "D002") {
                        wrong += 1;
                        assert_ne!(found, [""; 0], "{}", block.place);
                    }
                }
                _ => {
                    right += 1;
                    assert_eq!(found, [""; 0], "{}", block.place);
                }
            }
        }
    }
    assert!(
        right >= 8 && wrong >= 1,
        "only {right} and {wrong} examples found"
    );
}

#[test]
fn it_takes_every_fixture() {
    let validator = validator();
    let files = [
        ("tests/tests/import", "imported/doze.toml"),
        ("tests/tests/compiled", "doze.toml"),
    ];
    let mut seen = 0;
    for (folder, name) in files {
        for entry in fs::read_dir(workspace().join(folder)).expect("the fixtures are there") {
            let path = entry.expect("it can be listed").path().join(name);
            let toml = fs::read_to_string(&path).expect("a fixture is text");
            seen += 1;
            assert_eq!(errors(&validator, &toml), [""; 0], "{}", path.display());
        }
    }
    assert!(seen >= 7, "only {seen} fixtures found");
}

/// What stands for a value of another type is a text with an expression, and no other text.
#[test]
fn an_expression_stands_for_any_value_and_another_text_does_not() {
    let validator = validator();
    let block =
        |port: &str, rest: &str| format!("[postgres.app]\nversion = 17\nport = {port}\n{rest}\n");
    for (port, rest, is_right) in [
        (
            "\"${var.port}\"",
            "count = \"${var.n}\"\nfsync = \"${var.x}\"",
            true,
        ),
        ("\"5432\"", "", false),
        ("5432", "fsync = \"yes\"", false),
        ("5432", "max_connections = \"${each.value.n}\"", true),
        ("70000", "", false),
        (
            "5432",
            "depends_on = { cache = \"lazy\" }\nlimits = { memory = \"1GB\", tasks = 9 }",
            true,
        ),
        ("5432", "depends_on = { cache = \"late\" }", false),
        (
            "5432",
            "[postgres.app.settings]\nwork_mem = \"${local.x}\"",
            true,
        ),
        (
            "5432",
            "[variables.x]\ntype = \"number\"\ndefault = 1\nsensitive = true",
            true,
        ),
        (
            "5432",
            "[profile.ci.postgres.app]\nport = 1\n[profile.ci.defaults]\nidle_timeout = \"1s\"",
            true,
        ),
        ("5432", "[profile.ci.postgres.app]\nprot = 1", false),
        (
            "5432",
            "[outputs.url]\nvalue = \"${postgres.app.url}\"\n[locals]\na = [1]",
            true,
        ),
        ("5432", "[no_such_engine.x]\nversion = 1", false),
    ] {
        let toml = block(port, rest);
        assert_eq!(errors(&validator, &toml).is_empty(), is_right, "{toml}");
    }
}

#[test]
fn it_has_every_key_of_an_instance() {
    let schema = schema();
    let page = Page::read("docs/reference/config.md");
    let listed = rows(&page.section("An instance"));
    let listed = listed
        .iter()
        .filter_map(|row| code(row.first()?).into_iter().next());
    let listed: Vec<String> = listed.collect();
    assert!(listed.len() >= 7, "{listed:?}");
    for key in listed {
        for engine in ["postgres", "valkey"] {
            let path = format!("/definitions/{engine}/properties/{key}");
            assert!(schema.pointer(&path).is_some(), "{path}");
        }
    }
}
