//! Benchmark `soak`: minutes of random clients, kills and edits of `doze.toml`, and what is left
//! of them afterwards, which has to be nothing.
//!
//! The minutes are the argument: `cargo bench -p doze-tests --bench soak -- 15`.
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a benchmark prints its result, and a surprise ends it"
)]

#[path = "support/machine.rs"]
mod machine;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use doze_contract::Plan;
use doze_tests::client::Client;
use doze_tests::crowd::{Crowd, Tally};
use doze_tests::exchange::Exchange;
use doze_tests::process;
use doze_tests::project::{Mode, Project};
use doze_tests::random::Random;
use doze_tests::wait_until;
use rustix::process::Signal;

const MINUTES: u64 = 15;

/// Short, so that there are many nights in a minute.
const IDLE_TIMEOUT: Duration = Duration::from_millis(50);

/// Between two looks at what is left.
const ROUND: Duration = Duration::from_secs(20);

const BOUND: Duration = Duration::from_mins(1);

/// What the two logs of an instance may take, in bytes: one that is full, and the one before.
const LOGS: u64 = 2 * (4 * 1024 * 1024 + 64 * 1024);

const INSTANCES: [&str; 2] = ["app", "cache"];

fn main() {
    let minutes = std::env::args().find_map(|word| word.parse().ok());
    let length = Duration::from_mins(minutes.unwrap_or(MINUTES));
    let Some(project) = Project::new(Mode::Systemd, "50ms") else {
        return;
    };
    println!("soak: {length:?}, {}", machine::line());
    project.run(&["up"]);
    for instance in INSTANCES {
        project.run(&["wake", instance]);
    }

    let begun = Instant::now();
    let mut random = Random::new(7);
    let mut done = Done::default();
    // What there is after the first round may stay; nothing may be added to it.
    round(&project, &mut random, &mut done);
    let first = Rest::of(&project);
    println!("after the first round: {first}");
    while begun.elapsed() < length {
        round(&project, &mut random, &mut done);
        let rest = Rest::of(&project);
        println!("{:4} s: {rest}; {done}", begun.elapsed().as_secs());
        first.compare(&rest);
    }
    println!("nothing is left of {done}");
}

/// What was done so far.
#[derive(Default)]
struct Done {
    tally: Tally,
    kills: usize,
    edits: usize,
}

impl std::fmt::Display for Done {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let lost: usize = self.tally.lost.values().sum();
        write!(
            f,
            "{} clients ({lost} cut off), {} kills, {} edits",
            self.tally.all(),
            self.kills,
            self.edits
        )
    }
}

/// Clients, kills and edits for a while; then everybody leaves.
fn round(project: &Project, random: &mut Random, done: &mut Done) {
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let crowds: Vec<_> = INSTANCES
            .iter()
            .map(|instance| {
                let (plan, over, seed) = (project.plan(instance), &over, random.word());
                scope.spawn(move || crowd(&plan, seed, over))
            })
            .collect();
        let until = Instant::now() + ROUND;
        while Instant::now() < until {
            disturb(project, random, done);
            pause(random.within(Duration::from_millis(1500)));
        }
        over.store(true, Ordering::Relaxed);
        for crowd in crowds {
            done.tally
                .add(crowd.join().expect("a crowd does not panic"));
        }
    });
    for what in done.tally.lost.keys() {
        // Whoever is cut off by a kill knows it; nobody waits for ever or finds nobody.
        assert!(
            !what.starts_with("connect:") && !what.contains("WouldBlock"),
            "{what}"
        );
    }
    project.wait_asleep();
}

/// Waves of clients until it is over.
fn crowd(plan: &Plan, seed: u64, over: &AtomicBool) -> Tally {
    let mut crowd = Crowd {
        endpoints: plan.endpoints.clone(),
        exchange: Exchange::of(plan),
        connections: 120,
        waves: 12,
        threads: 4,
        idle_timeout: IDLE_TIMEOUT,
        stop: Duration::from_millis(60),
        seed,
    };
    let mut tally = Tally::default();
    while !over.load(Ordering::Relaxed) {
        tally.add(crowd.come());
        crowd.seed = crowd.seed.wrapping_add(1);
    }
    tally
}

/// Kills something that is there, or edits the file.
fn disturb(project: &Project, random: &mut Random, done: &mut Done) {
    let signal = if random.below(2) == 0 {
        Signal::KILL
    } else {
        Signal::TERM
    };
    let kill = |program: &str| {
        let victim = project.running(program).into_iter().next();
        victim.is_some_and(|victim| process::signal(victim.pid, project.world.dir(), signal))
    };
    match random.below(4) {
        0 => done.kills += usize::from(kill("doze-activator")),
        1 => done.kills += usize::from(kill("postgres")),
        2 => done.kills += usize::from(kill("valkey-server")),
        _ => {
            let toml = project.toml("50ms").replace(
                "owner = \"app\"\n",
                &format!(
                    "owner = \"app\"\nmax_connections = {}\n",
                    40 + random.below(40)
                ),
            );
            project.declare(&format!(
                "{toml}maxmemory = \"{}mb\"\n",
                100 + random.below(9)
            ));
            project.run(&["up"]);
            done.edits += 1;
        }
    }
}

/// What there is of a project that sleeps.
struct Rest {
    /// Files that are neither an engine's own nor the init system's.
    files: BTreeSet<String>,
    /// Their bytes without the logs.
    bytes: u64,
    logs: u64,
    locks: usize,
    /// Descriptors of the manager.
    manager: usize,
    /// Descriptors of an activator with one client, after many.
    activator: usize,
}

impl Rest {
    fn of(project: &Project) -> Self {
        let activator = descriptors_after_a_crowd(project);
        project.wait_asleep();
        let mut files = BTreeMap::new();
        let world = &project.world;
        for folder in [world.home(), world.runtime_dir(), world.dir().join("tmp")] {
            walk(&folder, &mut files);
        }
        // It keeps a link for each unit that it has loaded, a failed one among them.
        let init = world.runtime_dir().join("systemd").display().to_string();
        files.retain(|name, _| !name.starts_with(&init));
        let held = fs::read_to_string("/proc/locks").unwrap_or_default();
        let is_ours = |line: &&str| {
            let inode = line.split_whitespace().nth(5).unwrap_or_default();
            let inode = inode
                .rsplit(':')
                .next()
                .and_then(|number| number.parse::<u64>().ok());
            inode.is_some_and(|inode| files.values().any(|(of, _)| *of == inode))
        };
        let is_log = |name: &str| name.contains("/logs/");
        let sum = |logs: bool| {
            let of_kind = files.iter().filter(|(name, _)| is_log(name) == logs);
            of_kind.map(|(_, (_, size))| size).sum()
        };
        let manager = project.world.manager_pid().expect("a manager");
        Self {
            bytes: sum(false),
            logs: sum(true),
            locks: held.lines().filter(is_ours).count(),
            manager: descriptors(i32::try_from(manager).expect("a pid")),
            activator,
            files: files.into_keys().filter(|name| !is_log(name)).collect(),
        }
    }

    fn compare(&self, later: &Self) {
        let more: Vec<_> = later.files.difference(&self.files).collect();
        assert!(more.is_empty(), "left behind: {more:?}");
        // A number in a plan may have a digit more.
        assert!(later.bytes <= self.bytes + 64, "{} bytes", later.bytes);
        assert!(
            later.logs <= LOGS * INSTANCES.len() as u64,
            "{} of logs",
            later.logs
        );
        assert_eq!(later.locks, 0, "locks are held");
        assert_eq!(
            later.activator, self.activator,
            "descriptors of the activator"
        );
        assert!(later.manager <= self.manager, "descriptors of the manager");
    }
}

impl std::fmt::Display for Rest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} files of {} B, {} kB of logs, {} locks, descriptors: {} manager, {} activator",
            self.files.len(),
            self.bytes,
            self.logs / 1000,
            self.locks,
            self.manager,
            self.activator
        )
    }
}

/// The descriptors of an activator with one client, once two hundred others have left.
fn descriptors_after_a_crowd(project: &Project) -> usize {
    let plan = project.plan("cache");
    let (endpoint, exchange) = (
        plan.endpoints.first().expect("an endpoint"),
        Exchange::of(&plan),
    );
    let come = || {
        let mut client = Client::connect(endpoint, BOUND).expect("it listens");
        assert!(exchange.with(&mut client).expect("an answer"));
        client
    };
    let last = come();
    let pid = project.running("doze-activator");
    let pid = pid.first().expect("it serves a client").pid;
    let before = descriptors(pid);
    drop((0..200).map(|_| come()).collect::<Vec<_>>());
    wait_until(
        "the descriptors of the clients",
        BOUND,
        || match descriptors(pid) {
            now if now <= before => Ok(()),
            now => Err(format!("{now} and not {before}")),
        },
    );
    drop(last);
    before
}

fn descriptors(pid: i32) -> usize {
    let open = fs::read_dir(format!("/proc/{pid}/fd"));
    open.unwrap_or_else(|error| panic!("{pid}: {error}"))
        .count()
}

/// Every file with its inode and size, but for those in a data directory, which are the engine's.
fn walk(folder: &Path, found: &mut BTreeMap<String, (u64, u64)>) {
    for entry in fs::read_dir(folder).expect("it is there") {
        let path = entry.expect("it can be listed").path();
        let about = fs::symlink_metadata(&path).expect("nobody works on it");
        let engines = path.parent().and_then(Path::file_name) == Some("data".as_ref());
        if about.is_dir() && !engines {
            walk(&path, found);
        }
        let size = if about.is_dir() { 0 } else { about.len() };
        found.insert(path.display().to_string(), (about.ino(), size));
    }
}

/// The time between two disturbances is not a wait: nothing is expected to happen in it.
#[expect(clippy::disallowed_methods, reason = "they come at random moments")]
fn pause(gap: Duration) {
    thread::sleep(gap);
}
