//! The engine of an instance without doze: started as its plan says, on a copy of its data, with its
//! settings, at its port. It must not know which engine that is, but for the words by which each is
//! told to listen there.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::Duration;

use doze_contract::Plan;
use doze_contract::plan::Chosen;
use doze_tests::process;
use doze_tests::project::{Project, output};
use doze_tests::wait::wait_until;
use rustix::process::Signal;

/// Longer than the slowest start on a busy machine.
const BOUND: Duration = Duration::from_mins(1);

/// A running engine.
#[derive(Debug)]
pub(crate) struct Bare<'a> {
    project: &'a Project,
    child: Child,
}

impl<'a> Bare<'a> {
    /// Starts the engine of an instance of a project that is down, and waits until the probe
    /// succeeds.
    pub(crate) fn start(
        project: &'a Project,
        plan: &Plan,
        port: u16,
        probe: &dyn Fn() -> Command,
    ) -> Self {
        let world = &project.world;
        let copy = Copy::make(project, plan);
        let member = plan.body.members.last().expect("an engine has a server");
        let mut words = member.argv.iter().map(|word| copy.of(word));
        match plan.engine.as_str() {
            // Behind them is the server itself.
            "mariadb" => drop(words.by_ref().take(3).count()),
            "postgres" | "valkey" | "temporal" => {}
            other => panic!("nobody knows where a bare {other} would listen"),
        }
        let mut command = world.command(words.next().expect("a program"));
        command.args(words.filter(|word| word != "--skip-networking"));
        let port = port.to_string();
        match (plan.engine.as_str(), &plan.body.chosen) {
            ("postgres", _) => {
                let hba = copy.write(
                    project,
                    "hba",
                    "host all,replication all 127.0.0.1/32 trust",
                );
                command
                    .args(["-c", "listen_addresses=127.0.0.1", "-c"])
                    .args([&format!("port={port}"), "-c", &format!("hba_file={hba}")]);
            }
            ("valkey", _) => drop(command.args(["--bind", "127.0.0.1", "--port", &port])),
            ("mariadb", _) => {
                let socket = copy.run.join("socket");
                command
                    .args(["--bind-address=127.0.0.1", &format!("--port={port}")])
                    .arg(format!("--socket={}", socket.display()));
            }
            (_, Some(Chosen::Port(variable))) => drop(command.env(variable, &port)),
            (other, _) => panic!("a bare {other} would not listen"),
        }
        for (name, value) in &member.env {
            command.env(name, copy.of(value));
        }
        let log = File::create(world.dir().join("bare.log")).expect("a file");
        let child = command
            .current_dir(copy.of(member.cwd.as_str()))
            .stdout(log.try_clone().expect("a file"))
            .stderr(log)
            .spawn()
            .expect("it starts");
        wait_until("the bare engine", BOUND, || {
            let output = output(&mut probe());
            if output.status.success() {
                Ok(())
            } else {
                Err(String::from_utf8_lossy(&output.stderr).into_owned())
            }
        });
        Self { project, child }
    }

    /// Ends it. Its data is of no use to anybody.
    pub(crate) fn stop(mut self) {
        let world = &self.project.world;
        wait_until("the bare engine to end", BOUND, || {
            let left = self.project.processes();
            for process in &left {
                process::signal(process.pid, world.dir(), Signal::QUIT);
            }
            if left.is_empty() {
                Ok(())
            } else {
                Err(process::list(&left))
            }
        });
        self.child.wait().expect("our child");
    }
}

/// What an engine needs to run twice.
struct Copy {
    /// Each of the instance's folders, and the one that stands for it.
    folders: [(String, String); 2],
    run: PathBuf,
}

impl Copy {
    fn make(project: &Project, plan: &Plan) -> Self {
        let world = &project.world;
        let (data, run) = (world.dir().join("bare/data"), world.dir().join("bare/run"));
        let text = |path: &Path| path.to_str().expect("UTF-8").to_owned();
        world.run(&["mkdir", "-p", &text(&run)]);
        world.run(&["cp", "-a", plan.paths.data.as_str(), &text(&data)]);
        let copy = Self {
            folders: [
                (plan.paths.data.to_string(), text(&data)),
                (plan.paths.run.to_string(), text(&run)),
            ],
            run,
        };
        for file in &plan.body.files {
            world.write(copy.of(file.path.as_str()), &copy.of(&file.text));
        }
        copy
    }

    /// The same, with the folders of the copy.
    fn of(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (from, to) in &self.folders {
            text = text.replace(from, to);
        }
        text
    }

    /// A file of its own.
    fn write(&self, project: &Project, name: &str, text: &str) -> String {
        let path = project.world.write(self.run.join(name), text);
        path.display().to_string()
    }
}
