//! Engines that wait at a gate: a folder of programs that are the real ones, but that stop where
//! a test wants to find them.
//!
//! Must not know: why.

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use doze_tests::World;
use doze_tests::engines::Engine;

const DRIVER: &str = "doze-driver-postgres";

/// Where a program can be made to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gate {
    /// Before the server is asked for its version, by `doze up`.
    Version,
    /// Before the data directory is made.
    Provision,
    /// Before the structure in a Postgres is made.
    Converge,
    /// Before the server starts to serve.
    Boot,
}

impl Gate {
    fn name(self) -> &'static str {
        match self {
            Self::Version => "version",
            Self::Provision => "provision",
            Self::Converge => "converge",
            Self::Boot => "boot",
        }
    }
}

/// The folder.
#[derive(Debug)]
pub(crate) struct Gates {
    folder: PathBuf,
}

impl Gates {
    /// Makes the programs of both engines, with every gate open.
    pub(crate) fn new(world: &World, postgres: &Engine, valkey: &Engine) -> Self {
        let folder = world.dir().join("gates");
        let (pg, vk) = (world.bindir(postgres), world.bindir(valkey));
        let server = fs::read_dir(&vk)
            .into_iter()
            .flatten()
            .filter_map(Result::ok)
            .filter_map(|entry| entry.file_name().into_string().ok())
            .find(|name| name == "valkey-server")
            .unwrap_or_else(|| "redis-server".to_owned());
        for (name, real) in [
            ("postgres", pg.join("postgres")),
            ("initdb", pg.join("initdb")),
            (server.as_str(), vk.join(&server)),
        ] {
            let gate = match name {
                "initdb" => "gate=provision",
                "postgres" => "case $1 in --version) gate=version;; -D) gate=boot;; esac",
                _ => "case $1 in --version) gate=version;; *) gate=boot;; esac",
            };
            // Opening a FIFO waits for the other end without any sleep.
            let script = format!(
                "#!/bin/sh\n{gate}\n[ -p '{folder}/'\"$gate\" ] && read go <'{folder}/'\"$gate\"\n\
                 [ -e '{folder}/child' ] && setsid sh -c 'trap \"\" INT TERM; exec sleep 600' &\n\
                 exec '{real}' \"$@\"\n",
                folder = folder.display(),
                real = real.display(),
            );
            let path = world.write(folder.join(name), &script);
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("our file");
        }
        // The driver of Postgres waits with the order to converge, and passes on all else.
        let script = format!(
            "#!/bin/sh\n[ \"$1\" ] && exec '{real}' \"$@\"\nIFS= read -r line\n\
             case $line in *'\"call\":{{\"converge\"'*) gate='{folder}/converge'\n\
             [ -p \"$gate\" ] && read go <\"$gate\";; esac\n\
             {{ printf '%s\\n' \"$line\"; cat; }} | '{real}'\n",
            folder = folder.display(),
            real = world.programs().join(DRIVER).display(),
        );
        let path = world.write(folder.join(DRIVER), &script);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("our file");
        Self { folder }
    }

    /// The driver of Postgres, for `DOZE_POSTGRES_DRIVER`.
    pub(crate) fn driver(&self) -> PathBuf {
        self.folder.join(DRIVER)
    }

    /// The folder, for `DOZE_…_BINDIR`.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Whether a server has a child that leaves its group and heeds no SIGINT, as the startup
    /// process of a Postgres does.
    pub(crate) fn with_child(&self, world: &World, has: bool) {
        let path = self.folder.join("child");
        if has {
            world.write(path, "");
        } else {
            fs::remove_file(path).expect("it was there");
        }
    }

    /// Closes a gate: whoever comes waits.
    pub(crate) fn close(&self, gate: Gate) {
        let made = Command::new("mkfifo")
            .args(["-m", "666"])
            .arg(self.folder.join(gate.name()))
            .status();
        assert!(made.is_ok_and(|status| status.success()), "mkfifo");
    }

    /// Opens a gate; who waits goes on.
    pub(crate) fn open(&self, gate: Gate) {
        let path = self.folder.join(gate.name());
        // To open both ends never waits (fifo(7)).
        let fifo = File::options().read(true).write(true).open(&path);
        fs::remove_file(&path).expect("a closed gate");
        fifo.expect("a closed gate")
            .write_all(b"go\n")
            .expect("room");
    }
}
