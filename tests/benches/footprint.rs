//! Benchmark `footprint`: what a project costs asleep, and what the activator costs awake.
//!
//! Private is what a process has for itself alone (proc(5), `smaps_rollup`). Its clean part is
//! the program's own file, which the kernel can drop, and which the activators of a user share:
//! so it is counted once with a single instance awake and once with two.
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a benchmark prints its result, and a surprise ends it"
)]

#[path = "support/machine.rs"]
mod machine;

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use doze_tests::programs;
use doze_tests::project::{Mode, Project};

/// Long enough that nothing falls asleep meanwhile.
const IDLE_TIMEOUT: &str = "5m";

/// The sizes to stay below, in kB.
const DISK: u64 = 800;
const MEMORY: u64 = 1000;

fn main() {
    let Some(mut project) = Project::new(Mode::Systemd, IDLE_TIMEOUT) else {
        return;
    };
    println!("footprint: {}", machine::line());

    project.up();
    let asleep = project.processes();
    println!("\nasleep, two instances");
    line("processes", "", asleep.len() as u64, None);
    let memory = asleep.iter().map(|process| Memory::of(process.pid).total);
    line("their memory", "kB", memory.sum(), Some(0));

    let program = programs::folder().join("doze-activator");
    let size = fs::metadata(program).expect("it is built").len();
    println!("\nthe activator");
    line("file", "kB", size.div_ceil(1000), Some(DISK));

    let mut clients = Vec::new();
    for count in [1, 200] {
        clients.resize_with(count, || client(project.cache));
        Memory::of(activator(&project, "cache")).report(&format!("{count} connections"));
    }
    let other = project.sql("select 1");
    assert_eq!(other, "1");
    Memory::of(activator(&project, "cache")).report("200 connections, another awake");
}

/// A client of the cache that has had an answer.
fn client(port: u16) -> TcpStream {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("it accepts");
    stream.write_all(b"PING\r\n").expect("it takes a command");
    stream.read_exact(&mut [0; 7]).expect("it answers");
    stream
}

/// The pid of the activator of an instance.
fn activator(project: &Project, instance: &str) -> i32 {
    let of = format!("/plans/{instance}.json");
    let found = project.running("doze-activator");
    let found = found
        .iter()
        .find(|process| process.command.ends_with(&of))
        .unwrap_or_else(|| panic!("the activator of {instance} runs"));
    found.pid
}

/// The memory of a process, in kB.
struct Memory {
    total: u64,
    dirty: u64,
    clean: u64,
}

impl Memory {
    fn of(pid: i32) -> Self {
        let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).expect("it runs");
        let value = |key: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(key));
            let number = line.and_then(|line| line.split_whitespace().next());
            number.and_then(|number| number.parse::<u64>().ok())
        };
        let kib = |key| value(key).unwrap_or_else(|| panic!("no {key} of {pid}")) * 1024 / 1000;
        Self {
            total: kib("Pss:"),
            dirty: kib("Private_Dirty:"),
            clean: kib("Private_Clean:"),
        }
    }

    fn report(&self, with: &str) {
        println!("  with {with}");
        line("  private", "kB", self.dirty + self.clean, Some(MEMORY));
        line("    of it dirty", "kB", self.dirty, None);
    }
}

fn line(what: &str, unit: &str, value: u64, aim: Option<u64>) {
    let verdict = aim.map(|aim| {
        let met = if value <= aim { "met" } else { "not met" };
        format!("   aim at most {aim}: {met}")
    });
    println!(
        "  {what:<24}{value:>8} {unit:<2}{}",
        verdict.unwrap_or_default()
    );
}
