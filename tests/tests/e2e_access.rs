//! Who gets into a Postgres, and what the others hear: always what the server itself says.
#![expect(
    clippy::expect_used,
    reason = "a surprise fails the test, and says what it was"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use doze_tests::project::{Mode, Project, output, succeed};
use doze_tests::skip::unshown;
use doze_tests::{in_every_mode, wait_until};
use rustix::process::{Pid, Signal, kill_process};
use tokio_postgres::{Config, NoTls, error::SqlState};

in_every_mode!(
    who_is_not_let_in_hears_what_the_server_itself_says,
    the_superuser_is_for_the_driver_alone,
    a_cancel_request_stops_its_query_on_every_endpoint,
    what_is_durable_is_so_by_one_line,
    data_of_another_major_are_moved_as_the_message_says,
);

const BOUND: Duration = Duration::from_mins(1);

/// A project whose `app` has, on a port and on a unix socket, what these lines declare.
fn project(mode: Mode, lines: &str) -> Option<Project> {
    let project = Project::new(mode, "100ms")?;
    let toml = project.toml("100ms");
    let lines = format!("owner = \"app\"\nlisten = \"unix\"\n{lines}\n");
    project.declare(&toml.replace("owner = \"app\"\n", &lines));
    Some(project)
}

/// Where a client of libpq finds `app`: at its port, at its unix endpoint, and past doze.
fn places(project: &Project) -> [String; 3] {
    let folder = project.world.runtime_dir().join("doze/shop/app");
    let folder = folder.to_str().expect("UTF-8");
    [
        format!("host=127.0.0.1 port={}", project.app),
        format!("host='{folder}' port=5432"),
        format!("host='{folder}/engine' port=5432"),
    ]
}

fn psql(project: &Project, place: &str, (role, password): (&str, &str), sql: &str) -> Command {
    let mut command = project.world.command(project.postgres_program("psql"));
    command
        .args(["-XAtqw", "-v", "ON_ERROR_STOP=1", "-c", sql])
        .arg(format!("{place} dbname=app sslmode=disable"))
        .env("PGUSER", role);
    if !password.is_empty() {
        command.env("PGPASSWORD", password);
    }
    command
}

/// What a client is told that is not let in, from the server's word on.
fn refused(command: &mut Command) -> String {
    let output = output(command);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success(), "{said}");
    let from = said.find(" failed: ").unwrap_or_default();
    said.get(from..).unwrap_or_default().to_owned()
}

fn who_is_not_let_in_hears_what_the_server_itself_says(mode: Mode) {
    let declared = "role.app.password = \"s3cret\"\nrole.open = {}\nrole.group = { login = false }";
    let Some(mut project) = project(mode, declared) else {
        return;
    };
    project.up();
    let [tcp, unix, direct] = places(&project);
    for place in [&tcp, &unix] {
        for who in [("app", "s3cret"), ("open", "")] {
            let sql = "select session_user";
            assert_eq!(succeed(&mut psql(&project, place, who, sql)).trim(), who.0);
            project.wait_asleep();
        }
    }
    // It is held awake, so that it can be reached past doze as well.
    let mut awake = psql(&project, &tcp, ("open", ""), "select pg_sleep(600)");
    let mut awake = Killed(awake.spawn().expect("psql"));
    wait_until_active(&project);
    for (who, says) in [
        (
            ("app", "wrong"),
            "password authentication failed for user \"app\"",
        ),
        (("app", ""), "no password supplied"),
        (
            ("nobody", "x"),
            "password authentication failed for user \"nobody\"",
        ),
        (
            ("group", "x"),
            "password authentication failed for user \"group\"",
        ),
        (
            ("postgres", "postgres"),
            "password authentication failed for user \"postgres\"",
        ),
    ] {
        let own = refused(&mut psql(&project, &direct, who, "select 1"));
        assert!(own.contains(says), "{own}");
        for place in [&tcp, &unix] {
            assert_eq!(
                refused(&mut psql(&project, place, who, "select 1")),
                own,
                "{place}"
            );
        }
    }
    let error = connect(&project, "app", "wrong").expect_err("a wrong password");
    let error = error.as_db_error().expect("the server's word");
    assert_eq!(*error.code(), SqlState::INVALID_PASSWORD);
    assert_eq!(
        error.message(),
        "password authentication failed for user \"app\""
    );
    awake.end();
    project.wait_asleep();
}

/// A connection by a client that is not of libpq, for the time of a query.
fn connect(project: &Project, role: &str, password: &str) -> Result<(), tokio_postgres::Error> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let (client, connection) = Config::new()
            .host("127.0.0.1")
            .port(project.app)
            .user(role)
            .password(password)
            .dbname("app")
            .connect(NoTls)
            .await?;
        drop(tokio::spawn(connection));
        client.simple_query("select 1").await.map(drop)
    })
}

/// A client that does not outlive its test.
struct Killed(Child);

impl Killed {
    fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.0);
        kill_process(pid, signal).expect("our child");
    }

    fn end(&mut self) {
        self.signal(Signal::INT);
        self.0.wait().expect("our child");
    }
}

impl Drop for Killed {
    fn drop(&mut self) {
        if let Ok(None) = self.0.try_wait() {
            self.signal(Signal::KILL);
            drop(self.0.wait());
        }
    }
}

/// Waits until the server sleeps in a query.
fn wait_until_active(project: &Project) {
    let sql = "select count(*) from pg_stat_activity
        where query like '%pg_sleep(600)%' and state = 'active' and pid <> pg_backend_pid()";
    let secret = project.plan("app").paths.data.join("superuser");
    wait_until("the query", BOUND, || {
        let secret = fs::read_to_string(&secret).map_err(|error| error.to_string())?;
        let [_, _, direct] = places(project);
        let mut look = psql(project, &direct, ("postgres", &secret), sql);
        let output = output(&mut look);
        match String::from_utf8_lossy(&output.stdout).trim() {
            "1" => Ok(()),
            _ => Err(format!("{output:?}")),
        }
    });
}

fn the_superuser_is_for_the_driver_alone(mode: Mode) {
    let Some(mut project) = project(mode, "") else {
        return;
    };
    project.up();
    let [tcp, unix, _] = places(&project);
    for place in [&tcp, &unix] {
        let said = refused(&mut psql(&project, place, ("postgres", ""), "select 1"));
        assert!(said.contains("no password supplied"), "{said}");
        // Somebody made by hand is asked for a password, too.
        let made = "select rolsuper, session_user from pg_roles where rolname = session_user";
        let whoami = succeed(&mut psql(&project, place, ("app", ""), made));
        assert_eq!(whoami.trim(), "f|app");
    }
    // Only the superuser of a server without an owner is its owner, and in nobody's way.
    project.wait_asleep();
    let toml = project.toml("100ms");
    project.edit(&toml.replace("owner = \"app\"\n", ""));
    let sql = "select session_user";
    let mut open = psql(&project, &tcp, ("postgres", ""), sql);
    assert_eq!(succeed(&mut open).trim(), "postgres");
    project.wait_asleep();
}

fn a_cancel_request_stops_its_query_on_every_endpoint(mode: Mode) {
    let Some(mut project) = project(mode, "") else {
        return;
    };
    project.up();
    let [tcp, unix, _] = places(&project);
    for place in [&tcp, &unix] {
        let mut query = psql(&project, place, ("app", ""), "select pg_sleep(600)");
        query.stderr(Stdio::piped());
        let query = Killed(query.spawn().expect("psql"));
        wait_until_active(&project);
        query.signal(Signal::INT);
        let said = heard(query);
        assert!(
            said.contains("canceling statement due to user request"),
            "{said}"
        );
        project.wait_asleep();
    }
    cancelled_by_a_client_of_its_own(&project);
    project.wait_asleep();
}

/// The last words of a client.
fn heard(mut client: Killed) -> String {
    let stderr = client.0.stderr.take().expect("it is piped");
    let said = std::io::read_to_string(stderr).expect("UTF-8");
    client.0.wait().expect("our child");
    said
}

fn cancelled_by_a_client_of_its_own(project: &Project) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let error = runtime.block_on(async {
        let mut config = Config::new();
        config
            .host("127.0.0.1")
            .port(project.app)
            .user("app")
            .dbname("app");
        let (client, connection) = config.connect(NoTls).await.expect("it is let in");
        drop(tokio::spawn(connection));
        let token = client.cancel_token();
        // The server may not have begun yet, and a request that finds nothing to stop does nothing.
        let query = client.batch_execute("select pg_sleep(600)");
        tokio::pin!(query);
        loop {
            tokio::select! {
                ended = &mut query => return ended.expect_err("it is stopped"),
                sent = token.cancel_query(NoTls) => sent.expect("it is heard"),
            }
        }
    });
    assert_eq!(error.code(), Some(&SqlState::QUERY_CANCELED));
}

fn what_is_durable_is_so_by_one_line(mode: Mode) {
    let Some(mut project) = project(mode, "durable = true") else {
        return;
    };
    project.up();
    let [tcp, _, _] = places(&project);
    let sql = "select string_agg(setting, ' ') from pg_settings
        where name in ('fsync', 'synchronous_commit', 'full_page_writes')";
    let mut look = psql(&project, &tcp, ("app", ""), sql);
    assert_eq!(succeed(&mut look).trim(), "on on on");
    project.wait_asleep();
}

fn data_of_another_major_are_moved_as_the_message_says(mode: Mode) {
    let next = std::env::var_os("DOZE_NEXT_POSTGRES_BINDIR").map(PathBuf::from);
    let Some(next) = next else {
        return unshown(
            "no package installs a newer Postgres; name one by DOZE_NEXT_POSTGRES_BINDIR",
        );
    };
    let Some(mut project) = Project::new(mode, "100ms") else {
        return;
    };
    let psql = project.postgres_program("psql");
    let former = psql.parent().expect("a folder").to_owned();
    let toml = project.toml("100ms");
    let toml = toml
        .split("[valkey.cache]")
        .next()
        .expect("a Postgres")
        .to_owned();
    let major = |folder: &Path| {
        let output = Command::new(folder.join("postgres"))
            .arg("--version")
            .output();
        let said = String::from_utf8(output.expect("it runs").stdout).expect("UTF-8");
        let number = said
            .split(' ')
            .nth(2)
            .and_then(|version| version.split('.').next());
        number.expect("a version").to_owned()
    };
    let (from, to) = (major(&former), major(&next));
    let raised = toml.replace(&format!("version = {from}"), &format!("version = {to}"));
    project.use_programs(&former);
    project.declare(&toml);
    project.up();
    project.sql("create table t as select 42 as x");
    project.wait_asleep();

    project.use_programs(&next);
    project.edit(&raised);
    let said = refused(&mut project.psql("select 1"));
    for part in [
        format!("PostgreSQL {from} made the data directory and PostgreSQL {to} cannot open it"),
        format!("`version = {from}`"),
        "`pg_dump -Fc -f app.dump \"$(doze url app)\"`".to_owned(),
        "`doze reset app`".to_owned(),
        "`pg_restore --no-owner -d \"$(doze url app)\" app.dump`".to_owned(),
    ] {
        assert!(said.contains(&part), "{part}: {said}");
    }
    project.use_programs(&former);
    project.edit(&toml);
    let dump = project.world.home().join("shop/app.dump");
    let url = project.run(&["url", "app"]);
    let mut backup = project.world.command(next.join("pg_dump"));
    succeed(backup.args(["-Fc", url.trim(), "-f"]).arg(&dump));
    project.wait_asleep();
    project.use_programs(&next);
    project.declare(&raised);
    project.run(&["reset", "app", "--yes"]);
    project.edit(&raised);
    let url = project.run(&["url", "app"]);
    let mut restore = project.world.command(next.join("pg_restore"));
    succeed(restore.args(["--no-owner", "-d", url.trim()]).arg(&dump));
    assert_eq!(project.sql("select x from t"), "42");
    project.wait_asleep();
}
