//! The pid file of a server that is gone, where it would keep the next one from its data.
//!
//! A server that finds the pid of a live process there takes it for a server and does not start,
//! but after a power loss that pid may be anybody's. Owns the judgement; its caller holds the
//! instance lock, so no server of ours is alive. Must not know what else is in the file.

use std::{fs, io, os::unix::fs::MetadataExt};

use camino::Utf8Path;

use crate::proc;

/// Removes the pid file if it means no server; whether it did. `program` is that of the server.
pub(crate) fn remove_stale(path: &Utf8Path, program: &Utf8Path) -> io::Result<bool> {
    let text = match fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    let stale = match pid(&text) {
        Some(pid) => is_of_another(pid, path, program)?,
        // It was not written to its end.
        None => true,
    };
    if stale {
        fs::remove_file(path)?;
    }
    Ok(stale)
}

/// The number in the first line. Postgres writes that of a server without a postmaster negated.
fn pid(text: &[u8]) -> Option<u32> {
    let line = text.split(|byte| *byte == b'\n').next()?;
    let number: i32 = str::from_utf8(line.trim_ascii()).ok()?.parse().ok()?;
    Some(number.unsigned_abs()).filter(|pid| *pid != 0)
}

/// Whether the process is alive and not a server that somebody started by hand: that one works in
/// the folder of its pid file. A server can tell a dead pid from a live one by itself, and may
/// then look for more that is left of the dead one; so that is not judged here.
fn is_of_another(pid: u32, path: &Utf8Path, program: &Utf8Path) -> io::Result<bool> {
    if !proc::lives(pid)? {
        return Ok(false);
    }
    let Some(folder) = path.parent() else {
        return Ok(false);
    };
    match proc::folder(pid) {
        Ok(works_in) => {
            let folder = fs::metadata(folder)?;
            Ok((works_in.dev(), works_in.ino()) != (folder.dev(), folder.ino()))
        }
        // It is another user's or, under `PrivateUsers=`, just outside: then only its name tells.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            let name = program.file_name().unwrap_or_default();
            Ok(!proc::is_called(pid, name.as_bytes()))
        }
        // It has just ended.
        Err(_) => Ok(true),
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fs::File,
        io::Write,
        process::{Command, Stdio},
    };

    use camino::Utf8PathBuf;

    use super::*;

    /// Whether a pid file of this text, in the working directory of a live `cat` whose pid stands
    /// for `PID`, is removed.
    fn is_removed(text: &str) -> bool {
        let folder = tempfile::tempdir().unwrap();
        let path = Utf8PathBuf::from_path_buf(folder.path().join("server.pid")).unwrap();
        let mut cat = Command::new("cat");
        let cat = cat.current_dir(&folder).stdin(Stdio::piped());
        let mut cat = cat.spawn().unwrap();
        let text = text.replace("PID", &cat.id().to_string());
        File::create(&path)
            .unwrap()
            .write_all(text.as_bytes())
            .unwrap();
        let removed = remove_stale(&path, "/bin/cat".into());
        assert_eq!(fs::exists(&path).unwrap(), !*removed.as_ref().unwrap());
        drop(cat.stdin.take());
        cat.wait().unwrap();
        removed.unwrap()
    }

    #[test]
    fn a_server_that_was_started_by_hand_keeps_its_pid_file() {
        assert!(!is_removed("PID\n/data\n"));
        assert!(!is_removed("-PID\n"));
    }

    #[test]
    fn a_pid_that_somebody_else_has_now_is_no_server() {
        let me = std::process::id();
        assert!(is_removed(&format!("{me}\n/data\n")));
    }

    #[test]
    fn a_dead_pid_is_left_to_the_server() {
        // The largest pid is 2^22 (proc(5)).
        assert!(!is_removed("2147483647\n"));
    }

    #[test]
    fn a_pid_file_without_a_pid_is_not_of_a_live_server() {
        for text in ["", "\nPID\n", "0\n", "pid", "99999999999999\n"] {
            assert!(is_removed(text), "{text:?}");
        }
    }

    #[test]
    fn no_pid_file_is_none_to_remove() {
        let folder = tempfile::tempdir().unwrap();
        let path = Utf8PathBuf::from_path_buf(folder.path().join("server.pid")).unwrap();
        assert!(!remove_stale(&path, "/bin/cat".into()).unwrap());
    }
}
