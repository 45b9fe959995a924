//! What real clients of each protocol are told: by the server itself, when it does not let them in,
//! and by doze, when there is no server.
#![expect(
    clippy::expect_used,
    reason = "a surprise fails the test, and says what it was"
)]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use doze_contract::Endpoint;
use doze_tests::project::{Mode, Project, output, succeed};
use doze_tests::{in_every_mode, needed};

in_every_mode!(
    who_is_not_let_in_hears_what_valkey_itself_says,
    redis_py_shows_why_a_valkey_cannot_boot,
    clients_show_why_a_kvrocks_cannot_boot,
    pymongo_shows_why_a_ferret_cannot_boot,
    curl_shows_why_a_temporal_cannot_boot,
    curl_shows_why_a_process_cannot_boot,
);

const PYTHON: &str = "/usr/bin/python3";

/// Asks a server of RESP for an answer to PING, and prints what that was, or the error.
const REDIS_PY: &str = "\
import redis, sys
try: print(redis.from_url(sys.argv[1]).ping())
except redis.RedisError as error: print(type(error).__name__, error)
";

const PYMONGO: &str = "\
import pymongo, sys
try: print(pymongo.MongoClient(sys.argv[1], serverSelectionTimeoutMS=20000).shop.carts.find_one())
except pymongo.errors.PyMongoError as error: print(type(error).__name__, error)
";

fn who_is_not_let_in_hears_what_valkey_itself_says(mode: Mode) {
    let Some(mut project) = with_module(mode, "redis") else {
        return;
    };
    let port = project.cache;
    let toml = project.toml("1h").replace(
        &format!("port = {port}"),
        &format!("listen = [\"127.0.0.1:{port}\", \"unix\"]\npassword = \"s3 cret\""),
    );
    project.declare(&toml);
    project.up();
    let plan = project.plan("cache");
    let socket = |endpoint: &Endpoint| match endpoint {
        Endpoint::Unix(path) => Some(vec!["-s".to_owned(), path.to_string()]),
        Endpoint::Tcp(_) => None,
    };
    let direct = socket(plan.body.upstream.as_ref().expect("an upstream"));
    let direct = direct.expect("its own socket");
    let tcp = ["-h", "127.0.0.1", "-p", &port.to_string()].map(str::to_owned);
    let unix = plan.endpoints.iter().find_map(socket).expect("it has one");

    let ask = |place: &[String], words: &[&str]| {
        // Of several places it takes the last one.
        let mut cli = project.cli(&["--no-auth-warning"]);
        let output = output(cli.args(place).args(words));
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
    };
    let user = ["--user", "default", "--pass", "s3 cret"];
    // The first one wakes it, and it stays awake, so that it can be reached past doze as well.
    assert_eq!(ask(&tcp, &[&user[..], &["ping"]].concat()), "PONG\n");
    let by_hand = ["acl", "setuser", "reader", "on", ">x", "~r:*", "+get"];
    assert_eq!(ask(&unix, &[&user[..], &by_hand].concat()), "OK\n");
    for (words, says) in [
        (&["ping"][..], "NOAUTH Authentication required."),
        (&["--pass", "wrong", "ping"], "WRONGPASS "),
        (
            &["--user", "nobody", "--pass", "s3 cret", "ping"],
            "WRONGPASS ",
        ),
        (
            &["--user", "reader", "--pass", "x", "set", "r:1", "v"],
            "NOPERM ",
        ),
        (
            &["--user", "reader", "--pass", "x", "get", "other"],
            "NOPERM ",
        ),
    ] {
        let own = ask(&direct, words);
        assert!(own.contains(says), "{words:?}: {own}");
        for place in [&tcp[..], &unix] {
            assert_eq!(ask(place, words), own, "{place:?}");
        }
    }

    let url = plan.body.connection.url.expect("a URL");
    let by_url = |url: &str| succeed(&mut python(&project, REDIS_PY, url));
    assert_eq!(by_url(&url), "True\n");
    let said = by_url(&url.replace("s3%20cret", "wrong"));
    assert!(said.contains("invalid username-password pair"), "{said}");
    let said = by_url(&format!("redis://127.0.0.1:{port}/0"));
    assert_eq!(said, "AuthenticationError Authentication required.\n");
    project.run(&["sleep", "cache"]);
    project.wait_asleep();
}

fn redis_py_shows_why_a_valkey_cannot_boot(mode: Mode) {
    let Some(mut project) = with_module(mode, "redis") else {
        return;
    };
    let sound = project.toml("100ms");
    project.declare(&format!(
        "{sound}settings = {{ no-such-directive = \"1\" }}\n"
    ));
    project.up();
    let url = format!("redis://127.0.0.1:{}/0", project.cache);
    let said = succeed(&mut python(&project, REDIS_PY, &url));
    assert!(said.starts_with("ResponseError doze: "), "{said}");
    assert!(said.contains("no-such-directive"), "{said}");
    assert!(said.contains("doze logs cache shows more"), "{said}");
    project.edit(&sound);
    assert_eq!(succeed(&mut python(&project, REDIS_PY, &url)), "True\n");
    project.wait_asleep();
}

fn clients_show_why_a_kvrocks_cannot_boot(mode: Mode) {
    let Some(mut project) = with_module(mode, "redis") else {
        return;
    };
    let port = broken(&mut project, "kvrocks", "2.15.0", "");
    let cli = output(&mut project.cli(&["-p", &port.to_string(), "ping"]));
    let cli = String::from_utf8_lossy(&[cli.stdout, cli.stderr].concat()).into_owned();
    assert!(cli.contains("ERR doze: "), "{cli}");
    let url = format!("redis://127.0.0.1:{port}/0");
    let by_url = succeed(&mut python(&project, REDIS_PY, &url));
    assert!(by_url.starts_with("ResponseError doze: "), "{by_url}");
    for said in [cli, by_url] {
        assert_is_told(&said);
    }
}

fn pymongo_shows_why_a_ferret_cannot_boot(mode: Mode) {
    let Some(mut project) = with_module(mode, "pymongo") else {
        return;
    };
    let port = broken(&mut project, "ferret", "2.7.0", "");
    for login in ["", "app:x@"] {
        let url = format!("mongodb://{login}127.0.0.1:{port}/");
        let said = succeed(&mut python(&project, PYMONGO, &url));
        assert!(said.starts_with("OperationFailure doze: "), "{said}");
        assert_is_told(&said);
    }
}

/// What its own clients show is shown where they are.
fn curl_shows_why_a_temporal_cannot_boot(mode: Mode) {
    let Some(mut project) = with_curl(mode) else {
        return;
    };
    let page = project.world.port();
    let port = broken(
        &mut project,
        "temporal",
        "1.9.1",
        &format!("ui_port = {page}"),
    );
    let said = curl(&project, &[&format!("http://127.0.0.1:{page}/")]);
    assert!(said.ends_with("\n503"), "{said}");
    assert_is_told(&said);

    // A call over HTTP/2, as gRPC makes it: an empty message.
    let body = project.world.write("home/empty", "\0\0\0\0\0");
    let body = format!("@{}", body.display());
    let url = format!(
        "http://127.0.0.1:{port}/temporal.api.workflowservice.v1.WorkflowService/GetSystemInfo"
    );
    let said = curl(
        &project,
        &[
            "--http2-prior-knowledge",
            "--header",
            "content-type: application/grpc",
            "--header",
            "te: trailers",
            "--dump-header",
            "-",
            "--data-binary",
            &body,
            &url,
        ],
    );
    assert!(said.starts_with("HTTP/2 200"), "{said}");
    // 14 is UNAVAILABLE.
    assert!(said.contains("grpc-status: 14"), "{said}");
    assert_is_told(&said);
}

fn curl_shows_why_a_process_cannot_boot(mode: Mode) {
    let Some(mut project) = with_curl(mode) else {
        return;
    };
    let port = project.world.port();
    let block = format!(
        "[process.broken]\nport = {port}\nlazy = true\ncommand = 'echo no room >&2; exit 1'\n"
    );
    project.declare(&format!("name = \"shop\"\n{block}"));
    project.up();
    let said = curl(&project, &[&format!("http://127.0.0.1:{port}/")]);
    assert!(said.ends_with("\n503"), "{said}");
    assert_is_told(&said);
}

/// Declares an instance `broken` alone, whose programs tell a version and cannot do anything else,
/// and gives its port.
fn broken(project: &mut Project, engine: &'static str, version: &str, lines: &str) -> u16 {
    let (variable, programs) = match engine {
        "kvrocks" => ("DOZE_KVROCKS_BINDIR", &["kvrocks"][..]),
        "ferret" => (
            "DOZE_FERRET_BINDIR",
            &["ferretdb", "initdb", "postgres"][..],
        ),
        _ => ("DOZE_TEMPORAL_BINDIR", &["temporal"][..]),
    };
    for program in programs {
        let script = format!(
            "#!/bin/sh\n[ \"$1\" = --version ] && echo \"it is version {version}\" && exit\n\
             echo 'no room' >&2\nexit 1\n"
        );
        let path = project.world.write(format!("broken/{program}"), &script);
        let runs = fs::Permissions::from_mode(0o755);
        fs::set_permissions(path, runs).expect("our file");
    }
    let folder = project.world.dir().join("broken");
    project.set(variable, &folder);
    let port = project.world.port();
    let major = version.split('.').next().unwrap_or_default();
    project.declare(&format!(
        "name = \"shop\"\n[{engine}.broken]\nversion = {major}\nport = {port}\n{lines}\n"
    ));
    project.up();
    port
}

/// Whichever way a message takes, it says this.
#[track_caller]
fn assert_is_told(said: &str) {
    assert!(said.contains("no room"), "{said}");
    assert!(said.contains("doze logs broken"), "{said}");
}

/// A project for clients in Python, if these are here.
fn with_module(mode: Mode, module: &str) -> Option<Project> {
    let mut import = Command::new(PYTHON);
    let there = import.args(["-c", &format!("import {module}")]).output();
    let there = there.ok().filter(|output| output.status.success());
    needed(&format!("{module} for {PYTHON}"), there)?;
    Project::new(mode, "100ms")
}

fn with_curl(mode: Mode) -> Option<Project> {
    needed("curl", Command::new("curl").arg("--version").output().ok())?;
    Project::new(mode, "100ms")
}

fn python(project: &Project, script: &str, url: &str) -> Command {
    let mut python = project.world.command(PYTHON);
    python.args(["-c", script, url]);
    python
}

/// What curl prints, and the status behind it.
fn curl(project: &Project, words: &[&str]) -> String {
    let mut curl = project.world.command("curl");
    curl.args(["--silent", "--show-error", "--noproxy", "*"]);
    succeed(curl.args(["--write-out", "\\n%{http_code}"]).args(words))
}
