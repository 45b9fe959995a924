//! The `systemd --user` of a world, or what stands in for it: start, entrance, stop.
//!
//! Must not know: which units a test gives it.
//!
//! A user manager wants four things that a login would have prepared: a runtime directory of its
//! user, a cgroup that it may divide, a machine that looks booted with systemd, and a session bus
//! (which its own sockets.target starts). The third is `/run/systemd/system`; where it is missing
//! it is made in a mount namespace of the manager, so the machine itself stays as it was. System
//! V IPC and `/dev/shm` are private as well: an engine that is killed leaves its shared memory
//! there.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, getuid, kill_process};

use super::BOUND;
use super::account::Account;
use super::cgroup::Cgroup;
use crate::process::Process;
use crate::wait::poll;

/// What a manager needs besides root.
const PROGRAMS: [&str; 6] = [
    "/usr/lib/systemd/systemd",
    "/usr/bin/systemctl",
    "/usr/bin/dbus-daemon",
    "/usr/bin/unshare",
    "/usr/bin/nsenter",
    "/usr/bin/setpriv",
];

/// Moves itself into the manager's cgroup ($1), prepares the namespaces, becomes the manager.
const PREPARE: &str = r#"
set -e
echo 0 >"$1"
shift
mount -t tmpfs -o mode=1777 tmpfs /dev/shm
if [ ! -d /run/systemd/system ]; then
    mkdir -p /run/systemd
    mount -t tmpfs -o mode=755 tmpfs /run/systemd
    mkdir /run/systemd/system
fi
exec "$@"
"#;

/// Moves itself into the session's cgroup ($1), joins the manager's ($2) namespaces where it
/// stands, becomes the command.
const ENTER: &str = r#"
set -e
echo 0 >"$1"
namespaces=/proc/$2/ns
shift 2
exec /usr/bin/nsenter --mount="$namespaces/mnt" --ipc="$namespaces/ipc" --wdns="$PWD" "$@"
"#;

/// A running manager.
#[derive(Debug)]
pub(super) struct Manager {
    child: Child,
    cgroup: Cgroup,
    log: PathBuf,
}

/// Whether this machine and this user can have a private manager.
///
/// # Errors
/// Why not.
pub(super) fn possible() -> Result<(), String> {
    if !getuid().is_root() {
        return Err("a private systemd --user needs root".to_owned());
    }
    match PROGRAMS
        .iter()
        .find(|program| !Path::new(program).is_file())
    {
        Some(program) => Err(format!("a private systemd --user needs {program}")),
        None => Ok(()),
    }
}

/// Whether a process is the manager itself or its session bus.
pub(super) fn is_its_own(process: &Process) -> bool {
    ["/init.scope", "/dbus.service", "/dbus-broker.service"]
        .iter()
        .any(|unit| process.cgroup.ends_with(unit))
}

impl Manager {
    /// Starts a manager for the world in `world`, by these words; it is not ready yet.
    pub(super) fn start(
        cgroup: Cgroup,
        world: &Path,
        account: &Account,
        environment: Vec<(&'static str, OsString)>,
        words: &[OsString],
    ) -> Self {
        let log = world.join("manager.log");
        let stderr =
            File::create(&log).unwrap_or_else(|error| panic!("{}: {error}", log.display()));
        let child = Command::new("/usr/bin/unshare")
            .args([
                "--mount",
                "--ipc",
                "--propagation=private",
                "--",
                "/bin/sh",
                "-c",
                PREPARE,
                "sh",
            ])
            .arg(cgroup.manager())
            .args(account.switch())
            .args(words)
            .env_clear()
            .envs(environment)
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(stderr)
            // Ctrl-C in the developer's terminal is for the test, which then ends the manager.
            .process_group(0)
            .spawn()
            .expect("unshare starts");
        Self { child, cgroup, log }
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The words to put before a command, so that it runs beside the manager.
    pub(super) fn entrance(&self) -> Vec<OsString> {
        let session = self.cgroup.session();
        let pid = self.pid().to_string();
        [
            "/bin/sh".as_ref(),
            "-c".as_ref(),
            ENTER.as_ref(),
            "sh".as_ref(),
        ]
        .into_iter()
        .chain([session.as_os_str(), OsStr::new(&pid)])
        .map(OsStr::to_owned)
        .collect()
    }

    /// What the manager has said so far.
    pub(super) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Asks the manager to stop its units and leave, and makes it leave if it does not.
    pub(super) fn stop(self) -> Cgroup {
        self.end(Signal::TERM)
    }

    /// Ends the manager by this signal, and makes it leave if that does not.
    pub(super) fn end(mut self, signal: Signal) -> Cgroup {
        if let Some(pid) = i32::try_from(self.pid()).ok().and_then(Pid::from_raw) {
            // Not collected yet, so the id is still its own, dead or alive.
            if let Err(error) = kill_process(pid, signal) {
                eprintln!("the manager takes no signal: {error}");
            }
        }
        let left = poll(BOUND, || match self.child.try_wait() {
            Ok(Some(_)) => Ok(()),
            other => Err(format!("{other:?}")),
        });
        if left.is_err() {
            drop(self.child.kill());
            drop(self.child.wait());
        }
        self.cgroup
    }
}
