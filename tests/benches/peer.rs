//! Benchmark `peer`: connect → first reply of an instance that is awake, with and without the
//! look at who connects.
//!
//! The instances are Valkeys that differ in nothing but `open_to`. There are several of each kind,
//! for where the kernel happens to run the processes of one makes more of a difference than what
//! is measured. They take turns, because a shared machine is never twice the same. Times are
//! printed and never asserted.
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

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use doze_tests::engines;
use doze_tests::needed;
use doze_tests::project::{Mode, Project};

use crate::samples::Samples;

/// Instances of each kind.
const PAIRS: usize = 4;

/// Connections to each instance, 2000 to each kind.
const ROUNDS: usize = 500;

/// Rounds before the first that counts. They wake the instances, too.
const WARM_UP: usize = 50;

/// Long enough that nothing falls asleep meanwhile.
const IDLE_TIMEOUT: &str = "5m";

/// The ratio of the medians to stay below.
const AIM: f64 = 1.10;

fn main() {
    let Some(valkey) = needed("a Valkey", engines::valkey()) else {
        return;
    };
    let Some(mut project) = Project::new(Mode::Systemd, IDLE_TIMEOUT) else {
        return;
    };
    let mut toml = project.toml(IDLE_TIMEOUT);
    let mut pairs = [[0; 2]; PAIRS];
    for (at, pair) in pairs.iter_mut().enumerate() {
        for (port, open_to) in pair.iter_mut().zip(["user", "all"]) {
            *port = project.world.port();
            write!(
                toml,
                "\n[valkey.{open_to}{at}]\nversion = {}\nport = {port}\nopen_to = \"{open_to}\"\n",
                valkey.major()
            )
            .expect("memory");
        }
    }
    project.declare(&toml);
    project.up();

    println!(
        "peer: connect -> first reply of {PAIRS} + {PAIRS} awake Valkeys, {ROUNDS} rounds in turns"
    );
    println!("{}", machine::line());
    let [mut checked, mut open] = [(); 2].map(|()| Samples::default());
    for round in 0..WARM_UP + ROUNDS {
        if round == WARM_UP {
            [checked, open] = [(); 2].map(|()| Samples::default());
        }
        for [user, all] in pairs {
            // Each kind begins every other round.
            if round.is_multiple_of(2) {
                checked.add(first_reply(user));
                open.add(first_reply(all));
            } else {
                open.add(first_reply(all));
                checked.add(first_reply(user));
            }
        }
    }

    println!("\n  {:<36}{:>8}{:>8}", "us", "median", "p95");
    line("open_to = \"user\"", &checked);
    line("open_to = \"all\"", &open);
    let ratio = checked.median() / open.median();
    let verdict = if ratio < AIM { "met" } else { "not met" };
    println!("  user / all: {ratio:.3} of the median, aim less than {AIM}: {verdict}");
    println!("  {:.3} of the p95", checked.p95() / open.p95());
}

/// From a connect to the end of the first reply.
fn first_reply(port: u16) -> Duration {
    let begun = Instant::now();
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("it accepts");
    stream.write_all(b"PING\r\n").expect("it takes a command");
    stream.read_exact(&mut [0; 7]).expect("it answers");
    begun.elapsed()
}

fn line(what: &str, samples: &Samples) {
    let [median, p95] = [samples.median(), samples.p95()].map(|ms| ms * 1000.0);
    println!("  {what:<36}{median:>8.0}{p95:>8.0}");
}
