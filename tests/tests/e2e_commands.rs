//! The everyday commands, as people and scripts use them.
#![expect(
    clippy::expect_used,
    reason = "a surprise fails the test, and says what it was"
)]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use doze_tests::project::{Mode, Project, output, succeed};
use doze_tests::{World, wait_until};

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// `env`, `run` and `url` say the same, in the form that was asked for.
#[test]
fn the_environment_is_the_same_in_every_form() {
    let Some(project) = Project::new(Mode::Systemd, "1h") else {
        return;
    };
    let url = format!(
        "postgresql://app@127.0.0.1:{}/app?sslmode=disable",
        project.app
    );
    let redis = format!("redis://127.0.0.1:{}/0", project.cache);
    assert_eq!(project.run(&["url", "app"]), format!("{url}\n"));
    let json: BTreeMap<String, String> =
        serde_json::from_str(&project.run(&["env", "--json"])).expect("JSON");
    let expected = [
        ("DATABASE_URL", &url),
        ("DOZE_APP_URL", &url),
        ("DOZE_CACHE_URL", &redis),
        ("REDIS_URL", &redis),
    ];
    assert_eq!(
        json,
        expected
            .map(|(name, value)| (name.into(), value.clone()))
            .into()
    );
    assert_eq!(
        project.run(&["env", "--dotenv"]),
        format!(
            "DATABASE_URL=\"{url}\"\nDOZE_APP_URL=\"{url}\"\n\
             REDIS_URL=\"{redis}\"\nDOZE_CACHE_URL=\"{redis}\"\n"
        )
    );
    let evaluated = "eval \"$(doze env)\"; printf %s \"$DATABASE_URL $REDIS_URL\"";
    let mut shell = project.doze(&[
        "run",
        "--",
        "sh",
        "-c",
        "printf %s \"$DATABASE_URL $REDIS_URL\"",
    ]);
    assert_eq!(succeed(&mut shell), format!("{url} {redis}"));
    let mut shell = project.doze(&[
        "run",
        "--",
        "env",
        "-u",
        "DATABASE_URL",
        "-u",
        "REDIS_URL",
        "sh",
        "-c",
        evaluated,
    ]);
    assert_eq!(succeed(&mut shell), format!("{url} {redis}"));
    assert!(project.processes().is_empty(), "nobody was woken");

    // A second instance of a kind has its name in the variable.
    let second = format!(
        "[postgres.report-db]\nversion = 15\nport = {}\n",
        project.world.port()
    );
    project.declare(&(project.toml("1h") + &second.replace("15", &major(&project))));
    let json: BTreeMap<String, String> =
        serde_json::from_str(&project.run(&["env", "--json"])).expect("JSON");
    assert_eq!(
        json.keys().collect::<Vec<_>>(),
        [
            "DATABASE_URL",
            "DATABASE_URL_REPORT_DB",
            "DOZE_APP_URL",
            "DOZE_CACHE_URL",
            "DOZE_REPORT_DB_URL",
            "REDIS_URL"
        ]
    );
}

fn major(project: &Project) -> String {
    let toml = project.toml("1h");
    let line = toml
        .lines()
        .find(|line| line.starts_with("version"))
        .expect("a version");
    line.trim_start_matches("version = ").to_owned()
}

#[test]
fn run_passes_on_the_status_of_its_command() {
    let Some(project) = Project::new(Mode::Systemd, "1h") else {
        return;
    };
    let code = |line: &[&str]| {
        output(&mut project.doze(&[&["run", "--"], line].concat()))
            .status
            .code()
    };
    assert_eq!(code(&["true"]), Some(0));
    assert_eq!(code(&["sh", "-c", "exit 42"]), Some(42));
    assert_eq!(code(&["sh", "-c", "kill -TERM $$"]), Some(128 + 15));
    assert_eq!(code(&["no-such-program"]), Some(127));
    assert_eq!(code(&["/"]), Some(126));
}

#[test]
fn run_leaves_its_command_the_umask_that_it_was_called_with() {
    let Some(project) = Project::new(Mode::Systemd, "1h") else {
        return;
    };
    let said = |words: &str| {
        let mut command = project.doze(&["run", "--", "sh", "-c", words]);
        succeed(&mut command)
    };
    let ours = project.world.run(&["sh", "-c", "umask"]);
    assert_ne!(ours, "0077\n");
    assert_eq!(said("umask"), ours);
}

#[test]
fn an_unknown_name_is_answered_with_the_nearest() {
    let Some(project) = Project::new(Mode::Systemd, "1h") else {
        return;
    };
    for command in ["wake", "sleep", "logs", "url"] {
        let refused = output(&mut project.doze(&[command, "cahce"]));
        assert_eq!(refused.status.code(), Some(2), "{command}");
        let said = stderr(&refused);
        assert!(
            said.contains("no instance `cahce` in shop"),
            "{command}: {said}"
        );
        assert!(said.contains("did you mean `cache`?"), "{command}: {said}");
    }
    let lost = output(project.doze(&["status"]).current_dir("/"));
    assert_eq!(lost.status.code(), Some(2));
    assert!(
        stderr(&lost).contains("`doze init` makes one"),
        "{}",
        stderr(&lost)
    );
    let elsewhere = output(
        project
            .doze(&["-c", "shop", "status"])
            .current_dir(project.world.home()),
    );
    assert!(elsewhere.status.success(), "{}", stderr(&elsewhere));
}

/// What `doze init` writes works as it is.
#[test]
fn a_fresh_project_works_at_once() {
    let Some(project) = Project::new(Mode::Systemd, "1h") else {
        return;
    };
    let refused = output(&mut project.doze(&["init"]));
    assert_eq!(refused.status.code(), Some(2));
    assert!(stderr(&refused).contains("--force"), "{}", stderr(&refused));

    let file = project.world.write("home/fresh/keep", "");
    let fresh = file.parent().expect("its folder");
    let doze = |arguments: &[&str]| {
        let mut command = project.doze(arguments);
        command.current_dir(fresh);
        command
    };
    succeed(&mut doze(&["init"]));
    succeed(&mut doze(&["up"]));
    let mut ping = doze(&[
        "run",
        "--",
        "sh",
        "-c",
        // Which of the databases has the short name depends on what is installed.
        "psql -XAtq \"$(doze url app)\" -c 'select 1'",
    ]);
    assert_eq!(succeed(&mut ping).trim_end(), "1");
    succeed(&mut doze(&["down"]));
}

#[test]
fn logs_follow_what_comes() {
    let Some(project) = Project::new(Mode::Systemd, "100ms") else {
        return;
    };
    project.run(&["up"]);
    let mut follower = project.doze(&["logs", "cache", "-f"]);
    let mut follower = follower.stdout(Stdio::piped()).spawn().expect("it starts");
    project.cached(&["ping"]);
    let lines = BufReader::new(follower.stdout.take().expect("a pipe")).lines();
    let told = lines
        .map_while(Result::ok)
        .find(|line| line.contains("stopping cache"));
    assert!(told.is_some(), "it goes on until the instance sleeps");
    follower.kill().expect("our child");
    follower.wait().expect("our child");
}

/// An engine that cannot boot: everybody is told, and the next one tries again.
#[test]
fn a_failed_boot_is_told_and_mended_by_an_edit() {
    let Some(project) = Project::new(Mode::Systemd, "1h") else {
        return;
    };
    let broken = project.toml("1h") + "settings = { no-such-setting = 1 }\n";
    project.declare(&broken);
    project.run(&["up"]);
    let refused = output(&mut project.doze(&["wake", "cache"]));
    assert_eq!(refused.status.code(), Some(1));
    let said = stderr(&refused);
    assert!(
        said.contains("`cache` does not wake") && said.contains("doze logs cache"),
        "{said}"
    );
    wait_until(
        "the failure to be shown",
        Duration::from_secs(30),
        || match project.state("cache").as_str() {
            "asleep, failed" => Ok(()),
            other => Err(other.to_owned()),
        },
    );
    assert!(
        project.log("cache").contains("no-such-setting"),
        "{}",
        project.log("cache")
    );
    project.declare(&project.toml("1h"));
    project.run(&["up"]);
    assert_eq!(project.cached(&["ping"]), "PONG");
}

/// Who chooses the foreground gets it, whatever else there is, and is not told that there is nothing.
#[test]
fn the_init_system_can_be_chosen() {
    let Some(mut project) = Project::new(Mode::Systemd, "1h") else {
        return;
    };
    project.set("DOZE_INIT", Path::new("runit"));
    let refused = output(&mut project.doze(&["status"]));
    assert_eq!(refused.status.code(), Some(2));
    let said = stderr(&refused);
    assert!(said.contains("systemd, launchd or foreground"), "{said}");

    project.set("DOZE_INIT", Path::new("foreground"));
    let mut up = project.doze(&["up"]);
    let mut up = up.stdout(Stdio::piped()).spawn().expect("it starts");
    let mut said = BufReader::new(up.stdout.take().expect("a pipe"))
        .lines()
        .map_while(Result::ok);
    let first = said.next().unwrap_or_default();
    assert!(first.starts_with("app (postgres): listening on"), "{first}");
    assert!(said.any(|line| line.contains("Ctrl-C")));
    assert_eq!(project.cached(&["ping"]), "PONG");
    project.run(&["down"]);
    assert!(up.wait().expect("our child").success());
}

/// Without a user manager `up` holds the sockets itself, and says so.
#[test]
fn without_a_manager_up_stays_in_the_foreground() {
    let world = World::new();
    let Some(valkey) = doze_tests::needed("a Valkey", doze_tests::engines::valkey()) else {
        return;
    };
    let port = world.port();
    let toml = format!(
        "name = \"alone\"\n[valkey.cache]\nversion = {}\nport = {port}\n",
        valkey.major()
    );
    let file = world.write("home/alone/doze.toml", &toml);
    let doze = |arguments: &[&str]| -> Command {
        let mut command = world.command("doze");
        command
            .args(arguments)
            .current_dir(file.parent().expect("its folder"));
        command.env("DOZE_VALKEY_BINDIR", world.bindir(&valkey));
        command
    };
    let mut up = doze(&["up"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut said = BufReader::new(up.stdout.take().expect("a pipe"))
        .lines()
        .map_while(Result::ok);
    assert!(
        said.next()
            .is_some_and(|line| line.contains("no systemd user manager"))
    );
    assert!(said.any(|line| line.contains("Ctrl-C")));
    let mut cli = world.command(&valkey.client);
    let port = port.to_string();
    assert_eq!(
        succeed(cli.args(["-h", "127.0.0.1", "-p", &port, "ping"])),
        "PONG\n"
    );

    let second = output(&mut doze(&["up"]));
    assert_eq!(second.status.code(), Some(1));
    assert!(stderr(&second).contains("in the foreground of another terminal"));
    let status = succeed(&mut doze(&["status"]));
    assert!(
        status.contains("idling") && status.contains("in the foreground"),
        "{status}"
    );
    assert!(!status.contains('\x1b'), "no colour in a pipe");
    succeed(&mut doze(&["down"]));
    assert!(up.wait().expect("our child").success());
}

#[test]
fn a_closed_pipe_is_no_failure() {
    let world = World::new();
    let pipe = "set -o pipefail; doze completions bash | head -n 1";
    succeed(
        world
            .command("bash")
            .args(["-c", &format!("doze version >/dev/null; {pipe}")])
            .env(
                "PATH",
                format!("{}:/usr/bin:/bin", world.programs().display()),
            ),
    );
    assert!(world.run(&["doze", "version"]).starts_with("doze "));
}
