//! Benchmark `everyday`: what people type a hundred times a day, in a project of 300 instances that
//! is up.
//!
//! Beside it stands `doze version`, which does nothing, so the ratio to it is what a command takes.
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
use std::process::Command;
use std::time::Duration;

use doze_tests::engines;
use doze_tests::project::succeed;
use doze_tests::{World, needed};

use crate::samples::Samples;

const ROUNDS: usize = 30;
const INSTANCES: u16 = 300;

/// A command, and how long it may take, in milliseconds.
const COMMANDS: [(&str, Option<f64>); 7] = [
    ("doze version", None),
    ("doze status", Some(50.0)),
    ("doze status --graph", Some(50.0)),
    ("doze status --json", Some(50.0)),
    ("doze env", Some(20.0)),
    ("doze url i7", Some(20.0)),
    ("doze up", Some(100.0)),
];

fn main() {
    let Some(postgres) = needed("a Postgres", engines::postgres()) else {
        return;
    };
    let Some(valkey) = needed("a Valkey", engines::valkey()) else {
        return;
    };
    let Some(world) = World::with_manager() else {
        return;
    };
    world.write(
        "home/many/doze.toml",
        &toml(postgres.major(), valkey.major()),
    );
    let shell = |script: &str| -> Command {
        let mut command = world.command("bash");
        command
            .args(["-c", script])
            .current_dir(world.home().join("many"))
            .env("DOZE_POSTGRES_BINDIR", world.bindir(&postgres))
            .env("DOZE_VALKEY_BINDIR", world.bindir(&valkey));
        command
    };
    world.programs();
    succeed(&mut shell("doze up"));

    println!("everyday: {INSTANCES} instances that are up, {ROUNDS} rounds in turns");
    println!("{}", machine::line());
    let mut all = COMMANDS.map(|_| Samples::default());
    for round in 0..=ROUNDS {
        if round == 1 {
            // The first was for warming up.
            all = COMMANDS.map(|_| Samples::default());
        }
        for ((command, _), samples) in COMMANDS.iter().zip(&mut all) {
            samples.add(time(&mut shell(&timed(command))));
            let awake = world.processes();
            assert!(awake.is_empty(), "`{command}` woke somebody: {awake:?}");
        }
    }

    println!("\n  {:<20}{:>8}{:>8}{:>8}", "ms", "median", "p95", "ratio");
    let floor = all.first().map_or(f64::NAN, Samples::median);
    for ((command, aim), samples) in COMMANDS.iter().zip(&all) {
        let (median, p95) = (samples.median(), samples.p95());
        let verdict = match aim {
            Some(aim) if median < *aim => format!("  aim less than {aim}: met"),
            Some(aim) => format!("  aim less than {aim}: not met"),
            None => String::new(),
        };
        println!(
            "  {command:<20}{median:>8.1}{p95:>8.1}{:>8.1}{verdict}",
            median / floor
        );
    }
    succeed(&mut shell("doze down"));
}

/// The command, told in microseconds by a shell that is in the world already: the way into it takes
/// longer than most commands.
fn timed(command: &str) -> String {
    format!(
        "a=$EPOCHREALTIME; {command} >/dev/null 2>&1 || exit; b=$EPOCHREALTIME; \
         echo $((10#${{b/./}} - 10#${{a/./}}))"
    )
}

fn time(shell: &mut Command) -> Duration {
    let took = succeed(shell);
    Duration::from_micros(took.trim().parse().expect("a number"))
}

/// As many of one engine as of the other.
fn toml(postgres: u32, valkey: u32) -> String {
    let mut toml = String::from("name = \"many\"\n");
    for at in 0..INSTANCES {
        let (engine, version) = match at % 2 {
            0 => ("postgres", postgres),
            _ => ("valkey", valkey),
        };
        writeln!(
            toml,
            "[{engine}.i{at}]\nversion = {version}\nlisten = \"unix\""
        )
        .expect("memory");
    }
    toml
}
