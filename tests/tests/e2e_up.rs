//! `doze up`: from what runs to what `doze.toml` says, by the fewest steps.

use std::fs;
use std::net::TcpListener;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use doze_tests::crowd::{Crowd, Tally};
use doze_tests::exchange::Exchange;
use doze_tests::project::{Mode, Project, output, succeed};
use doze_tests::stamps::Stamps;

/// A project under systemd that is up and stays awake once it is.
fn project() -> Option<Project> {
    let project = Project::new(Mode::Systemd, "1h")?;
    project.run(&["up"]);
    Some(project)
}

/// The activator of an instance, by its plan.
fn activator(project: &Project, instance: &str) -> Option<i32> {
    let mut all = project.running("doze-activator");
    all.retain(|process| process.command.ends_with(&format!("/{instance}.json")));
    all.first().map(|process| process.pid)
}

/// Must hold 3, first part.
#[test]
fn a_second_up_prints_nothing_writes_nothing_restarts_nothing() {
    let Some(project) = project() else { return };
    project.run(&["wake", "app"]);
    project.run(&["wake", "cache"]);
    project.wait_for_spare();
    let awake = project.processes();
    let (home, runtime) = (
        project.world.home(),
        project.world.runtime_dir().join("doze"),
    );
    let before = Stamps::of(&[&home, &runtime]);
    let second = output(&mut project.doze(&["up"]));
    assert!(second.status.success());
    assert_eq!(String::from_utf8_lossy(&second.stdout), "");
    assert_eq!(String::from_utf8_lossy(&second.stderr), "");
    let changed = before.differences(&Stamps::of(&[&home, &runtime]));
    assert!(changed.is_empty(), "{changed:?}");
    assert_eq!(project.processes(), awake);
}

/// The manager would warn of every unit until it has read them again, and only `doze up` knows that
/// none of them changed.
#[test]
fn a_change_that_changes_nothing_leaves_no_warning() {
    let Some(project) = project() else { return };
    project.run(&["wake", "cache"]);
    let cache = activator(&project, "cache");
    project.declare(&(project.toml("1h") + "# a comment\n"));
    let mut show = vec!["systemctl", "--user", "show", "--property=NeedDaemonReload"];
    show.extend(["doze-shop.target", "doze-shop-app.socket"]);
    assert!(project.world.run(&show).contains("yes"));
    assert_eq!(project.run(&["up"]), "");
    assert!(!project.world.run(&show).contains("yes"));
    assert_eq!(activator(&project, "cache"), cache);
}

/// Must hold 3, second part.
#[test]
fn a_changed_key_restarts_what_it_concerns() {
    let Some(mut project) = project() else { return };
    project.sql("create table t (n int); insert into t values (7)");
    project.cached(&["set", "k", "v"]);
    let (app, cache) = (activator(&project, "app"), activator(&project, "cache"));
    assert!(app.is_some() && cache.is_some());

    let toml = project.toml("1h") + "maxmemory = \"100mb\"\n";
    project.declare(&toml);
    assert_eq!(project.run(&["up"]), "cache: stops for its new settings\n");
    assert_eq!(activator(&project, "app"), app, "the other one goes on");
    assert_eq!(activator(&project, "cache"), None);
    assert_eq!(
        project.cached(&["config", "get", "maxmemory"]),
        "maxmemory\n104857600"
    );
    assert_eq!(project.cached(&["get", "k"]), "v");

    // Another address moves the socket, and only that one.
    let old = project.app;
    project.app = project.world.port();
    project.declare(&toml.replace(&old.to_string(), &project.app.to_string()));
    let cache = activator(&project, "cache");
    project.run(&["up"]);
    assert_eq!(activator(&project, "cache"), cache);
    assert_eq!(project.sql("select n from t"), "7");
    assert!(!project.accepts(old), "the old address is given back");
    assert_eq!(project.run(&["up"]), "");
}

#[test]
fn an_edit_under_clients_is_what_the_next_one_meets() {
    let Some(project) = Project::new(Mode::Systemd, "10ms") else {
        return;
    };
    project.run(&["up"]);
    let plan = project.plan("cache");
    let crowd = Crowd {
        endpoints: plan.endpoints.clone(),
        exchange: Exchange::of(&plan),
        connections: 40,
        waves: 8,
        threads: 4,
        idle_timeout: Duration::from_millis(10),
        stop: Duration::from_millis(40),
        seed: 3,
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
        for megabytes in 100..120 {
            let memory = format!("maxmemory = \"{megabytes}mb\"\n");
            project.declare(&(project.toml("10ms") + &memory));
            project.run(&["up"]);
            let told = project.cached(&["config", "get", "maxmemory"]);
            let bytes = (megabytes << 20).to_string();
            assert_eq!(told.lines().last(), Some(bytes.as_str()));
        }
        over.store(true, Ordering::Relaxed);
        let tally = crowd.join().expect("a crowd does not panic");
        println!("{tally}");
        // `doze up` ends the engine under its clients, and nobody else is turned away.
        let cut = |what: &String| what.starts_with("hear: ") || what.starts_with("ask: ");
        assert!(tally.lost.keys().all(cut), "{tally}");
    });
}

#[test]
fn a_removed_instance_loses_its_socket_and_keeps_its_data() {
    let Some(project) = project() else { return };
    project.cached(&["set", "k", "v"]);
    let whole = project.toml("1h");
    let (without, _) = whole.split_once("[valkey.cache]").expect("it is declared");
    project.declare(without);
    let said = project.run(&["up"]);
    assert!(
        said.contains("doze-shop-cache is no longer declared"),
        "{said}"
    );
    assert!(!project.accepts(project.cache), "nobody listens");
    let unit = project.world.units().join("doze-shop-cache.socket");
    assert!(!unit.try_exists().expect("it can be looked for"));
    let status = project.run(&["status"]);
    assert!(
        status.contains("orphaned:") && status.contains("/data/cache"),
        "{status}"
    );
    assert_eq!(project.run(&["up"]), "");

    project.declare(&whole);
    project.run(&["up"]);
    assert_eq!(project.cached(&["get", "k"]), "v");
}

/// What was generated by hand is applied by the next `doze up`.
#[test]
fn a_change_that_was_only_generated_is_applied_later() {
    let Some(project) = project() else { return };
    project.run(&["wake", "cache"]);
    project.declare(&(project.toml("1h") + "maxmemory = \"100mb\"\n"));
    project.run(&["generate"]);
    assert_eq!(
        project.cached(&["config", "get", "maxmemory"]),
        "maxmemory\n0"
    );
    assert_eq!(project.run(&["up"]), "cache: stops for its new settings\n");
    assert_eq!(
        project.cached(&["config", "get", "maxmemory"]),
        "maxmemory\n104857600"
    );
}

#[test]
fn a_taken_port_is_told_with_its_holder_and_the_others_come_up() {
    let Some(project) = Project::new(Mode::Systemd, "1h") else {
        return;
    };
    let taken = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let port = taken.local_addr().expect("an address").port();
    let toml = project
        .toml("1h")
        .replace(&project.app.to_string(), &port.to_string());
    project.declare(&toml);
    let up = output(&mut project.doze(&["up"]));
    let said = String::from_utf8_lossy(&up.stderr);
    assert_eq!(up.status.code(), Some(1), "{said}");
    assert!(
        said.contains(&format!("app: 127.0.0.1:{port} is taken by")),
        "{said}"
    );
    assert_eq!(project.cached(&["ping"]), "PONG");
    assert_eq!(project.state("app"), "not up");

    drop(taken);
    let said = project.run(&["up"]);
    assert!(
        said.contains("app (postgres): systemd listens on"),
        "{said}"
    );
    assert_eq!(project.run(&["up"]), "");
}

#[test]
fn down_is_until_the_next_up_and_up_is_for_good() {
    let Some(project) = project() else { return };
    let enabled = project
        .world
        .units()
        .join("default.target.wants/doze-shop.target");
    assert!(
        fs::symlink_metadata(&enabled).is_ok(),
        "it comes with the next login"
    );
    project.cached(&["set", "k", "v"]);
    project.run(&["down"]);
    project.wait_asleep();
    assert!(fs::symlink_metadata(&enabled).is_err());
    assert!(!project.accepts(project.cache));
    project.run(&["down"]);
    project.run(&["up"]);
    assert_eq!(project.cached(&["get", "k"]), "v");
}

#[test]
fn only_the_named_instances_come_up() {
    let Some(project) = Project::new(Mode::Systemd, "1h") else {
        return;
    };
    project.run(&["up", "cache"]);
    assert_eq!(project.cached(&["ping"]), "PONG");
    assert!(!project.accepts(project.app));
    let unknown = output(&mut project.doze(&["up", "cach"]));
    assert_eq!(unknown.status.code(), Some(2));
    let said = String::from_utf8_lossy(&unknown.stderr);
    assert!(said.contains("did you mean `cache`?"), "{said}");
}

#[test]
fn a_disabled_instance_is_as_if_it_were_not_there_but_for_its_data() {
    let Some(project) = project() else { return };
    project.cached(&["set", "k", "v"]);
    project.declare(&(project.toml("1h") + "enabled = false\n"));
    project.run(&["up"]);
    assert!(!project.accepts(project.cache));
    assert_eq!(project.state("cache"), "disabled");
    assert!(!project.run(&["status"]).contains("orphaned"));
    project.declare(&project.toml("1h"));
    project.run(&["up"]);
    assert_eq!(project.cached(&["get", "k"]), "v");
}

/// Two projects of one name would share their units and their data.
#[test]
fn a_name_that_another_project_has_is_refused() {
    let Some(project) = project() else { return };
    project
        .world
        .write("home/other/doze.toml", &project.toml("1h"));
    let mut other = project.doze(&["up"]);
    let refused = output(other.current_dir(project.world.home().join("other")));
    assert_eq!(refused.status.code(), Some(2));
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(
        said.contains("already used by") && said.contains("/shop/doze.toml"),
        "{said}"
    );
    assert_eq!(project.run(&["up"]), "", "the first one is untouched");

    // A project that moved takes its name along.
    let (from, to) = (
        project.world.home().join("shop"),
        project.world.home().join("moved"),
    );
    fs::rename(&from, &to).expect("it can be moved");
    succeed(project.doze(&["up"]).current_dir(&to));
}

/// A name may be any text that can be the name of a file, and a password any text at all.
#[test]
fn hostile_names_and_passwords_work_from_end_to_end() {
    let Some(project) = Project::new(Mode::Systemd, "300ms") else {
        return;
    };
    let (name, password) = ("a-b %n $USER 'q' \"x\" ü", "p%w $x 'a' \"b\" # ü");
    let toml = project
        .toml("300ms")
        .replace("\"shop\"", r#"'50% of $HOME "größe" -x'"#)
        .replace("[postgres.app]", &format!("[postgres.{name:?}]"))
        .replace("\"app\"", r#""o'%s \"$x\" ;ü""#)
        + &format!("password = {password:?}\n");
    project.declare(&toml);
    project.run(&["up"]);
    let mut psql = project.doze(&["run", "--"]);
    psql.args([
        "sh",
        "-c",
        "psql -XAtq \"$DATABASE_URL\" -c 'select current_user, current_database()'",
    ]);
    assert_eq!(
        succeed(&mut psql).trim_end(),
        format!("o'%s \"$x\" ;ü|{name}")
    );
    let authenticated = project.cached(&["--no-auth-warning", "-a", password, "ping"]);
    assert_eq!(authenticated, "PONG");
    let refused = output(&mut project.cli(&["ping"]));
    assert!(String::from_utf8_lossy(&refused.stdout).contains("NOAUTH"));
    project.wait_asleep();
}

/// An address that cannot be had is known before anything is touched for it.
#[test]
fn the_old_address_stays_until_the_new_one_can_be_had() {
    let Some(project) = project() else { return };
    project.run(&["wake", "cache"]);
    let activator = activator(&project, "cache");
    let precious = project.world.write("home/precious", "data");
    let unix = format!("listen = \"unix:{}\"\n", precious.display());
    project.declare(&(project.toml("1h") + &unix));
    for command in ["generate", "up"] {
        let refused = output(&mut project.doze(&[command]));
        assert_eq!(refused.status.code(), Some(1), "{command}");
        let said = String::from_utf8_lossy(&refused.stderr);
        assert!(
            said.contains("exists and is not a socket"),
            "{command}: {said}"
        );
    }
    assert_eq!(fs::read_to_string(&precious).expect("it is there"), "data");
    assert_eq!(self::activator(&project, "cache"), activator);
    assert_eq!(project.cached(&["ping"]), "PONG");

    fs::remove_file(&precious).expect("it is there");
    project.run(&["up"]);
    let socket = precious.to_str().expect("UTF-8");
    assert_eq!(succeed(&mut project.cli(&["-s", socket, "ping"])), "PONG\n");
    assert_eq!(project.run(&["up"]), "");
}

/// What is up can be stopped, whatever became of the file.
#[test]
fn down_works_without_a_readable_file() {
    let Some(project) = project() else { return };
    project.cached(&["ping"]);
    project.declare("[postgres.app");
    assert_eq!(output(&mut project.doze(&["up"])).status.code(), Some(2));
    project.run(&["down"]);
    project.wait_asleep();
    assert!(!project.accepts(project.cache));
}
