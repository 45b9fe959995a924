//! What is wrong with a `doze.toml`, as a person sees it; and what a right one compiles to.
#![expect(
    clippy::expect_used,
    reason = "a surprise fails the test, and says what it was"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use doze_tests::project::{output, succeed};
use doze_tests::{Tree, World};

/// Programs that only say a version: what a file compiles to must not depend on the machine.
fn versions(world: &World) -> PathBuf {
    for (program, says) in [
        ("postgres", "postgres (PostgreSQL) 17.4"),
        ("initdb", "initdb (PostgreSQL) 17.4"),
        ("valkey-server", "Valkey server v=8.1.8 sha=0 malloc=libc"),
    ] {
        let path = world.write(
            format!("engines/{program}"),
            &format!("#!/bin/sh\necho '{says}'\n"),
        );
        world.run(&["chmod", "755", path.to_str().expect("UTF-8")]);
    }
    world.dir().join("engines")
}

/// A doze command in a folder.
fn doze(world: &World, folder: &Path, arguments: &[&str]) -> Command {
    let engines = versions(world);
    let mut command = world.command("doze");
    command
        .args(arguments)
        .current_dir(folder)
        .env("DOZE_POSTGRES_BINDIR", &engines)
        .env("DOZE_VALKEY_BINDIR", &engines);
    command
}

fn text(path: &Path) -> String {
    fs::read_to_string(path).expect("it can be read")
}

fn here(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests")
        .join(path)
}

/// Every file of `diagnostics/` is wrong in its own way, and so is every folder, which may have
/// words for the command line in a file `arguments`; beside it stands all that doze says.
#[test]
fn every_problem_is_told_with_its_place_and_the_way_out() {
    let world = World::new();
    let cases = here("diagnostics");
    let mut codes = BTreeSet::new();
    for entry in fs::read_dir(&cases).expect("the cases are there") {
        let path = entry.expect("it can be listed").path();
        let name = path.file_stem().and_then(|name| name.to_str());
        let name = name.expect("UTF-8").to_owned();
        let home = format!("home/{name}");
        let mut arguments = String::new();
        if path.is_dir() {
            for file in fs::read_dir(&path).expect("its files") {
                let file = file.expect("it can be listed");
                let file_name = file.file_name().into_string().expect("UTF-8");
                let input = text(&file.path());
                world.write(format!("out/{name}/{file_name}"), &input);
                if file_name == "arguments" {
                    arguments = input;
                } else {
                    world.write(format!("{home}/{file_name}"), &input);
                }
            }
        } else if path
            .extension()
            .is_some_and(|extension| extension == "toml")
        {
            let input = text(&path);
            world.write(format!("out/{name}.toml"), &input);
            world.write(format!("{home}/doze.toml"), &input);
        } else {
            continue;
        }
        let folder = world.dir().join(&home);
        let mut command = doze(&world, &folder, &["generate", "--check"]);
        let wrong = output(command.args(arguments.split_whitespace()));
        assert_eq!(wrong.status.code(), Some(2), "{name}");
        assert_eq!(String::from_utf8_lossy(&wrong.stdout), "", "{name}");
        let said = String::from_utf8(wrong.stderr).expect("UTF-8");
        let said = said.replace(&format!("{}/", folder.to_str().expect("UTF-8")), "");
        let said = said.replace(world.dir().to_str().expect("UTF-8"), "/tmp/dz-XXXXXX");
        let about = said.replace(char::is_whitespace, "").is_empty();
        assert!(!about, "{name} is said to be right");
        codes.extend(said.lines().filter_map(|line| {
            let (code, _) = line.strip_prefix("error[")?.split_once(']')?;
            Some(code.to_owned())
        }));
        world.write(format!("out/{name}.txt"), &said);
    }
    let page = text(&doze_tests::programs::workspace().join("docs/reference/diagnostics.md"));
    let listed = page.lines().filter_map(|line| {
        let (code, _) = line.strip_prefix("| D")?.split_once(' ')?;
        Some(format!("D{code}"))
    });
    assert_eq!(codes, listed.collect(), "every code has a case");
    Tree::read(&world.dir().join("out")).assert_golden(&cases);
}

/// What `docs/reference/diagnostics.md` shows.
#[test]
fn what_is_wrong_can_be_had_as_json() {
    let world = World::new();
    let toml = "name = \"shop\"\n\n[valkey.cache]\nport = true\nversion = 8\n";
    let file = world.write("home/doze.toml", toml);
    let arguments = ["generate", "--check", "--format", "json"];
    let wrong = output(&mut doze(&world, &world.home(), &arguments));
    assert_eq!(wrong.status.code(), Some(2));
    assert!(wrong.stdout.is_empty());
    let said = String::from_utf8(wrong.stderr).expect("UTF-8");
    let said = said.replace(file.to_str().expect("UTF-8"), "/home/me/shop/doze.toml");
    let said: serde_json::Value = serde_json::from_str(&said).expect("one line of JSON");

    let page = doze_tests::programs::workspace().join("docs/reference/diagnostics.md");
    let page = text(&page);
    let shown = page.split_once("```json\n").expect("an example").1;
    let shown = shown.split_once("\n```").expect("its end").0;
    let shown: serde_json::Value = serde_json::from_str(shown).expect("JSON");
    assert_eq!(said, shown);
}

/// `doze output`, and a value that is never shown.
#[test]
fn outputs_tell_what_they_are_asked_for() {
    let world = World::new();
    world.write(
        "home/doze.toml",
        r#"name = "shop"

[variables.password]
sensitive = true

[outputs]
cache = "${valkey.cache.url}"
ports = "${[valkey.cache.port, postgres.app.port]}"

[outputs.app]
value = "${postgres.app.url}"
description = "The database"

[postgres.app]
version = 17
port = 5432

[valkey.cache]
version = 8
port = 6379
password = "${var.password}"
"#,
    );
    let home = world.home();
    let run = |arguments: &[&str]| {
        let mut command = doze(&world, &home, arguments);
        succeed(command.env("DOZE_VAR_password", "hunter2"))
    };
    assert_eq!(
        run(&["output"]),
        "cache = (sensitive)\nports = [6379,5432]\n\
         app = postgresql://postgres@127.0.0.1:5432/app?sslmode=disable\n"
    );
    assert_eq!(
        run(&["output", "cache"]),
        "redis://default:hunter2@127.0.0.1:6379/0\n"
    );
    assert_eq!(run(&["output", "ports", "--json"]), "[6379,5432]\n");
    let all: serde_json::Value = serde_json::from_str(&run(&["output", "--json"])).expect("JSON");
    assert_eq!(all["app"]["description"], "The database");
    assert_eq!(all["cache"]["value"], serde_json::Value::Null);
    assert!(!all.to_string().contains("hunter2"));

    // Nobody has given it one now.
    let wrong = output(&mut doze(&world, &home, &["output"]));
    assert_eq!(wrong.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("error[D017]"));
    // The command line goes before the environment.
    let mut command = doze(&world, &home, &["output", "cache", "--var", "password=a b"]);
    let said = succeed(command.env("DOZE_VAR_password", "hunter2"));
    assert_eq!(said, "redis://default:a%20b@127.0.0.1:6379/0\n");
    let unknown = output(doze(&world, &home, &["output", "cach"]).env("DOZE_VAR_password", "x"));
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("did you mean `cache`?"));
}

/// What a project that was cloned from somewhere must not be able to have written.
#[test]
fn nothing_is_written_where_a_link_leads_to() {
    let world = World::new();
    world.write(
        "home/doze.toml",
        "[valkey.cache]\nversion = 8\nport = 6379\n",
    );
    let elsewhere = world.dir().join("elsewhere");
    fs::create_dir(&elsewhere).expect("our folder");
    let link = world.home().join(".doze");
    std::os::unix::fs::symlink(&elsewhere, &link).expect("our folder");
    let refused = output(&mut doze(&world, &world.home(), &["generate"]));
    assert_eq!(refused.status.code(), Some(1));
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(said.contains("is a symbolic link"), "{said}");
    assert_eq!(fs::read_dir(elsewhere).expect("our folder").count(), 0);
}

/// Every folder of `compiled/` holds a `doze.toml` and the whole tree that it compiles to. The
/// units also have to please systemd.
#[test]
fn a_project_compiles_to_the_same_tree_everywhere() {
    let world = World::new();
    for case in fs::read_dir(here("compiled")).expect("the cases are there") {
        let case = case.expect("it can be listed").path();
        let name = case
            .file_name()
            .and_then(|name| name.to_str())
            .expect("UTF-8")
            .to_owned();
        let folder = world.write(
            format!("home/{name}/doze.toml"),
            &text(&case.join("doze.toml")),
        );
        let folder = folder.parent().expect("its folder");
        succeed(&mut doze(&world, folder, &["generate", "--out", "out"]));
        let out = folder.join("out");
        fs::copy(folder.join("doze.toml"), out.join("doze.toml")).expect("our folder");
        // It is of the drivers, not of the project, and has tests of its own.
        fs::remove_file(out.join("project/schema.json")).expect("it is there");

        let units: Vec<_> = fs::read_dir(out.join("systemd/user"))
            .expect("units")
            .map(|unit| unit.expect("it can be listed").path())
            .collect();
        let mut verify = world.command("systemd-analyze");
        let verified = output(verify.args(["--user", "verify"]).args(&units));
        let said = String::from_utf8_lossy(&verified.stderr);
        assert!(
            verified.status.success() && said.is_empty(),
            "{name}: {said}"
        );

        let mut tree = Tree::read(&out).replacing(world.dir().to_str().expect("UTF-8"), "/WORLD");
        for revision in revisions(&out.join("plans")) {
            tree = tree.replacing(&revision, "REVISION");
        }
        tree.assert_golden(&case);
    }
}

/// Likewise for launchd, in `agents/`: every project of `compiled/`, and one with whatever an agent can
/// have. The agents also have to please another reader of property lists, by the rules of
/// launchd.plist(5).
#[test]
fn a_project_compiles_to_the_same_agents_everywhere() {
    let world = World::new();
    let golden = here("agents");
    for case in fs::read_dir(&golden).expect("the cases are there") {
        let case = case.expect("it can be listed").path();
        let name = case.file_name().and_then(|name| name.to_str());
        let name = name.expect("UTF-8").to_owned();
        let own = case.join("doze.toml");
        let source = if own.is_file() {
            own.clone()
        } else {
            here("compiled").join(&name).join("doze.toml")
        };
        let file = world.write(format!("home/{name}/doze.toml"), &text(&source));
        let folder = file.parent().expect("its folder");
        let mut generate = doze(&world, folder, &["generate", "--out", "out"]);
        succeed(generate.env("DOZE_INIT", "launchd"));
        let agents = folder.join("out/LaunchAgents");
        if own.is_file() {
            fs::copy(&own, agents.join("doze.toml")).expect("our folder");
        }

        let files = fs::read_dir(&agents).expect("agents");
        let files = files.map(|file| file.expect("listed").path());
        let files: Vec<_> = files
            .filter(|file| file.extension().is_some_and(|end| end == "plist"))
            .collect();
        assert!(!files.is_empty(), "{name}: no agents");
        let mut validate = Command::new(here("../launchd/validate"));
        let verified = output(validate.args(&files));
        let said = String::from_utf8_lossy(&verified.stdout);
        assert!(
            verified.status.success() && said.is_empty(),
            "{name}: {said}"
        );

        let tree = Tree::read(&agents).replacing(world.dir().to_str().expect("UTF-8"), "/WORLD");
        tree.assert_golden(&case);
    }
}

/// The name of a plan's content depends on where the world is.
fn revisions(plans: &Path) -> Vec<String> {
    let files = fs::read_dir(plans)
        .expect("plans")
        .map(|plan| plan.expect("listed").path());
    let plans = files.filter_map(|path| serde_json::from_str(&text(&path)).ok());
    plans
        .filter_map(|plan: serde_json::Value| Some(plan.get("revision")?.as_str()?.to_owned()))
        .collect()
}

/// Must hold 4, but for the time, which the benchmark `generate` prints.
#[test]
fn three_hundred_instances_compile_to_the_same_bytes_twice() {
    let world = World::new();
    let instance = |n: u32| {
        let engine = if n.is_multiple_of(2) {
            "postgres"
        } else {
            "valkey"
        };
        let version = if n.is_multiple_of(2) { 17 } else { 8 };
        format!(
            "[{engine}.i{n}]\nversion = {version}\nport = {}\n",
            20_000 + n
        )
    };
    let toml: String = (0..300).map(instance).collect();
    let file = world.write("home/many/doze.toml", &format!("name = \"many\"\n{toml}"));
    let folder = file.parent().expect("its folder");
    succeed(&mut doze(&world, folder, &["generate", "--out", "a"]));
    succeed(&mut doze(&world, folder, &["generate", "--out", "b"]));
    let compare = world
        .command("diff")
        .args(["-r", "a", "b"])
        .current_dir(folder)
        .output();
    let compare = compare.expect("diff runs");
    assert!(
        compare.status.success(),
        "{}",
        String::from_utf8_lossy(&compare.stdout)
    );

    succeed(&mut doze(&world, folder, &["generate"]));
    assert_eq!(succeed(&mut doze(&world, folder, &["generate"])), "");
    assert_eq!(
        succeed(&mut doze(&world, folder, &["generate", "--check"])),
        ""
    );
    world.write(
        "home/many/doze.toml",
        &format!("name = \"many\"\n{}", toml.replace("i7]", "seven]")),
    );
    let drift = output(&mut doze(&world, folder, &["generate", "--check"]));
    assert_eq!(drift.status.code(), Some(5));
    let said = String::from_utf8_lossy(&drift.stdout);
    for (word, file) in [
        ("missing", "doze-many-seven.socket"),
        ("stale", "doze-many-i7.socket"),
    ] {
        let told = said
            .lines()
            .any(|line| line.starts_with(word) && line.ends_with(file));
        assert!(told, "{word} {file}: {said}");
    }
}

/// Passwords stand in no file that others may read, and on no command line.
#[test]
fn a_password_stays_between_the_user_and_the_engine() {
    let world = World::new();
    let toml = "[valkey.cache]\nversion = 8\nport = 6379\npassword = \"s3cr3t%$\"\n";
    let file = world.write("home/p/doze.toml", toml);
    let folder = file.parent().expect("its folder");
    succeed(&mut doze(&world, folder, &["generate"]));
    let found = world
        .command("grep")
        .args(["-rlF", "s3cr3t"])
        .arg(world.home())
        .output();
    let found = String::from_utf8(found.expect("grep runs").stdout).expect("UTF-8");
    let mut holders: Vec<&str> = found.lines().collect();
    holders.retain(|holder| *holder != file.to_str().expect("UTF-8"));
    assert!(!holders.is_empty(), "the plan holds it");
    for holder in holders {
        let mode = world.run(&["stat", "-c", "%a", holder]);
        assert_eq!(mode.trim(), "600", "{holder}");
        assert!(!holder.contains("/systemd/"), "{holder}");
    }
}
