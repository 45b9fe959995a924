//! Benchmark `structure`: what it takes to make the structure in a Postgres that is awake: ten roles
//! with passwords and five schemas, of which nothing is there or all of it.
//!
//! The driver is asked as an activator asks it, over its standard input and output. The structure
//! is taken back between the rounds, by the driver too. Beside it stands what cannot be avoided: a
//! connection to the server, and the start of a driver. Times are printed and never asserted.
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a benchmark prints its result, and a surprise ends it"
)]

#[path = "support/machine.rs"]
mod machine;
#[path = "support/samples.rs"]
mod samples;

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use doze_contract::{
    Endpoint, Plan,
    protocol::{Answer, Call, ConvergeCall, Converged, PROTOCOL, Request, Response},
};
use doze_tests::exchange::Exchange;
use doze_tests::project::{Mode, Project};

use crate::samples::Samples;

const ROUNDS: usize = 30;

/// Long enough that nothing falls asleep meanwhile.
const IDLE_TIMEOUT: &str = "10m";

const ROLES: usize = 10;
const SCHEMAS: usize = 5;

/// Milliseconds to stay below, from empty and with nothing to do.
const AIMS: [f64; 2] = [150.0, 5.0];

fn main() {
    let Some(mut project) = Project::new(Mode::Systemd, IDLE_TIMEOUT) else {
        return;
    };
    project.up();
    project.sql("select 1");
    let bare = project.plan("app");
    project.declare(&declared(&project));
    project.run(&["generate"]);
    let full = project.plan("app");

    println!("structure: {ROLES} roles with passwords and {SCHEMAS} schemas, {ROUNDS} rounds");
    println!("{}", machine::line());
    let mut driver = Driver::start(&mut project.world.command(&full.driver));
    let [mut empty, mut again, mut connection, mut start] = [(); 4].map(|()| Samples::default());
    for round in 0..=ROUNDS {
        let (took, made) = driver.converge(&full, false);
        assert_eq!(made.changes.len(), ROLES + SCHEMAS, "{made:?}");
        let (idle, nothing) = driver.converge(&full, false);
        assert_eq!(nothing.changes, [], "a second time");
        driver.converge(&bare, true);
        let (connected, started) = (connect(&full), describe(&full));
        // The first one is for warming up.
        if round > 0 {
            empty.add(took);
            again.add(idle);
            connection.add(connected);
            start.add(started);
        }
    }

    println!("\n  {:<46}{:>8}{:>8}", "ms", "median", "p95");
    line("a connection to the server", &connection);
    line("the start of a driver", &start);
    line("from empty", &empty);
    line(
        "from empty, with the start of the driver",
        &empty.plus(&start),
    );
    line("nothing to do", &again);
    line(
        "nothing to do, without the connection",
        &again.minus(&connection),
    );
    let whole = again.plus(&start);
    line("nothing to do, with the start of the driver", &whole);
    for (what, samples, aim) in [
        ("from empty", &empty.plus(&start), AIMS[0]),
        ("nothing to do", &whole, AIMS[1]),
    ] {
        let median = samples.median();
        let verdict = if median < aim { "met" } else { "not met" };
        println!(
            "  {what}: {median:.2} ms with the start of the driver; aim less than {aim} ms: {verdict}"
        );
    }
}

/// The file of the project with the structure in it.
fn declared(project: &Project) -> String {
    let mut more = String::new();
    for role in 0..ROLES {
        let password = format!("it's {role} of {ROLES}");
        write!(
            more,
            "[postgres.app.role.r{role}]\npassword = \"{password}\"\n"
        )
        .expect("memory");
    }
    for schema in 0..SCHEMAS {
        write!(
            more,
            "[postgres.app.schema.s{schema}]\nowner = \"r{schema}\"\n"
        )
        .expect("memory");
    }
    let toml = project.toml(IDLE_TIMEOUT);
    toml.replace("[valkey.cache]", &format!("{more}\n[valkey.cache]"))
}

/// From a connect to the end of the first reply of the server itself.
fn connect(plan: &Plan) -> Duration {
    let Some(Endpoint::Unix(upstream)) = &plan.body.upstream else {
        panic!("a Postgres has a socket")
    };
    let exchange = Exchange::of(plan);
    let begun = Instant::now();
    let stream = UnixStream::connect(upstream).expect("it accepts");
    assert!(exchange.with(stream).expect("it answers"), "it is ready");
    begun.elapsed()
}

/// From the start of a driver to its first answer.
fn describe(plan: &Plan) -> Duration {
    let begun = Instant::now();
    let mut driver = Driver::start(&mut Command::new(&plan.driver));
    driver.ask(Call::Describe);
    begun.elapsed()
}

fn line(what: &str, samples: &Samples) {
    let (median, p95) = (samples.median(), samples.p95());
    println!("  {what:<46}{median:>8.2}{p95:>8.2}");
}

/// A driver that is asked one thing after another.
struct Driver {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Driver {
    fn start(command: &mut Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("the driver starts");
        Self {
            input: child.stdin.take(),
            output: BufReader::new(child.stdout.take().expect("a pipe")),
            child,
        }
    }

    /// From a question to the end of its answer.
    fn ask(&mut self, call: Call) -> (Duration, Answer) {
        let protocol = PROTOCOL;
        let mut text = serde_json::to_string(&Request { protocol, call }).expect("JSON");
        text.push('\n');
        let input = self.input.as_mut().expect("a pipe");
        let begun = Instant::now();
        input.write_all(text.as_bytes()).expect("it listens");
        text.clear();
        self.output.read_line(&mut text).expect("it answers");
        let took = begun.elapsed();
        match serde_json::from_str(&text).expect("a response") {
            Response::Answer(answer) => (took, answer),
            Response::Error(why) => panic!("{why}"),
        }
    }

    fn converge(&mut self, plan: &Plan, prune: bool) -> (Duration, Converged) {
        let call = Call::Converge(Box::new(ConvergeCall {
            upstream: None,
            plan: plan.clone(),
            dry_run: false,
            prune,
        }));
        let (took, answer) = self.ask(call);
        let Answer::Converge(converged) = answer else {
            panic!("{answer:?}")
        };
        (took, converged)
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        // The end of its input is the end of it.
        self.input = None;
        self.child.wait().expect("our child");
    }
}
