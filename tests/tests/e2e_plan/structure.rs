//! The structure inside a database: what is planned of it, and what applying makes of it.

use doze_tests::project::{Mode, Project};
use doze_tests::skip::skip;
use doze_tests::{User, in_every_mode};

use crate::{Guest, assert_settled, ended, project};

in_every_mode!(what_was_dropped_by_hand_is_seen_and_mended_under_its_clients);

/// A project whose database has a structure, and this beside the owner of it; `None` if the driver
/// of Postgres has none to offer, which is said then.
fn has_structure(project: &Project) -> Option<()> {
    if project.plan("app").body.converge.is_none() {
        skip("a driver of Postgres that converges");
        return None;
    }
    Some(())
}

/// Its file with a schema in its database.
fn with_schema(project: &Project) -> String {
    declared(project, "[postgres.app.schema.s]\n")
}

fn declared(project: &Project, more: &str) -> String {
    let toml = project.toml("1h");
    toml.replace("[valkey.cache]", &format!("{more}\n[valkey.cache]"))
}

fn schemas(project: &Project) -> String {
    project.sql("select count(*) from pg_namespace where nspname = 's'")
}

#[test]
fn the_statements_for_a_live_engine_are_shown_and_run() {
    let Some(project) = project() else { return };
    let Some(()) = has_structure(&project) else {
        return;
    };
    assert_eq!(schemas(&project), "0");
    assert_settled(&project);
    project.declare(&with_schema(&project));
    let said = ended(&project, &["plan", "--check"], 5).out;
    assert!(said.contains("structure\n  app: CREATE SCHEMA"), "{said}");
    assert!(!said.contains("restarts"), "{said}");
    assert_eq!(schemas(&project), "0", "it was only shown");

    // Nothing but the structure changed, so nobody is disturbed.
    let _guest = Guest::of(&project, "app");
    let before = project.running("doze-activator");
    let said = project.run(&["apply"]);
    assert_eq!(
        said.matches("app: CREATE SCHEMA").count(),
        2,
        "shown, and run: {said}"
    );
    assert_eq!(schemas(&project), "1");
    assert_eq!(project.running("doze-activator"), before);
    assert_settled(&project);
    project.run(&["sleep", "app"]);
    assert_settled(&project);
    assert_eq!(schemas(&project), "1");
    assert_settled(&project);

    // The everyday command leaves it to the next boot, and says so.
    let more = "[postgres.app.schema.s]\n[postgres.app.schema.s2]\n";
    project.declare(&declared(&project, more));
    assert_eq!(project.run(&["up"]), "app: stops for its new settings\n");
    let count = "select count(*) from pg_namespace where nspname = 's2'";
    assert_eq!(project.sql(count), "1");
    assert_settled(&project);
}

/// It is in no file of doze's, so only the live engine can tell.
fn what_was_dropped_by_hand_is_seen_and_mended_under_its_clients(mode: Mode) {
    let Some(mut project) = Project::new(mode, "1h") else {
        return;
    };
    project.run(&["generate"]);
    let Some(()) = has_structure(&project) else {
        return;
    };
    project.declare(&with_schema(&project));
    match mode {
        Mode::Systemd | Mode::Launchd => drop(project.run(&["up"])),
        Mode::Foreground => project.up(),
    }
    assert_eq!(schemas(&project), "1");
    assert_settled(&project);
    project.sql("drop schema s");
    let _guest = Guest::of(&project, "app");
    let before = project.running("doze-activator");

    let said = ended(&project, &["plan", "--check"], 5).out;
    assert!(
        said.starts_with("structure\n  app: CREATE SCHEMA"),
        "{said}"
    );
    let said = project.run(&["apply"]);
    assert_eq!(said.matches("app: CREATE SCHEMA").count(), 2, "{said}");
    assert_eq!(schemas(&project), "1");
    assert_eq!(
        project.running("doze-activator"),
        before,
        "nobody was disturbed"
    );
    assert_settled(&project);
    if mode == Mode::Foreground {
        // Plans are read once, by whoever holds the sockets.
        project.declare(&project.toml("1h"));
        let said = ended(&project, &["apply", "--yes"], 1).err;
        assert!(
            said.contains("in the foreground of another terminal"),
            "{said}"
        );
        project.down();
    }
}

/// Upstream §3.10: a plan that compares objects does not see what is none, such as a grant.
#[test]
fn an_edit_of_nothing_but_an_attribute_is_no_empty_plan() {
    let Some(project) = project() else { return };
    let Some(()) = has_structure(&project) else {
        return;
    };
    project.declare(&declared(&project, "[postgres.app.role.reader]\n"));
    project.run(&["up"]);
    project.run(&["wake", "app"]);
    assert_settled(&project);
    let limit = "[postgres.app.role.reader]\nconnection_limit = 3\n";
    project.declare(&declared(&project, limit));
    let said = ended(&project, &["plan", "--check"], 5).out;
    assert!(said.contains("structure\n  app: ALTER ROLE"), "{said}");
    project.run(&["apply", "--yes"]);
    let live = "select rolconnlimit from pg_roles where rolname = 'reader'";
    assert_eq!(project.sql(live), "3");
    assert_settled(&project);
}

#[test]
fn what_a_sleeping_engine_lacks_is_told_without_waking_it() {
    let Some(project) = project() else { return };
    let Some(()) = has_structure(&project) else {
        return;
    };
    project.declare(&with_schema(&project));
    project.run(&["up"]);
    assert_settled(&project);
    project.sql("select 1");
    project.declare(&project.toml("1h"));
    project.run(&["apply", "--yes"]);
    project.sql("drop schema s");
    project.run(&["sleep", "app"]);
    project.declare(&with_schema(&project));
    project.run(&["up"]);
    let said = ended(&project, &["plan", "--check"], 5).out;
    let told = "structure\n  app: not as declared; what has to be done is known when it wakes\n";
    assert_eq!(said, told);
    assert_eq!(project.processes(), []);

    // Its boot does it, and apply tells what that was.
    let said = project.run(&["apply"]);
    assert!(said.contains("app: CREATE SCHEMA"), "{said}");
    assert_eq!(schemas(&project), "1");
    assert_settled(&project);
}

/// Postgres refuses root, and so its driver runs as the plan's launcher has it.
#[test]
fn root_asks_its_engines_as_well() {
    let Some(project) = Project::of(User::Current, Mode::Systemd, "1h") else {
        return;
    };
    project.run(&["up"]);
    let Some(()) = has_structure(&project) else {
        return;
    };
    project.run(&["wake", "app"]);
    project.declare(&with_schema(&project));
    let said = ended(&project, &["plan"], 0).out;
    assert!(said.contains("app: CREATE SCHEMA"), "{said}");
    project.run(&["apply", "--yes"]);
    assert_eq!(schemas(&project), "1");
    assert_settled(&project);
}

/// A line that went from a file is no reason to drop anything; to ask for it is one, but for data.
#[test]
fn what_is_no_longer_declared_is_told_and_goes_only_when_asked() {
    let Some(project) = project() else { return };
    let Some(()) = has_structure(&project) else {
        return;
    };
    let more = "[postgres.app.schema.s]\n[postgres.app.schema.full]\n[postgres.app.role.reader]\n";
    project.declare(&declared(&project, more));
    project.run(&["up"]);
    project.sql("create table \"full\".t as select 42 as n");
    project.declare(&project.toml("1h"));
    project.run(&["apply", "--yes"]);
    assert_eq!(schemas(&project), "1");

    let said = ended(&project, &["plan", "--check"], 0);
    assert_eq!(said.out, "", "nothing to do");
    let note = "note: app: role reader stays: is no longer declared\n";
    assert!(said.err.contains(note), "{}", said.err);
    let json = ended(&project, &["plan", "--json"], 0).out;
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    let kept = json["kept"].as_array().expect("a list");
    assert_eq!(kept.len(), 3, "{json}");

    let said = ended(&project, &["plan", "--check", "--prune"], 5);
    assert_eq!(
        said.out,
        "structure\n  app: DROP SCHEMA \"s\"\n  app: DROP ROLE \"reader\"\n"
    );
    let note = "note: app: schema full stays: table \"full\".t depends on schema full\n";
    assert!(said.err.contains(note), "{}", said.err);
    let said = ended(&project, &["apply", "--prune"], 2).err;
    assert!(
        said.contains("would drop schema s of app, drop role reader of app"),
        "{said}"
    );
    assert_eq!(schemas(&project), "1");

    // Who sleeps has to wake to be asked.
    project.run(&["sleep", "app"]);
    let said = ended(&project, &["plan", "--check", "--prune"], 0).out;
    assert!(
        said.starts_with("structure\n  app: wakes, and what it no longer declares is dropped"),
        "to be asleep is no difference: {said}"
    );
    let said = ended(&project, &["apply", "--prune"], 2).err;
    assert!(
        said.contains("would drop what app no longer declares"),
        "{said}"
    );
    let said = ended(&project, &["apply", "--prune", "--yes"], 0);
    assert!(
        said.out.contains("app: DROP SCHEMA \"s\"\n"),
        "{}",
        said.out
    );
    assert!(
        said.err.contains("note: app: schema full stays: "),
        "{}",
        said.err
    );
    assert_eq!(schemas(&project), "0");
    assert_eq!(project.sql("select n from \"full\".t"), "42");
    let said = ended(&project, &["plan", "--check", "--prune"], 0);
    assert_eq!(said.out, "", "all that could go is gone");
}

/// Upstream §11.5: a marker outside of the data said of an empty database that it was converged.
#[test]
fn no_marker_is_left_after_a_reset_that_makes_an_empty_database_look_converged() {
    let Some(project) = project() else { return };
    let Some(()) = has_structure(&project) else {
        return;
    };
    project.declare(&with_schema(&project));
    project.run(&["up"]);
    assert_eq!(schemas(&project), "1");
    project.run(&["reset", "app", "--yes"]);
    assert_eq!(schemas(&project), "1");
    project.run(&["destroy", "--yes"]);
    project.run(&["up"]);
    assert_eq!(schemas(&project), "1");
}
