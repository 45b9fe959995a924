//! What is launchd's own: its throttle, its logins, its overrides, and that nothing stays behind.
#![expect(
    clippy::expect_used,
    reason = "a surprise fails the test, and says what it was"
)]

use std::fs;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use doze_tests::project::{Mode, Project, output, succeed};
use doze_tests::{process, wait_until};
use rustix::process::Signal;

const BOUND: Duration = Duration::from_mins(1);

/// The agents of the project.
const APP: &str = "doze.shop.app";
const CACHE: &str = "doze.shop.cache";

/// A project that is up, by `doze up`.
fn up(idle_timeout: &str) -> Option<Project> {
    let project = Project::new(Mode::Launchd, idle_timeout)?;
    project.run(&["up"]);
    Some(project)
}

/// Every file below a folder that is not one of the world itself.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    let paths = entries.map(|entry| entry.expect("listed").path());
    let below = |path: PathBuf| {
        if path.is_dir() && !path.is_symlink() {
            files(&path)
        } else {
            vec![path]
        }
    };
    paths.flat_map(below).collect()
}

#[test]
fn no_client_waits_for_the_throttle_of_one_that_has_slept() {
    let Some(project) = up("1ms") else {
        return;
    };
    for round in 0..4 {
        assert_eq!(project.cached(&["set", "k", "v"]), "OK", "{round}");
        project.wait_asleep();
    }
    let world = &project.world;
    assert_eq!(world.launchd_events_of(CACHE, "spawned").len(), 4);
    assert!(world.launchd_events_of(CACHE, "throttled").is_empty());
    assert_eq!(project.wakes("cache"), 4);
}

#[test]
fn a_client_of_one_that_crashed_at_once_is_served_when_the_throttle_is_over() {
    let Some(project) = up("1h") else {
        return;
    };
    let mut client = project.cli(&["ping"]).spawn().expect("it starts");
    let activators = wait_until("the activator to run", BOUND, || {
        let running = project.running("doze-activator");
        if running.is_empty() {
            Err("none".to_owned())
        } else {
            Ok(running)
        }
    });
    for activator in activators {
        let killed = process::signal(activator.pid, project.world.dir(), Signal::KILL);
        assert!(killed, "{}", activator.command);
    }
    // It was cut off, or waited for the next one.
    client.wait().expect("our child");
    assert_eq!(project.cached(&["set", "k", "v"]), "OK");
    assert_eq!(project.running("valkey-server").len(), 1);
}

#[test]
fn a_second_up_is_silent_and_calls_launchctl_for_nothing_but_a_look() {
    let Some(project) = up("1h") else {
        return;
    };
    let before = project.world.launchd_events().len();
    assert_eq!(project.run(&["up"]), "");
    assert_eq!(project.world.launchd_events().len(), before);
    assert_eq!(project.run(&["plan", "--check"]), "");
}

#[test]
fn a_project_that_is_down_leaves_nothing_to_launchd_and_a_destroyed_one_nothing_at_all() {
    let Some(project) = up("1h") else {
        return;
    };
    let (world, none) = (&project.world, Vec::<PathBuf>::new());
    assert_eq!(project.sql("select 1"), "1");
    assert_eq!(project.cached(&["ping"]), "PONG");
    project.run(&["down"]);
    assert_eq!(project.processes(), []);
    assert_eq!(files(&world.agents()), none);
    let domain = world.launchd_domain();
    let printed = world.run(&["launchctl", "print", &domain]);
    assert!(!printed.contains("doze."), "{printed}");
    let overrides = world.run(&["launchctl", "print-disabled", &domain]);
    assert!(!overrides.contains("doze."), "{overrides}");
    let mut sockets = files(&world.runtime_dir().join("doze"));
    sockets.retain(|path| {
        path.metadata()
            .is_ok_and(|found| found.file_type().is_socket())
    });
    assert_eq!(sockets, none);
    assert!(!project.accepts(project.app) && !project.accepts(project.cache));

    // What was made is still there, and comes back.
    project.run(&["up"]);
    project.run(&["destroy", "--yes"]);
    assert_eq!(project.processes(), []);
    assert_eq!(files(&world.agents()), none);
    assert_eq!(files(&world.data_home().join("doze/projects")), none);
    assert_eq!(files(&world.runtime_dir().join("doze")), none);
}

#[test]
fn an_agent_that_the_user_has_disabled_is_enabled_by_an_up() {
    let Some(project) = up("1h") else {
        return;
    };
    let world = &project.world;
    project.run(&["down"]);
    let target = format!("{}/{APP}", world.launchd_domain());
    world.run(&["launchctl", "disable", &target]);
    project.run(&["up"]);
    assert_eq!(world.launchd_events_of(APP, "enabled").len(), 1);
    assert!(world.launchd_events_of(CACHE, "enabled").is_empty());
    assert_eq!(project.sql("select 1"), "1");
}

#[test]
fn the_next_login_holds_the_addresses_without_doze() {
    let Some(mut project) = up("1h") else {
        return;
    };
    assert_eq!(project.cached(&["set", "k", "v"]), "OK");
    assert_eq!(project.cached(&["save"]), "OK");
    project.world.restart_manager(Signal::TERM);
    assert_eq!(project.processes(), []);
    assert_eq!(project.cached(&["get", "k"]), "v");
    // And what is there is what `doze up` wants.
    assert_eq!(project.run(&["up"]), "");
}

#[test]
fn an_agent_that_was_edited_or_unloaded_by_hand_is_brought_back() {
    let Some(project) = up("1h") else {
        return;
    };
    let world = &project.world;
    let agent = world.agents().join(format!("{CACHE}.plist"));
    let text = fs::read_to_string(&agent).expect("it was written");
    world.write(
        &agent,
        &text.replace("<integer>384</integer>", "<integer>511</integer>"),
    );
    let target = format!("{}/{APP}", world.launchd_domain());
    world.run(&["launchctl", "bootout", &target]);
    wait_until("the agent to be gone", BOUND, || {
        match world.launchd_events_of(APP, "removed").len() {
            1 => Ok(()),
            times => Err(times.to_string()),
        }
    });

    let said = project.run(&["up"]);
    assert!(
        said.contains("app (postgres): launchd listens on"),
        "{said}"
    );
    assert_eq!(fs::read_to_string(&agent).expect("it is there"), text);
    assert_eq!(project.sql("select 1"), "1");
    assert_eq!(project.cached(&["ping"]), "PONG");
    assert_eq!(project.run(&["up"]), "");
}

#[test]
fn an_activator_that_launchd_did_not_start_says_so() {
    let Some(project) = up("1h") else {
        return;
    };
    let plan = project.home().join("plans/cache.json");
    let plan = plan.to_str().expect("UTF-8");
    let mut stray = project.world.command("doze-activator");
    let refused = output(stray.args(["run", plan, "--launchd"]));
    assert_eq!(refused.status.code(), Some(0), "another start cannot help");
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(
        said.contains("launchd did not start this process"),
        "{said}"
    );
}

#[test]
fn what_is_said_before_there_is_a_log_stands_in_the_log() {
    let Some(project) = up("1h") else {
        return;
    };
    let plan = project.home().join("plans/cache.json");
    project.world.write(&plan, "{");
    assert!(!output(&mut project.cli(&["ping"])).status.success());
    let log = project.log("cache");
    assert!(
        log.contains("doze-activator: the plan") && log.contains("is damaged"),
        "{log}"
    );
}

#[test]
fn the_doctor_finds_launchd_and_what_is_wrong_with_the_agents() {
    let Some(project) = up("1h") else {
        return;
    };
    let doctor = |code| {
        let said = output(&mut project.doze(&["doctor"]));
        assert_eq!(said.status.code(), Some(code), "{said:?}");
        String::from_utf8_lossy(&said.stdout).into_owned()
    };
    let domain = project.world.launchd_domain();
    let said = doctor(0);
    assert!(said.contains(&format!("launchd, {domain}")), "{said}");
    assert!(
        !said.contains("system calls") && !said.contains("logind"),
        "{said}"
    );
    fs::remove_file(project.world.agents().join(format!("{APP}.plist"))).expect("it is there");
    let said = doctor(1);
    assert!(
        said.contains(&format!("(1 missing): {APP}.plist")),
        "{said}"
    );
    succeed(&mut project.doze(&["doctor", "--fix"]));
    doctor(0);
}

/// launch(3) promises nothing of what happens to them on exec.
#[test]
fn an_engine_has_none_of_the_sockets_that_launchd_handed_over() {
    let Some(project) = up("1h") else {
        return;
    };
    assert_eq!(project.cached(&["ping"]), "PONG");
    let open = |program: &str| {
        let running = project.running(program);
        let [process] = running.as_slice() else {
            panic!("{program}: {running:?}");
        };
        let entries = fs::read_dir(format!("/proc/{}/fd", process.pid)).expect("it runs");
        let links = entries
            .flatten()
            .filter_map(|fd| fs::read_link(fd.path()).ok());
        let links = links.filter_map(|link| link.into_os_string().into_string().ok());
        links
            .filter(|link| link.starts_with("socket:"))
            .collect::<Vec<_>>()
    };
    let listening = format!(":{:04X} 00000000:0000 0A", project.cache);
    let table = fs::read_to_string("/proc/net/tcp").expect("proc(5)");
    let line = table
        .lines()
        .find(|line| line.contains(&listening))
        .expect("somebody listens");
    let inode = line.split_whitespace().nth(9).expect("its inode");
    let socket = format!("socket:[{inode}]");
    assert!(open("doze-activator").contains(&socket));
    assert!(!open("valkey-server").contains(&socket));
}

/// Agents are for everybody to read, and so are command lines.
#[test]
fn no_secret_stands_in_an_agent_or_on_a_command_line() {
    let Some(project) = Project::new(Mode::Launchd, "1h") else {
        return;
    };
    let toml = project.toml("1h");
    let port = format!("port = {}\n", project.cache);
    project.declare(&toml.replace(&port, &format!("{port}password = \"s3cr3t\"\n")));
    project.run(&["up"]);
    let mut asked = project.cli(&["--no-auth-warning", "-a", "s3cr3t", "ping"]);
    assert_eq!(succeed(&mut asked), "PONG\n");
    let domain = project.world.launchd_domain();
    let printed = project
        .world
        .run(&["launchctl", "print", &format!("{domain}/{CACHE}")]);
    assert!(
        printed.contains("state = running") && !printed.contains("s3cr3t"),
        "{printed}"
    );
    let agents = files(&project.world.agents());
    assert_eq!(agents.len(), 2);
    for agent in agents {
        let text = fs::read_to_string(&agent).expect("it is there");
        assert!(!text.contains("s3cr3t"), "{}", agent.display());
    }
    for process in project.processes() {
        assert!(!process.command.contains("s3cr3t"), "{}", process.command);
    }
}

#[test]
fn nothing_is_registered_with_launchd() {
    let Some(project) = Project::new(Mode::Launchd, "1h") else {
        return;
    };
    let refused = output(&mut project.doze(&["up", "--register"]));
    assert_eq!(refused.status.code(), Some(4));
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(said.contains("no systemd user manager"), "{said}");
    assert!(files(&project.world.agents()).is_empty());
}
