//! Temporal with the clients that people use: a worker and its workflows in Python, in a namespace
//! that is declared, on a server that is asleep in between.
#![expect(
    clippy::expect_used,
    reason = "a surprise fails the test, and says what it was"
)]

use std::fs;
use std::io::{BufRead, BufReader, Write as _};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use doze_tests::engines;
use doze_tests::project::{Mode, Project, output, succeed};
use doze_tests::wait::wait_until;
use doze_tests::{in_every_mode, needed};

/// Where Debian has it; what was fetched is for this one.
const PYTHON: &str = "/usr/bin/python3";

const SAMPLE: &str = include_str!("../temporal/sample.py");

in_every_mode!(
    a_workflow_is_done_and_its_history_is_there_after_a_sleep,
    a_timer_that_came_due_in_a_sleep_fires_at_the_next_wake,
    a_worker_that_waits_keeps_it_awake,
    a_namespace_that_was_changed_by_hand_is_changed_back,
    the_page_is_an_address_of_its_own_that_wakes_it_and_keeps_it_awake,
    clients_show_why_they_cannot_be_served,
);

fn a_workflow_is_done_and_its_history_is_there_after_a_sleep(mode: Mode) {
    let Some(sample) = Sample::up(mode, "1s") else {
        return;
    };
    assert_eq!(sample.project.processes(), [], "nobody is awake");
    assert_eq!(sample.run(&["greet", "doze"]), "Hello, doze");
    sample.project.wait_asleep();

    let told = sample.run(&["history", "doze"]);
    let (events, result) = told.split_once('\n').expect("two lines");
    assert!(
        events.contains("EVENT_TYPE_ACTIVITY_TASK_COMPLETED"),
        "{events}"
    );
    assert!(
        events.ends_with("EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED"),
        "{events}"
    );
    assert_eq!(result, "Hello, doze");
    sample.project.wait_asleep();
    assert_eq!(sample.project.wakes(NAME), 2);
    let log = sample.project.log(NAME);
    assert_eq!(log.matches("converged: ").count(), 1, "{log}");
    assert!(!log.contains("killing") && !log.contains("failed"), "{log}");
}

fn a_timer_that_came_due_in_a_sleep_fires_at_the_next_wake(mode: Mode) {
    let Some(sample) = Sample::up(mode, "200ms") else {
        return;
    };
    assert_eq!(sample.run(&["nap", "a"]), "napping");
    let begun = Instant::now();
    sample.project.wait_asleep();
    wait_until("the timer to be due", BOUND, || match begun.elapsed() {
        early if early < Duration::from_secs(2) => Err(format!("{early:?}")),
        _ => Ok(()),
    });
    assert_eq!(sample.project.processes(), [], "no timer wakes anybody");
    assert_eq!(sample.run(&["finish", "a"]), "Hello, after a nap");
}

fn a_worker_that_waits_keeps_it_awake(mode: Mode) {
    let Some(sample) = Sample::up(mode, "200ms") else {
        return;
    };
    let mut worker = sample
        .python(&["work"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    let said = BufReader::new(worker.stdout.take().expect("a pipe"))
        .lines()
        .next();
    let said = said.expect("it speaks").expect("UTF-8");
    assert_eq!(said, "waiting for tasks");
    let begun = Instant::now();
    wait_until("ten idle timeouts", BOUND, || match begun.elapsed() {
        early if early < Duration::from_secs(2) => Err(format!("{early:?}")),
        _ => Ok(()),
    });
    assert_eq!(sample.run(&["ask", "somebody"]), "Hello, somebody");
    assert_eq!(sample.project.wakes(NAME), 1, "it never slept");
    drop(worker.stdin.take());
    assert!(worker.wait().expect("our child").success());
    sample.project.wait_asleep();
}

fn a_namespace_that_was_changed_by_hand_is_changed_back(mode: Mode) {
    let Some(sample) = Sample::up(mode, "1s") else {
        return;
    };
    let operator = ["shell", NAME, "--", "operator", "namespace"];
    let orders = ["-n", "orders"];
    let run = |words: &[&str]| sample.project.run(&[&operator, words, &orders].concat());
    assert!(run(&["describe", "-o", "json"]).contains(r#""604800s""#));
    run(&["update", "--retention", "24h"]);

    let statement = concat!(
        r#"UpdateNamespace {"config":{"workflowExecutionRetentionTtl":"604800s"},"#,
        r#""namespace":"orders"}"#
    );
    let plan = output(&mut sample.project.doze(&["plan"]));
    let plan = String::from_utf8_lossy(&plan.stdout).into_owned();
    assert!(plan.contains(statement), "{plan}");
    let applied = sample.project.run(&["apply"]);
    assert!(applied.contains(statement), "{applied}");
    assert!(run(&["describe", "-o", "json"]).contains(r#""604800s""#));
    assert_eq!(sample.project.run(&["apply"]), "");
}

/// Nobody but the activator knows where the server listens, so whoever asks it comes as a client.
#[test]
fn what_is_declared_is_planned_and_applied_awake_and_asleep_and_at_another_address() {
    let Some(mut sample) = Sample::up(Mode::Systemd, "1h") else {
        return;
    };
    let register = |name: &str| {
        let data = r#"{"data":{"doze":"declared"}"#;
        let retention = r#""workflowExecutionRetentionPeriod":"86400s""#;
        format!(r#"RegisterNamespace {data},"namespace":"{name}",{retention}}}"#)
    };
    let namespace =
        |name: &str| format!("[temporal.{NAME}.namespace.{name}]\nretention = \"24h\"\n");
    sample.project.run(&["wake", NAME]);

    let awake = sample.toml("1h") + &namespace("awake");
    sample.project.declare(&awake);
    let plan = sample.plan();
    assert!(plan.contains(&register("awake")), "{plan}");
    assert_eq!(sample.plan(), plan, "it does nothing");
    let applied = sample.project.run(&["apply"]);
    assert!(applied.contains(&register("awake")), "{applied}");
    assert_eq!(sample.project.run(&["apply"]), "");
    assert_eq!(sample.project.wakes(NAME), 1, "no client lost anything");

    // The server that runs is where it was, whatever the file says.
    let old = sample.port;
    sample.port = sample.project.world.port();
    let moved = awake.replace(&old.to_string(), &sample.port.to_string()) + &namespace("moved");
    sample.project.declare(&moved);
    let plan = sample.plan();
    assert!(plan.contains(&register("moved")), "{plan}");
    sample.project.edit(&moved);
    assert_eq!(sample.run(&["greet", "there"]), "Hello, there");
    assert_eq!(sample.project.run(&["apply"]), "");

    sample.project.run(&["sleep", NAME]);
    sample.project.wait_asleep();
    sample.project.declare(&(moved + &namespace("asleep")));
    let plan = sample.plan();
    assert!(plan.contains(NAME), "{plan}");
    assert_eq!(sample.project.processes(), [], "a plan wakes nobody");
    let applied = sample.project.run(&["apply"]);
    assert!(applied.contains(&register("asleep")), "{applied}");
    assert_eq!(sample.project.run(&["apply"]), "");
    sample.project.run(&["sleep", NAME]);
    sample.project.wait_asleep();
}

fn the_page_is_an_address_of_its_own_that_wakes_it_and_keeps_it_awake(mode: Mode) {
    let Some(mut sample) = Sample::up(mode, "200ms") else {
        return;
    };
    let ui = sample.project.world.port();
    let key = format!("version = 1\nui_port = {ui}\n");
    let toml = sample.toml("200ms").replace("version = 1\n", &key);
    sample.project.edit(&toml);
    let address = format!("127.0.0.1:{ui}");
    assert_eq!(sample.project.processes(), [], "nobody is awake");
    let url = format!("http://{address}");
    let shown = sample.project.run(&["url", NAME, "ui"]);
    assert_eq!(shown.trim_end(), url);
    let shown = sample.project.run(&["env"]);
    let line = format!("export DOZE_WORKFLOWS_UI_URL='{url}'");
    assert!(shown.contains(&line), "{shown}");
    let shown = sample.project.run(&["status"]);
    assert!(shown.contains(&format!(", ui {address} ")), "{shown}");
    let refused = output(&mut sample.project.doze(&["url", NAME, "page"]));
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(
        said.contains("`workflows` has no address `page`, but ui"),
        "{said}"
    );

    let page = succeed(&mut sample.curl(&format!("{url}/")));
    assert!(
        page.contains("<!doctype html>") && page.contains("/_app/"),
        "{page}"
    );
    assert_eq!(sample.project.wakes(NAME), 1);
    // The page asks the server, which it connects to by itself and in its own time.
    let listed = wait_until("the page to know the server", BOUND, || {
        let answer = output(&mut sample.curl(&format!("{url}/api/v1/namespaces")));
        let said = [answer.stdout, answer.stderr].concat();
        let said = String::from_utf8_lossy(&said).into_owned();
        if answer.status.success() {
            Ok(said)
        } else {
            Err(said)
        }
    });
    assert!(listed.contains(r#""orders""#), "{listed}");
    sample.project.wait_asleep();

    // A browser keeps its connection.
    let mut browser = TcpStream::connect(&address).expect("the endpoint");
    browser.set_read_timeout(Some(BOUND)).expect("a time");
    let ask = format!("GET / HTTP/1.1\r\nHost: {address}\r\n\r\n");
    browser.write_all(ask.as_bytes()).expect("it is there");
    let mut first = String::new();
    let mut lines = BufReader::new(&browser);
    lines.read_line(&mut first).expect("an answer");
    assert_eq!(first, "HTTP/1.1 200 OK\r\n");
    let before = sample.project.wakes(NAME);
    let begun = Instant::now();
    wait_until("ten idle timeouts", BOUND, || match begun.elapsed() {
        early if early < Duration::from_secs(2) => Err(format!("{early:?}")),
        _ => Ok(()),
    });
    assert_eq!(sample.run(&["greet", "doze"]), "Hello, doze");
    assert_eq!(sample.project.wakes(NAME), before, "it never slept");
    drop(browser);
    sample.project.wait_asleep();
}

fn clients_show_why_they_cannot_be_served(mode: Mode) {
    let Some(sample) = Sample::up(mode, "1s") else {
        return;
    };
    sample.project.run(&["wake", NAME]);
    sample.project.wait_asleep();
    let database = sample
        .project
        .home()
        .join("data")
        .join(NAME)
        .join("temporal.db");
    for name in ["temporal.db-wal", "temporal.db-shm"] {
        fs::remove_file(database.with_file_name(name)).expect("it was there");
    }
    let text = "this is no database, but long enough to be looked at";
    sample.project.world.write(&database, text);

    for mut client in [sample.python(&["greet", "x"]), sample.grpcio()] {
        let output = output(&mut client);
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(told.contains("doze logs workflows"), "{told}");
        assert!(told.to_lowercase().contains("unavailable"), "{told}");
    }
}

/// How long what the clock says may take.
const BOUND: Duration = Duration::from_secs(30);

/// The instance.
const NAME: &str = "workflows";

/// A project with a Temporal, and a sample to run against it.
struct Sample {
    project: Project,
    port: u16,
    /// What was fetched for Python.
    packages: String,
}

impl Sample {
    /// A project that is up; `None` if something is not here, which is said then.
    fn up(mode: Mode, idle_timeout: &str) -> Option<Self> {
        let temporal = needed("Temporal", engines::temporal())?;
        let mut project = Project::new(mode, idle_timeout)?;
        let bindir = project.world.bindir(&temporal);
        let packages = bindir.parent().expect("it is in a folder").to_owned();
        let client = packages.join("temporalio").is_dir().then_some(());
        needed("temporalio beside Temporal", client)?;
        project.set("DOZE_TEMPORAL_BINDIR", &bindir);
        let port = project.world.port();
        project.world.write("home/sample.py", SAMPLE);
        let packages = packages.display().to_string();
        let mut sample = Self {
            project,
            port,
            packages,
        };
        let toml = sample.toml(idle_timeout);
        sample.project.declare(&toml);
        sample.project.up();
        Some(sample)
    }

    fn toml(&self, idle_timeout: &str) -> String {
        format!(
            "name = \"shop\"\n[defaults]\nidle_timeout = \"{idle_timeout}\"\n\
             [temporal.{NAME}]\nversion = 1\nport = {}\n\
             [temporal.{NAME}.namespace.orders]\nretention = \"168h\"\n",
            self.port
        )
    }

    /// What `doze plan` says, whatever it finds.
    #[track_caller]
    fn plan(&self) -> String {
        let plan = output(&mut self.project.doze(&["plan"]));
        let said = String::from_utf8_lossy(&plan.stderr);
        assert_eq!(said, "", "nothing went wrong");
        String::from_utf8_lossy(&plan.stdout).into_owned()
    }

    fn curl(&self, url: &str) -> Command {
        let mut command = self.project.world.command("curl");
        let words = ["--silent", "--show-error", "--fail-with-body", "--max-time"];
        command.args(words).args(["60", url]);
        command
    }

    fn interpreter(&self) -> Command {
        let mut python = self.project.world.command(PYTHON);
        python
            .env("PYTHONPATH", &self.packages)
            .env("PYTHONPYCACHEPREFIX", self.project.world.dir().join("tmp"));
        python
    }

    /// The sample, in the namespace `orders`.
    fn python(&self, words: &[&str]) -> Command {
        let mut python = self.interpreter();
        python
            .arg(self.project.world.home().join("sample.py"))
            .args([&format!("127.0.0.1:{}", self.port), "orders"])
            .args(words);
        python
    }

    /// What the sample prints.
    #[track_caller]
    fn run(&self, words: &[&str]) -> String {
        succeed(&mut self.python(words)).trim_end().to_owned()
    }

    /// gRPC's own client, with any call.
    fn grpcio(&self) -> Command {
        let mut python = self.interpreter();
        let script = "import grpc, sys\n\
             call = grpc.insecure_channel(sys.argv[1]).unary_unary('/any.Service/Method')\n\
             call(b'', timeout=60)";
        python.args(["-c", script, &format!("127.0.0.1:{}", self.port)]);
        python
    }
}
