//! What processes use, from proc(5). The same under every init system. Must not know whose they
//! are.

use std::{
    collections::BTreeMap,
    fs,
    time::{Duration, Instant},
};

use rustix::param::{clock_ticks_per_second, page_size};

/// What a process and all below it use.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Usage {
    /// Bytes; what several share is divided among them where the kernel tells.
    pub(super) memory: u64,
    /// Percent of one processor, since the last look.
    pub(super) cpu: f64,
    /// How long the first of them has been there.
    pub(super) up: Duration,
}

/// Looks at processes again and again.
#[derive(Debug, Default)]
pub(super) struct Meter {
    /// By process: when it was looked at, and the ticks that it and those below had used by then.
    before: BTreeMap<u32, (Instant, u64)>,
}

impl Meter {
    /// What a process and all below it use; nothing if it is not there.
    pub(super) fn look(&mut self, pid: u32) -> Option<Usage> {
        let first = Stat::read(pid)?;
        let (mut memory, mut ticks) = (0, 0);
        let mut waiting = vec![pid];
        while let Some(pid) = waiting.pop() {
            // One that ended meanwhile uses nothing.
            if let Some(stat) = Stat::read(pid) {
                memory += proportional(pid).unwrap_or(stat.resident);
                ticks += stat.ticks;
                waiting.extend(children(pid));
            }
        }
        let now = Instant::now();
        let cpu = match self.before.insert(pid, (now, ticks)) {
            Some((then, used)) => percent(ticks.saturating_sub(used), now - then),
            None => 0.0,
        };
        Some(Usage {
            memory,
            cpu,
            up: since_boot()?.saturating_sub(of_ticks(first.started)),
        })
    }

    /// Forgets all processes but these.
    pub(super) fn keep(&mut self, pids: &[u32]) {
        self.before.retain(|pid, _| pids.contains(pid));
    }
}

/// Some of `/proc/PID/stat`.
struct Stat {
    /// Of the processor, in the kernel and outside.
    ticks: u64,
    /// In ticks since the machine started.
    started: u64,
    /// In bytes.
    resident: u64,
}

impl Stat {
    fn read(pid: u32) -> Option<Self> {
        let stat = fs::read(format!("/proc/{pid}/stat")).ok()?;
        Self::parse(&String::from_utf8_lossy(&stat))
    }

    fn parse(text: &str) -> Option<Self> {
        // The name may hold anything, but ends at the last `)`. Behind it stands the third field.
        let (_, fields) = text.rsplit_once(')')?;
        let fields: Vec<&str> = fields.split_whitespace().collect();
        let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
        Some(Self {
            ticks: field(14)? + field(15)?,
            started: field(22)?,
            resident: field(24)?.saturating_mul(page_size() as u64),
        })
    }
}

/// The proportional set size, in bytes; nothing where the process may not be looked at so closely.
fn proportional(pid: u32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

/// Each thread tells those that it started.
fn children(pid: u32) -> Vec<u32> {
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else {
        return Vec::new();
    };
    let lists = threads.flatten().filter_map(|thread| {
        let list = fs::read_to_string(thread.path().join("children")).ok()?;
        Some(
            list.split_whitespace()
                .flat_map(str::parse)
                .collect::<Vec<u32>>(),
        )
    });
    lists.flatten().collect()
}

fn since_boot() -> Option<Duration> {
    let text = fs::read_to_string("/proc/uptime").ok()?;
    let seconds: f64 = text.split_whitespace().next()?.parse().ok()?;
    Duration::try_from_secs_f64(seconds).ok()
}

fn of_ticks(ticks: u64) -> Duration {
    let a_second = clock_ticks_per_second().max(1);
    Duration::from_millis(ticks.saturating_mul(1000) / a_second)
}

fn percent(ticks: u64, during: Duration) -> f64 {
    let during = during.as_secs_f64();
    if during > 0.0 {
        of_ticks(ticks).as_secs_f64() / during * 100.0
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_looks_like_fields_is_none() {
        let stat = "7 (a) S 1 2 (b) S 1 7 7 0 -1 4194304 1 0 0 0 30 12 0 0 20 0 1 0 500 9000 3 1";
        let stat = Stat::parse(stat).unwrap();
        assert_eq!((stat.ticks, stat.started), (42, 500));
        assert_eq!(stat.resident, 3 * page_size() as u64);
    }

    #[test]
    fn a_process_is_measured_with_its_children() {
        let mut child = std::process::Command::new("sleep")
            .arg("60")
            .spawn()
            .unwrap();
        let pid = std::process::id();
        let mut meter = Meter::default();
        let alone = meter.look(child.id()).unwrap();
        let all = meter.look(pid).unwrap();
        assert!(alone.memory > 0, "{alone:?}");
        assert!(children(pid).contains(&child.id()));
        assert!(all.memory > alone.memory && all.up >= alone.up, "{all:?}");
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(meter.look(child.id()), None);
    }
}
