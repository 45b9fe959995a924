//! What instances say of each other.

use doze_contract::plan::Condition::{Healthy, Started};

use crate::folder::Folder;

/// A database that says this besides.
fn app(line: &str) -> String {
    format!(
        "[postgres.app]\nversion = 17\nport = 5432\n{line}\n\n\
         [valkey.cache]\nversion = 8\nport = 6379\npassword = \"s3cret\"\n"
    )
}

const REFERENCE: &str = "settings.\"app.cache\" = \"${valkey.cache.url}\"";

#[test]
fn a_reference_has_the_value_of_the_other_instance_and_waits_until_that_is_healthy() {
    let compiled = Folder::of(&app(REFERENCE)).compiled();
    assert!(compiled.configures("app", "redis://default:s3cret@127.0.0.1:6379/0"));
    assert_eq!(compiled.holds("app"), [("cache".to_owned(), Healthy)]);
    assert_eq!(compiled.holds("cache"), []);
}

#[test]
fn every_common_attribute_can_be_asked_for() {
    for (attribute, value) in [
        ("name", "cache"),
        ("engine", "valkey"),
        ("address", "127.0.0.1:6379"),
        ("host", "127.0.0.1"),
        ("port", "6379"),
        ("url", "redis://default:s3cret@127.0.0.1:6379/0"),
        ("env_var", "REDIS_URL"),
    ] {
        let line = format!("settings.\"a.b\" = \"<${{valkey.cache.{attribute}}}>\"");
        let compiled = Folder::of(&app(&line)).compiled();
        assert!(
            compiled.configures("app", &format!("<{value}>")),
            "{attribute}"
        );
    }
}

#[test]
fn a_reference_in_brackets_is_a_reference() {
    let line = "settings.\"a.b\" = '${valkey[\"cache\"].port}'";
    let compiled = Folder::of(&app(line)).compiled();
    assert_eq!(compiled.holds("app"), [("cache".to_owned(), Healthy)]);
}

#[test]
fn a_reference_to_an_instance_that_is_not_declared_is_an_error_with_file_and_line() {
    let line = "settings.\"a.b\" = \"${valkey.cahce.url}\"";
    assert_eq!(
        Folder::of(&app(line)).problems(),
        ["D012 doze.toml:4 there is no valkey instance `cahce` [did you mean `cache`?]"]
    );
}

#[test]
fn instances_that_refer_to_each_other_in_a_circle_are_an_error_with_every_place() {
    let toml = app(REFERENCE) + "settings.proc-title-template = \"${postgres.app.url}\"\n";
    assert_eq!(
        Folder::of(&toml).problems(),
        ["D013 doze.toml:10 these instances depend on each other in a circle (doze.toml:4)"]
    );
}

#[test]
fn an_instance_that_refers_to_itself_is_an_error() {
    let line = "settings.\"a.b\" = \"${postgres.app.url}\"";
    assert_eq!(
        Folder::of(&app(line)).problems(),
        ["D013 doze.toml:4 `app` depends on itself"]
    );
}

#[test]
fn a_dependency_that_is_not_declared_is_an_error_with_the_nearest_name() {
    assert_eq!(
        Folder::of(&app("depends_on = [\"cash\"]")).problems(),
        ["D012 doze.toml:4 there is no instance `cash` [did you mean `cache`?]"]
    );
}

#[test]
fn a_condition_that_does_not_exist_is_an_error_with_those_that_do() {
    assert_eq!(
        Folder::of(&app("depends_on = { cache = \"soon\" }")).problems(),
        [
            "D005 doze.toml:4 there is no condition `soon` [the conditions are healthy, started, lazy]"
        ]
    );
}

#[test]
fn depends_on_overrides_the_condition_of_a_reference() {
    for (condition, holds) in [
        ("healthy", vec![("cache".to_owned(), Healthy)]),
        ("started", vec![("cache".to_owned(), Started)]),
        ("lazy", vec![]),
    ] {
        for name in ["cache", "\"valkey.cache\""] {
            let line = format!("{REFERENCE}\ndepends_on = {{ {name} = \"{condition}\" }}");
            let compiled = Folder::of(&app(&line)).compiled();
            assert_eq!(compiled.holds("app"), holds, "{name} = {condition}");
            assert!(compiled.configures("app", "redis://default:s3cret@127.0.0.1:6379/0"));
        }
    }
}

/// A circle of which one way is lazy is none: nobody waits on it.
#[test]
fn whoever_is_depended_on_lazily_may_depend_in_turn() {
    let toml = app("depends_on = { cache = \"lazy\" }") + "depends_on = \"app\"\n";
    let compiled = Folder::of(&toml).compiled();
    assert_eq!(compiled.holds("app"), []);
    assert_eq!(compiled.holds("cache"), [("app".to_owned(), Healthy)]);
}

#[test]
fn a_reference_to_one_of_several_stamped_instances_is_a_dependency_on_that_one() {
    let toml = "[postgres.app]\nversion = 17\nport = 5432\n\
         settings.\"a.b\" = \"<${valkey.shard_1.port} ${valkey.tenant_acme.port}>\"\n\n\
         [valkey.shard]\nversion = 8\ncount = 3\nport = \"${6400 + count.index}\"\n\n\
         [valkey.tenant]\nversion = 8\nfor_each = { acme = 6500, umbrella = 6501 }\nport = \"${each.value}\"\n";
    let compiled = Folder::of(toml).compiled();
    assert!(compiled.configures("app", "<6401 6500>"));
    let mut holds = compiled.holds("app");
    holds.sort_by(|a, b| a.0.cmp(&b.0));
    let held = ["shard_1", "tenant_acme"].map(|name| (name.to_owned(), Healthy));
    assert_eq!(holds, held);
}
