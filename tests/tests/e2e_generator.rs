//! doze as a generator of units (systemd.generator(7)), called by a private systemd.
#![expect(
    clippy::expect_used,
    reason = "a surprise fails the test, and says what it was"
)]

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use doze_tests::project::{Mode, Project, output, succeed};
use doze_tests::size::pick;
use doze_tests::{Tree, engines, wait_until};
use rustix::process::Signal;

const BOUND: Duration = Duration::from_secs(30);

#[test]
fn a_registered_project_is_served_from_generated_units_and_at_the_next_login() {
    let Some(mut project) = registered("1h") else {
        return;
    };
    assert_eq!(project.cached(&["set", "k", "v"]), "OK");
    assert_eq!(units(&project), [] as [&str; 0], "doze writes none itself");
    for unit in ["doze-shop.target", "doze-shop-cache.socket"] {
        assert_eq!(fragment(&project, unit), generated(&project).join(unit));
    }
    let plan = generated(&project).join("doze/shop/cache.json");
    let mode = fs::metadata(plan).expect("a plan").permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "a plan may hold a password");
    let registration = project.world.config_home().join("doze/projects/shop.toml");
    let mode = fs::metadata(registration).expect("it is registered").mode();
    assert_eq!(mode & 0o777, 0o600, "a variable may hold a secret");

    assert_eq!(project.run(&["up"]), "", "there is nothing to do");
    assert_eq!(project.run(&["up", "--register"]), "");
    project.run(&["generate", "--check"]);
    let refused = output(&mut project.doze(&["generate"]));
    assert_eq!(refused.status.code(), Some(1));

    // Nothing but the registration and the generator is left of it.
    project.world.restart_manager(Signal::TERM);
    project.wait_asleep();
    assert_eq!(project.cached(&["get", "k"]), "v");
    assert_eq!(project.run(&["up"]), "");
}

/// What is awake goes on, whether it is handed over or its manager reloads.
#[test]
fn an_instance_that_is_awake_is_handed_over_undisturbed() {
    let Some(project) = prepared(Mode::Systemd, "1h") else {
        return;
    };
    project.run(&["up"]);
    assert_eq!(project.cached(&["set", "k", "v"]), "OK");
    assert!(!units(&project).is_empty());
    let before = awake(&project);
    assert_eq!(
        project.run(&["up", "--register"]),
        "shop is registered: doze-generator makes its units at every login and daemon-reload\n"
    );
    for _ in 0..5 {
        reload(&project);
        assert_eq!(project.cached(&["get", "k"]), "v");
    }
    assert_eq!(awake(&project), before);
    project.run(&["sleep", "cache"]);
    assert_eq!(
        project.cached(&["get", "k"]),
        "v",
        "it wakes by the new plan"
    );
}

#[test]
fn an_edit_takes_effect_by_a_reload_and_a_restart_or_by_up() {
    let Some(mut project) = registered("1h") else {
        return;
    };
    assert_eq!(project.cached(&["set", "k", "v"]), "OK");
    let toml = project.toml("1h");
    let (old, new) = (project.cache, project.world.port());
    project.declare(&toml.replace(&old.to_string(), &new.to_string()));
    reload(&project);
    let restart = ["systemctl", "--user", "restart", "doze-shop.target"];
    project.world.run(&restart);
    project.cache = new;
    assert_eq!(project.cached(&["get", "k"]), "v");
    assert!(!project.accepts(old));

    project.declare(&toml);
    project.run(&["up"]);
    project.cache = old;
    assert_eq!(project.cached(&["get", "k"]), "v");
    assert!(!project.accepts(new));

    // One that is no longer declared when the manager reloads is stopped by the next up.
    let (without, _) = toml.split_once("[valkey.cache]").expect("a cache");
    project.declare(without);
    reload(&project);
    project.run(&["up"]);
    assert!(!project.accepts(old));
    assert!(project.accepts(project.app));
}

#[test]
fn a_broken_and_a_hanging_project_are_a_line_each_and_harm_nobody() {
    let Some(mut project) = registered("1h") else {
        return;
    };
    register_by_hand(&project, "broken", "[valkey.cache]\nprot = 1\n", "");
    let driver = project.world.write(
        "driver",
        "#!/bin/sh\necho $$ >>\"${0%/*}/tmp/hanging\"\nsleep infinity\n",
    );
    fs::set_permissions(&driver, fs::Permissions::from_mode(0o755)).expect("our file");
    let variable = format!("DOZE_SLOTH_DRIVER = {driver:?}\n");
    register_by_hand(&project, "hanging", "[sloth.x]\n", &variable);
    project
        .world
        .write("home/.config/doze/projects/damaged.toml", "\u{1}");

    let begun = Instant::now();
    project.world.restart_manager(Signal::TERM);
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(20), "it took {took:?}");
    assert_eq!(project.cached(&["ping"]), "PONG");

    let said = project.world.manager_log();
    let said: Vec<_> = said
        .lines()
        .filter(|line| line.contains("doze-generator: "))
        .collect();
    assert_eq!(said.len(), 3, "{said:#?}");
    for (name, reason) in [
        ("broken/doze.toml", "problems in "),
        ("damaged.toml", "cannot read"),
        ("hanging/doze.toml", "not done within 5 seconds"),
    ] {
        let of = said.iter().filter(|line| line.contains(name));
        let of: Vec<_> = of.collect();
        assert!(
            matches!(of.as_slice(), [line] if line.contains(reason)),
            "{name}: {of:#?}"
        );
    }
    let hanging = fs::read_to_string(project.world.dir().join("tmp/hanging")).expect("it ran");
    wait_until("the hanging driver to be ended", BOUND, || {
        let is_there = |pid: &&str| {
            project
                .processes()
                .iter()
                .any(|p| p.pid.to_string() == *pid)
        };
        let left: Vec<_> = hanging.lines().filter(is_there).collect();
        if left.is_empty() {
            Ok(())
        } else {
            Err(format!("{left:?}"))
        }
    });
}

#[test]
fn a_registration_that_is_taken_back_leaves_nothing() {
    let Some(project) = registered("1h") else {
        return;
    };
    assert_eq!(project.cached(&["ping"]), "PONG");
    let down = output(&mut project.doze(&["down"]));
    assert!(down.status.success());
    let said = String::from_utf8_lossy(&down.stderr);
    assert!(
        said.contains("comes up again with the next login"),
        "{said}"
    );
    project.run(&["up"]);
    assert_eq!(project.cached(&["ping"]), "PONG");

    project.run(&["down", "--unregister"]);
    project.wait_asleep();
    assert!(!project.accepts(project.cache));
    assert_eq!(
        fs::read_dir(generated(&project))
            .into_iter()
            .flatten()
            .count(),
        0
    );
    let plans = project.home().join("plans");
    assert!(fs::symlink_metadata(plans).is_err(), "no link is left");

    project.run(&["up"]);
    assert_eq!(project.cached(&["ping"]), "PONG");
    assert!(!units(&project).is_empty(), "doze writes them itself again");
}

#[test]
fn a_registered_project_can_be_up_in_the_foreground_meanwhile() {
    let Some(mut project) = prepared(Mode::Foreground, "1h") else {
        return;
    };
    project.run(&["up", "--register"]);
    assert_eq!(project.cached(&["set", "k", "v"]), "OK");
    project.run(&["down"]);
    project.up();
    assert_eq!(project.cached(&["get", "k"]), "v");
    reload(&project);
    project.run(&["sleep", "cache"]);
    assert_eq!(project.cached(&["get", "k"]), "v", "by a plan of its own");
    project.down();
    project.run(&["up"]);
    assert_eq!(project.cached(&["get", "k"]), "v");
    let plans = project.home().join("plans");
    assert!(
        fs::symlink_metadata(plans)
            .expect("it is there")
            .is_symlink()
    );
}

#[test]
fn without_the_generator_a_project_stays_as_it_was() {
    let Some(project) = Project::new(Mode::Systemd, "1h") else {
        return;
    };
    let refused = output(&mut project.doze(&["up", "--register"]));
    assert_eq!(refused.status.code(), Some(1));
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(
        said.contains("doze-generator has not made the units of shop"),
        "{said}"
    );
    assert!(said.contains("/etc/systemd/user-generators"), "{said}");
    assert_eq!(project.cached(&["ping"]), "PONG", "it is up all the same");
    assert_eq!(project.run(&["up"]), "", "and not registered");
}

#[test]
fn nothing_is_stopped_for_what_the_generator_would_not_make() {
    let Some(mut project) = registered("1h") else {
        return;
    };
    assert_eq!(project.cached(&["set", "k", "v"]), "OK");
    let before = awake(&project);
    let programs = project.world.dir().join("programs");
    fs::create_dir(&programs).expect("a fresh folder");
    for engine in [engines::postgres(), engines::valkey()] {
        let folder = project.world.bindir(&engine.expect("it is there"));
        for program in fs::read_dir(folder).expect("it is there") {
            let program = program.expect("it can be listed");
            symlink(program.path(), programs.join(program.file_name())).expect("a fresh name");
        }
    }
    project.use_programs(&programs);
    let refused = output(&mut project.doze(&["up"]));
    assert_eq!(refused.status.code(), Some(1));
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(said.contains("would make other units and plans"), "{said}");
    assert!(said.contains("doze up --register"), "{said}");
    assert_eq!(awake(&project), before);

    let said = project.run(&["up", "--register"]);
    assert_eq!(said, "cache: stops for its new settings\n");
    assert_eq!(project.cached(&["get", "k"]), "v");
    let running = project.running("valkey-server").pop().expect("it is awake");
    let programs = programs.to_string_lossy().into_owned();
    assert!(
        project.plan("cache").body.members[0].argv[0].starts_with(&programs),
        "{running}"
    );
}

/// The manager removes the generated plans before it has them made anew.
#[test]
fn clients_who_wake_an_instance_while_the_manager_reloads_are_served() {
    let Some(project) = registered("1ms") else {
        return;
    };
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let reloading = scope.spawn(|| {
            for _ in 0..pick(20, 100) {
                reload(&project);
            }
            done.store(true, Ordering::Relaxed);
        });
        while !done.load(Ordering::Relaxed) {
            assert_eq!(project.cached(&["ping"]), "PONG");
        }
        reloading.join().expect("the manager reloads");
    });
    assert!(project.wakes("cache") > 5, "{}", project.wakes("cache"));
    project.wait_asleep();
}

/// It gets what systemd.generator(7) promises of the environment, no bus and no network.
#[test]
fn the_generator_writes_the_same_wherever_it_is_told_to_and_nowhere_else() {
    let Some(project) = registered("1h") else {
        return;
    };
    let world = &project.world;
    let generator = world.generators().join("doze-generator");
    let folders = ["normal", "early", "late"].map(|name| world.dir().join("tmp").join(name));
    let variables = [
        ("HOME", world.home()),
        ("XDG_RUNTIME_DIR", world.runtime_dir()),
    ];
    let variables = variables.map(|(name, value)| format!("{name}={}", value.display()));
    let before = [world.home(), generated(&project)].map(|folder| Tree::read(&folder));
    let mut call = world.offline_command("env");
    call.arg("-i").args(variables).arg(generator).args(&folders);
    assert_eq!(succeed(&mut call), "");

    let after = [world.home(), generated(&project)].map(|folder| Tree::read(&folder));
    assert_eq!(after, before);
    let [normal, early, late] = folders;
    assert_eq!(Tree::read(&normal), before[1]);
    assert_eq!(
        [early, late].map(|folder| Tree::read(&folder)),
        <[Tree; 2]>::default()
    );
}

#[test]
fn nothing_is_stopped_when_the_generator_is_gone() {
    let Some(project) = registered("1h") else {
        return;
    };
    assert_eq!(project.cached(&["set", "k", "v"]), "OK");
    let before = awake(&project);
    let link = project.world.generators().join("doze-generator");
    fs::remove_file(link).expect("our folder");
    reload(&project);
    let refused = output(&mut project.doze(&["up"]));
    assert_eq!(refused.status.code(), Some(1));
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(said.contains("has not made the units of shop"), "{said}");
    assert_eq!(project.cached(&["get", "k"]), "v");
    assert_eq!(awake(&project), before);
}

#[test]
fn a_unit_that_hides_a_generated_one_is_named() {
    let Some(project) = prepared(Mode::Systemd, "1h") else {
        return;
    };
    project.run(&["up"]);
    let unit = "doze-shop-cache.socket";
    let text = fs::read_to_string(project.world.units().join(unit)).expect("it is written");
    let folder = project.world.runtime_dir().join("systemd/user");
    let hiding = project.world.write(folder.join(unit), &text);
    let refused = output(&mut project.doze(&["up", "--register"]));
    assert_eq!(refused.status.code(), Some(1));
    let said = String::from_utf8_lossy(&refused.stderr);
    let told = format!("systemd reads {unit} from {}", hiding.display());
    assert!(said.contains(&told), "{said}");
    assert_eq!(project.cached(&["ping"]), "PONG");
    assert!(!units(&project).is_empty(), "they are written again");

    fs::remove_file(hiding).expect("our file");
    project.run(&["up", "--register"]);
    assert_eq!(project.cached(&["ping"]), "PONG");
    assert_eq!(units(&project), [] as [&str; 0]);
}

#[test]
fn a_process_of_a_registered_project_runs_with_it_and_at_the_next_login() {
    let Some(mut project) = prepared(Mode::Systemd, "1h") else {
        return;
    };
    let starts = project.world.home().join("shop/starts");
    let started = |times: usize| {
        wait_until(&format!("{times} starts"), BOUND, || {
            let text = fs::read_to_string(&starts).unwrap_or_default();
            if text.lines().count() == times {
                Ok(text)
            } else {
                Err(text)
            }
        })
    };
    let process = "[process.web]\ncommand = 'echo \"$PATH\" >> starts; exec sleep 3600'\n";
    project.declare(&(project.toml("1h") + process));
    let mut up = project.doze(&["up", "--register"]);
    let mut variables = up.get_envs();
    let path = variables.find_map(|(name, value)| value.filter(|_| name == "PATH"));
    let path = path.and_then(OsStr::to_str).expect("a PATH").to_owned() + ":/of/the/shell";
    succeed(up.env("PATH", &path));
    assert_eq!(started(1), format!("{path}\n"));
    assert_eq!(units(&project), [] as [&str; 0], "doze writes none itself");
    let service = "doze-shop-web.service";
    assert_eq!(
        fragment(&project, service),
        generated(&project).join(service)
    );

    project.world.restart_manager(Signal::TERM);
    assert_eq!(started(2), format!("{path}\n{path}\n"));
    project.run(&["down"]);
    assert_eq!(project.processes(), []);
}

/// A project on a machine that has the generator.
fn prepared(mode: Mode, idle_timeout: &str) -> Option<Project> {
    let project = Project::new(mode, idle_timeout)?;
    let generators = project.world.generators();
    fs::create_dir(&generators).expect("a fresh folder");
    let doze = project.world.programs().join("doze");
    symlink(doze, generators.join("doze-generator")).expect("a fresh folder");
    Some(project)
}

/// Likewise, that is registered and up.
fn registered(idle_timeout: &str) -> Option<Project> {
    let project = prepared(Mode::Systemd, idle_timeout)?;
    project.run(&["up", "--register"]);
    Some(project)
}

/// Registers another project without asking doze, which would refuse it.
fn register_by_hand(project: &Project, name: &str, toml: &str, environment: &str) {
    let source = project.world.write(
        format!("home/{name}/doze.toml"),
        &format!("name = {name:?}\n{toml}"),
    );
    project.world.write(
        format!("home/.config/doze/projects/{name}.toml"),
        &format!(
            "source = \"{}\"\n[environment]\n{environment}",
            source.display()
        ),
    );
}

fn reload(project: &Project) {
    project.world.run(&["systemctl", "--user", "daemon-reload"]);
}

fn generated(project: &Project) -> PathBuf {
    project.world.runtime_dir().join("systemd/generator")
}

/// The file that the manager has read a unit from.
fn fragment(project: &Project, unit: &str) -> PathBuf {
    let show = ["systemctl", "--user", "show", "-P", "FragmentPath", unit];
    project.world.run(&show).trim_end().into()
}

/// The units that doze has written itself.
fn units(project: &Project) -> Vec<String> {
    let entries = fs::read_dir(project.world.units()).into_iter().flatten();
    let names = entries.map(|entry| entry.expect("an entry").file_name());
    let names = names.filter_map(|name| name.into_string().ok());
    names.filter(|name| name.starts_with("doze-")).collect()
}

/// The processes of doze and of the engines.
fn awake(project: &Project) -> Vec<i32> {
    let all = project.processes();
    all.iter().map(|process| process.pid).collect()
}

#[test]
fn a_registered_project_is_planned_applied_and_destroyed() {
    let Some(project) = registered("1h") else {
        return;
    };
    let settled = |project: &Project| {
        let plan = output(&mut project.doze(&["plan", "--check"]));
        let said = String::from_utf8_lossy(&plan.stdout);
        assert!(plan.status.success(), "{said}");
        assert_eq!(said, "");
    };
    settled(&project);
    project.run(&["wake", "cache"]);
    project.declare(&(project.toml("1h") + "maxmemory = \"100mb\"\n"));
    let said = project.run(&["plan"]);
    let plan = project.home().join("plans/cache.json");
    assert!(said.contains(&format!("~ {}", plan.display())), "{said}");
    assert!(said.contains("cache: stops for its new settings"), "{said}");
    project.run(&["apply", "--yes"]);
    settled(&project);
    let limit = project.cached(&["config", "get", "maxmemory"]);
    assert_eq!(limit, "maxmemory\n104857600");

    project.run(&["destroy", "--yes"]);
    assert!(!project.accepts(project.cache));
    assert!(!project.home().try_exists().expect("it can be looked for"));
    assert!(!generated(&project).join("doze-shop.target").is_file());
    let registration = project.world.config_home().join("doze/projects/shop.toml");
    assert!(!registration.is_file());
    let list = [
        "systemctl",
        "--user",
        "list-units",
        "--all",
        "--plain",
        "--no-legend",
        "doze-shop*",
    ];
    assert_eq!(project.world.run(&list), "");
}
