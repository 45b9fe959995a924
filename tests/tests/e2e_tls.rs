//! TLS with a Postgres: that of the server, over which every feature of it goes through doze.
#![expect(
    clippy::expect_used,
    reason = "a surprise fails the test, and says what it was"
)]

use std::fs;
use std::process::{Command, Stdio};
use std::time::Duration;

use doze_tests::in_every_mode;
use doze_tests::project::{Mode, Project, output, succeed};
use doze_tests::{skip::unshown, wait_until};
use rustix::process::{Pid, Signal, kill_process};

in_every_mode!(
    tls_is_verified_by_the_printed_authority,
    who_comes_without_tls_hears_it_from_the_server,
    a_cancel_request_stops_its_query_over_tls,
    the_users_own_certificate_is_shown,
);

const BOUND: Duration = Duration::from_mins(1);

const WHO: &str = "select ssl, version like 'TLSv1.%', session_user
    from pg_stat_ssl where pid = pg_backend_pid()";

/// A project whose `app` has TLS, and what these lines declare.
fn project(mode: Mode, lines: &str) -> Option<Project> {
    let project = Project::new(mode, "100ms")?;
    project.declare(&toml(&project, lines));
    Some(project)
}

fn toml(project: &Project, lines: &str) -> String {
    let lines = format!("owner = \"app\"\ntls = true\nrole.app.password = \"s3cret\"\n{lines}\n");
    let toml = project.toml("100ms");
    toml.replace("owner = \"app\"\n", &lines)
}

fn psql(project: &Project, connection: &str, sql: &str) -> Command {
    let mut command = project.world.command(project.postgres_program("psql"));
    command
        .args(["-XAtqw", "-v", "ON_ERROR_STOP=1", "-c", sql, connection])
        .env("PGCONNECT_TIMEOUT", "60");
    command
}

fn url(project: &Project) -> String {
    project.run(&["url", "app"]).trim().to_owned()
}

fn refused(command: &mut Command) -> String {
    let output = output(command);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success(), "{said}");
    said
}

fn tls_is_verified_by_the_printed_authority(mode: Mode) {
    let Some(mut project) = project(mode, "") else {
        return;
    };
    project.up();
    let url = url(&project);
    assert!(url.contains("sslmode=verify-full&sslrootcert="), "{url}");
    // The first one of all: the authority is made while it waits.
    assert_eq!(succeed(&mut psql(&project, &url, WHO)).trim(), "t|t|app");
    project.wait_asleep();
    let bound = format!("{url}&channel_binding=require");
    assert_eq!(succeed(&mut psql(&project, &bound, WHO)).trim(), "t|t|app");
    project.wait_asleep();

    let ca = project.plan("app").body.connection.attributes.remove("ca");
    let ca = ca.expect("the authority");
    let at = |host: &str| {
        format!(
            "host={host} hostaddr=127.0.0.1 port={} user=app password=s3cret dbname=app \
             sslmode=verify-full sslrootcert='{ca}'",
            project.app
        )
    };
    let mut named = psql(&project, &at("localhost"), WHO);
    assert_eq!(succeed(&mut named).trim(), "t|t|app");
    let said = refused(&mut psql(&project, &at("elsewhere"), WHO));
    assert!(said.contains("does not match host name"), "{said}");
    let said = refused(&mut psql(&project, &url.replace("s3cret", "wrong"), WHO));
    let wrong = "FATAL:  password authentication failed for user \"app\"";
    assert!(said.contains(wrong), "{said}");
    let shell = project
        .doze(&["shell", "app"])
        .stdin(Stdio::null())
        .output();
    assert!(shell.expect("doze runs").status.success());
    project.wait_asleep();
    newer(&project, &url);
}

/// What newer clients and servers can besides.
fn newer(project: &Project, url: &str) {
    let version = succeed(&mut psql(project, url, "show server_version_num"));
    let major = version.trim().parse().unwrap_or(0) / 10_000;
    for (since, more) in [
        (17, "sslnegotiation=direct"),
        (18, "min_protocol_version=3.2&max_protocol_version=latest"),
    ] {
        if major < since {
            unshown(&format!("{more} takes PostgreSQL {since}; this is {major}"));
            continue;
        }
        project.wait_asleep();
        let url = format!("{url}&{more}");
        assert_eq!(
            succeed(&mut psql(project, &url, WHO)).trim(),
            "t|t|app",
            "{more}"
        );
    }
    project.wait_asleep();
}

fn who_comes_without_tls_hears_it_from_the_server(mode: Mode) {
    let Some(mut project) = project(mode, "") else {
        return;
    };
    project.up();
    let plain = format!(
        "host=127.0.0.1 port={} dbname=app sslmode=disable",
        project.app
    );
    let with = |who: &str| format!("{plain} {who}");
    // It is not required, but a password is.
    let mut unsafe_but_known = psql(&project, &with("user=app password=s3cret"), WHO);
    assert_eq!(succeed(&mut unsafe_but_known).trim(), "f||app");
    let said = refused(&mut psql(&project, &with("user=app"), WHO));
    assert!(said.contains("no password supplied"), "{said}");
    let said = refused(&mut psql(&project, &with("user=postgres password=x"), WHO));
    assert!(
        said.contains("password authentication failed for user \"postgres\""),
        "{said}"
    );

    project.edit(&toml(&project, "tls_required = true"));
    let said = refused(&mut psql(&project, &with("user=app password=s3cret"), WHO));
    let own = "FATAL:  no pg_hba.conf entry for host \"127.0.0.1\", user \"app\", database \"app\", \
               no encryption";
    assert!(said.contains(own), "{said}");
    let url = url(&project);
    assert_eq!(succeed(&mut psql(&project, &url, WHO)).trim(), "t|t|app");
    project.wait_asleep();
}

fn a_cancel_request_stops_its_query_over_tls(mode: Mode) {
    let Some(mut project) = project(mode, "tls_required = true") else {
        return;
    };
    project.up();
    let url = url(&project);
    let mut query = psql(&project, &url, "select pg_sleep(600)");
    let mut query = query.stderr(Stdio::piped()).spawn().expect("psql");
    wait_until("the query", BOUND, || {
        let sql = "select count(*) from pg_stat_activity where wait_event = 'PgSleep'";
        match succeed(&mut psql(&project, &url, sql)).trim() {
            "1" => Ok(()),
            other => Err(other.to_owned()),
        }
    });
    kill_process(Pid::from_child(&query), Signal::INT).expect("our child");
    let stderr = query.stderr.take().expect("it is piped");
    let said = std::io::read_to_string(stderr).expect("UTF-8");
    query.wait().expect("our child");
    assert!(
        said.contains("canceling statement due to user request"),
        "{said}"
    );
    project.wait_asleep();
}

fn the_users_own_certificate_is_shown(mode: Mode) {
    let Some(mut project) = project(mode, "") else {
        return;
    };
    project.up();
    succeed(&mut psql(&project, &url(&project), WHO));
    project.wait_asleep();
    // The one that doze made stands in for somebody's own.
    let made = project.plan("app").paths.data.join("tls");
    for name in ["server.crt", "server.key", "ca.crt"] {
        let text = fs::read_to_string(made.join(name)).expect("it was made");
        project.world.write(format!("home/shop/{name}"), &text);
    }
    let mut private = project.world.command("chmod");
    succeed(
        private
            .args(["600", "server.key"])
            .current_dir(project.world.home().join("shop")),
    );
    let lines = "tls_certificate = \"server.crt\"\ntls_key = \"server.key\"\ntls_ca = \"ca.crt\"";
    project.edit(&toml(&project, lines));
    let url = url(&project);
    assert!(url.ends_with("shop%2Fca.crt"), "{url}");
    assert_eq!(succeed(&mut psql(&project, &url, WHO)).trim(), "t|t|app");
    project.wait_asleep();
}
