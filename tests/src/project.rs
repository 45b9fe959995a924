//! A doze project in a world: its file, its commands, its clients.
//!
//! Must not know: what a test expects of it.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use doze_contract::Plan;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::engines::{self, Engine};
use crate::process::{self, Process};
use crate::skip::needed;
use crate::wait::wait_until;
use crate::world::{User, World};

/// How long the slowest step of a project may take: provisioning on a busy machine.
const BOUND: Duration = Duration::from_mins(1);

/// Runs each of these functions as a test in each [`Mode`].
#[macro_export]
macro_rules! in_every_mode {
    ($($(#[$about:meta])* $test:ident),* $(,)?) => {
        $crate::without_launchd!($($(#[$about])* $test),*);
        mod launchd {
            $($(#[$about])* #[test] fn $test() { super::$test($crate::project::Mode::Launchd); })*
        }
    };
}

/// Likewise, but for launchd: what is tested is not there, or is the same code and takes long.
#[macro_export]
macro_rules! without_launchd {
    ($($(#[$about:meta])* $test:ident),* $(,)?) => {
        mod systemd {
            $($(#[$about])* #[test] fn $test() { super::$test($crate::project::Mode::Systemd); })*
        }
        mod foreground {
            $($(#[$about])* #[test] fn $test() { super::$test($crate::project::Mode::Foreground); })*
        }
    };
}

/// Who holds the sockets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// The world's systemd.
    Systemd,
    /// `doze up --foreground`.
    Foreground,
    /// The world's launchd, which is one for Linux.
    Launchd,
}

impl Mode {
    /// Whether it holds the sockets on its own, and not as long as a command runs.
    pub fn has_manager(self) -> bool {
        self != Self::Foreground
    }
}

/// A project called `shop` with a Postgres `app` and a Valkey `cache`.
#[derive(Debug)]
pub struct Project {
    // Dropped first: it has to be stopped while its world is still there.
    listener: Option<Listener>,
    /// Where it lives.
    pub world: World,
    mode: Mode,
    postgres: Engine,
    valkey: Engine,
    /// The MariaDB for those who declare one.
    pub mariadb: Option<Engine>,
    /// Where doze finds the servers, if not where they are.
    programs: Option<PathBuf>,
    /// The driver of Postgres, if not the one that is built here.
    driver: Option<PathBuf>,
    /// What doze is told besides.
    variables: Vec<(&'static str, PathBuf)>,
    /// The port of `app`.
    pub app: u16,
    /// The port of `cache`.
    pub cache: u16,
}

impl Project {
    /// A project of an unprivileged user that is written but not up; `None` if this machine lacks
    /// something, which is said then.
    pub fn new(mode: Mode, idle_timeout: &str) -> Option<Self> {
        Self::of(User::Unprivileged, mode, idle_timeout)
    }

    /// As [`Project::new`], of that user.
    pub fn of(user: User, mode: Mode, idle_timeout: &str) -> Option<Self> {
        let postgres = needed("a Postgres", engines::postgres())?;
        let valkey = needed("a Valkey", engines::valkey())?;
        let world = match mode {
            Mode::Systemd | Mode::Foreground => World::with_manager_of(user)?,
            Mode::Launchd => World::with_launchd_of(user)?,
        };
        let (app, cache) = (world.port(), world.port());
        let project = Self {
            listener: None,
            world,
            mode,
            postgres,
            valkey,
            mariadb: engines::mariadb(),
            programs: None,
            driver: None,
            variables: Vec::new(),
            app,
            cache,
        };
        project.declare(&project.toml(idle_timeout));
        Some(project)
    }

    /// The text of its `doze.toml`.
    pub fn toml(&self, idle_timeout: &str) -> String {
        format!(
            "name = \"shop\"\n\n[defaults]\nidle_timeout = \"{idle_timeout}\"\n\n\
             [postgres.app]\nversion = {}\nport = {}\nowner = \"app\"\n\n\
             [valkey.cache]\nversion = {}\nport = {}\n",
            self.postgres.major(),
            self.app,
            self.valkey.major(),
            self.cache,
        )
    }

    /// Replaces its `doze.toml`.
    pub fn declare(&self, toml: &str) {
        self.world.write("home/shop/doze.toml", toml);
    }

    /// A doze command in the project's folder.
    pub fn doze(&self, arguments: &[&str]) -> Command {
        let mut command = self.world.command("doze");
        let bindir = |engine| match &self.programs {
            Some(folder) => folder.clone(),
            None => self.world.bindir(engine),
        };
        command
            .args(arguments)
            .current_dir(self.world.home().join("shop"))
            .env("DOZE_POSTGRES_BINDIR", bindir(&self.postgres))
            .env("DOZE_VALKEY_BINDIR", bindir(&self.valkey));
        if let Some(mariadb) = &self.mariadb {
            command.env("DOZE_MARIADB_BINDIR", bindir(mariadb));
        }
        if let Some(driver) = &self.driver {
            command.env("DOZE_POSTGRES_DRIVER", driver);
        }
        command.envs(self.variables.iter().cloned());
        command
    }

    /// From now on doze has this driver for Postgres.
    pub fn use_driver(&mut self, driver: &Path) {
        self.driver = Some(driver.to_path_buf());
    }

    /// From now on doze has this in its environment.
    pub fn set(&mut self, variable: &'static str, value: &Path) {
        self.variables.push((variable, value.to_path_buf()));
    }

    /// From now on doze finds the servers of both engines in this folder.
    pub fn use_programs(&mut self, folder: &Path) {
        self.programs = Some(folder.to_path_buf());
    }

    /// A program that comes with the Postgres.
    pub fn postgres_program(&self, name: &str) -> PathBuf {
        self.world.bindir(&self.postgres).join(name)
    }

    /// Runs a doze command that has to succeed, and returns what it printed.
    #[track_caller]
    pub fn run(&self, arguments: &[&str]) -> String {
        succeed(&mut self.doze(arguments))
    }

    /// Brings it up, in the manual way of the mode.
    #[track_caller]
    pub fn up(&mut self) {
        match self.mode {
            Mode::Systemd => {
                self.run(&["generate"]);
                self.world.run(&["systemctl", "--user", "daemon-reload"]);
                self.world
                    .run(&["systemctl", "--user", "start", "doze-shop.target"]);
            }
            Mode::Foreground => self.listener = Some(Listener::start(self)),
            Mode::Launchd => {
                self.run(&["generate"]);
                let domain = self.world.launchd_domain();
                for agent in self.agents() {
                    self.world.run(&["launchctl", "bootstrap", &domain, &agent]);
                }
            }
        }
    }

    /// Takes it down.
    #[track_caller]
    pub fn down(&mut self) {
        self.run(&["down"]);
        if let Some(listener) = &mut self.listener {
            listener.wait();
        }
    }

    /// Replaces its `doze.toml` and brings up what it says now.
    #[track_caller]
    pub fn edit(&mut self, toml: &str) {
        if self.mode == Mode::Foreground {
            self.down();
        }
        self.declare(toml);
        match self.mode {
            Mode::Systemd | Mode::Launchd => drop(self.run(&["up"])),
            Mode::Foreground => self.up(),
        }
    }

    /// The files of its launchd agents.
    fn agents(&self) -> Vec<String> {
        let files = fs::read_dir(self.world.agents()).expect("the folder of the agents");
        let paths = files.map(|file| file.expect("listed").path());
        let agents = paths.filter(|path| path.extension().is_some_and(|end| end == "plist"));
        let mut agents: Vec<_> = agents
            .filter_map(|path| path.to_str().map(String::from))
            .collect();
        agents.sort();
        agents
    }

    /// Sends a signal to the listener in the foreground.
    pub fn signal_listener(&self, signal: Signal) {
        let listener = self.listener.as_ref().expect("it is up in the foreground");
        // Our child below it was not waited for yet, so neither was the listener.
        let pid = Pid::from_raw(listener.pid).expect("a pid");
        kill_process(pid, signal).expect("it runs");
    }

    /// Waits for the end of the listener in the foreground; whether it ended well.
    pub fn wait_for_listener(&mut self) -> bool {
        let mut listener = self.listener.take().expect("it is up in the foreground");
        listener.child.wait().expect("our child").success()
    }

    /// Runs SQL in the database of `app` as its owner.
    pub fn psql(&self, sql: &str) -> Command {
        let mut command = self.world.command(&self.postgres.client);
        let url = format!("postgres://app@127.0.0.1:{}/app?sslmode=disable", self.app);
        command.args([
            "-X",
            "-A",
            "-t",
            "-q",
            "-v",
            "ON_ERROR_STOP=1",
            "-c",
            sql,
            &url,
        ]);
        command
    }

    /// What SQL returns.
    #[track_caller]
    pub fn sql(&self, sql: &str) -> String {
        succeed(&mut self.psql(sql)).trim_end().to_owned()
    }

    /// A command to the cache.
    pub fn cli(&self, words: &[&str]) -> Command {
        let mut command = self.world.command(&self.valkey.client);
        command
            .args(["-h", "127.0.0.1", "-p", &self.cache.to_string()])
            .args(words);
        command
    }

    /// What the cache answers.
    #[track_caller]
    pub fn cached(&self, words: &[&str]) -> String {
        succeed(&mut self.cli(words)).trim_end().to_owned()
    }

    /// `doze status --json`.
    #[track_caller]
    pub fn status(&self) -> Value {
        serde_json::from_str(&self.run(&["status", "--json"])).expect("status prints JSON")
    }

    /// The state of one instance, as `doze status` tells it.
    #[track_caller]
    pub fn state(&self, instance: &str) -> String {
        let status = self.status();
        let rows = status.pointer("/instances").and_then(Value::as_array);
        let of = |row: &&Value| row.pointer("/name").is_some_and(|name| name == instance);
        let row = rows.into_iter().flatten().find(of);
        let state = row
            .and_then(|row| row.pointer("/state"))
            .and_then(Value::as_str);
        state.unwrap_or("not listed").to_owned()
    }

    /// Every process of doze and of the engines; the listener in the foreground, which stands in
    /// for the manager, is none of them.
    pub fn processes(&self) -> Vec<Process> {
        let mut all = self.world.processes();
        if let Some(listener) = &self.listener {
            all.retain(|process| !listener.is(process));
        }
        all
    }

    /// The processes that run a program of this name.
    pub fn running(&self, program: &str) -> Vec<Process> {
        let is = |process: &Process| {
            let first = process.command.split(' ').next().unwrap_or_default();
            first.rsplit('/').next() == Some(program)
        };
        self.processes().into_iter().filter(is).collect()
    }

    /// Waits until no process is left.
    #[track_caller]
    pub fn wait_asleep(&self) {
        wait_until("everything to sleep", BOUND, || match self.processes() {
            awake if awake.is_empty() => Ok(()),
            awake => Err(process::list(&awake)),
        });
    }

    /// Waits until what the next new Postgres begins with is made ahead, which the first one of all
    /// has done, and whoever made it is gone.
    #[track_caller]
    pub fn wait_for_spare(&self) {
        let templates = self.plan("app").paths.templates;
        wait_until("a clone of the template", BOUND, || {
            let names = templates
                .read_dir_utf8()
                .map_err(|error| error.to_string())?;
            let mut names = names.flatten();
            let processes = self.processes();
            let mut drivers = processes.iter();
            if names.any(|entry| entry.path().extension() == Some("spare"))
                && !drivers.any(|process| process.command.contains("doze-driver-"))
            {
                Ok(())
            } else {
                Err(process::list(&processes))
            }
        });
    }

    /// Whether something accepts connections on a port of the project.
    pub fn accepts(&self, port: u16) -> bool {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        TcpStream::connect_timeout(&address, BOUND).is_ok()
    }

    /// The plan of an instance, once there is one.
    #[track_caller]
    pub fn plan(&self, instance: &str) -> Plan {
        let path = self.home().join(format!("plans/{instance}.json"));
        let text = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        serde_json::from_slice(&text).expect("a plan is JSON")
    }

    /// The folder of all that doze keeps of it.
    pub fn home(&self) -> PathBuf {
        self.world.data_home().join("doze/projects/shop")
    }

    /// How often an instance became ready, as far back as its log goes.
    pub fn wakes(&self, instance: &str) -> usize {
        self.logged(instance, &format!(" {instance} is ready after "))
    }

    /// How often something stands in the log of an instance, as far back as that goes.
    pub fn logged(&self, instance: &str, what: &str) -> usize {
        let read = |name: String| fs::read(self.home().join("logs").join(name)).unwrap_or_default();
        let both = [
            read(format!("{instance}.log.1")),
            read(format!("{instance}.log")),
        ]
        .concat();
        String::from_utf8_lossy(&both).matches(what).count()
    }

    /// The log of one instance.
    pub fn log(&self, instance: &str) -> String {
        self.run(&["logs", instance])
    }
}

/// A running `doze up --foreground`.
#[derive(Debug)]
struct Listener {
    child: Child,
    /// The listener's process itself, which is below the words that lead into the world.
    pid: i32,
}

impl Listener {
    fn start(project: &Project) -> Self {
        let mut child = project
            .doze(&["up", "--foreground"])
            .stdout(Stdio::piped())
            // It repeats what the engines say, and is kept with the world of a failed test.
            .stderr(File::create(project.world.dir().join("listener.log")).expect("a file"))
            .spawn()
            .expect("doze starts");
        let stdout = child.stdout.take().expect("a pipe");
        let mut said = String::new();
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            writeln!(said, "{line}").expect("memory");
            if line.contains("Ctrl-C") {
                let up = |process: &Process| process.command.ends_with("up --foreground");
                let found = project.world.processes().into_iter().find(up);
                let pid = found.map(|process| process.pid).expect("the listener runs");
                return Self { child, pid };
            }
        }
        panic!("the listener ended with {:?}: {said}", child.wait());
    }

    fn is(&self, process: &Process) -> bool {
        process.pid == self.pid
    }

    /// Waits for its end.
    fn wait(&mut self) {
        let status = self.child.wait().expect("our child");
        assert!(status.success(), "the listener ended with {status}");
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if !matches!(self.child.try_wait(), Ok(None)) {
            return;
        }
        // Our child still runs, so its process below it was not collected either.
        if Pid::from_raw(self.pid).is_some_and(|pid| kill_process(pid, Signal::INT).is_ok()) {
            drop(self.child.wait());
        }
    }
}

/// Runs a command that has to succeed, and returns what it printed.
#[track_caller]
pub fn succeed(command: &mut Command) -> String {
    let output = output(command);
    assert!(
        output.status.success(),
        "{command:?}: {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// Runs a command to its end.
#[track_caller]
pub fn output(command: &mut Command) -> Output {
    command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"))
}
