//! Variables, locals and outputs.

use doze_tests::project::{output, succeed};

use crate::folder::Folder;

const CACHE: &str = "[valkey.cache]\nversion = 8\nport = \"${var.port}\"\n";

fn port(default: &str) -> String {
    format!("[variables.port]\ntype = \"number\"\n{default}\n\n{CACHE}")
}

#[test]
fn a_variable_that_nobody_gives_has_its_default() {
    let compiled = Folder::of(&port("default = 6001")).compiled();
    assert_eq!(compiled.endpoints("cache"), ["127.0.0.1:6001"]);
}

#[test]
fn a_file_of_values_goes_before_the_default() {
    let folder = Folder::of(&port("default = 6001"));
    folder.write("a.auto.toml", "port = 6002\n");
    assert_eq!(folder.compiled().endpoints("cache"), ["127.0.0.1:6002"]);
}

#[test]
fn the_last_of_several_files_of_values_wins() {
    let folder = Folder::of(&port("default = 6001"));
    for (name, port) in [("b", 6003), ("a", 6002), ("c", 6004)] {
        folder.write(&format!("{name}.auto.toml"), &format!("port = {port}\n"));
    }
    folder.write("d.auto.toml", "");
    assert_eq!(folder.compiled().endpoints("cache"), ["127.0.0.1:6004"]);
}

#[test]
fn a_value_of_the_environment_goes_before_the_files() {
    let folder = Folder::of(&port("default = 6001"));
    folder.write("a.auto.toml", "port = 6002\n");
    let mut command = folder.doze(&[]);
    let compiled = folder.compiled_by(command.env("DOZE_VAR_port", "6003"));
    assert_eq!(compiled.endpoints("cache"), ["127.0.0.1:6003"]);
}

#[test]
fn a_value_of_the_command_line_goes_before_the_environment() {
    let folder = Folder::of(&port("default = 6001"));
    folder.write("a.auto.toml", "port = 6002\n");
    let mut command = folder.doze(&["--var", "port=6004", "--var", "port=6005"]);
    let compiled = folder.compiled_by(command.env("DOZE_VAR_port", "6003"));
    assert_eq!(compiled.endpoints("cache"), ["127.0.0.1:6005"]);
}

#[test]
fn a_text_from_outside_is_read_by_the_type_of_its_variable() {
    let toml = |kind: &str, use_of_it: &str| {
        format!(
            "[variables.x]\ntype = \"{kind}\"\n\n[outputs]\nx = \"{use_of_it}\"\n\n[valkey.cache]\nversion = 8\nport = 6379\n"
        )
    };
    for (kind, given, use_of_it, value) in [
        ("string", "17", "${var.x}", "\"17\"\n"),
        ("number", "17", "${var.x + 1}", "18\n"),
        ("bool", "true", "${!var.x}", "false\n"),
        ("list", "[\"a\", 2]", "${var.x[1]}", "2\n"),
        ("map", "{ a = 5 }", "${var.x.a}", "5\n"),
    ] {
        let folder = Folder::of(&toml(kind, use_of_it));
        let mut command = folder.doze(&["output", "x", "--json"]);
        assert_eq!(succeed(command.env("DOZE_VAR_x", given)), value, "{kind}");
    }
    let folder = Folder::of(&port(""));
    let mut command = folder.doze(&["--var", "port=many"]);
    assert_eq!(
        folder.problems_by(&mut command),
        ["D017 --var:1 the variable `port` is a number (doze.toml:1)"]
    );
}

#[test]
fn a_variable_that_has_to_be_given_is_an_error_with_how_to_give_it() {
    assert_eq!(
        Folder::of(&port("")).problems(),
        ["D017 doze.toml:1 the variable `port` has no value \
          [add a `default`, or give it by --var port=VALUE or DOZE_VAR_port]"]
    );
}

#[test]
fn locals_may_need_each_other_in_any_order() {
    let folder = Folder::of(
        "[locals]\nlast = \"${local.middle + 1}\"\nmiddle = \"${local.first * 2}\"\nfirst = \"${var.base}\"\n\n\
         [variables.base]\ndefault = 3000\n\n[valkey.cache]\nversion = 8\nport = \"${local.last}\"\n",
    );
    assert_eq!(folder.compiled().endpoints("cache"), ["127.0.0.1:6001"]);
}

#[test]
fn locals_that_need_each_other_in_a_circle_are_an_error_with_every_place() {
    let folder = Folder::of(
        "[locals]\na = \"${local.b}\"\nb = \"${local.c}\"\nc = \"${local.a}\"\n\n\
         [valkey.cache]\nversion = 8\nport = 6379\n",
    );
    assert_eq!(
        folder.problems(),
        ["D013 doze.toml:4 these locals need each other in a circle (doze.toml:2) (doze.toml:3)"]
    );
}

#[test]
fn a_sensitive_output_is_shown_only_to_whoever_asks_for_it_by_name() {
    let folder = Folder::of(
        "[outputs.token]\nvalue = \"t0ken\"\nsensitive = true\n\n\
         [valkey.cache]\nversion = 8\nport = 6379\n",
    );
    assert_eq!(
        succeed(&mut folder.doze(&["output"])),
        "token = (sensitive)\n"
    );
    let all = succeed(&mut folder.doze(&["output", "--json"]));
    assert!(!all.contains("t0ken"), "{all}");
    assert_eq!(succeed(&mut folder.doze(&["output", "token"])), "t0ken\n");
    let unknown = output(&mut folder.doze(&["output", "tokn"]));
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("did you mean `token`?"));
}
