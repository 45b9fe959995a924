//! Benchmark `first`: connect → first reply of a new Postgres, whose template is there, against a
//! wake of the same instance.
//!
//! The two take turns: the data are removed, the next client has new ones made, and the one after it
//! wakes them. Times are printed and never asserted.
#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a benchmark prints its result, and a surprise ends it"
)]

#[path = "support/machine.rs"]
mod machine;
#[path = "support/samples.rs"]
#[expect(dead_code, reason = "no sums are needed here")]
mod samples;

use std::net::TcpStream;
use std::time::{Duration, Instant};

use doze_contract::Plan;
use doze_tests::exchange::Exchange;
use doze_tests::project::{Mode, Project};

use crate::samples::Samples;

const ROUNDS: usize = 20;

/// The ratio to stay below.
const AIM: f64 = 1.5;

/// How long the machine is left alone before something is measured.
const QUIET: Duration = Duration::from_millis(100);

fn main() {
    let Some(mut project) = Project::new(Mode::Systemd, "100ms") else {
        return;
    };
    project.up();
    let plan = project.plan("app");
    println!("first: connect -> first reply of a new instance, {ROUNDS} rounds in turns");
    println!("at the start: {}", machine::line());
    // This one makes the template.
    println!(
        "without a template: {:.1} ms",
        1000.0 * greet(&project, &plan).as_secs_f64()
    );
    let (mut first, mut wake) = (Samples::default(), Samples::default());
    for _ in 0..ROUNDS {
        project.wait_asleep();
        project.run(&["reset", "app", "--yes"]);
        settle(&project);
        first.add(greet(&project, &plan));
        settle(&project);
        wake.add(greet(&project, &plan));
    }
    for (what, samples) in [("new, by a template", &first), ("wake", &wake)] {
        let (median, p95) = (samples.median(), samples.p95());
        println!("  {what:<24}{median:>8.2}{p95:>8.2}");
    }
    let ratio = first.median() / wake.median();
    let verdict = if ratio <= AIM { "met" } else { "not met" };
    println!("  new / wake: {ratio:.2}; aim at most {AIM}: {verdict}");
    println!("at the end: {}", machine::line());
}

#[expect(
    clippy::disallowed_methods,
    reason = "not a wait for something, but the condition under which is measured"
)]
fn settle(project: &Project) {
    project.wait_asleep();
    std::thread::sleep(QUIET);
}

/// From a connect to the end of the first reply.
fn greet(project: &Project, plan: &Plan) -> Duration {
    let begun = Instant::now();
    let stream = TcpStream::connect(("127.0.0.1", project.app)).expect("it accepts");
    let ready = Exchange::of(plan).with(stream).expect("it answers");
    assert!(ready, "a client is served before there is anything");
    begun.elapsed()
}
