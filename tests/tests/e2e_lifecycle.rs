//! From asleep to awake and back, and what is known of it in between.
#![expect(
    clippy::expect_used,
    reason = "a surprise fails the test, and says what it was"
)]

use std::fs;
use std::time::{Duration, Instant};

use doze_tests::client::Client;
use doze_tests::exchange::Exchange;
use doze_tests::project::{Mode, Project, output};
use doze_tests::{in_every_mode, wait_until};

const BOUND: Duration = Duration::from_mins(1);

in_every_mode!(
    an_engine_sleeps_after_its_timeout_and_not_before,
    a_connected_client_keeps_its_engine_awake_whatever_the_timeout,
    nothing_is_known_of_an_awake_time_once_it_is_over,
    a_lost_stamp_is_one_of_a_structure_that_was_never_made,
);

/// A project that is up and sleeps after so long.
fn up(mode: Mode, idle_timeout: &str) -> Option<Project> {
    let mut project = Project::new(mode, idle_timeout)?;
    project.up();
    Some(project)
}

/// A client of the cache that was answered, and how it asks again.
fn guest(project: &Project) -> (Client, Exchange) {
    let plan = project.plan("cache");
    let endpoint = plan.endpoints.first().expect("an endpoint");
    let mut client = Client::connect(endpoint, BOUND).expect("somebody listens");
    let exchange = Exchange::of(&plan);
    assert!(exchange.with(&mut client).expect("an answer"));
    (client, exchange)
}

fn an_engine_sleeps_after_its_timeout_and_not_before(mode: Mode) {
    let Some(project) = up(mode, "1s") else {
        return;
    };
    let (client, _) = guest(&project);
    let left = Instant::now();
    drop(client);
    project.wait_asleep();
    let awake = left.elapsed();
    assert!(awake >= Duration::from_secs(1), "{awake:?}");
}

fn a_connected_client_keeps_its_engine_awake_whatever_the_timeout(mode: Mode) {
    let Some(project) = up(mode, "100ms") else {
        return;
    };
    let (mut client, exchange) = guest(&project);
    let before = project.running("valkey-server");
    assert_eq!(before.len(), 1);
    // Another one of the same timeout falls asleep a few times meanwhile.
    for _ in 0..3 {
        assert_eq!(project.sql("select 1"), "1");
        wait_until("the database to sleep", BOUND, || {
            match project.state("app").as_str() {
                "asleep" => Ok(()),
                other => Err(other.to_owned()),
            }
        });
    }
    assert_eq!(project.running("valkey-server"), before);
    assert!(exchange.with(&mut client).expect("an answer"));
    drop(client);
    project.wait_asleep();
}

fn nothing_is_known_of_an_awake_time_once_it_is_over(mode: Mode) {
    let Some(project) = up(mode, "300ms") else {
        return;
    };
    let asleep = project.status();
    let (client, _) = guest(&project);
    assert_ne!(project.status(), asleep);
    drop(client);
    project.wait_asleep();
    assert_eq!(project.status(), asleep);
}

fn a_lost_stamp_is_one_of_a_structure_that_was_never_made(mode: Mode) {
    let Some(project) = up(mode, "100ms") else {
        return;
    };
    assert_eq!(project.sql("create table t(); select 1"), "1");
    project.wait_asleep();
    let stamp = project.plan("app").paths.data.join("doze-converged");
    let before = fs::read_to_string(&stamp).expect("it was converged");
    fs::remove_file(&stamp).expect("our file");
    // It is compared with what is there, so nothing of that is lost or made twice.
    assert_eq!(project.sql("select count(*) from t"), "0");
    assert_eq!(fs::read_to_string(&stamp).expect("again"), before);
    project.wait_asleep();
}

/// What is not declared any more goes, all at once as one by one; its data when that is asked for.
#[test]
fn a_project_that_declares_nothing_any_more_keeps_nothing_but_its_data() {
    let Some(project) = up(Mode::Systemd, "1h") else {
        return;
    };
    assert_eq!(project.cached(&["set", "k", "v"]), "OK");
    assert_eq!(project.sql("select 1"), "1");
    project.declare("name = \"shop\"\n");
    project.run(&["apply", "--yes"]);
    assert_eq!(project.processes(), []);
    assert!(!project.accepts(project.app) && !project.accepts(project.cache));
    for name in ["app", "cache"] {
        assert!(project.home().join("data").join(name).is_dir(), "{name}");
    }
    let said = output(&mut project.doze(&["plan", "--check"]));
    assert_eq!(said.status.code(), Some(0));

    project.run(&["apply", "--yes", "--prune"]);
    for name in ["app", "cache"] {
        let data = project.home().join("data").join(name);
        assert!(!data.try_exists().expect("our folder"), "{name}");
    }
    let said = output(&mut project.doze(&["plan", "--check", "--prune"]));
    assert_eq!(said.status.code(), Some(0));
    assert!(said.stdout.is_empty() && said.stderr.is_empty(), "{said:?}");
}
