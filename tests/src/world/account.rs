//! Whom a world's programs run as.
//!
//! Must not know: what they run.

use std::ffi::OsString;
use std::os::unix::fs::chown;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::getuid;

use crate::wait::wait_until;

/// The system user that tests use instead of root. It has no home, no shell and no password, is
/// created when it is first needed, and stays: its id is then the same for all tests.
pub const NAME: &str = "dozetest";

/// A user of the machine.
#[derive(Debug)]
pub(super) struct Account {
    pub(super) name: String,
    pub(super) uid: u32,
    pub(super) gid: u32,
}

impl Account {
    /// Whoever runs the tests.
    pub(super) fn current() -> Self {
        let uid = getuid().as_raw();
        Self::find(&uid.to_string()).unwrap_or_else(|state| panic!("user {uid}: {state}"))
    }

    /// [`NAME`] when the tests run as root, else whoever runs them.
    pub(super) fn unprivileged() -> Self {
        if !getuid().is_root() {
            return Self::current();
        }
        // Tests that run at the same time create it at the same time, and one of them wins.
        wait_until("the system user for tests", Duration::from_secs(20), || {
            Self::find(NAME).or_else(|_| {
                let created = Command::new("/usr/sbin/useradd")
                    .args(["--system", "--user-group", "--no-create-home"])
                    .args([
                        "--home-dir",
                        "/nonexistent",
                        "--shell",
                        "/usr/sbin/nologin",
                        NAME,
                    ])
                    .output()
                    .map_err(|error| format!("useradd: {error}"))?;
                Err(String::from_utf8_lossy(&created.stderr).into_owned())
            })
        })
    }

    /// Makes it the owner of a file.
    pub(super) fn own(&self, path: &Path) {
        chown(path, Some(self.uid), Some(self.gid))
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }

    /// The words to put before a command, so that it runs as this user with no capability, and
    /// gets SIGTERM when the thread that started it ends.
    pub(super) fn switch(&self) -> Vec<OsString> {
        let mut words = vec!["/usr/bin/setpriv".to_owned(), "--pdeathsig=TERM".to_owned()];
        if getuid().as_raw() != self.uid {
            words.push(format!("--reuid={}", self.uid));
            words.push(format!("--regid={}", self.gid));
            words.extend(["--clear-groups", "--inh-caps=-all"].map(str::to_owned));
        }
        words.push("--".to_owned());
        words.into_iter().map(OsString::from).collect()
    }

    fn find(name_or_uid: &str) -> Result<Self, String> {
        let asked = Command::new("getent")
            .args(["passwd", name_or_uid])
            .stdin(Stdio::null())
            .output()
            .map_err(|error| format!("getent: {error}"))?;
        let line = String::from_utf8_lossy(&asked.stdout);
        let mut fields = line.trim_end().split(':');
        let mut entry = || {
            let name = fields.next()?.to_owned();
            let (uid, gid) = (fields.nth(1)?.parse().ok()?, fields.next()?.parse().ok()?);
            Some(Self { name, uid, gid })
        };
        entry().ok_or_else(|| format!("no user {name_or_uid}"))
    }
}
