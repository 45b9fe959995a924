//! What the processes of an awake instance use, as the kernel counts it.
//!
//! The cgroup of its service knows, where there is one with the counters (memory needs a
//! controller). Else the activator and all that descends from it are added up by proc(5). Must not
//! know what the processes are for.

use std::{
    collections::BTreeMap,
    fs,
    time::{Duration, Instant},
};

use rustix::param::clock_ticks_per_second;

/// What an instance uses.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Usage {
    /// Bytes of memory; what several processes share counts once.
    pub(crate) memory: u64,
    /// The time of processors since its activator started.
    pub(crate) cpu: Duration,
    /// When the activator started, in ticks since the boot of the machine.
    started: u64,
    /// How long the activator is there.
    pub(crate) age: Duration,
    at: Instant,
}

impl Usage {
    /// How much of one processor it used since `before`, in per cent; of its whole life if there
    /// was no look at it before.
    pub(crate) fn cpu_percent(&self, before: Option<&Self>) -> f64 {
        let before = before.filter(|before| before.started == self.started);
        let (used, within) = match before {
            Some(before) => (self.cpu.saturating_sub(before.cpu), self.at - before.at),
            None => (self.cpu, self.age),
        };
        if within.is_zero() {
            return 0.0;
        }
        100.0 * used.as_secs_f64() / within.as_secs_f64()
    }
}

/// One look at the process table. It is read when the first instance needs it.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    table: Option<BTreeMap<u32, Process>>,
}

#[derive(Debug, Clone, Copy)]
struct Process {
    parent: u32,
    /// In ticks; with that of the children it has collected.
    cpu: u64,
    started: u64,
}

impl Meter {
    /// What the activator with this id uses, with all that it started; nothing if it is gone, or if
    /// there is no proc(5), as on macOS.
    /// `service` is the unit that it would be in.
    pub(crate) fn usage(&mut self, activator: u32, service: &str) -> Option<Usage> {
        let at = Instant::now();
        let root = Process::read(activator)?;
        let group = group(activator, service);
        let memory = group.as_deref().and_then(memory_of_group);
        let cpu = group.as_deref().and_then(cpu_of_group);
        let (memory, cpu) = match (memory, cpu) {
            (Some(memory), Some(cpu)) => (memory, cpu),
            (memory, cpu) => {
                let family = self.family(activator);
                let all = || family.iter();
                (
                    memory.unwrap_or_else(|| all().filter_map(|(pid, _)| memory_of(*pid)).sum()),
                    cpu.unwrap_or_else(|| ticks(all().map(|(_, process)| process.cpu).sum())),
                )
            }
        };
        Some(Usage {
            memory,
            cpu,
            started: root.started,
            age: uptime()?.saturating_sub(ticks(root.started)),
            at,
        })
    }

    /// A process and all that descend from it.
    fn family(&mut self, root: u32) -> Vec<(u32, Process)> {
        let table = self.table.get_or_insert_with(all);
        let mut family: Vec<_> = table.get_key_value(&root).into_iter().collect();
        let mut next = 0;
        while let Some((parent, _)) = family.get(next).copied() {
            family.extend(table.iter().filter(|(_, found)| found.parent == *parent));
            next += 1;
        }
        let own = |(pid, process): (&u32, &Process)| (*pid, *process);
        family.into_iter().map(own).collect()
    }
}

impl Process {
    /// From `/proc/PID/stat`; its fields are counted behind the name, which may hold anything.
    fn read(pid: u32) -> Option<Self> {
        Self::parse(&text(format!("/proc/{pid}/stat"))?)
    }

    fn parse(stat: &str) -> Option<Self> {
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        let number = |at: usize| fields.get(at - 3)?.parse::<u64>().ok();
        Some(Self {
            parent: fields.get(1)?.parse().ok()?,
            cpu: number(14)? + number(15)? + number(16)? + number(17)?,
            started: number(22)?,
        })
    }
}

/// The whole process table. Whoever is gone meanwhile is left out.
fn all() -> BTreeMap<u32, Process> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter_map(|pid| Some((pid, Process::read(pid)?)))
        .collect()
}

/// The folder of a process's cgroup (v2), if that is the one of the service.
fn group(pid: u32, service: &str) -> Option<String> {
    let text = text(format!("/proc/{pid}/cgroup"))?;
    let path = text.lines().find_map(|line| line.strip_prefix("0::"))?;
    let is_its_own = path.rsplit('/').next() == Some(service);
    is_its_own.then(|| format!("/sys/fs/cgroup{path}"))
}

fn memory_of_group(group: &str) -> Option<u64> {
    text(format!("{group}/memory.current"))?.trim().parse().ok()
}

fn cpu_of_group(group: &str) -> Option<Duration> {
    let stat = text(format!("{group}/cpu.stat"))?;
    let mut used = stat
        .lines()
        .filter_map(|line| line.strip_prefix("usage_usec "));
    used.next()?.trim().parse().ok().map(Duration::from_micros)
}

/// The proportional share of a process, where that may be read; else what of it is resident.
fn memory_of(pid: u32) -> Option<u64> {
    let kilobytes = |file: &str, key: &str| -> Option<u64> {
        let text = text(format!("/proc/{pid}/{file}"))?;
        let value = text.lines().find_map(|line| line.strip_prefix(key))?;
        value.trim().strip_suffix(" kB")?.parse().ok()
    };
    let found = kilobytes("smaps_rollup", "Pss:").or_else(|| kilobytes("status", "VmRSS:"));
    found.map(|kilobytes| kilobytes * 1024)
}

/// Since the boot of the machine.
fn uptime() -> Option<Duration> {
    let text = text("/proc/uptime".into())?;
    let seconds: f64 = text.split_whitespace().next()?.parse().ok()?;
    Duration::try_from_secs_f64(seconds).ok()
}

fn ticks(count: u64) -> Duration {
    Duration::from_millis(count.saturating_mul(1000) / clock_ticks_per_second().max(1))
}

fn text(path: String) -> Option<String> {
    Some(String::from_utf8_lossy(&fs::read(path).ok()?).into_owned())
}

#[cfg(test)]
mod tests {
    use std::process::{self, Command, Stdio};

    use super::*;

    #[test]
    fn a_name_with_brackets_and_blanks_moves_no_field() {
        let stat = "7 (a) b (c) S 1 7 7 0 -1 4194560 100 0 0 0 11 22 33 44 20 0 1 0 555 1000 9";
        let process = Process::parse(stat).unwrap();
        assert_eq!(
            (process.parent, process.cpu, process.started),
            (1, 110, 555)
        );
    }

    #[test]
    fn a_process_is_counted_with_its_children() {
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        let mut meter = Meter::default();
        let all = meter.usage(process::id(), "none.service").unwrap();
        let one = meter.usage(child.id(), "none.service").unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(one.memory > 0 && all.memory > one.memory, "{all:?} {one:?}");
        assert!(meter.usage(0, "none.service").is_none());
    }

    #[test]
    fn per_cent_are_of_the_time_since_the_last_look() {
        let at = Instant::now();
        let usage = |started, cpu, after| Usage {
            memory: 0,
            cpu: Duration::from_secs(cpu),
            started,
            age: Duration::from_secs(100),
            at: at + Duration::from_secs(after),
        };
        let now = usage(1, 50, 10);
        let rounded = |before: Option<&Usage>| format!("{:.0}", now.cpu_percent(before));
        assert_eq!(rounded(None), "50");
        assert_eq!(rounded(Some(&usage(1, 45, 0))), "50");
        assert_eq!(rounded(Some(&usage(1, 49, 0))), "10");
        assert_eq!(rounded(Some(&usage(2, 49, 0))), "50");
    }
}
