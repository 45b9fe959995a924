//! Clients that cannot be served, as their own programs show it: why, and where to find more.
#![expect(
    clippy::expect_used,
    reason = "a surprise fails the test, and says what it was"
)]

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use doze_contract::Endpoint;
use doze_tests::client::Client;
use doze_tests::exchange::Exchange;
use doze_tests::project::{Mode, Project, output, succeed};
use doze_tests::{engines, in_every_mode, needed, wait_until};

in_every_mode!(
    psql_shows_why_a_postgres_cannot_boot,
    the_cli_shows_why_a_valkey_cannot_boot,
    a_toolchain_that_is_back_serves_without_any_command,
    a_full_disk_is_the_reason_until_there_is_room,
    a_client_of_another_user_is_refused_and_boots_nothing,
    a_client_of_another_user_keeps_nothing_awake,
    a_crowd_of_strangers_keeps_nobody_waiting,
    an_instance_that_is_open_to_all_serves_another_user,
);

const BOUND: Duration = Duration::from_mins(1);

/// As long as a driver gives a client to say what it wants: who is refused waits for less.
const PATIENCE: Duration = Duration::from_secs(5);

/// A user who is neither root nor the world's; it takes no account to have a number.
const STRANGER: u32 = 64_999;

fn psql_shows_why_a_postgres_cannot_boot(mode: Mode) {
    let Some(mut project) = Project::new(mode, "100ms") else {
        return;
    };
    let sound = everywhere(&project);
    let owner = "owner = \"app\"\n";
    let broken = format!("{owner}settings = {{ work_mem = \"nonsense\" }}\n");
    let broken = sound.replace(owner, &broken);
    project.declare(&sound);
    project.up();
    // Before there is a data directory, and with one.
    for _ in 0..2 {
        project.edit(&broken);
        for way in ["disable", "prefer", "unix"] {
            let said = refused(&mut psql(&project, way));
            let reason = "invalid value for parameter \"work_mem\": \"nonsense\"";
            assert!(said.contains(reason), "{way}: {said}");
            assert!(said.contains("`doze logs app` shows more"), "{way}: {said}");
        }
        // libpq hides what is said before TLS.
        let begun = Instant::now();
        let said = refused(&mut psql(&project, "require"));
        assert!(said.contains("server does not support SSL"), "{said}");
        assert!(begun.elapsed() < PATIENCE, "{:?}", begun.elapsed());

        project.edit(&sound);
        for way in ["disable", "prefer", "unix"] {
            assert_eq!(succeed(&mut psql(&project, way)), "1\n", "{way}");
            project.wait_asleep();
        }
    }
}

fn the_cli_shows_why_a_valkey_cannot_boot(mode: Mode) {
    let Some(mut project) = Project::new(mode, "100ms") else {
        return;
    };
    let sound = everywhere(&project);
    let broken = format!("{sound}settings = {{ no-such-directive = \"1\" }}\n");
    project.declare(&sound);
    project.up();
    for _ in 0..2 {
        project.edit(&broken);
        for way in ["tcp", "unix"] {
            let answer = output(&mut ping(&project, way));
            let said = String::from_utf8_lossy(&answer.stdout).into_owned()
                + &String::from_utf8_lossy(&answer.stderr);
            assert!(said.contains("no-such-directive"), "{way}: {said}");
            assert!(said.contains("doze logs cache shows more"), "{way}: {said}");
        }

        project.edit(&sound);
        for way in ["tcp", "unix"] {
            assert_eq!(succeed(&mut ping(&project, way)), "PONG\n", "{way}");
            project.wait_asleep();
        }
    }
}

fn a_toolchain_that_is_back_serves_without_any_command(mode: Mode) {
    let Some(mut project) = Project::new(mode, "100ms") else {
        return;
    };
    project.declare(&everywhere(&project));
    let Some(tools) = tools(&project) else {
        return;
    };
    let away = tools.with_extension("away");
    project.use_programs(&tools);
    project.up();
    for way in ["disable", "unix"] {
        assert_eq!(succeed(&mut psql(&project, way)), "1\n", "{way}");
        project.wait_asleep();
        fs::rename(&tools, &away).expect("our folder");
        // The second comes when the first try has failed.
        for _ in 0..2 {
            let said = refused(&mut psql(&project, way));
            assert!(said.contains("No such file or directory"), "{way}: {said}");
            assert!(said.contains("`doze logs app` shows more"), "{way}: {said}");
        }
        fs::rename(&away, &tools).expect("our folder");
        assert_eq!(succeed(&mut psql(&project, way)), "1\n", "{way}");
        project.wait_asleep();
    }
}

fn a_full_disk_is_the_reason_until_there_is_room(mode: Mode) {
    let Some(mut project) = Project::new(mode, "100ms") else {
        return;
    };
    let home = project.world.data_home().join("doze");
    project.world.small_disk(&home, 160 << 20);
    project.up();
    project.sql("create table t (n int); insert into t values (42)");
    for _ in 0..2 {
        project.wait_asleep();
        let mut fill = project.world.command("/bin/dd");
        fill.args(["if=/dev/zero", "bs=4096", "of=fill"]);
        assert!(!output(fill.current_dir(&home)).status.success(), "no end");
        // The second comes when the first try has failed.
        for _ in 0..2 {
            let said = refused(&mut project.psql("select n from t"));
            assert!(said.contains("No space left on device"), "{said}");
            assert!(said.contains("`doze logs app` shows more"), "{said}");
        }
        let mut make_room = project.world.command("/bin/rm");
        succeed(make_room.arg("fill").current_dir(&home));
        assert_eq!(project.sql("select n from t"), "42");
    }
}

fn a_client_of_another_user_is_refused_and_boots_nothing(mode: Mode) {
    let Some(mut project) = Project::new(mode, "1h") else {
        return;
    };
    project.up();
    // Asleep, and then in the presence of an activator, which a client that says nothing keeps.
    let mut silent = Vec::new();
    for _ in 0..2 {
        assert_is_refused(&project);
        for instance in ["app", "cache"] {
            let plan = project.plan(instance);
            let data = plan.paths.data.as_std_path().try_exists();
            assert!(!data.expect("our folder"), "{instance} was provisioned");
            assert_eq!(project.wakes(instance), 0, "{instance}");
            assert_eq!(project.logged(instance, "boot failed"), 0, "{instance}");
            let endpoint = plan.endpoints.first().expect("an endpoint");
            silent.push(Client::connect(endpoint, BOUND).expect("somebody listens"));
        }
        assert_eq!(servers(&project), [""; 0]);
    }
    drop(silent);

    assert_eq!(project.sql("select 1"), "1");
    assert_eq!(project.cached(&["ping"]), "PONG");
    let before = servers(&project);
    assert_is_refused(&project);
    assert_eq!(servers(&project), before);
    assert_eq!((project.wakes("app"), project.wakes("cache")), (1, 1));

    // Root may do as it likes anyway.
    let root = succeed(Command::new("psql").args(words(&project)));
    assert_eq!(root, "1\n");
}

fn a_client_of_another_user_keeps_nothing_awake(mode: Mode) {
    let Some(mut project) = Project::new(mode, "1s") else {
        return;
    };
    project.up();
    assert_eq!(project.cached(&["ping"]), "PONG");
    // They come more often than the instance needs to fall asleep.
    wait_until("the engine to stop", BOUND, || {
        let said = raw(project.cache);
        match servers(&project) {
            left if left.is_empty() => Ok(()),
            left => Err(format!("{left:?}, and the stranger was told {said:?}")),
        }
    });
    project.wait_asleep();
    assert_eq!(project.wakes("cache"), 1);
}

fn a_crowd_of_strangers_keeps_nobody_waiting(mode: Mode) {
    let Some(mut project) = Project::new(mode, "100ms") else {
        return;
    };
    project.up();
    // Each says nothing, and so takes a driver for seconds; few of them get one.
    let script = format!(
        "for one in {{1..600}}; do exec {{one}}<>/dev/tcp/127.0.0.1/{} && all+=($one); done; \
         echo there; for one in ${{all[@]}}; do cat <&$one >/dev/null 2>&1; done; echo gone",
        project.cache
    );
    let mut crowd = strange("bash")
        .args(["-c", &script])
        .stdout(Stdio::piped())
        .spawn()
        .expect("bash runs");
    let mut said = BufReader::new(crowd.stdout.take().expect("a pipe")).lines();
    let mut line = || said.next().expect("it goes on").expect("text");
    assert_eq!(line(), "there");
    assert_eq!(project.cached(&["ping"]), "PONG");
    // With a driver for each of them this would take minutes.
    let waited = thread::spawn(move || crowd.wait());
    wait_until("the crowd to be gone", 2 * BOUND, || {
        if waited.is_finished() {
            Ok(())
        } else {
            Err(String::new())
        }
    });
    let status = waited.join().expect("it only waits").expect("our child");
    assert!(status.success(), "{status}");
    assert_eq!(line(), "gone");
}

fn an_instance_that_is_open_to_all_serves_another_user(mode: Mode) {
    let Some(mut project) = Project::new(mode, "1h") else {
        return;
    };
    let owner = "owner = \"app\"\n";
    let open = "open_to = \"all\"\n";
    let toml = project.toml("1h").replace(owner, &format!("{owner}{open}"));
    project.declare(&format!("{toml}{open}"));
    project.up();
    assert_eq!(succeed(strange("psql").args(words(&project))), "1\n");
    assert_eq!(raw(project.cache), "+PONG\r\n");
}

/// As many as there are descriptors for: a client takes two, doze itself 64.
#[test]
fn a_client_too_many_is_refused_and_disturbs_nobody() {
    let Some(mut project) = Project::new(Mode::Systemd, "1h") else {
        return;
    };
    let drop_in = project
        .world
        .units()
        .join("doze-shop-cache.service.d/few.conf");
    project.world.write(drop_in, "[Service]\nLimitNOFILE=72\n");
    project.up();
    let plan = project.plan("cache");
    let endpoint = plan.endpoints.first().expect("an endpoint");
    let exchange = Exchange::of(&plan);
    let connect = || Client::connect(endpoint, BOUND).expect("systemd listens");
    let mut clients: Vec<_> = (0..4).map(|_| connect()).collect();
    for client in &mut clients {
        assert!(exchange.with(client).expect("it is served"));
    }
    for _ in 0..20 {
        let mut heard = String::new();
        let mut client = connect();
        exchange.say(&mut client).expect("somebody listens");
        client.read_to_string(&mut heard).expect("it is told");
        assert!(heard.contains("4 clients are connected"), "{heard}");
        assert!(heard.contains("doze logs cache"), "{heard}");
    }
    for client in &mut clients {
        assert!(exchange.with(client).expect("it is served still"));
    }
    drop(clients.pop());
    wait_until("the place of who left", BOUND, || {
        let served = exchange.with(connect());
        served.map(drop).map_err(|error| error.to_string())
    });
}

/// The project with both instances on TCP and on a unix socket.
fn everywhere(project: &Project) -> String {
    let mut toml = project.toml("100ms");
    for port in [project.app, project.cache] {
        let both = format!("listen = [\"127.0.0.1:{port}\", \"unix\"]");
        toml = toml.replace(&format!("port = {port}"), &both);
    }
    toml
}

/// A folder with the servers of both engines that can be taken away.
fn tools(project: &Project) -> Option<PathBuf> {
    let postgres = needed("a Postgres", engines::postgres())?;
    let valkey = needed("a Valkey", engines::valkey())?;
    let tools = project.world.dir().join("tools");
    fs::create_dir(&tools).expect("a fresh directory");
    for engine in [postgres, valkey] {
        for program in fs::read_dir(project.world.bindir(&engine)).expect("it is there") {
            let program = program.expect("it can be listed");
            symlink(program.path(), tools.join(program.file_name())).expect("a fresh name");
        }
    }
    Some(tools)
}

/// The unix endpoint of an instance.
fn unix(project: &Project, instance: &str) -> PathBuf {
    let endpoints = project.plan(instance).endpoints;
    let path = endpoints.into_iter().find_map(|endpoint| match endpoint {
        Endpoint::Unix(path) => Some(path.into_std_path_buf()),
        Endpoint::Tcp(_) => None,
    });
    path.expect("it has one")
}

/// Asks `app` over its unix endpoint, or over TCP with this `sslmode`.
fn psql(project: &Project, way: &str) -> Command {
    let url = if way == "unix" {
        let path = unix(project, "app");
        let folder = path.parent().unwrap_or(Path::new("/"));
        let port = path.extension().expect("the port").to_string_lossy();
        let folder = folder.display();
        format!("postgres://app@/app?host={folder}&port={port}")
    } else {
        let port = project.app;
        format!("postgres://app@127.0.0.1:{port}/app?sslmode={way}")
    };
    let mut psql = project.world.command("psql");
    psql.args(["-XAtq", "-c", "select 1", &url]);
    psql
}

/// Asks `cache` over its unix endpoint, or over TCP.
fn ping(project: &Project, way: &str) -> Command {
    if way == "unix" {
        let path = unix(project, "cache");
        let mut cli = project.cli(&[]);
        cli.args(["-s", path.to_str().expect("UTF-8"), "ping"]);
        cli
    } else {
        project.cli(&["ping"])
    }
}

/// What a client says that was not served.
#[track_caller]
fn refused(client: &mut Command) -> String {
    let answer = output(client);
    let said = String::from_utf8_lossy(&answer.stderr).into_owned();
    assert!(!answer.status.success(), "it was served: {answer:?}");
    said
}

/// The engines' own processes.
fn servers(project: &Project) -> Vec<String> {
    let mut all = project.running("postgres");
    all.extend(project.running("valkey-server"));
    all.extend(project.running("redis-server"));
    let mut all: Vec<_> = all.iter().map(ToString::to_string).collect();
    all.sort();
    all
}

/// A program of the stranger.
fn strange(program: &str) -> Command {
    let mut command = Command::new("setpriv");
    command
        .arg(format!("--reuid={STRANGER}"))
        .arg(format!("--regid={STRANGER}"))
        .args([
            "--clear-groups",
            "--inh-caps=-all",
            "--pdeathsig=TERM",
            "--",
        ])
        .arg(program)
        .current_dir("/")
        .stdin(Stdio::null());
    command
}

/// The arguments of a psql that asks `app`.
fn words(project: &Project) -> Vec<String> {
    let url = format!(
        "postgres://app@127.0.0.1:{}/app?sslmode=prefer",
        project.app
    );
    ["-XAtq", "-c", "select 1", &url].map(str::to_owned).into()
}

/// What the stranger hears after a PING.
fn raw(port: u16) -> String {
    let script = format!(
        "exec 3<>/dev/tcp/127.0.0.1/{port}; printf 'PING\\r\\n' >&3; IFS= read -r line <&3; \
         printf '%s\\n' \"$line\""
    );
    succeed(strange("bash").args(["-c", &script]))
}

#[track_caller]
fn assert_is_refused(project: &Project) {
    let said = refused(strange("psql").args(words(project)));
    assert!(said.contains("the connection is not from user "), "{said}");
    assert!(said.contains("`doze logs app` shows more"), "{said}");
    let said = raw(project.cache);
    assert!(said.contains("the connection is not from user "), "{said}");
    assert!(said.contains("doze logs cache shows more"), "{said}");
}
