//! `doze init`, `doze lint`, `doze fmt`: what is done to the text of a project.
#![expect(
    clippy::expect_used,
    reason = "a surprise fails the test, and says what it was"
)]

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::PathBuf;
use std::process::Command;

use doze_tests::programs::workspace;
use doze_tests::project::{output, succeed};
use doze_tests::terminal::Terminal;
use doze_tests::{World, engines};
use serde_json::Value;

/// A doze command in a folder that is called `shop`.
fn doze(world: &World, words: &[&str]) -> Command {
    let mut command = world.command("doze");
    if let Some(valkey) = engines::valkey() {
        command.env("DOZE_VALKEY_BINDIR", world.bindir(&valkey));
    }
    command.args(words).current_dir(world.home().join("shop"));
    command
}

fn world() -> World {
    let world = World::new();
    world.write("home/shop/README", "");
    world
}

fn file(world: &World) -> PathBuf {
    world.home().join("shop/doze.toml")
}

fn text(world: &World) -> String {
    fs::read_to_string(file(world)).expect("it was written")
}

#[test]
fn on_a_terminal_init_asks_and_writes_what_was_shown() {
    let world = world();
    let mut terminal = Terminal::of(&doze(&world, &["init"]));
    terminal.answer("name of the project [shop] ", "the shop\n");
    terminal.answer("use it? [Y/n] ", "what\n");
    terminal.expect("yes or no?\r\n");
    // Which engines there are depends on the machine; the last one is that of the tests.
    loop {
        terminal.expect("use it? [Y/n] ");
        if terminal.said.ends_with("valkey 8 is here; use it? [Y/n] ") {
            break;
        }
        terminal.answer("", "n\n");
    }
    terminal.answer("", "\n");
    terminal.answer("  its name [cache] ", "no/name\n");
    terminal.answer("  its name [cache] ", "the cache\n");
    for port in ["70000\n", "7001\n"] {
        terminal.expect("  its port [");
        terminal.answer("] ", port);
    }
    terminal.answer(
        "a command of yours that needs them, such as npm start [none] ",
        "exec ./serve --port ${PORT}\n",
    );
    for name in ["the cache\n", "\n"] {
        terminal.answer("  its name [web] ", name);
    }
    for port in ["7001\n", "7002\n"] {
        terminal.answer("  the port that it listens on [none] ", port);
    }
    terminal.expect("doze.toml? [Y/n] ");
    assert!(!file(&world).is_file(), "nobody has agreed yet");
    terminal.answer("", "y\n");
    let (status, said) = terminal.end();
    assert!(status.success(), "{said}");
    let text = text(&world);
    assert!(said.replace('\r', "").contains(&text), "{said}");
    for told in [
        "\"the cache\" is the name of another instance",
        "\"7001\" is that of the cache",
    ] {
        assert!(said.contains(told), "{said}");
    }
    assert!(text.contains("name = \"the shop\"\n"), "{text}");
    let blocks = "[valkey.\"the cache\"]\nversion = 8\nport = 7001\n\n\
                  [process.web]\ncommand = \"exec ./serve --port $${PORT}\"\nport = 7002\n";
    assert!(text.ends_with(blocks), "{text}");
    assert_eq!(succeed(&mut doze(&world, &["fmt", "--check"])), "");
    succeed(&mut doze(&world, &["lint"]));
}

/// Ctrl-C and Ctrl-D, at the first question and at the last one.
#[test]
fn init_that_is_broken_off_writes_nothing() {
    for (keys, said_last) in [("\x03", ""), ("\x04", "nothing was written")] {
        for question in ["name of the project [shop] ", "doze.toml? [Y/n] "] {
            let world = world();
            let mut terminal = Terminal::of(&doze(&world, &["init"]));
            terminal.enter_until(question);
            terminal.answer("", keys);
            let (status, said) = terminal.end();
            assert!(!status.success(), "{said}");
            assert!(said.contains(said_last), "{said}");
            let left = fs::read_dir(world.home().join("shop")).expect("a folder");
            assert_eq!(left.count(), 1, "only what was there: {said}");
        }
    }
}

#[test]
fn scripts_name_the_engines_and_are_asked_nothing() {
    let world = world();
    let init = ["init", "--engine", "valkey", "--engine", "valkey"];
    let terminal = Terminal::of(&doze(&world, &init));
    let (status, said) = terminal.end();
    assert!(status.success(), "{said}");
    let text = text(&world);
    for block in [
        "[valkey.cache]\nversion = 8\n",
        "[valkey.valkey]\nversion = 8\n",
    ] {
        assert!(text.contains(block), "{text}");
    }
    assert!(!text.contains("postgres"), "{text}");

    let wrong = output(&mut doze(&world, &["init", "--force", "--engine", "valky"]));
    assert_eq!(wrong.status.code(), Some(2));
    let said = String::from_utf8_lossy(&wrong.stderr).into_owned();
    assert!(said.contains("did you mean `valkey`?"), "{said}");
}

/// What `doze lint --json` printed, held against the published schema.
fn linted(world: &World) -> Value {
    let said = succeed(&mut doze(world, &["lint", "--json"]));
    let report = serde_json::from_str(&said).expect("JSON");
    let schema = workspace().join("docs/reference/schemas/lint.json");
    let schema = serde_json::from_slice(&fs::read(schema).expect("a schema")).expect("JSON");
    let validator = jsonschema::draft202012::new(&schema).expect("a schema");
    validator.validate(&report).expect("as published");
    report
}

#[test]
fn lint_counts_what_is_there_and_warns_of_what_is_there_for_nothing() {
    let world = world();
    world.write(
        "home/shop/doze.toml",
        "name = \"shop\"\n[defaults]\nidle_timeout = \"never\"\n\
         [variables.port]\ndefault = 7001\n[variables.size]\ndefault = \"x\"\n\
         [locals]\nnobody = 1\nname = \"c${var.size}\"\n\
         [valkey.cache]\nversion = 8\nport = 7001\n\
         [outputs]\nname = { value = \"${local.name}\" }\n",
    );
    let report = linted(&world);
    let number = |key: &str| report.get(key).and_then(Value::as_u64).expect("a number");
    let counts = ["instances", "variables", "locals", "outputs"].map(number);
    assert_eq!(counts, [1, 2, 2, 1]);
    let warnings = report.get("warnings").and_then(Value::as_array);
    let warning = |it: &Value| {
        let line = it.get("line").and_then(Value::as_u64).unwrap_or_default();
        let message = it
            .get("message")
            .and_then(Value::as_str)
            .unwrap_or_default();
        format!("{line}: {message}")
    };
    let warnings: Vec<_> = warnings.into_iter().flatten().map(warning).collect();
    assert_eq!(
        warnings,
        [
            "4: nobody refers to var.port",
            "9: nobody refers to local.nobody",
            "1: every instance has `idle_timeout = \"never\"`: once awake, none sleeps",
        ]
    );
    let said = output(&mut doze(&world, &["lint"]));
    let out = String::from_utf8_lossy(&said.stdout).into_owned();
    assert_eq!(out, "shop: 1 instance, 2 variables, 2 locals, 1 output\n");
    let err = String::from_utf8_lossy(&said.stderr).into_owned();
    assert!(
        err.contains("doze.toml:9: nobody refers to local.nobody\n"),
        "{err}"
    );
    assert!(
        !world.home().join("shop/doze.lock").is_file(),
        "it only looks"
    );

    world.write(
        "home/shop/doze.toml",
        "name = \"shop\"\n[valkey.cache]\nport = 1\n",
    );
    assert_eq!(output(&mut doze(&world, &["lint"])).status.code(), Some(2));
}

/// A variable that only a profile uses is used.
#[test]
fn lint_sees_what_profiles_and_other_files_refer_to() {
    let world = world();
    world.write(
        "home/shop/doze.toml",
        "name = \"shop\"\n[variables.a]\ndefault = \"5m\"\n[variables.b]\ndefault = 7001\n\
         [profile.ci.defaults]\nidle_timeout = \"${var.a}\"\n",
    );
    let sibling = "[valkey.cache]\nversion = 8\nport = \"${var.b}\"\n";
    world.write("home/shop/more.doze.toml", sibling);
    let report = linted(&world);
    assert_eq!(
        report.get("warnings"),
        Some(&Value::Array(Vec::new())),
        "{report}"
    );
}

#[test]
fn fmt_gives_every_file_its_look_and_a_second_time_does_nothing() {
    let world = world();
    let link = world.write(
        "home/shop/real",
        "name=\"shop\"   # mine\n\n\n[valkey.cache]\nversion=8\n",
    );
    symlink("real", file(&world)).expect("a fresh name");
    fs::set_permissions(&link, fs::Permissions::from_mode(0o640)).expect("our file");
    let sibling = world.write("home/shop/more.doze.toml", "[valkey.more]\n  version = 8\n");
    world.write("home/shop/a.auto.toml", "x = 1\n");

    let checked = output(&mut doze(&world, &["fmt", "--check"]));
    assert_eq!(checked.status.code(), Some(5));
    let names = String::from_utf8_lossy(&checked.stdout).into_owned();
    let wanted = format!("{}\n{}\n", file(&world).display(), sibling.display());
    assert_eq!(names, wanted);
    assert!(text(&world).starts_with("name=\"shop\""), "it only looks");

    assert_eq!(succeed(&mut doze(&world, &["fmt"])), wanted);
    assert_eq!(succeed(&mut doze(&world, &["fmt"])), "");
    succeed(&mut doze(&world, &["fmt", "--check"]));
    let formatted = "name = \"shop\"   # mine\n\n[valkey.cache]\nversion = 8\n";
    assert_eq!(text(&world), formatted);
    assert!(
        fs::symlink_metadata(file(&world))
            .expect("it is there")
            .is_symlink()
    );
    let mode = fs::metadata(&link)
        .expect("it is there")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o640);
}

#[test]
fn fmt_writes_nothing_if_one_of_the_files_is_wrong() {
    let world = world();
    world.write("home/shop/a.toml", "a=1\n");
    world.write("home/shop/b.toml", "b = \n");
    let wrong = output(&mut doze(&world, &["fmt", "a.toml", "b.toml"]));
    assert_eq!(wrong.status.code(), Some(2));
    let said = String::from_utf8_lossy(&wrong.stderr).into_owned();
    assert!(said.contains("b.toml:1"), "{said}");
    let a = world.home().join("shop/a.toml");
    assert_eq!(fs::read_to_string(&a).expect("it is there"), "a=1\n");
    succeed(&mut doze(&world, &["fmt", "a.toml"]));
    assert_eq!(fs::read_to_string(&a).expect("it is there"), "a = 1\n");
}
