//! A private world for one test: its own directory, user, environment, ports, and, where asked
//! for, its own `systemd --user`.
//!
//! Must not know: doze's files and commands; a world would serve any program.
//!
//! # What a world does to the machine
//!
//! * A directory `/tmp/dz-XXXXXX` (short, because a unix socket's path has 107 bytes). It is
//!   removed with the world, and kept with its path printed when the test fails.
//! * As root, programs run as the unprivileged system user [`account::NAME`], which is created if
//!   it is missing and stays. Otherwise they run as whoever runs the tests.
//! * With a manager: a cgroup `dz-XXXXXX` under that of the test, and a mount and an IPC namespace
//!   in which the machine looks booted with systemd. All of it goes with the world.
//!
//! A world whose test is killed with SIGKILL ends by itself: its processes are told so by their
//! parent's death, the manager stops its units, and the next world with a manager removes the
//! cgroup.

pub mod account;
mod cgroup;
mod launchd;
mod manager;
mod port;

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use rustix::process::Signal;
use tempfile::TempDir;

use self::account::Account;
use self::cgroup::Cgroup;
use self::launchd::Launchd;
use self::manager::Manager;
use crate::engines::Engine;
use crate::process::{self, MARKER, Process};
use crate::skip::skip;
use crate::wait::wait_until;
use crate::{programs, tree};

/// How long a part of a world may take to start or to stop.
const BOUND: Duration = Duration::from_secs(10);

/// Whom the programs of a world run as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum User {
    /// An unprivileged user: a system user for tests when the tests run as root.
    Unprivileged,
    /// Whoever runs the tests.
    Current,
}

/// A private world, see the module. Dropping it takes everything down.
///
/// Drop it in the thread that made it: its processes are told to end when that thread does.
#[derive(Debug)]
pub struct World {
    dir: TempDir,
    /// Held as long as the world lives; tells others that its cgroup is in use.
    _lock: File,
    account: Account,
    manager: Option<Manager>,
    /// What the manager is, if not a `systemd --user`.
    launchd: Option<Launchd>,
    ports: Mutex<Vec<OwnedFd>>,
    programs: OnceLock<()>,
}

impl World {
    /// A world without a manager, for an unprivileged user.
    pub fn new() -> Self {
        Self::of(User::Unprivileged)
    }

    /// A world without a manager.
    pub fn of(user: User) -> Self {
        let account = match user {
            User::Unprivileged => Account::unprivileged(),
            User::Current => Account::current(),
        };
        let dir = tempfile::Builder::new()
            .prefix(cgroup::PREFIX)
            .tempdir_in("/tmp")
            .expect("/tmp takes a directory");
        let lock = File::create(dir.path().join(cgroup::LOCK)).expect("a fresh directory");
        lock.lock().expect("a fresh file is not locked");

        let world = Self {
            dir,
            _lock: lock,
            account,
            manager: None,
            launchd: None,
            ports: Mutex::default(),
            programs: OnceLock::new(),
        };
        world.account.own(world.dir());
        for (name, mode) in [
            ("home", 0o755),
            ("run", 0o700),
            ("tmp", 0o700),
            ("bin", 0o755),
        ] {
            let path = world.dir().join(name);
            world.make_dir(&path);
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("our directory");
        }
        world.make_dir(&world.config_home());
        world.make_dir(&world.data_home());
        world
    }

    /// A world with a running `systemd --user` of its own for an unprivileged user, or `None`
    /// after saying that the test is skipped. Only root can make one: anybody else has but the
    /// one manager, which a test must not touch.
    pub fn with_manager() -> Option<Self> {
        Self::with_manager_of(User::Unprivileged)
    }

    /// As [`World::with_manager`], for that user.
    pub fn with_manager_of(user: User) -> Option<Self> {
        Self::managed(user, |_| None)
    }

    fn managed(user: User, launchd: impl FnOnce(&Self) -> Option<Launchd>) -> Option<Self> {
        if let Err(reason) = manager::possible() {
            skip(&reason);
            return None;
        }
        let mut world = Self::of(user);
        world.launchd = launchd(&world);
        cgroup::sweep();
        let cgroup = match Cgroup::new(world.dir(), &world.account) {
            Ok(cgroup) => cgroup,
            Err(reason) => {
                skip(&reason);
                return None;
            }
        };
        world.start_manager(cgroup);
        Some(world)
    }

    fn start_manager(&mut self, cgroup: Cgroup) {
        if self.launchd.is_some() {
            self.start_launchd(cgroup);
        } else {
            self.start_systemd(cgroup);
        }
    }

    fn start_systemd(&mut self, cgroup: Cgroup) {
        let mut environment = self.environment();
        // The colon adds the machine's own.
        let mut generators = self.generators().into_os_string();
        generators.push(":");
        environment.push(("SYSTEMD_GENERATOR_PATH", generators));
        self.manager = Some(Manager::start(
            cgroup,
            self.dir(),
            &self.account,
            environment,
            &["/usr/lib/systemd/systemd", "--user", "--log-target=console"].map(OsString::from),
        ));
        wait_until("the private systemd --user", BOUND, || self.manager_state());
        assert!(
            self.runtime_dir()
                .join("bus")
                .try_exists()
                .is_ok_and(|there| there),
            "the manager has no session bus: is dbus-user-session installed?"
        );
        wait_until("the manager to join its bus", BOUND, || {
            self.is_on_the_bus()
        });
    }

    /// The world's directory.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// `HOME`, where programs start.
    pub fn home(&self) -> PathBuf {
        self.dir().join("home")
    }

    /// `XDG_CONFIG_HOME`.
    pub fn config_home(&self) -> PathBuf {
        self.home().join(".config")
    }

    /// `XDG_DATA_HOME`.
    pub fn data_home(&self) -> PathBuf {
        self.home().join(".local/share")
    }

    /// `XDG_RUNTIME_DIR`, 18 bytes long.
    pub fn runtime_dir(&self) -> PathBuf {
        self.dir().join("run")
    }

    /// Where the world's user keeps its unit files.
    pub fn units(&self) -> PathBuf {
        self.config_home().join("systemd/user")
    }

    /// Where the manager finds generators (systemd.generator(7)) besides the machine's own.
    pub fn generators(&self) -> PathBuf {
        self.dir().join("generators")
    }

    /// What the manager and its generators have said so far.
    pub fn manager_log(&self) -> String {
        self.manager.as_ref().map(Manager::log).unwrap_or_default()
    }

    /// Ends the manager by this signal, as if that had come from outside, then whatever it left
    /// behind, as the init system above it does; and starts another, as the next login does.
    pub fn restart_manager(&mut self, signal: Signal) {
        let manager = self.manager.take().expect("a world with a manager");
        let cgroup = manager.end(signal);
        let mut left = process::of(self.dir());
        left.retain(|process| cgroup.is_managed(&process.cgroup));
        for process in &left {
            process::signal(process.pid, self.dir(), Signal::KILL);
        }
        // To the last trace: who looks for an id takes one that nobody collected for alive.
        wait_until("the manager's processes to be collected", BOUND, || {
            left.retain(|process| Path::new(&format!("/proc/{}", process.pid)).is_dir());
            if left.is_empty() {
                Ok(())
            } else {
                Err(process::list(&left))
            }
        });
        self.start_manager(cgroup);
    }

    /// The process id of the manager.
    pub fn manager_pid(&self) -> Option<u32> {
        self.manager.as_ref().map(Manager::pid)
    }

    /// The process table of the world without the manager itself and its session bus: what is
    /// left here is awake.
    pub fn processes(&self) -> Vec<Process> {
        let mut all = process::of(self.dir());
        let manager = self.manager_pid();
        all.retain(|process| {
            !manager::is_its_own(process) && u32::try_from(process.pid).ok() != manager
        });
        all
    }

    /// A loopback TCP port that nobody else is given as long as the world lives. It can be
    /// listened on at once (with `SO_REUSEADDR`, as every server does); until then it refuses.
    pub fn port(&self) -> u16 {
        let (port, held) = port::reserve();
        self.ports
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(held);
        port
    }

    /// Writes a file of the world's user, with the directories that lead to it. A relative path
    /// starts at the world's directory.
    pub fn write(&self, path: impl AsRef<Path>, text: &str) -> PathBuf {
        let path = self.dir().join(path);
        if let Some(parent) = path.parent() {
            self.make_dir(parent);
        }
        #[expect(clippy::disallowed_methods, reason = "nobody else reads it yet")]
        fs::write(&path, text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        self.account.own(&path);
        path
    }

    /// A program to be run as the world's user, in the world's environment and nothing else, from
    /// its home, with no input; told to end when the test ends. The programs of this workspace
    /// are found by name.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let program = program.as_ref();
        if programs::NAMES.iter().any(|name| program == *name) {
            self.programs();
        }
        let mut words: Vec<OsString> = Vec::new();
        if let Some(manager) = &self.manager {
            words.extend(manager.entrance());
        }
        words.extend(self.account.switch());
        words.push(program.to_owned());

        let mut words = words.into_iter();
        let mut command = Command::new(words.next().unwrap_or_default());
        command
            .args(words)
            .env_clear()
            .envs(self.environment())
            .current_dir(self.home())
            .stdin(Stdio::null());
        command
    }

    /// As [`World::command`], in an empty network namespace of its own: there is nothing but
    /// loopback, and nobody listens on it yet.
    ///
    /// # Panics
    /// Without root.
    pub fn offline_command(&self, program: impl AsRef<OsStr>) -> Command {
        let inner = self.command(program);
        let mut command = Command::new("/usr/bin/unshare");
        command
            .args(["--net", "--", "/bin/sh", "-c"])
            .arg("/sbin/ip link set lo up && exec \"$@\"")
            .arg("sh")
            .arg(inner.get_program())
            .args(inner.get_args())
            .env_clear()
            .envs(self.environment())
            .current_dir(self.home())
            .stdin(Stdio::null());
        command
    }

    /// Gives a folder a disk of its own, of so many bytes, in memory; for whatever runs by
    /// [`World::command`], and gone with the manager.
    ///
    /// # Panics
    /// Without a manager, or if the disk cannot be mounted.
    pub fn small_disk(&self, folder: &Path, bytes: u64) {
        self.make_dir(folder);
        let manager = self.manager.as_ref().expect("a world with a manager");
        let mut words = manager.entrance().into_iter();
        let Account { uid, gid, .. } = self.account;
        let options = format!("size={bytes},mode=0700,uid={uid},gid={gid}");
        let mounted = Command::new(words.next().unwrap_or_default())
            .args(words)
            .args(["/bin/mount", "-t", "tmpfs", "-o", &options, "tmpfs"])
            .arg(folder)
            .status()
            .expect("mount starts");
        assert!(mounted.success(), "{}: {mounted}", folder.display());
    }

    /// Runs a program with its arguments to the end, and returns what it printed.
    ///
    /// # Panics
    /// When it fails, with all that it said.
    #[track_caller]
    pub fn run(&self, line: &[&str]) -> String {
        let Some((program, arguments)) = line.split_first() else {
            panic!("nothing to run")
        };
        let output = self
            .command(program)
            .args(arguments)
            .output()
            .unwrap_or_else(|error| panic!("{line:?}: {error}"));
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success(),
            "{line:?}: {}\n{text}{said}",
            output.status
        );
        text
    }

    /// The folder with this workspace's programs that the world's user can read and run.
    pub fn programs(&self) -> PathBuf {
        let bin = self.dir().join("bin");
        self.programs.get_or_init(|| {
            for name in programs::NAMES {
                tree::link_or_copy(&self.program(name), &bin.join(name));
            }
        });
        bin
    }

    fn program(&self, name: &str) -> PathBuf {
        match &self.launchd {
            Some(_) if name == "doze-activator" => self.launchd_activator(),
            _ => programs::folder().join(name),
        }
    }

    /// The folder with an engine's programs that the world's user can read and run: its own, or
    /// a copy in the world where that lies in somebody's private directory.
    pub fn bindir(&self, engine: &Engine) -> PathBuf {
        if tree::is_public(&engine.bindir) {
            return engine.bindir.clone();
        }
        let root = engine.bindir.parent().unwrap_or(&engine.bindir);
        self.copied(root).join("bin")
    }

    /// A folder that the world's user can read: itself, or a copy in the world likewise.
    pub fn readable(&self, folder: &Path) -> PathBuf {
        if tree::is_public(folder) {
            folder.to_path_buf()
        } else {
            self.copied(folder)
        }
    }

    fn copied(&self, folder: &Path) -> PathBuf {
        let name = folder.file_name().unwrap_or_default();
        let copy = self.dir().join("engines").join(name);
        if !copy.is_dir() {
            tree::link_or_copy_all(folder, &copy);
        }
        copy
    }

    /// Takes the world down.
    ///
    /// # Errors
    /// What could not be taken down.
    fn end(&mut self) -> Result<(), String> {
        let cgroup = self.manager.take().map(Manager::stop);
        process::end_all(self.dir(), BOUND)?;
        cgroup.map_or(Ok(()), Cgroup::remove)
    }

    fn environment(&self) -> Vec<(&'static str, OsString)> {
        let mut path = self.dir().join("bin").into_os_string();
        path.push(":/usr/local/bin:/usr/bin:/bin");
        let mut bus = OsString::from("unix:path=");
        bus.push(self.runtime_dir().join("bus"));
        let mut environment = vec![
            ("HOME", self.home().into()),
            ("USER", self.account.name.clone().into()),
            ("LOGNAME", self.account.name.clone().into()),
            ("SHELL", "/bin/sh".into()),
            ("LANG", "C.UTF-8".into()),
            ("PATH", path),
            ("TMPDIR", self.dir().join("tmp").into()),
            ("XDG_CONFIG_HOME", self.config_home().into()),
            ("XDG_DATA_HOME", self.data_home().into()),
            ("XDG_RUNTIME_DIR", self.runtime_dir().into()),
            // Without a manager nothing listens there, but nobody looks for another bus.
            ("DBUS_SESSION_BUS_ADDRESS", bus),
            (MARKER, self.dir().into()),
        ];
        if let Some(launchd) = &self.launchd {
            launchd.add_to(&mut environment);
        }
        environment
    }

    /// `degraded` is as good as `running`: what other packages install for every user's manager
    /// is no business of a test.
    fn manager_state(&self) -> Result<(), String> {
        let log = || self.manager_log();
        let asked = self
            .command("systemctl")
            .args(["--user", "is-system-running"])
            .output()
            .map_err(|error| format!("systemctl: {error}"))?;
        match String::from_utf8_lossy(&asked.stdout).trim() {
            "running" | "degraded" => Ok(()),
            state => Err(format!(
                "{state:?} {} {}",
                String::from_utf8_lossy(&asked.stderr),
                log()
            )),
        }
    }

    /// The manager takes its name on the bus a little after it says that it runs.
    fn is_on_the_bus(&self) -> Result<(), String> {
        let bus = [
            "org.freedesktop.DBus",
            "/org/freedesktop/DBus",
            "org.freedesktop.DBus",
        ];
        let asked = self
            .command("busctl")
            .args(["--user", "call"])
            .args(bus)
            .args(["NameHasOwner", "s", "org.freedesktop.systemd1"])
            .output()
            .map_err(|error| format!("busctl: {error}"))?;
        match String::from_utf8_lossy(&asked.stdout).trim() {
            "b true" => Ok(()),
            other => Err(format!(
                "{other:?} {}",
                String::from_utf8_lossy(&asked.stderr)
            )),
        }
    }

    /// Makes a directory and those that lead to it, each the user's own.
    fn make_dir(&self, path: &Path) {
        if let Some(parent) = path
            .parent()
            .filter(|parent| parent.starts_with(self.dir()))
        {
            self.make_dir(parent);
        }
        match fs::create_dir(path) {
            Ok(()) => self.account.own(path),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => panic!("{}: {error}", path.display()),
        }
    }
}

impl Default for World {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let ended = self.end();
        if std::thread::panicking() {
            self.dir.disable_cleanup(true);
            eprintln!(
                "the world of the failed test is kept: {}",
                self.dir().display()
            );
            if let Err(left) = ended {
                eprintln!("still there: {left}");
            }
        } else if let Err(left) = ended {
            panic!("{} could not be taken down: {left}", self.dir().display());
        }
    }
}
