//! Benchmark `generate`: a project of 300 instances, compiled for the first time and again; and one
//! block of 10 000.
//!
//! Beside the first stands what cannot be left out: a copy of the same files by cp(1). The second
//! is compiled and not written, and tells its memory, beside a block of a tenth of it.
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
use std::fs;
use std::io::Read as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use doze_contract::exit::Exit;
use doze_tests::engines;
use doze_tests::project::succeed;
use doze_tests::{Tree, World, needed};

use crate::samples::Samples;

const ROUNDS: usize = 20;
const INSTANCES: u16 = 300;

/// How long the first time may take, in milliseconds.
const AIM: f64 = 300.0;

/// The stamps of one block, and how long they may take, in milliseconds.
const STAMPS: [usize; 2] = [1_000, 10_000];
const STAMPS_AIM: f64 = 3000.0;
const STAMPS_ROUNDS: usize = 5;

fn main() {
    let Some(postgres) = needed("a Postgres", engines::postgres()) else {
        return;
    };
    let Some(valkey) = needed("a Valkey", engines::valkey()) else {
        return;
    };
    let world = World::new();
    let folder = world.home().join("many");
    let command = |arguments: &[&str]| {
        let mut command = world.command("doze");
        command
            .args(arguments)
            .current_dir(&folder)
            .env("XDG_CONFIG_HOME", folder.join("config"))
            .env("XDG_DATA_HOME", folder.join("data"))
            .env("DOZE_POSTGRES_BINDIR", world.bindir(&postgres))
            .env("DOZE_VALKEY_BINDIR", world.bindir(&valkey));
        command
    };
    let doze = |arguments: &[&str]| time(command(arguments));
    let toml = toml(postgres.major(), valkey.major());

    println!("generate: {INSTANCES} instances, {ROUNDS} rounds in turns");
    println!("{}", machine::line());
    let [mut first, mut again, mut copied, mut started] = [(); 4].map(|()| Samples::default());
    let mut bytes = None;
    for round in 0..=ROUNDS {
        if round == 1 {
            // The first was for warming up.
            [first, again, copied, started] = [(); 4].map(|()| Samples::default());
        }
        world.write(folder.join("doze.toml"), &toml);
        first.add(doze(&["generate"]));
        let tree = Tree::read(&folder);
        again.add(doze(&["generate"]));
        assert!(tree == Tree::read(&folder), "repeated");
        assert!(*bytes.get_or_insert_with(|| tree.clone()) == tree, "anew");
        let mut copy = world.command("cp");
        copy.args(["-r", "many", "copy"]);
        copied.add(time(copy));
        started.add(doze(&["version"]));
        world.run(&["rm", "-r", "many", "copy"]);
    }

    println!("\n  {:<36}{:>8}{:>8}", "ms", "median", "p95");
    line("doze generate, nothing there", &first);
    line("doze generate, everything there", &again);
    line("cp -r of what it writes", &copied);
    line("doze version", &started);
    let median = first.median();
    let verdict = if median < AIM { "met" } else { "not met" };
    println!("  aim less than {AIM} ms: {verdict}");
    println!("  generate / cp: {:.1}", median / copied.median());
    println!("  byte-identical in every round");

    println!("\none block, compiled: {STAMPS_ROUNDS} rounds in turns");
    let mut compiled = STAMPS.map(|_| (Samples::default(), 0));
    for _ in 0..STAMPS_ROUNDS {
        for (stamps, (times, memory)) in STAMPS.into_iter().zip(&mut compiled) {
            world.write(folder.join("doze.toml"), &stamped(valkey.major(), stamps));
            let (took, peak) = compile(command(&["generate", "--check"]));
            times.add(took);
            *memory = peak.max(*memory);
        }
    }
    for (stamps, (times, memory)) in STAMPS.into_iter().zip(&compiled) {
        line(&format!("{stamps} instances; {memory} kB"), times);
    }
    let [.., (times, _)] = &compiled;
    let met = times.median() < STAMPS_AIM;
    let verdict = if met { "met" } else { "not met" };
    println!("  aim less than {STAMPS_AIM} ms: {verdict}");
}

/// One block with this many stamps.
fn stamped(valkey: u32, stamps: usize) -> String {
    format!(
        "name = \"many\"\n[valkey.v]\nversion = {valkey}\nlisten = \"unix\"\n\
         for_each = \"${{toset([for i in range({stamps}) : tostring(i)])}}\"\n"
    )
}

/// How long a command takes until it has something to say, which is more than fits into a pipe, and
/// the most memory of it until then, in kB (`VmHWM` of proc(5)).
fn compile(mut command: Command) -> (Duration, u64) {
    let begun = Instant::now();
    let mut child = command.stdout(Stdio::piped()).spawn().expect("it starts");
    let mut output = child.stdout.take().expect("a pipe");
    output.read_exact(&mut [0]).expect("a difference");
    let took = begun.elapsed();
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).expect("it runs");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let peak = peak.and_then(|text| text.split_whitespace().next());
    let peak = peak.and_then(|text| text.parse().ok()).expect("a peak");
    output.read_to_end(&mut Vec::new()).expect("the rest");
    let status = child.wait().expect("its end");
    assert_eq!(status.code(), Some(Exit::Drift as i32), "{status}");
    (took, peak)
}

/// As many of one engine as of the other.
fn toml(postgres: u32, valkey: u32) -> String {
    let mut toml = String::from("name = \"many\"\n");
    for at in 0..INSTANCES {
        let (engine, version) = match at % 2 {
            0 => ("postgres", postgres),
            _ => ("valkey", valkey),
        };
        let port = 20_000 + at;
        write!(
            toml,
            "[{engine}.i{at}]\nversion = {version}\nport = {port}\n"
        )
        .expect("memory");
    }
    toml
}

/// How long a command takes that has to succeed.
fn time(mut command: Command) -> Duration {
    let begun = Instant::now();
    succeed(&mut command);
    begun.elapsed()
}

fn line(what: &str, samples: &Samples) {
    let (median, p95) = (samples.median(), samples.p95());
    println!("  {what:<36}{median:>8.1}{p95:>8.1}");
}
