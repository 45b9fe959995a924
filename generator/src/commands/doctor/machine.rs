//! What doze needs of the machine and of the session: folders, space, limits, hardening.
//!
//! Must not know any project, nor the user manager.

use std::{
    env, fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
};

use camino::Utf8Path;
use doze_contract::endpoint::UNIX_PATH_MAX;
use rustix::{
    fs::statvfs,
    process::{Resource, getrlimit, getuid},
};

use super::super::Context;
use crate::{
    dirs::Init,
    doctor::{Row, or_ok, quoted},
    output::bytes,
};

/// Files that an activator with a few hundred clients has open, twice.
const FILES: u64 = 1024;

/// Below this much free space a database soon stops, and below that it cannot start.
const TIGHT: u64 = 1 << 30;
const FULL: u64 = 100 << 20;

/// The longest that is added to the runtime folder for the path of a socket with usual names.
const USUAL_REST: usize = 48;

/// What systemd-logind keeps of those who linger, and what is there while it runs: the first by
/// `sd_booted(3)`, for a container has the second by its packages alone.
const LINGER: &str = "/var/lib/systemd/linger";
const LOGIND: [&str; 2] = ["/run/systemd/system", "/run/systemd/users"];

pub(super) fn rows(context: &Context) -> Vec<Row> {
    let mut rows = folders(context);
    rows.extend(space(&context.dirs.home));
    rows.extend(limits(context));
    // launchd filters nothing, and what it holds ends with the session of its user.
    if context.dirs.init != Init::Launchd {
        rows.push(hardening());
        rows.push(linger(&LOGIND.map(Utf8Path::new), Utf8Path::new(LINGER)));
    }
    rows
}

/// The folders with secrets and sockets are for the user alone.
fn folders(context: &Context) -> Vec<Row> {
    let mut found = Vec::new();
    for path in [&context.dirs.home, &context.dirs.runtime] {
        // One that is not there is made as it should be.
        let Ok(about) = fs::metadata(path) else {
            continue;
        };
        let (mode, name) = (about.permissions().mode() & 0o777, quoted(path));
        if about.uid() != getuid().as_raw() {
            let detail = format!("{path} belongs to the user {}", about.uid());
            let fix = format!("sudo chown -R {} {name}", getuid().as_raw());
            found.push(Row::fail("folders", detail).fix(fix));
        } else if mode != 0o700 {
            let detail = format!("{path} has the mode {mode:04o}; it is to be 0700, for you alone");
            let row = Row::fail("folders", detail);
            found.push(row.fix(format!("chmod 0700 {name}")).harmless(true));
        }
    }
    let well = format!(
        "{} and {} are yours alone",
        context.dirs.home, context.dirs.runtime
    );
    or_ok(found, "folders", well)
}

/// The space on the disk of the home.
fn space(home: &Utf8Path) -> Option<Row> {
    let there = home.ancestors().find(|path| path.is_dir())?;
    let about = statvfs(there.as_std_path()).ok()?;
    Some(space_row(
        home,
        about.f_bavail.saturating_mul(about.f_frsize),
    ))
}

fn space_row(home: &Utf8Path, free: u64) -> Row {
    let detail = format!("{} are free for {home}", bytes(free));
    match free {
        ..FULL => Row::fail("space", detail).fix("doze store gc"),
        FULL..TIGHT => Row::warn("space", detail).fix("doze store gc"),
        TIGHT.. => Row::ok("space", detail),
    }
}

/// The limits of this session, which a project in the foreground has, and what follows from the
/// length of a path.
fn limits(context: &Context) -> Vec<Row> {
    let mut found = Vec::new();
    let files = getrlimit(Resource::Nofile);
    let (soft, hard) = (files.current.unwrap_or(u64::MAX), files.maximum);
    if soft < FILES {
        let hard = hard.map_or_else(|| "unlimited".into(), |hard| hard.to_string());
        let detail = format!("a process may open {soft} files only, and {FILES} are wanted");
        found.push(Row::warn("limits", detail).fix(format!("ulimit -S -n {hard}")));
    }
    let (tasks, mine) = (
        getrlimit(Resource::Nproc).current.unwrap_or(u64::MAX),
        tasks(),
    );
    if mine.saturating_mul(10) > tasks.saturating_mul(9) {
        let detail = format!("{mine} of the {tasks} tasks that this user may have are there");
        found.push(Row::warn("limits", detail).fix("ulimit -S -u $(ulimit -H -u)"));
    }
    let length = context.dirs.runtime.as_str().len();
    if length + USUAL_REST > UNIX_PATH_MAX {
        let detail = format!(
            "{} leaves {} of the {UNIX_PATH_MAX} bytes of a socket's path for the names of project \
             and instance",
            context.dirs.runtime,
            UNIX_PATH_MAX.saturating_sub(length)
        );
        let fix = match context.dirs.init {
            Init::Launchd => "export DOZE_HOME=\"$HOME/.doze\"".to_owned(),
            Init::Systemd | Init::Foreground => {
                format!("export XDG_RUNTIME_DIR=/run/user/{}", getuid().as_raw())
            }
        };
        found.push(Row::warn("limits", detail).fix(fix));
    }
    or_ok(found, "limits", format!("a process may open {soft} files"))
}

/// The threads of this user: what the limit of setrlimit(2) on processes counts.
fn tasks() -> u64 {
    let me = getuid().as_raw();
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let mine = processes.filter(|entry| entry.metadata().is_ok_and(|about| about.uid() == me));
    let threads = mine.filter_map(|entry| fs::read_dir(entry.path().join("task")).ok());
    threads.map(|threads| threads.count() as u64).sum()
}

/// Whether the filters on system calls work that every service sets.
fn hardening() -> Row {
    let actions = fs::read_to_string("/proc/sys/kernel/seccomp/actions_avail").unwrap_or_default();
    if actions.split_whitespace().any(|action| action == "errno") {
        return Row::ok("hardening", "system calls can be filtered");
    }
    let detail = "the kernel has no seccomp filters, so no service of doze starts (seccomp(2))";
    Row::fail("hardening", detail).fix("doze up --foreground")
}

/// Without lingering, addresses are held only while somebody is logged in. Where there is no
/// logind, nothing ends at a logout.
fn linger(logind: &[&Utf8Path], lingering: &Utf8Path) -> Row {
    let user = env::var("USER").unwrap_or_default();
    if !logind.iter().all(|folder| folder.is_dir()) {
        return Row::ok("linger", "no logind here: nothing ends with a session");
    }
    if !user.is_empty() && lingering.join(&user).is_file() {
        return Row::ok(
            "linger",
            "the manager runs from boot on, with nobody logged in",
        );
    }
    let user = if user.is_empty() {
        "\"$USER\"".into()
    } else {
        quoted(user)
    };
    let detail = "addresses are given back with the last logout, and not held after a boot";
    Row::warn("linger", detail).fix(format!("loginctl enable-linger {user}"))
}

#[cfg(test)]
mod tests {
    use camino::Utf8PathBuf;

    use super::*;
    use crate::doctor::State;

    #[test]
    fn little_space_is_told_before_there_is_none() {
        let state = |free| space_row(Utf8Path::new("/home"), free).state;
        assert_eq!(state(TIGHT), State::Ok);
        assert_eq!(state(TIGHT - 1), State::Warn);
        assert_eq!(state(FULL - 1), State::Fail);
        let told = space_row(Utf8Path::new("/home"), 200 << 30).detail;
        assert_eq!(told, "200.0 GiB are free for /home");
    }

    #[test]
    fn lingering_is_asked_for_only_where_there_are_sessions() {
        let root = tempfile::tempdir().unwrap();
        let root = Utf8PathBuf::from_path_buf(root.path().to_owned()).unwrap();
        let user = env::var("USER").unwrap_or_default();
        let none = root.join("none");
        assert_eq!(linger(&[&root, &none], &root).state, State::Ok);
        let told = linger(&[&root, &root], &root.join("linger"));
        assert_eq!(told.state, State::Warn);
        assert!(told.fix.unwrap().starts_with("loginctl enable-linger "));
        if !user.is_empty() {
            fs::File::create(root.join(user)).unwrap();
            assert_eq!(linger(&[&root], &root).state, State::Ok);
        }
    }
}
