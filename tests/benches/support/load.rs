//! The loads of benchmark `pipe`: what a client program is told, and what it says of the result.
//!
//! Must not know: who is in the middle.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use doze_contract::Endpoint;
use doze_tests::project::succeed;
use doze_tests::world::World;

/// A key of this many bytes is read again and again for the bulk loads.
pub(crate) const BIG: usize = 1024 * 1024;

/// What clients do.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Load {
    /// `GET` of nothing by so many clients, so many at once on a connection, so often.
    Get {
        clients: u32,
        pipelined: u32,
        count: u32,
    },
    /// `GET` of [`BIG`] bytes, so often.
    Download(u32),
    /// `SET` of [`BIG`] bytes, so often.
    Upload(u32),
    /// `pgbench -S` in this query mode.
    Select(&'static str),
    /// `COPY … TO STDOUT` of so many MiB.
    Copy(u32),
}

/// What came of it.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Outcome {
    /// Requests in a second; for `COPY` MiB in a second.
    pub(crate) throughput: f64,
    /// Latencies in milliseconds, where the client program tells them.
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    /// Requests, or MiB, in all.
    pub(crate) count: f64,
}

impl Load {
    pub(crate) fn name(self) -> String {
        match self {
            Self::Get {
                clients,
                pipelined: 1,
                ..
            } => format!("GET, {clients} clients"),
            Self::Get {
                clients, pipelined, ..
            } => format!("GET, {clients} clients, {pipelined} at once"),
            Self::Download(count) => format!("{count} x GET of 1 MiB"),
            Self::Upload(count) => format!("{count} x SET of 1 MiB"),
            Self::Select(mode) => format!("pgbench -S, {mode}, 4 clients"),
            Self::Copy(count) => format!("COPY of {count} MiB"),
        }
    }

    /// Whether the clients speak to the Postgres, and not to the Valkey.
    pub(crate) fn is_sql(self) -> bool {
        matches!(self, Self::Select(_) | Self::Copy(_))
    }

    /// Whether requests are small and come one at a time, for which the aim is higher.
    pub(crate) fn is_small(self) -> bool {
        matches!(
            self,
            Self::Get {
                clients: 50..,
                pipelined: 1,
                ..
            }
        )
    }

    /// Runs it once against an address.
    pub(crate) fn run(self, world: &World, pgbin: &Path, at: &Endpoint) -> Outcome {
        match self {
            Self::Get {
                clients,
                pipelined,
                count,
            } => redis(
                world,
                at,
                count,
                &format!("-c {clients} -P {pipelined} -t get"),
            ),
            Self::Download(count) => redis(world, at, count, "-c 4 get big"),
            Self::Upload(count) => redis(world, at, count, &format!("-c 4 -d {BIG} -t set")),
            Self::Select(mode) => {
                let mut command = world.command(pgbin.join("pgbench"));
                command.args(["-n", "-S", "-T", "1", "-c", "4", "-l", "-M", mode]);
                // Its log of latencies, which it puts into the working directory.
                command.args(["--log-prefix", "pgbench"]);
                sql_address(&mut command, at);
                command.arg("app");
                let told = succeed(&mut command);
                let rate = told.lines().find_map(|line| {
                    let rate = line.strip_prefix("tps = ")?.split(' ').next()?;
                    rate.parse().ok()
                });
                let throughput: f64 = rate.expect("pgbench tells its rate");
                let [p50, p99] = latencies(world);
                Outcome {
                    throughput,
                    p50,
                    p99,
                    count: throughput,
                }
            }
            Self::Copy(mib) => {
                let mut command = world.command("/bin/sh");
                let query = format!(
                    "copy (select repeat('x', 8191) from generate_series(1, {})) to stdout",
                    mib * 128
                );
                command.args(["-c", "exec \"$@\" >/dev/null", "sh"]);
                command.arg(pgbin.join("psql"));
                command.args(["-X", "-q", "-c", &query]);
                sql_address(&mut command, at);
                command.args(["-d", "app"]);
                let begun = Instant::now();
                succeed(&mut command);
                let took = begun.elapsed().max(Duration::from_millis(1));
                Outcome {
                    throughput: f64::from(mib) / took.as_secs_f64(),
                    count: f64::from(mib),
                    ..Outcome::default()
                }
            }
        }
    }
}

/// Runs redis-benchmark, whose last line of CSV is name, rate, and avg, min, p50, p95, p99, max.
fn redis(world: &World, at: &Endpoint, count: u32, words: &str) -> Outcome {
    let mut command = world.command("redis-benchmark");
    match at {
        Endpoint::Tcp(address) => command.args([
            "-h",
            &address.ip().to_string(),
            "-p",
            &address.port().to_string(),
        ]),
        Endpoint::Unix(path) => command.args(["-s", path.as_str()]),
    };
    command.args(["--csv", "--precision", "3", "-n", &count.to_string()]);
    command.args(words.split(' '));
    let told = succeed(&mut command);
    let line = told.lines().last().unwrap_or_default();
    let mut numbers = line
        .split("\",\"")
        .skip(1)
        .map(|text| text.trim_matches('"').parse().ok());
    let mut number = |at| {
        numbers
            .nth(at)
            .flatten()
            .unwrap_or_else(|| panic!("{told}"))
    };
    Outcome {
        throughput: number(0),
        p50: number(2),
        p99: number(1),
        count: f64::from(count),
    }
}

fn sql_address(command: &mut Command, at: &Endpoint) {
    match at {
        Endpoint::Tcp(address) => {
            command.args(["-h", &address.ip().to_string()]);
            command.args(["-p", &address.port().to_string()]);
        }
        Endpoint::Unix(path) => {
            let folder = path.parent().expect("a socket is in a folder");
            let port = path.as_str().rsplit('.').next().unwrap_or_default();
            command.args(["-h", folder.as_str(), "-p", port]);
        }
    }
    command.args(["-U", "app"]);
}

/// The median and the 99th percentile of pgbench's logs, which are removed. The third word of a
/// line is a latency in microseconds.
fn latencies(world: &World) -> [f64; 2] {
    let mut all: Vec<f64> = Vec::new();
    for entry in std::fs::read_dir(world.home()).expect("it is there") {
        let path = entry.expect("it can be listed").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with("pgbench.") {
            let text = std::fs::read_to_string(&path).expect("a log");
            let third = |line: &str| line.split(' ').nth(2)?.parse::<f64>().ok();
            all.extend(text.lines().filter_map(third));
            std::fs::remove_file(&path).expect("ours");
        }
    }
    all.sort_unstable_by(f64::total_cmp);
    let at = |percent: usize| {
        let rank = (all.len() * percent / 100).min(all.len().saturating_sub(1));
        all.get(rank).copied().unwrap_or_default() / 1000.0
    };
    [at(50), at(99)]
}
