//! What a block says, and what can be wrong with one.

use crate::folder::Folder;

const APP: &str = "[postgres.app]\nversion = 17\nport = 5432\n";

/// All that is wrong with a `doze.toml`.
#[track_caller]
fn problems(toml: &str) -> Vec<String> {
    Folder::of(toml).problems()
}

#[test]
fn a_project_and_its_instances_are_read() {
    let folder = Folder::of(
        "name = \"store\"\ndefaults.idle_timeout = \"90s\"\n\n[postgres.app]\nversion = \"17.4\"\n\
         listen = [\"127.0.0.1:5432\", \"[::1]:5433\"]\n\n[valkey.cache]\nversion = 8\nport = 6379\n\
         idle_timeout = \"never\"\nmaxmemory = \"64mb\"\n",
    );
    let compiled = folder.compiled();
    assert_eq!(compiled.names(), ["app", "cache"]);
    let app = compiled.plan("app");
    assert_eq!(
        (app.project.as_str(), app.engine.as_str()),
        ("store", "postgres")
    );
    assert_eq!(compiled.endpoints("app"), ["127.0.0.1:5432", "[::1]:5433"]);
    assert_eq!(compiled.endpoints("cache"), ["127.0.0.1:6379"]);
    assert_eq!(compiled.idle_seconds("app"), Some(90));
    assert_eq!(compiled.idle_seconds("cache"), None);
    assert!(compiled.configures("cache", "maxmemory"));
}

#[test]
fn a_missing_version_is_an_error_with_file_and_line() {
    assert_eq!(
        problems("\n[postgres.app]\nport = 5432\n"),
        ["D004 doze.toml:2 `app` has no version [add `version = 17`]"]
    );
}

#[test]
fn two_instances_of_one_name_are_an_error_with_both_places() {
    let toml = format!("{APP}\n[valkey.app]\nversion = 8\nport = 6379\n");
    assert_eq!(
        problems(&toml),
        [
            "D010 doze.toml:5 there are two instances called `app` (doze.toml:1) \
 [an instance is called by its name alone, so names are unique in a project]"
        ]
    );
}

#[test]
fn an_unknown_engine_is_an_error_with_the_nearest_one() {
    assert_eq!(
        problems("[postgers.app]\nversion = 17\nport = 5432\n"),
        ["D003 doze.toml:1 unknown engine `postgers` [did you mean `postgres`?]"]
    );
}

#[test]
fn an_unknown_key_is_an_error_with_the_nearest_one() {
    assert_eq!(
        problems(&format!("{APP}onwer = \"app\"\n")),
        ["D002 doze.toml:4 `onwer` is no key of this engine [did you mean `owner`?]"]
    );
}

#[test]
fn a_bad_duration_is_an_error_with_file_and_line() {
    let found = problems(&format!("{APP}idle_timeout = \"soon\"\n"));
    let [found] = found.as_slice() else {
        panic!("{found:?}");
    };
    assert!(
        found.starts_with("D006 doze.toml:4 \"soon\" is not a duration"),
        "{found}"
    );
}

#[test]
fn all_that_is_wrong_is_told_at_once() {
    let found = problems("[postgres.app]\nversion = 9\nport = 0\nonwer = 1\n\n[redis.x]\n");
    let codes: Vec<_> = found.iter().map(|it| it.split(' ').next()).collect();
    assert_eq!(
        codes,
        ["D014", "D005", "D002", "D003"].map(Some),
        "{found:#?}"
    );
}

#[test]
fn a_block_on_one_line_is_answered_with_how_it_is_written() {
    let found = problems("[postgres.app] version = 17\n");
    let [found] = found.as_slice() else {
        panic!("{found:?}");
    };
    assert!(found.starts_with("D001 doze.toml:1 "), "{found}");
    assert!(
        found.ends_with("[a key with its value takes a line of its own]"),
        "{found}"
    );
}

#[test]
fn an_instance_without_an_address_is_answered_with_a_port() {
    assert_eq!(
        problems("[postgres.app]\nversion = 17\n"),
        [
            "D004 doze.toml:1 `app` has no address [add `port = 5432`, or another port that nothing else uses]"
        ]
    );
}

#[test]
fn an_instance_on_a_unix_socket_alone_needs_no_port() {
    let folder = Folder::of("[postgres.app]\nversion = 17\nlisten = \"unix\"\n");
    let endpoints = folder.compiled().endpoints("app");
    assert_eq!(endpoints.len(), 1);
    assert!(endpoints.concat().starts_with("unix:/"), "{endpoints:?}");
}

#[test]
fn a_port_that_two_instances_claim_is_an_error_with_both_places() {
    let toml = format!("{APP}\n[valkey.cache]\nversion = 8\nport = 5432\n");
    assert_eq!(
        problems(&toml),
        [
            "D007 doze.toml:7 127.0.0.1:5432 is claimed twice (doze.toml:3) \
          [port 5433 is not claimed by anyone here]"
        ]
    );
}

#[test]
fn all_ports_that_are_claimed_twice_are_told_together() {
    let more = |name: &str, port: u16| format!("[valkey.{name}]\nversion = 8\nport = {port}\n");
    let toml = format!(
        "{APP}{}{}{}",
        more("a", 5432),
        more("b", 6000),
        more("c", 6000)
    );
    let found = problems(&toml);
    let places: Vec<_> = found.iter().map(|it| it.get(..17)).collect();
    assert_eq!(
        places,
        ["D007 doze.toml:6 ", "D007 doze.toml:12"].map(Some),
        "{found:#?}"
    );
}

/// Names become file names and units without a loss, so no two of them can become one.
#[test]
fn names_that_differ_in_signs_alone_stay_two_instances() {
    let folder = Folder::of(
        "[valkey.\"a b\"]\nversion = 8\nport = 6379\n[valkey.a-b]\nversion = 8\nport = 6380\n\
         [valkey.a_b]\nversion = 8\nport = 6381\n[valkey.\"A b\"]\nversion = 8\nport = 6382\n",
    );
    assert_eq!(folder.compiled().names(), ["A b", "a b", "a-b", "a_b"]);
}

/// `use` has no meaning of its own: a block is called by its engine alone.
#[test]
fn an_engine_is_named_in_one_way_only() {
    let found = problems("[use.postgres.app]\nversion = 17\nport = 5432\n");
    assert!(found.concat().contains("unknown engine `use`"), "{found:?}");
}

#[test]
fn a_disabled_instance_is_left_out_and_an_expression_can_say_so() {
    let folder = Folder::of(
        "[variables.tier]\ndefault = \"dev\"\n\n[postgres.app]\nversion = 17\nport = 5432\n\
         enabled = '${var.tier == \"prod\"}'\n\n[valkey.cache]\nversion = 8\nport = 6379\nenabled = \"${true}\"\n",
    );
    assert_eq!(folder.compiled().names(), ["cache"]);
    let compiled = folder.compiled_by(&mut folder.doze(&["--var", "tier=prod"]));
    assert_eq!(compiled.names(), ["app", "cache"]);
    folder.write("doze.toml", &format!("{APP}enabled = \"${{1 + 1}}\"\n"));
    assert_eq!(
        folder.problems(),
        ["D005 doze.toml:4 `enabled` has to be true or false"]
    );
}

#[test]
fn an_instance_that_needs_a_disabled_one_is_an_error_with_both_places() {
    let toml = format!(
        "{APP}depends_on = \"cache\"\n[valkey.cache]\nversion = 8\nport = 6379\nenabled = false\n"
    );
    assert_eq!(
        problems(&toml),
        [
            "D012 doze.toml:4 `app` depends on `cache`, which is disabled (doze.toml:5) \
          [enable `cache`, or disable both]"
        ]
    );
}

#[test]
fn a_structure_has_another_fingerprint_if_and_only_if_it_is_another() {
    let fingerprint = |lines: &str| {
        let folder = Folder::of(&format!("[postgres.app]\nversion = 17\n{lines}\n"));
        let converge = folder.compiled().plan("app").body.converge.clone();
        converge.expect("a structure").fingerprint
    };
    let declared = "port = 5432\nowner = \"o\"\nextensions = [\"cube\"]\nrole.web.login = false";
    let before = fingerprint(declared);
    for same in [
        "# a comment\nrole.web.login = false\nextensions = [ \"cube\" ]\nowner = \"o\"\nport = 5432",
        &declared.replace("5432", "5433"),
        &declared.replace("\"o\"", "\"${lower(\\\"O\\\")}\""),
        &format!(
            "{declared}\nidle_timeout = \"1s\"\nshared_buffers = \"64MB\"\nsettings.jit = true"
        ),
    ] {
        assert_eq!(fingerprint(same), before, "{same}");
    }
    for other in [
        &declared.replace("\"o\"", "\"p\""),
        &declared.replace("cube", "hstore"),
        &declared.replace("false", "true"),
        &declared.replace("web", "api"),
        &format!("{declared}\nschema.s = {{}}"),
    ] {
        assert_ne!(fingerprint(other), before, "{other}");
    }
}
