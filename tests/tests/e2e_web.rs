//! A real web application that sleeps: the first request wakes it, with the database and the queue
//! that it needs, and when nobody asks any more all of it is asleep again.
//!
//! The application is Canaille, an identity server of some age: Flask, `SQLAlchemy` on Postgres with
//! migrations of its own, and a Redis queue for the mail that it sends.
#![expect(
    clippy::expect_used,
    reason = "a surprise fails the test, and says what it was"
)]

use std::process::Command;

use doze_tests::engines::Engine;
use doze_tests::project::{Mode, Project, succeed};
use doze_tests::{needed, programs};
use serde_json::Value;

/// Where Debian has it; what was fetched is for this one.
const PYTHON: &str = "/usr/bin/python3";

mod systemd {
    #[test]
    fn a_web_application_wakes_by_its_first_request_with_all_that_it_needs() {
        super::wakes_by_its_first_request(doze_tests::project::Mode::Systemd);
    }
}

mod foreground {
    #[test]
    fn a_web_application_wakes_by_its_first_request_with_all_that_it_needs() {
        super::wakes_by_its_first_request(doze_tests::project::Mode::Foreground);
    }
}

fn wakes_by_its_first_request(mode: Mode) {
    let Some((mut project, application)) = application(mode) else {
        return;
    };
    let port = project.world.port();
    let toml = declaration(&project, &application, port);
    assert_eq!(toml.lines().count(), 15, "{toml}");
    project.declare(&toml);
    project.up();
    assert_eq!(project.processes(), [], "nobody is awake");

    let login = get(&project, &format!("http://127.0.0.1:{port}/login"));
    assert!(login.contains("csrf_token"), "{login}");
    for instance in ["web", "app", "cache"] {
        assert_eq!(project.wakes(instance), 1, "{instance}");
    }
    assert_eq!(
        project.sql("select count(*) from \"user\""),
        "0",
        "its migrations ran"
    );

    // Both stay awake for as long as it does, whatever their own timeouts.
    let held = project.run(&["hold", "web", "--", "doze", "status", "--json"]);
    assert_eq!(holds(&held, "app"), Some(1), "{held}");
    assert_eq!(holds(&held, "cache"), Some(1), "{held}");
    project.wait_asleep();

    // What the application does with both: a user in the database asks for a new password, and the
    // mail waits in the queue.
    let words = [
        "create",
        "user",
        "--user-name",
        "jane",
        "--family-name",
        "Doe",
    ];
    let mail = [
        "--emails",
        "jane@example.com",
        "--password",
        "correct horse",
    ];
    project.run(
        &[
            &["run", "--", "sh", "-c", &canaille(&application), "sh"],
            &words[..],
            &mail,
        ]
        .concat(),
    );
    ask_for_password(&project, port);
    assert_eq!(project.cached(&["llen", "dramatiq:default"]), "1");

    project.wait_asleep();
    for instance in ["web", "app", "cache"] {
        let log = project.log(instance);
        assert!(!log.contains("failed") && !log.contains("killing"), "{log}");
    }
}

/// How many hold an instance, by what `doze status --json` prints.
fn holds(status: &str, instance: &str) -> Option<u64> {
    let status: Value = serde_json::from_str(status).expect("JSON");
    let mut rows = status.pointer("/instances")?.as_array()?.iter();
    let row = rows.find(|row| row.pointer("/name").is_some_and(|name| name == instance))?;
    row.pointer("/holds")?.as_u64()
}

/// A project in a world, and the application as its user can read it.
fn application(mode: Mode) -> Option<(Project, Engine)> {
    let fetched = programs::target().join("engines/canaille/bin");
    let client = fetched.join("canaille");
    needed("a web application", client.is_file().then_some(()))?;
    let project = Project::new(mode, "1s")?;
    let here = Engine {
        bindir: fetched,
        version: String::new(),
        client,
    };
    let bindir = project.world.bindir(&here);
    Some((project, Engine { bindir, ..here }))
}

/// How the application is called, its arguments behind it.
fn canaille(application: &Engine) -> String {
    let folder = application.bindir.display();
    format!(
        r#"CANAILLE_SQL__DATABASE_URI=$DATABASE_URL SECRET_KEY=x PYTHONPATH='{folder}/..' exec {PYTHON} '{folder}/canaille' "$@""#
    )
}

fn declaration(project: &Project, application: &Engine, port: u16) -> String {
    let folder = application.bindir.display();
    project.toml("1s").replace("\n\n", "\n")
        + &format!(
            r#"[process.web]
command = "exec {PYTHON} {folder}/canaille run --bind 127.0.0.1:$PORT"
port = {port}
lazy = true
env = {{ PYTHONPATH = "{folder}/..", SECRET_KEY = "x", CANAILLE_SQL__DATABASE_URI = "${{postgres.app.url}}", BROKER_URL = "${{valkey.cache.url}}", PREFERRED_URL_SCHEME = "http", CANAILLE__SMTP__HOST = "127.0.0.1" }}
"#
        )
}

/// What a page says, as a browser would find it.
fn get(project: &Project, url: &str) -> String {
    succeed(curl(project).arg(url))
}

/// Fills in the form for a forgotten password.
fn ask_for_password(project: &Project, port: u16) {
    let url = format!("http://127.0.0.1:{port}/reset");
    let form = get(project, &url);
    let token = form
        .split_once("name=\"csrf_token\"")
        .and_then(|(_, rest)| rest.split_once("value=\""))
        .and_then(|(_, rest)| rest.split_once('"'));
    let (token, _) = token.expect("the form has a token");
    let field = format!("csrf_token={token}");
    let words = [
        "--referer",
        &url,
        "--data-urlencode",
        &field,
        "--data",
        "login=jane",
    ];
    succeed(curl(project).args(words).arg(&url));
}

fn curl(project: &Project) -> Command {
    let mut command = project.world.command("curl");
    let jar = project.world.dir().join("home/cookies");
    command.args([
        "--silent",
        "--show-error",
        "--fail-with-body",
        "--max-time",
        "60",
    ]);
    command
        .arg("--cookie")
        .arg(&jar)
        .arg("--cookie-jar")
        .arg(&jar);
    command
}
