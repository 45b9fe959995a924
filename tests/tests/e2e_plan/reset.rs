//! `doze reset`: an instance as on its first day.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use doze_tests::crowd::{Crowd, Tally};
use doze_tests::exchange::Exchange;
use doze_tests::in_every_mode;
use doze_tests::project::{Mode, Project};

use crate::{Guest, assert_settled, ended, project};

in_every_mode!(its_next_client_finds_an_instance_as_new);

fn its_next_client_finds_an_instance_as_new(mode: Mode) {
    let Some(mut project) = Project::new(mode, "1h") else {
        return;
    };
    project.up();
    project.sql("create table t (n int)");
    let mut guest = Guest::of(&project, "cache");
    let refused = ended(&project, &["reset", "app"], 2).err;
    let data = project.home().join("data/app");
    assert!(
        refused.contains(&format!("remove {}", data.display())),
        "{refused}"
    );
    assert!(refused.contains("MiB in "), "{refused}");
    assert_eq!(
        project.sql("select count(*) from t"),
        "0",
        "nothing was done"
    );

    project.run(&["reset", "app", "--yes"]);
    assert!(!data.try_exists().expect("it can be looked for"));
    assert_eq!(project.sql("select to_regclass('t') is null"), "t");
    assert!(guest.is_served(), "it is none of its business");
    project.run(&["reset", "app", "--yes"]);
    // As a killed one leaves it.
    let left = project
        .world
        .write(project.home().join("data/.app.gone/file"), "");
    assert_eq!(project.run(&["reset", "app", "-y"]), "app: has no data\n");
    assert!(!left.try_exists().expect("it can be looked for"));
    if mode == Mode::Foreground {
        project.down();
    }
}

#[test]
fn what_depends_on_it_is_named_and_goes_on() {
    let Some(project) = Project::new(Mode::Systemd, "1h") else {
        return;
    };
    let owner = "owner = \"app\"\n";
    let toml = project.toml("1h");
    project.declare(&toml.replace(owner, &format!("{owner}depends_on = [\"cache\"]\n")));
    project.run(&["up"]);
    project.sql("select 1");
    let said = ended(&project, &["reset", "cache", "--yes"], 0).err;
    assert!(said.contains("cache: is awake (1 hold)"), "{said}");
    assert!(
        said.contains("app: depends on cache, and stays up"),
        "{said}"
    );
    assert_eq!(project.sql("select 1"), "1");
    assert_settled(&project);
}

/// Whoever comes in the middle waits for new data, or was connected and is cut off; nobody is turned
/// away, and nobody meets half of the old data.
#[test]
fn clients_who_come_in_the_middle_are_served() {
    let Some(project) = project() else { return };
    project.cached(&["set", "k", "v"]);
    let plan = project.plan("cache");
    let crowd = Crowd {
        endpoints: plan.endpoints.clone(),
        exchange: Exchange::of(&plan),
        connections: 40,
        waves: 8,
        threads: 4,
        idle_timeout: Duration::from_millis(10),
        stop: Duration::from_millis(40),
        seed: 5,
    };
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let crowd = scope.spawn(|| {
            let mut tally = Tally::default();
            while !over.load(Ordering::Relaxed) {
                tally.add(crowd.come());
            }
            tally
        });
        for _ in 0..10 {
            project.cached(&["set", "k", "v"]);
            let said = ended(&project, &["reset", "cache", "--yes"], 0).out;
            assert!(said.contains("its data is gone"), "{said}");
            assert_eq!(project.cached(&["exists", "k"]), "0");
        }
        over.store(true, Ordering::Relaxed);
        let tally = crowd.join().expect("a crowd does not panic");
        println!("{tally}");
        let cut = |what: &String| what.starts_with("hear: ") || what.starts_with("ask: ");
        assert!(tally.answered > 0 && tally.lost.keys().all(cut), "{tally}");
    });
}
