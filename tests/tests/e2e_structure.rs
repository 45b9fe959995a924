//! What is declared inside an engine: there before the first client, as declared after an edit,
//! and nobody's time otherwise.
#![expect(
    clippy::expect_used,
    reason = "a surprise fails the test, and says what it was"
)]

use std::fs;
use std::process::Command;
use std::thread;

use doze_tests::in_every_mode;
use doze_tests::project::{Mode, Project, output, succeed};
use serde_json::Value;

in_every_mode!(
    the_first_clients_find_everything_that_is_declared,
    a_password_is_enforced_and_is_in_the_url,
    an_edit_is_made_at_the_next_wake_and_no_other_wake_asks_the_driver,
    drift_is_mended_when_something_else_was_edited,
    what_cannot_be_made_is_told_to_clients_until_the_file_is_mended,
);

/// The names and the password of somebody who makes it hard for everybody.
const HOSTILE: &str = r#"50% "it's" $HOME ${x} \ü; --"#;

/// A project whose Postgres has, besides its owner, what these lines declare.
fn project(mode: Mode, lines: &str) -> Option<Project> {
    let project = Project::new(mode, "100ms")?;
    project.declare(&toml(&project, lines));
    Some(project)
}

fn toml(project: &Project, lines: &str) -> String {
    project
        .toml("100ms")
        .replace("owner = \"app\"\n", &format!("owner = \"app\"\n{lines}\n"))
}

/// psql(1) for a role of the server, at the endpoint.
fn psql(project: &Project, role: &str, password: &str, sql: &str) -> Command {
    let mut command = project.world.command(project.postgres_program("psql"));
    command
        .args([
            "-XAtqw",
            "-v",
            "ON_ERROR_STOP=1",
            "-h",
            "127.0.0.1",
            "-c",
            sql,
        ])
        .env("PGPORT", project.app.to_string())
        .env("PGUSER", role)
        .env("PGPASSWORD", password)
        .env("PGDATABASE", "app")
        .env("PGSSLMODE", "disable");
    command
}

/// What a client hears that is not served.
fn refused(command: &mut Command) -> String {
    let output = output(command);
    assert!(!output.status.success(), "{command:?} was served");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn the_first_clients_find_everything_that_is_declared(mode: Mode) {
    let lines = "extensions = [\"pgcrypto\"]\nrole.web.member_of = [\"app\"]\n\
                 role.web.settings = { work_mem = \"7MB\" }\nschema.billing.owner = \"web\"\n\
                 database.reports = {}";
    let Some(mut project) = project(mode, lines) else {
        return;
    };
    project.up();
    let sql = "select current_user, current_setting('work_mem'), gen_salt('bf') <> '',
        (select pg_get_userbyid(nspowner) from pg_namespace where nspname = 'billing'),
        (select pg_get_userbyid(datdba) from pg_database where datname = 'reports')";
    thread::scope(|scope| {
        // All of them are there before the engine is.
        let client = || scope.spawn(|| succeed(&mut psql(&project, "web", "", sql)));
        let clients: Vec<_> = (0..8).map(|_| client()).collect();
        for client in clients {
            assert_eq!(client.join().expect("a client"), "web|7MB|t|web|app\n");
        }
    });
    assert_eq!(project.wakes("app"), 1);
    assert_eq!(project.logged("app", "converged: CREATE ROLE \"web\""), 1);
    project.wait_asleep();
}

fn a_password_is_enforced_and_is_in_the_url(mode: Mode) {
    let quoted = HOSTILE.replace('\\', r"\\").replace('"', "\\\"");
    let quoted = quoted.replace("${", "$${");
    let lines = format!(
        "role.app.password = \"s3cret\"\nrole.\"{quoted}\" = {{ password = \"{quoted}\" }}"
    );
    let Some(mut project) = project(mode, &lines) else {
        return;
    };
    project.up();
    let me = "select current_user";
    assert_eq!(succeed(&mut psql(&project, "app", "s3cret", me)), "app\n");
    let url = project.plan("app").body.connection.url.expect("an address");
    assert!(url.starts_with("postgresql://app:s3cret@"), "{url}");
    let mut by_url = project.world.command(project.postgres_program("psql"));
    assert_eq!(succeed(by_url.args(["-XAtqw", "-c", me, &url])), "app\n");

    // The server's own words.
    let said = refused(&mut psql(&project, "app", "wrong", me));
    let failed = "password authentication failed for user \"app\"";
    assert!(said.contains(failed), "{said}");
    // It does not tell strangers which roles there are.
    let said = refused(&mut psql(&project, "nobody", "x", me));
    let failed = "password authentication failed for user \"nobody\"";
    assert!(said.contains(failed), "{said}");

    // In a value `$${` stands for `${`; the plan has what is meant.
    let structure = project.plan("app").body.converge.expect("a structure");
    let structure: Value = structure.block.read().expect("JSON");
    let roles = structure.pointer("/roles").and_then(Value::as_object);
    let (name, role) = roles
        .expect("roles")
        .iter()
        .find(|(name, _)| *name != "app")
        .expect("the other role");
    let password = role.pointer("/password").and_then(Value::as_str);
    let password = password.expect("a password");
    assert_eq!(
        succeed(&mut psql(&project, name, password, me)),
        format!("{name}\n")
    );
    let said = refused(&mut psql(&project, name, "s3cret", me));
    assert!(said.contains("password authentication failed"), "{said}");

    // Nobody finds a password but in what only its owner can read.
    for (place, text) in [
        ("the log", project.log("app")),
        (
            "the process table",
            doze_tests::process::list(&project.processes()),
        ),
        ("the stamp", stamp(&project)),
    ] {
        assert!(!text.contains("s3cret"), "{place}: {text}");
    }
    project.wait_asleep();
}

fn an_edit_is_made_at_the_next_wake_and_no_other_wake_asks_the_driver(mode: Mode) {
    let Some(mut project) = project(mode, "") else {
        return;
    };
    project.up();
    project.sql("create table t as select 42 as n");
    project.wait_asleep();
    let edited = toml(&project, "role.web = {}\nextensions = [\"pgcrypto\"]");
    project.edit(&edited);
    // Nobody was woken for it.
    assert_eq!(project.wakes("app"), 1);
    let sql = "select n, gen_salt('bf') <> '' from t";
    assert_eq!(project.sql(sql), "42|t");
    let made = project.logged("app", "converged: ");
    for line in ["CREATE ROLE \"web\" LOGIN", "CREATE EXTENSION "] {
        assert_eq!(project.logged("app", &format!("converged: {line}")), 1);
    }
    project.wait_asleep();

    let driver = project.world.programs().join("doze-driver-postgres");
    let away = driver.with_extension("away");
    fs::rename(&driver, &away).expect("a program of the world");
    assert_eq!(project.sql(sql), "42|t");
    project.wait_asleep();
    fs::rename(&away, &driver).expect("a program of the world");
    assert_eq!(project.logged("app", "converged: "), made);
    assert_eq!(project.wakes("app"), 3);
}

fn drift_is_mended_when_something_else_was_edited(mode: Mode) {
    let Some(mut project) = project(mode, "role.web = {}\nextensions = [\"pgcrypto\"]") else {
        return;
    };
    project.up();
    let drift = "alter role web superuser connection limit 3; drop extension pgcrypto;
        create role mine; grant mine to web";
    assert_eq!(project.sql("select 42"), "42");
    let secret = project.plan("app").paths.data.join("superuser");
    let secret = fs::read_to_string(secret).expect("the password of the superuser");
    succeed(&mut psql(&project, "postgres", &secret, drift));
    project.wait_asleep();
    let look = "select rolsuper, rolconnlimit, pg_has_role('mine', 'member'),
        (select count(*) from pg_extension where extname = 'pgcrypto')
        from pg_roles where rolname = current_user";
    // A wake alone looks at nothing.
    assert_eq!(succeed(&mut psql(&project, "web", "", look)), "t|3|t|0\n");
    project.wait_asleep();
    let edited = "role.web = {}\nextensions = [\"pgcrypto\"]\nschema.billing = {}";
    let edited = toml(&project, edited);
    project.edit(&edited);
    assert_eq!(succeed(&mut psql(&project, "web", "", look)), "f|-1|t|1\n");
    project.wait_asleep();
}

fn what_cannot_be_made_is_told_to_clients_until_the_file_is_mended(mode: Mode) {
    let Some(mut project) = project(mode, "extensions = [\"no-such-extension\"]") else {
        return;
    };
    project.up();
    let sound = toml(&project, "extensions = [\"pgcrypto\"]");
    let broken = toml(&project, "extensions = [\"no-such-extension\"]");
    // With a new data directory, and with one that was converged before.
    for round in 0..2 {
        // The second comes when the first try has failed.
        for _ in 0..2 {
            let said = refused(&mut project.psql("select 1"));
            let reason = "extension \"no-such-extension\" is not available";
            assert!(said.contains(reason), "{round}: {said}");
            assert!(said.contains("`doze logs app` shows more"), "{said}");
        }
        project.edit(&sound);
        assert_eq!(project.sql("select gen_salt('bf') <> ''"), "t");
        project.wait_asleep();
        if round == 0 {
            project.edit(&broken);
        }
    }
    // The engine was well each time, and was stopped in its own way.
    let log = project.log("app");
    assert!(!log.contains("database system was interrupted"), "{log}");
}

fn stamp(project: &Project) -> String {
    let path = project.plan("app").paths.data.join("doze-converged");
    fs::read_to_string(path).expect("it was converged")
}
