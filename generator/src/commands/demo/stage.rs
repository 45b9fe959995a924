//! The throw-away project: built, brought up, and taken away whatever happens in between.

use std::{
    env, fs,
    io::{BufRead, BufReader},
    net::TcpListener,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use camino::Utf8PathBuf;
use doze_contract::{Plan, exit::Exit};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::super::Context;
use crate::{
    config::FILE_NAME,
    drivers::Drivers,
    failure::Failure,
    fsx, manager,
    processes::{self, Process},
    supply::Reach,
    toolchain::Toolchains,
    tree::Area,
};

/// How long the last process may take to go.
const SETTLED: Duration = Duration::from_secs(5);

/// Between two looks at the process table.
const LOOK: Duration = Duration::from_millis(5);

/// A project that is up.
pub(super) struct Stage {
    context: Context,
    name: String,
    listener: Option<Child>,
    folder: TempDir,
}

impl Stage {
    /// Writes a project with one instance of every engine of this machine, and brings it up.
    pub(super) fn build(context: &Context) -> Result<Self, Failure> {
        let folder = tempfile::Builder::new()
            .prefix("doze-demo-")
            .tempdir()
            .map_err(Failure::io("make a temporary folder"))?;
        let path = Utf8PathBuf::from_path_buf(folder.path().to_owned())
            .map_err(|path| Failure::plain(format!("{} is not UTF-8", path.display())))?;
        let name = path.file_name().unwrap_or("doze-demo").to_owned();
        let text = doze_toml(context, &name)?;
        let file = path.join(FILE_NAME);
        fsx::replace(&file, &text, 0o600).map_err(Failure::io(format!("write {file}")))?;
        let dirs = context.dirs.with_home(path.join("home"));
        let mut stage = Self {
            context: Context {
                inputs: crate::config::Inputs::default(),
                umask: context.umask,
                dirs,
                config: Some(file),
            },
            name,
            listener: None,
            folder,
        };
        stage.up()?;
        Ok(stage)
    }

    fn up(&mut self) -> Result<(), Failure> {
        if manager::connect(&self.context.dirs)?.is_some() {
            return self.doze(&["up"]);
        }
        let mut child = self
            .command(&["up", "--foreground"])?
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(Failure::io("start the listener"))?;
        let output = child.stdout.take();
        self.listener = Some(child);
        // It speaks when all sockets are bound.
        let spoke = output.is_some_and(|output| {
            BufReader::new(output)
                .lines()
                .map_while(Result::ok)
                .any(|line| line.contains("Ctrl-C"))
        });
        if spoke {
            Ok(())
        } else {
            Err(Failure::plain("the listener did not come up"))
        }
    }

    pub(super) fn folder(&self) -> String {
        self.folder.path().display().to_string()
    }

    /// Who holds the sockets.
    pub(super) fn holder(&self) -> String {
        let manager = self.context.dirs.init.manager();
        match self.listener {
            Some(_) => format!("a listener in the foreground (there is no {manager} here)"),
            None => format!("the {manager}"),
        }
    }

    pub(super) fn plans(&self) -> Result<Vec<Plan>, Failure> {
        Ok(self.context.compile(Reach::Registries)?.plans)
    }

    /// How many processes of doze and of engines the project has now, the listener not counted.
    pub(super) fn processes(&self) -> usize {
        let processes = processes::all();
        let listener = self.listener.as_ref().map(Child::id);
        let mut ours: Vec<u32> = processes
            .iter()
            .filter(|process| process.command.contains(&self.name) && Some(process.pid) != listener)
            .map(|process| process.pid)
            .collect();
        loop {
            let new =
                |process: &&Process| ours.contains(&process.parent) && !ours.contains(&process.pid);
            let children: Vec<_> = processes
                .iter()
                .filter(new)
                .map(|process| process.pid)
                .collect();
            if children.is_empty() {
                return ours.len();
            }
            ours.extend(children);
        }
    }

    /// Waits until no process is left, for the init system cleans up after the activator. Gives
    /// up after a few seconds: the number that is shown next will tell.
    pub(super) fn settle(&self) {
        let give_up = Instant::now() + SETTLED;
        while self.processes() > 0 && Instant::now() < give_up {
            #[expect(
                clippy::disallowed_methods,
                reason = "the end of a process of somebody else's"
            )]
            std::thread::sleep(LOOK);
        }
    }

    /// Takes everything away and says what could not be.
    pub(super) fn strike(mut self) -> Result<(), Failure> {
        self.take_away()
    }

    fn take_away(&mut self) -> Result<(), Failure> {
        if let Some(mut listener) = self.listener.take() {
            let pid = i32::try_from(listener.id()).ok().and_then(Pid::from_raw);
            if pid.is_some_and(|pid| kill_process(pid, Signal::TERM).is_ok()) {
                listener.wait().map_err(Failure::io("stop the listener"))?;
            }
        } else if fs::metadata(self.folder.path()).is_ok() {
            self.doze(&["down"])?;
            let compiled = self.context.compile(Reach::Registries)?;
            for (area, unit) in compiled.tree.0.keys() {
                if *area == Area::Units {
                    let path = self.context.dirs.units.join(unit);
                    fsx::missing_is_none(fs::remove_file(&path))
                        .map_err(Failure::io(format!("remove {path}")))?;
                }
            }
            if let Some(manager) = manager::connect(&self.context.dirs)? {
                manager.reload()?;
            }
        }
        let sockets = self.context.dirs.runtime.join(&self.name);
        fsx::missing_is_none(fs::remove_dir_all(&sockets))
            .map_err(Failure::io(format!("remove {sockets}")))?;
        fsx::missing_is_none(fs::remove_dir_all(self.folder.path()))
            .map_err(Failure::io("remove the temporary folder"))?;
        Ok(())
    }

    fn doze(&self, arguments: &[&str]) -> Result<(), Failure> {
        let output = self
            .command(arguments)?
            .output()
            .map_err(Failure::io(format!("run doze {}", arguments.join(" "))))?;
        if output.status.success() {
            return Ok(());
        }
        Err(Failure::plain(
            String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        ))
    }

    fn command(&self, arguments: &[&str]) -> Result<Command, Failure> {
        let program = env::current_exe().map_err(Failure::io("find the doze program"))?;
        let mut command = Command::new(program);
        command
            .args(
                self.context
                    .config
                    .as_ref()
                    .map(|file| format!("--config={file}")),
            )
            .args(arguments)
            .env("DOZE_HOME", &self.context.dirs.home)
            .stdin(Stdio::null());
        Ok(command)
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        // After `strike` there is nothing left to do; on the way out of an error, best effort.
        drop(self.take_away());
    }
}

fn doze_toml(context: &Context, name: &str) -> Result<String, Failure> {
    let drivers = Drivers::find(&context.dirs.programs).map_err(Failure::io("look for drivers"))?;
    let toolchains = Toolchains::default();
    let mut text = vec![format!(
        "name = \"{name}\"\n[defaults]\nidle_timeout = \"1s\"\n"
    )];
    // The ports stay bound until all are known, so that they differ.
    let mut bound = Vec::new();
    let mut packages = Vec::new();
    for engine in drivers.engines() {
        let Some(description) = drivers.describe(engine)? else {
            continue;
        };
        if !description.toolchain.packages.is_empty() {
            packages.push(description.toolchain.packages.join(" or "));
        }
        let found = toolchains.of(engine, &description.toolchain);
        let Some(newest) = found.first() else {
            continue;
        };
        let listener = TcpListener::bind("127.0.0.1:0").map_err(Failure::io("find a free port"))?;
        let port = listener
            .local_addr()
            .map_err(Failure::io("find a free port"))?
            .port();
        bound.push(listener);
        let version = &newest.version;
        let name = &description.example;
        text.push(format!(
            "[{engine}.{name}]\nversion = \"{version}\"\nport = {port}\n"
        ));
    }
    if bound.is_empty() {
        return Err(Failure::Plain {
            message: "there is no engine on this machine".into(),
            hint: Some(format!("install one (Debian: {})", packages.join(", "))),
            exit: Exit::Failed,
        });
    }
    Ok(text.concat())
}
