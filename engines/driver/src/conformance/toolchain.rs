//! Finding the engines that are installed, for tests, and saying it where there is none. It must not
//! know any engine.

use std::{
    env,
    fs::OpenOptions,
    io::{self, Write},
    process::Command,
    thread,
};

use camino::{Utf8Path, Utf8PathBuf};
use doze_contract::{Version, protocol::Toolchain};

use crate::About;

/// Every toolchain of an engine: the one in the folder that `DOZE_<ENGINE>_BINDIR` names and those
/// of the operating system. A test with an empty list has nothing to run and has to say so.
pub fn toolchains(about: &About) -> Vec<Toolchain> {
    let variable = format!("DOZE_{}_BINDIR", about.engine.to_ascii_uppercase());
    let named = env::var(variable).ok().map(Utf8PathBuf::from);
    let system = about.folders.iter().flat_map(|folder| expand(folder));
    let mut found: Vec<Toolchain> = Vec::new();
    for folder in named.into_iter().chain(system) {
        if let Some(toolchain) = look_in(about, &folder)
            && found.iter().all(|other| other.version != toolchain.version)
        {
            found.push(toolchain);
        }
    }
    found
}

/// What was `found` of something that a test runs and that no package installs. If it is nothing, the
/// test is skipped in effect, which is said on standard error and in the file that
/// `DOZE_TESTS_SKIPPED` names.
pub fn or_skipped<T>(what: &str, found: Vec<T>) -> Vec<T> {
    if found.is_empty() {
        not_shown(&format!("skipped, there is no {what}"));
    }
    found
}

/// Says what the running test does not show, on standard error and in the file that
/// `DOZE_TESTS_SKIPPED` names.
pub(super) fn not_shown(what: &str) {
    let thread = thread::current();
    let test = thread.name().unwrap_or("a test");
    let line = format!("NOT SHOWN: {test}: {what}\n");
    // Not `eprint!`, which the test harness would keep to itself.
    drop(io::stderr().write_all(line.as_bytes()));
    if let Some(path) = env::var_os("DOZE_TESTS_SKIPPED") {
        let list = OpenOptions::new().create(true).append(true).open(path);
        drop(list.and_then(|mut list| list.write_all(line.as_bytes())));
    }
}

fn look_in(about: &About, folder: &Utf8Path) -> Option<Toolchain> {
    if !about.needs.iter().all(|name| folder.join(name).is_file()) {
        return None;
    }
    about.servers.iter().find_map(|name| {
        let server = folder.join(name);
        let output = Command::new(&server).arg("--version").output().ok()?;
        Some(Toolchain {
            folder: folder.to_owned(),
            server,
            version: Version::find_in(&String::from_utf8_lossy(&output.stdout))?,
        })
    })
}

/// The folders of a pattern in which one component may be, or hold, `*`.
fn expand(pattern: &str) -> Vec<Utf8PathBuf> {
    let mut folders = vec![Utf8PathBuf::from("/")];
    for part in pattern.split('/').filter(|part| !part.is_empty()) {
        folders = match part.split_once('*') {
            None => folders.iter().map(|folder| folder.join(part)).collect(),
            Some((before, after)) => folders
                .iter()
                .filter_map(|folder| folder.read_dir_utf8().ok())
                .flat_map(|entries| entries.filter_map(Result::ok))
                .filter(|entry| {
                    let name = entry.file_name();
                    name.starts_with(before) && name.ends_with(after)
                })
                .map(camino::Utf8DirEntry::into_path)
                .collect(),
        };
    }
    folders.sort();
    folders
}
