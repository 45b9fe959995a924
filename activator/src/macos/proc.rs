//! Other processes, as far as ps(1) and lsof(8) tell, which every macOS has. Must not know why
//! somebody asks.

use std::{
    fs::{self, File, Metadata},
    io,
    path::Path,
    process::{self, Command, Stdio},
};

use camino::Utf8Path;
use rustix::{
    io::Errno,
    process::{Pid, test_kill_process},
};

/// Whether there is such a process.
#[expect(
    clippy::unnecessary_wraps,
    reason = "where processes are files there may be none left to open"
)]
pub(crate) fn lives(pid: u32) -> io::Result<bool> {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    Ok(pid.is_some_and(|pid| test_kill_process(pid) != Err(Errno::SRCH)))
}

/// The folder that a process works in.
///
/// # Errors
/// `PermissionDenied` if it is not told.
pub(crate) fn folder(pid: u32) -> io::Result<Metadata> {
    // -a: both -p and -d have to hold; -F n: its name, on a line that begins with an n.
    let told = output("/usr/sbin/lsof", &["-a", "-d", "cwd", "-F", "n", "-p"], pid)?;
    match told.lines().find_map(|line| line.strip_prefix('n')) {
        Some(folder) => fs::metadata(folder),
        None => Err(io::ErrorKind::PermissionDenied.into()),
    }
}

/// Whether a process runs a program of this name.
pub(crate) fn is_called(pid: u32, name: &[u8]) -> bool {
    let told = output("/bin/ps", &["-o", "comm=", "-p"], pid).unwrap_or_default();
    let program = Path::new(told.trim_end()).file_name();
    program.is_some_and(|program| program.as_encoded_bytes() == name)
}

/// The processes of this user that have a file open, but for this one.
pub(crate) fn having_open(path: &Utf8Path) -> Vec<u32> {
    // -t: nothing but their numbers.
    let told = run(Command::new("/usr/sbin/lsof").args(["-t", "--", path.as_str()]));
    let told = told.unwrap_or_default();
    let pids = told.lines().filter_map(|line| line.parse().ok());
    pids.filter(|pid| *pid != process::id()).collect()
}

/// Who holds the lock of a file: macOS does not tell.
pub(crate) fn lock_holder(_file: &File) -> Option<String> {
    None
}

/// What a program says of a process; nothing if there is no such process.
fn output(program: &str, words: &[&str], pid: u32) -> io::Result<String> {
    run(Command::new(program).args(words).arg(pid.to_string()))
}

fn run(command: &mut Command) -> io::Result<String> {
    let told = command.stdin(Stdio::null()).output()?;
    Ok(String::from_utf8_lossy(&told.stdout).into_owned())
}
