//! Other processes, as far as proc(5) tells. Must not know why somebody asks.

use std::{
    fs::{self, File, Metadata},
    io,
    os::unix::fs::MetadataExt,
    process,
};

use camino::Utf8Path;

/// The longest name that `/proc/PID/comm` tells, in bytes (proc(5)).
const COMM: usize = 15;

/// Whether there is such a process.
pub(crate) fn lives(pid: u32) -> io::Result<bool> {
    fs::exists(format!("/proc/{pid}"))
}

/// The folder that a process works in.
///
/// # Errors
/// `PermissionDenied` if this process may not know, and others if there is none any more.
pub(crate) fn folder(pid: u32) -> io::Result<Metadata> {
    fs::metadata(format!("/proc/{pid}/cwd"))
}

/// Whether a process runs a program of this name.
pub(crate) fn is_called(pid: u32, name: &[u8]) -> bool {
    let name = name.get(..COMM).unwrap_or(name);
    let comm = fs::read(format!("/proc/{pid}/comm")).unwrap_or_default();
    comm.trim_ascii_end() == name
}

/// The processes of this user that have a file open, but for this one.
pub(crate) fn having_open(path: &Utf8Path) -> Vec<u32> {
    let pids = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let has_open = |pid: &u32| {
        let open = fs::read_dir(format!("/proc/{pid}/fd"))
            .into_iter()
            .flatten();
        let mut open = open
            .flatten()
            .filter_map(|fd| fs::read_link(fd.path()).ok());
        open.any(|open| open == *path)
    };
    pids.filter(|pid| *pid != process::id())
        .filter(has_open)
        .collect()
}

/// Who holds the lock of a file: `/proc/locks` names the process that took it, which may be gone
/// while a child holds on.
pub(crate) fn lock_holder(file: &File) -> Option<String> {
    let inode = file.metadata().ok()?.ino();
    let locks = fs::read_to_string("/proc/locks").ok()?;
    let pid = locks.lines().find_map(|line| taker(line, inode))?;
    Some(match fs::read_to_string(format!("/proc/{pid}/comm")) {
        Ok(command) => format!("{} (pid {pid})", command.trim_end()),
        Err(_) => format!("a child that pid {pid} left behind"),
    })
}

/// The process in one line of `/proc/locks`, such as
/// `1: FLOCK  ADVISORY  WRITE 4711 fe:00:131090 0 EOF`, if it is about this inode.
fn taker(line: &str, inode: u64) -> Option<u32> {
    let mut words = line.split_whitespace().skip(1);
    if words.next() != Some("FLOCK") {
        return None;
    }
    let pid = words.nth(2)?.parse().ok()?;
    let file = words.next()?;
    (file.rsplit(':').next()?.parse() == Ok(inode)).then_some(pid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_lines_of_proc_locks_are_not_taken_for_it() {
        let line = "1: FLOCK  ADVISORY  WRITE 4711 fe:00:131090 0 EOF";
        assert_eq!(taker(line, 131_090), Some(4711));
        assert_eq!(taker(line, 31_090), None);
        assert_eq!(
            taker("2: POSIX  ADVISORY  WRITE 1 fe:00:131090 0 EOF", 131_090),
            None
        );
        assert_eq!(taker("", 0), None);
    }
}
