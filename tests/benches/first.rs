//! Benchmark `first`: connect → first reply of a new Postgres, whose template is there, against a
//! wake of the same instance.
//!
//! They take turns. A new one takes the clone that was made ahead, or has to make one, as the second
//! of two new ones in a moment has to. The data of the ones before are put aside and not removed: a
//! file system may make new files slowly where old ones went a moment ago, and who makes a new
//! instance has seldom just removed another one. Times are printed and never asserted.
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

use std::fs;
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use doze_contract::Plan;
use doze_tests::exchange::Exchange;
use doze_tests::project::{Mode, Project};
use doze_tests::wait::wait_until;

use crate::samples::Samples;

const ROUNDS: usize = 20;

/// The ratio to stay below.
const AIM: f64 = 1.5;

/// How long a clone may take that is made ahead, on a busy machine.
const AHEAD: Duration = Duration::from_mins(1);

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
    let [mut ahead, mut copied, mut wake] = [(); 3].map(|()| Samples::default());
    for round in 0..ROUNDS {
        let spare = wait_for_spare(&plan);
        settle(&project);
        put_aside(plan.paths.data.as_std_path(), round);
        ahead.add(greet(&project, &plan));
        wait_for_spare(&plan);
        settle(&project);
        put_aside(plan.paths.data.as_std_path(), ROUNDS + round);
        put_aside(&spare, 2 * ROUNDS + round);
        copied.add(greet(&project, &plan));
        wait_for_spare(&plan);
        settle(&project);
        wake.add(greet(&project, &plan));
    }
    for (what, samples) in [
        ("new, made ahead", &ahead),
        ("new, made now", &copied),
        ("wake", &wake),
    ] {
        let (median, p95) = (samples.median(), samples.p95());
        println!("  {what:<24}{median:>8.2}{p95:>8.2}");
    }
    println!("  made now / wake: {:.2}", copied.median() / wake.median());
    let ratio = ahead.median() / wake.median();
    let verdict = if ratio <= AIM { "met" } else { "not met" };
    println!("  made ahead / wake: {ratio:.2}; aim at most {AIM}: {verdict}");
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

/// Keeps the instance awake until the clone for the next new one is there.
fn wait_for_spare(plan: &Plan) -> PathBuf {
    let _hold = UnixStream::connect(&plan.paths.wake_socket).expect("it accepts");
    wait_until("a clone that is made ahead", AHEAD, || {
        let entries = plan.paths.templates.read_dir_utf8();
        let entries: Vec<_> = entries.map_err(|error| error.to_string())?.collect();
        let mut entries = entries.into_iter().flatten();
        let spare = entries.find(|entry| entry.path().extension() == Some("spare"));
        let spare = spare.ok_or("there is none")?;
        Ok(spare.into_path().into_std_path_buf())
    })
}

/// Gives a folder another name, which nobody looks for.
fn put_aside(folder: &Path, number: usize) {
    let aside = folder.with_file_name(format!(".put-aside-{number}"));
    fs::rename(folder, aside).expect("a folder");
}

/// From a connect to the end of the first reply.
fn greet(project: &Project, plan: &Plan) -> Duration {
    let begun = Instant::now();
    let stream = TcpStream::connect(("127.0.0.1", project.app)).expect("it accepts");
    let ready = Exchange::of(plan).with(stream).expect("it answers");
    assert!(ready, "a client is served before there is anything");
    begun.elapsed()
}
