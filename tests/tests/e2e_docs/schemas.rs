//! The schemas in `docs/reference/schemas`, put to what the commands print.

use std::collections::BTreeSet;
use std::fs;

use doze_tests::programs::workspace;
use doze_tests::project::{Mode, Project, output};
use doze_tests::{World, needed};
use jsonschema::Validator;
use serde_json::{Value, json};

use crate::markdown::Page;

fn schema(name: &str) -> Value {
    let path = workspace().join(format!("docs/reference/schemas/{name}.json"));
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{name}: {error}"));
    serde_json::from_str(&text).expect("a schema is JSON")
}

fn validator(name: &str) -> Validator {
    jsonschema::draft202012::new(&schema(name)).expect("a schema of draft 2020-12")
}

/// Holds what was printed against the schema, and makes sure that the schema would notice a key
/// that is gone or new.
#[track_caller]
fn fits(name: &str, printed: &str) -> Value {
    let value: Value =
        serde_json::from_str(printed).unwrap_or_else(|error| panic!("{error}: {printed}"));
    let validator = validator(name);
    let errors = validator.iter_errors(&value);
    let errors: Vec<_> = errors
        .map(|error| format!("{error} at {}", error.instance_path()))
        .collect();
    assert_eq!(errors, [""; 0], "{name}: {printed}");
    if schema(name).get("required").is_some() {
        for key in value.as_object().expect("an object").keys() {
            let mut less = value.clone();
            less.as_object_mut().expect("an object").remove(key);
            assert!(!validator.is_valid(&less), "{name} does without {key}");
        }
        let mut more = value.clone();
        let keys = more.as_object_mut().expect("an object");
        keys.insert("whatever".to_owned(), json!(1));
        assert!(!validator.is_valid(&more), "{name} takes any key");
    }
    value
}

#[test]
fn every_schema_is_one_and_is_listed() {
    let links = Page::read("docs/reference/json.md").links().into_iter();
    let listed: BTreeSet<_> = links
        .filter_map(|link| {
            Some(
                link.strip_prefix("schemas/")?
                    .strip_suffix(".json")?
                    .to_owned(),
            )
        })
        .collect();
    let files = fs::read_dir(workspace().join("docs/reference/schemas")).expect("it is there");
    let names = files.map(|file| file.expect("it can be listed").path());
    let there: BTreeSet<_> = names
        .filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()))
        .collect();
    assert_eq!(listed, there);
    for name in there {
        let schema = schema(&name);
        jsonschema::draft202012::meta::validate(&schema)
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        for key in ["title", "description"] {
            assert!(
                schema.get(key).is_some_and(Value::is_string),
                "{name} has no {key}"
            );
        }
    }
}

#[test]
fn a_project_prints_what_the_schemas_say() {
    let Some(project) = Project::new(Mode::Systemd, "1h") else {
        return;
    };
    let toml = project.toml("1h");
    let outputs = "[outputs]\nurl = \"${postgres.app.url}\"\n[outputs.secret]\nvalue = [1, { a = true }]\n\
                   description = \"x\"\nsensitive = true\n";
    project.declare(&format!("{toml}\n{outputs}"));
    let plan = fits("plan", &project.run(&["plan", "--json"]));
    assert_ne!(plan["files"], json!([]));
    assert_ne!(plan["units"], json!([]));

    project.run(&["up"]);
    project.run(&["wake", "app"]);
    let owned = toml.replace(
        "owner = \"app\"",
        "owner = \"other\"\nsettings = { work_mem = \"8MB\" }",
    );
    assert_ne!(owned, toml);
    project.declare(&format!("{owned}\n{outputs}"));
    let plan = fits("plan", &project.run(&["plan", "--json"]));
    assert_ne!(plan["restarts"], json!([]));
    assert_ne!(plan["structure"], json!([]));

    let outputs = fits("output", &project.run(&["output", "--json"]));
    assert_eq!(outputs["secret"]["value"], Value::Null);
    let env = fits("env", &project.run(&["env", "--json"]));
    assert!(env.get("DATABASE_URL").is_some(), "{env}");
}

#[test]
fn a_wrong_project_is_told_as_the_schema_says() {
    let world = World::new();
    world.write(
        "home/doze.toml",
        "[postgres.app]\nversion = 17\n[valkey.app]\nport = 0\n",
    );
    let mut plan = world.command("doze");
    let said = output(
        plan.args(["plan", "--format", "json"])
            .current_dir(world.home()),
    );
    let told = fits("diagnostics", &String::from_utf8_lossy(&said.stderr));
    assert!(
        told["diagnostics"]
            .as_array()
            .is_some_and(|all| all.len() > 1),
        "{told}"
    );
    world.run(&["rm", "doze.toml"]);
    let mut plan = world.command("doze");
    let said = output(
        plan.args(["plan", "--format", "json"])
            .current_dir(world.home()),
    );
    let told = fits("diagnostics", &String::from_utf8_lossy(&said.stderr));
    assert_eq!(told["diagnostics"], Value::Null);
}

#[test]
fn a_tested_driver_is_reported_as_the_schema_says() {
    let Some(valkey) = needed("a Valkey", doze_tests::engines::valkey()) else {
        return;
    };
    let world = World::new();
    let bindir = world.bindir(&valkey);
    let mut test = world.command("doze");
    test.args(["driver", "test", "--json", "--toolchain"])
        .arg(bindir)
        .arg(world.programs().join("doze-driver-valkey"));
    let told = fits("driver-test", &doze_tests::project::succeed(&mut test));
    assert_ne!(told["rules"], json!([]));
}
