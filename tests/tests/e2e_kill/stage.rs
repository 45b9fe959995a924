//! A project with gates, and what a cell of the kill matrix does to it.
//!
//! Must not know: which cells there are.

use std::process::{Child, Command, Stdio};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use doze_contract::Plan;
use doze_tests::client::Client;
use doze_tests::exchange::Exchange;
use doze_tests::process::{self, Process};
use doze_tests::project::{Mode, Project, output};
use doze_tests::{engines, needed, wait_until};
use rustix::process::Signal;

use crate::gates::{Gate, Gates};

/// How long anything may take: the slowest is a stop that has to time out.
pub(crate) const BOUND: Duration = Duration::from_mins(1);

/// A client that was not told anything for so long was forgotten.
const FORGOTTEN: Duration = Duration::from_secs(45);

/// An instance whose engine can be held at any moment.
pub(crate) struct Stage {
    pub(crate) project: Project,
    pub(crate) mode: Mode,
    pub(crate) gates: Gates,
    pub(crate) instance: &'static str,
    /// Writes that were acknowledged.
    acknowledged: u64,
}

impl Stage {
    /// A project that is up, with nobody awake. Both engines write down what they acknowledge.
    pub(crate) fn new(mode: Mode, instance: &'static str) -> Option<Self> {
        let postgres = needed("a Postgres", engines::postgres())?;
        let valkey = needed("a Valkey", engines::valkey())?;
        let mut project = Project::new(mode, "1h")?;
        let gates = Gates::new(&project.world, &postgres, &valkey);
        project.use_programs(gates.folder());
        project.use_driver(&gates.driver());
        project.declare(&toml(&project, 50));
        project.up();
        Some(Self {
            project,
            mode,
            gates,
            instance,
            acknowledged: 0,
        })
    }

    pub(crate) fn plan(&self) -> Plan {
        self.project.plan(self.instance)
    }

    /// The activator of the instance.
    pub(crate) fn activator(&self) -> Option<Process> {
        let plan = format!("/plans/{}.json", self.instance);
        self.find(|process| {
            process.command.contains("doze-activator run") && process.command.contains(&plan)
        })
    }

    /// The first process of the engine, or what waits at a gate to become it.
    pub(crate) fn engine(&self) -> Option<Process> {
        self.engines().into_iter().next()
    }

    /// Every process that looks like the first one of an engine on the data directory.
    fn engines(&self) -> Vec<Process> {
        let mark = match self.instance {
            "app" => format!(" -D {}", self.plan().paths.data),
            _ => "-server ".to_owned(),
        };
        let mut all = self.project.processes();
        all.retain(|process| {
            process.command.contains(&mark) && !process.command.contains("--single")
        });
        all
    }

    /// The driver at work.
    pub(crate) fn driver(&self) -> Option<Process> {
        self.find(|process| process.command.contains("doze-driver-"))
    }

    /// A process of the project.
    pub(crate) fn find(&self, is: impl Fn(&Process) -> bool) -> Option<Process> {
        self.project.processes().into_iter().find(is)
    }

    /// Waits for a process of the project.
    pub(crate) fn found(&self, what: &str, look: impl Fn() -> Option<Process>) -> Process {
        wait_until(what, BOUND, || {
            look().ok_or_else(|| process::list(&self.project.processes()))
        })
    }

    /// Sends a signal to a process of the project.
    pub(crate) fn signal(&self, process: &Process, signal: Signal) {
        process::signal(process.pid, self.project.world.dir(), signal);
    }

    /// Waits until the activator is in this phase.
    pub(crate) fn wait_for(&self, phase: &str) {
        wait_until(phase, BOUND, || match self.project.state(self.instance) {
            state if state == phase => Ok(()),
            state => Err(state),
        });
    }

    /// A client that asks and waits for whatever comes; joined to see that something came.
    pub(crate) fn client(&self) -> Waiting {
        let plan = self.plan();
        let endpoint = plan.endpoints.first().expect("an endpoint").clone();
        let exchange = Exchange::of(&plan);
        let client = Client::connect(&endpoint, FORGOTTEN).expect("systemd or doze listens");
        Waiting(thread::spawn(move || {
            let mut client = client;
            match exchange.with(&mut client) {
                // It stays until it is cut off: a client of a session.
                Ok(_) => Ok(client),
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                    Err("nobody told the client anything".to_owned())
                }
                Err(error) => Err(format!("told: {error}")),
            }
        }))
    }

    /// Writes something until that is acknowledged. How often it was tried. A try may fail, but
    /// each has to end by itself.
    pub(crate) fn write(&mut self) -> usize {
        let next = (self.acknowledged + 1).to_string();
        let mut tries = 0;
        wait_until("a write to be acknowledged", BOUND, || {
            tries += 1;
            let said = output(&mut self.writing(&next));
            let text = String::from_utf8_lossy(&said.stdout).trim().to_owned();
            if said.status.success() && (text.is_empty() || text == "OK") {
                Ok(())
            } else {
                Err(format!("{text}{}", String::from_utf8_lossy(&said.stderr)))
            }
        });
        self.acknowledged += 1;
        tries
    }

    fn writing(&self, number: &str) -> Command {
        match self.instance {
            "app" => self.project.psql(&format!(
                "create table if not exists t (n int primary key); \
                 insert into t values ({number}) on conflict do nothing"
            )),
            _ => self.project.cli(&["set", number, number]),
        }
    }

    /// Everything that was acknowledged is there, and one engine serves it.
    pub(crate) fn check(&self) {
        let count = match self.instance {
            "app" => self.project.sql("select count(*) from t"),
            _ => self.project.cached(&["dbsize"]),
        };
        assert_eq!(
            count,
            self.acknowledged.to_string(),
            "what was acknowledged"
        );
        // A process that Postgres has just forked looks like another for a moment.
        wait_until("one engine", BOUND, || match self.engines() {
            all if all.len() == 1 => Ok(()),
            all => Err(process::list(&all)),
        });
    }

    /// Puts the instance to sleep.
    pub(crate) fn sleep(&self) {
        self.project.run(&["sleep", self.instance]);
        wait_until("sleep", BOUND, || match self.activator() {
            None => Ok(()),
            Some(process) => Err(process.to_string()),
        });
    }

    /// Throws the data away, and the templates, so that the next boot provisions from nothing.
    pub(crate) fn forget(&mut self) {
        self.sleep();
        let paths = self.plan().paths;
        for folder in [paths.data, paths.templates] {
            if folder.as_std_path().try_exists().expect("our directory") {
                std::fs::remove_dir_all(&folder).expect("our directory");
            }
        }
        self.acknowledged = 0;
    }

    /// Forgets that the structure was made, so that the next boot makes it.
    pub(crate) fn unconverge(&self) {
        self.sleep();
        let stamp = self.plan().paths.data.join("doze-converged");
        std::fs::remove_file(stamp).expect("it was converged");
    }

    /// Starts a command of doze in the background.
    pub(crate) fn background(&self, arguments: &[&str]) -> Child {
        let mut command = self.project.doze(arguments);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().expect("doze starts")
    }

    pub(crate) fn close(&self, gate: Gate) {
        self.gates.close(gate);
    }
}

/// A client in its own thread.
pub(crate) struct Waiting(JoinHandle<Result<Client, String>>);

impl Waiting {
    /// The client, once it was answered.
    pub(crate) fn served(self) -> Client {
        self.end().unwrap_or_else(|error| panic!("{error}"))
    }

    /// What became of it: an answer, a reason, or the end of the connection. Never nothing.
    pub(crate) fn end(self) -> Result<Client, String> {
        let end = self.0.join().expect("a client does not panic");
        if let Err(reason) = &end {
            assert!(reason.starts_with("told: "), "{reason}");
        }
        end
    }
}

/// The project with engines that keep what they acknowledge.
pub(crate) fn toml(project: &Project, connections: u32) -> String {
    let whole = project.toml("1h");
    let (postgres, valkey) = whole.split_once("\n[valkey.").expect("it declares both");
    format!(
        "{postgres}max_connections = {connections}\nsettings = {{ synchronous_commit = true }}\n\
         \n[valkey.{valkey}appendonly = true\nsettings = {{ appendfsync = \"always\" }}\n"
    )
}
