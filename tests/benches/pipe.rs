//! Benchmark `pipe`: what it costs that somebody is between client and engine.
//!
//! The same two engines are reached directly, through doze, and through the relays that people
//! use otherwise, by real client programs in turns, because a shared machine is never twice the
//! same. Medians and ratios are printed and never asserted. `-- full` moves 1 GB at a time.
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a benchmark prints its result, and a surprise ends it"
)]

#[path = "support/load.rs"]
mod load;
#[path = "support/machine.rs"]
mod machine;
#[path = "support/middle.rs"]
mod middle;

use std::{env, fs};

use crate::load::{Load, Outcome};
use crate::middle::{Candidate, Middle};

/// An odd number, for the median.
const ROUNDS: usize = 3;

fn main() {
    let full = env::args().any(|word| word == "full");
    let Some(middle) = Middle::new() else {
        return;
    };
    println!("pipe: {ROUNDS} rounds in turns; {}", machine::line());
    println!("CPU is the middle's, in microseconds for a request or a MiB");
    for load in loads(if full { 1024 } else { 128 }) {
        measure(&middle, load);
    }
    println!("\nprivate memory of the middle of the Valkey, kB");
    for candidate in &middle.candidates {
        if let Some(pid) = candidate.valkey_pid {
            println!("  {:<16}{:>8}", candidate.name, private(pid));
        }
    }
    println!("\nat the end: {}", machine::line());
}

fn loads(bulk: u32) -> Vec<Load> {
    let get = |clients, pipelined, count| Load::Get {
        clients,
        pipelined,
        count,
    };
    vec![
        get(1, 1, 8_000),
        get(50, 1, 50_000),
        get(200, 1, 50_000),
        get(1, 16, 80_000),
        get(50, 16, 500_000),
        get(200, 16, 500_000),
        Load::Download(bulk),
        Load::Upload(bulk),
        Load::Select("simple"),
        Load::Select("prepared"),
        Load::Copy(bulk),
    ]
}

/// Runs a load against every candidate in every round, each round starting with another one.
fn measure(middle: &Middle, load: Load) {
    let mut rows: Vec<Row<'_>> = middle.candidates.iter().map(Row::new).collect();
    for round in 0..ROUNDS {
        let count = rows.len();
        rows.rotate_left(round % count);
        for row in &mut rows {
            row.add(middle, load);
        }
        rows.rotate_right(round % count);
    }
    println!(
        "\n{:<32}{:>12}{:>8}{:>9}{:>9}{:>9}",
        load.name(),
        "in a second",
        "ratio",
        "p50, ms",
        "p99, ms",
        "CPU, us"
    );
    let rate = |name: &str| {
        let row = rows.iter().find(|row| row.of.name == name);
        row.map(|row| row.median(|(result, _)| result.throughput))
    };
    let direct = rate("direct").unwrap_or(f64::NAN);
    for row in &rows {
        row.report(direct);
    }
    let doze = rate("doze").unwrap_or(f64::NAN);
    for (relay, least) in [("socket-proxyd", 2.0), ("haproxy", 1.0)] {
        let least = if load.is_small() { least } else { 1.0 };
        if let Some(other) = rate(relay) {
            verdict(&format!("doze / {relay}"), doze / other, least);
        }
    }
    if let (Some(unix), Some(direct)) = (rate("doze unix"), rate("direct unix")) {
        verdict("doze unix / direct unix", unix / direct, 0.95);
    }
}

fn verdict(what: &str, ratio: f64, least: f64) {
    let met = if ratio >= least { "met" } else { "not met" };
    println!("  {what}: {ratio:.2}; aim at least {least:.2}: {met}");
}

/// What the rounds have measured of one candidate: results, and seconds of CPU.
struct Row<'a> {
    of: &'a Candidate,
    measured: Vec<(Outcome, f64)>,
}

impl<'a> Row<'a> {
    fn new(of: &'a Candidate) -> Self {
        Self {
            of,
            measured: Vec::new(),
        }
    }

    fn add(&mut self, middle: &Middle, load: Load) {
        let (at, pid) = if load.is_sql() {
            (&self.of.postgres, self.of.postgres_pid)
        } else {
            (&self.of.valkey, self.of.valkey_pid)
        };
        let before = pid.map_or(0.0, processor_time);
        let result = load.run(&middle.project.world, &middle.pgbin, at);
        let after = pid.map_or(0.0, processor_time);
        self.measured.push((result, after - before));
    }

    fn median(&self, of: impl Fn(&(Outcome, f64)) -> f64) -> f64 {
        let mut all: Vec<f64> = self.measured.iter().map(of).collect();
        all.sort_unstable_by(f64::total_cmp);
        all.get(all.len() / 2).copied().unwrap_or(f64::NAN)
    }

    fn report(&self, direct: f64) {
        let rate = self.median(|(result, _)| result.throughput);
        println!(
            "  {:<30}{rate:>12.0}{:>8.2}{:>9.3}{:>9.3}{:>9.2}",
            self.of.name,
            rate / direct,
            self.median(|(result, _)| result.p50),
            self.median(|(result, _)| result.p99),
            self.median(|(result, cpu)| cpu * 1e6 / result.count),
        );
    }
}

/// Seconds of CPU of all threads of a process (`/proc/PID/schedstat`, in nanoseconds).
fn processor_time(pid: u32) -> f64 {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).expect("it runs");
    let time = |thread: fs::DirEntry| {
        let text = fs::read_to_string(thread.path().join("schedstat")).ok()?;
        text.split(' ').next()?.parse::<f64>().ok()
    };
    threads.filter_map(|thread| time(thread.ok()?)).sum::<f64>() / 1e9
}

/// The private memory of a process, in kB.
fn private(pid: u32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).expect("it runs");
    let lines = text.lines().filter(|line| line.starts_with("Private_"));
    let kib = |line: &str| line.split_whitespace().nth(1)?.parse::<u64>().ok();
    lines.filter_map(kib).sum::<u64>() * 1024 / 1000
}
