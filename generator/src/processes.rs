//! The table of processes, by proc(5). Must not know what they are for.

use std::fs;

use camino::{Utf8DirEntry, Utf8Path};

/// A process, as it was when it was looked at.
#[derive(Debug)]
pub(crate) struct Process {
    /// Its number.
    pub(crate) pid: u32,
    /// That of its parent.
    pub(crate) parent: u32,
    /// Its command line.
    pub(crate) command: String,
}

/// All of them. Whoever is gone meanwhile is left out.
pub(crate) fn all() -> Vec<Process> {
    let Ok(entries) = Utf8Path::new("/proc").read_dir_utf8() else {
        return Vec::new();
    };
    let process = |entry: Utf8DirEntry| {
        let pid = entry.file_name().parse().ok()?;
        let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
        // The name before may hold anything, a bracket included.
        let parent = stat.rsplit_once(')')?.1.split_whitespace().nth(1)?;
        let command = fs::read(entry.path().join("cmdline")).ok()?;
        Some(Process {
            pid,
            parent: parent.parse().ok()?,
            command: String::from_utf8_lossy(&command).into_owned(),
        })
    };
    entries.flatten().filter_map(process).collect()
}
