//! `doze-generator NORMAL EARLY LATE`: doze as systemd.generator(7) has it, called by the user
//! manager whenever that starts or reloads.
//!
//! Without network, bus, or a file elsewhere than below NORMAL. Each project is compiled by a
//! process of its own, which writes nothing and can be ended: what it was or was not able to do is
//! no concern of the others. A failure is one line for the journal.

use std::{
    collections::BTreeSet,
    env,
    ffi::{OsStr, OsString},
    io,
    path::Path,
    process::{ExitCode, Stdio},
    time::Duration,
};

use camino::{Utf8Path, Utf8PathBuf};
use doze_contract::{ProjectName, error::chain, exit::Exit};
use rustix::{
    fs::Mode,
    process::{Pid, Signal, kill_process_group},
};
use serde::{Deserialize, Serialize};
use tokio::{
    io::AsyncReadExt,
    process::{Child, Command},
    time::{Instant, timeout_at},
};

use super::Context;
use crate::{
    config::{ConfigError, Inputs},
    dirs::Dirs,
    failure::Failure,
    fsx,
    output::{complain, harmless, print},
    registered::{self, Registration},
    supply::Reach,
    systemd,
    tree::{Area, File, Tree},
};

/// How long all projects together may take. The manager waits, and nobody's units work meanwhile.
const WITHIN: Duration = Duration::from_secs(5);

/// The argument, before the file of a registration, that makes this the process of one project.
const ONE: &str = "--project";

/// What the process of a project prints.
#[derive(Debug, Serialize, Deserialize)]
enum Outcome {
    Compiled(Compiled),
    Failed(String),
}

/// A project, as far as it is to be written.
#[derive(Debug, Serialize, Deserialize)]
struct Compiled {
    project: ProjectName,
    units: Vec<Output>,
    plans: Vec<Output>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Output {
    name: String,
    text: String,
    mode: u32,
}

/// Whether this process was called as a generator.
pub(super) fn is_called() -> bool {
    let program = env::args_os().next().unwrap_or_default();
    let name = Path::new(&program).file_name().and_then(OsStr::to_str);
    name.is_some_and(|name| name.ends_with("doze-generator"))
}

/// Does what a generator does. It never fails, for that would help nobody.
pub(super) fn run() -> ExitCode {
    // Plans may hold a secret; units get their own mode.
    rustix::process::umask(Mode::from_raw_mode(0o077));
    let arguments: Vec<OsString> = env::args_os().skip(1).collect();
    let done = match arguments.as_slice() {
        [one, file] if one == ONE => one_project(Path::new(file)),
        [normal, _early, _late] => all_projects(Path::new(normal)),
        _ => Err("it is called by the systemd user manager, with three folders".into()),
    };
    if let Err(error) = done {
        say(&error);
    }
    Exit::Done.into()
}

/// Compiles a project and prints the outcome.
fn one_project(file: &Path) -> Result<(), String> {
    let outcome = match compile(file) {
        Ok(compiled) => Outcome::Compiled(compiled),
        Err(failure) => Outcome::Failed(line(&failure)),
    };
    let text = serde_json::to_string(&outcome).map_err(|error| error.to_string())?;
    print(format_args!("{text}")).map_err(|error| error.to_string())
}

fn compile(file: &Path) -> Result<Compiled, Failure> {
    let path = Utf8Path::from_path(file).unwrap_or(Utf8Path::new(""));
    let registration = Registration::read(path).map_err(Failure::io(format!("read {path}")))?;
    let context = Context {
        inputs: Inputs::default(),
        umask: Mode::from_raw_mode(0o077),
        dirs: Dirs::from_environment()?,
        config: Some(registration.source),
    };
    let compiled = context.compile(Reach::Pinned)?;
    super::up::refuse_taken_name(&context, &compiled.project)?;
    let Tree(files) = compiled.tree;
    let (mut units, mut plans) = (Vec::new(), Vec::new());
    for ((area, name), File { text, mode }) in files {
        let output = Output { name, text, mode };
        match area {
            Area::Units => units.push(output),
            Area::Plans => plans.push(output),
            // It is not below NORMAL, so `doze up` writes it.
            Area::Project => {}
        }
    }
    Ok(Compiled {
        project: compiled.project.name,
        units,
        plans,
    })
}

/// A failure in one line. Of several problems in a file the first is enough to look there.
fn line(failure: &Failure) -> String {
    let whole = chain(failure);
    if let Failure::Config(ConfigError::Wrong { problems, .. }) = failure
        && let Some(first) = problems.first()
    {
        return format!("{whole}: {}", first.message);
    }
    whole
}

/// Compiles all projects at once, then writes what is there in time.
fn all_projects(normal: &Path) -> Result<(), String> {
    let normal = Utf8Path::from_path(normal).ok_or("the folder to write to is not UTF-8")?;
    let dirs = Dirs::from_environment().map_err(|error| chain(&error))?;
    let files = registered::all(&dirs).map_err(|error| format!("cannot list projects: {error}"))?;
    if files.is_empty() {
        return Ok(());
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("cannot start the event loop: {error}"))?;
    let outcomes = runtime.block_on(async {
        let deadline = Instant::now() + WITHIN;
        let tasks: Vec<_> = files
            .into_iter()
            .map(|file| (tokio::spawn(outcome(spawn(&file), deadline)), file))
            .collect();
        let mut outcomes = Vec::new();
        for (task, file) in tasks {
            let outcome = task.await.map_err(|error| error.to_string());
            outcomes.push((outcome.flatten(), file));
        }
        outcomes
    });
    let mut written = BTreeSet::new();
    for (outcome, file) in outcomes {
        let done = outcome.and_then(|compiled| {
            if !written.insert(compiled.project.clone()) {
                return Err(format!("another one is called {}, too", compiled.project));
            }
            write(normal, &compiled)
                .map_err(|error| format!("cannot write below {normal}: {error}"))
        });
        if let Err(error) = done {
            // Of a registration that cannot be read, its own name has to do.
            let source = Registration::read(&file).map_or(file, |registration| registration.source);
            say(&format!("{source}: {error}"));
        }
    }
    Ok(())
}

fn spawn(file: &Utf8Path) -> io::Result<Child> {
    let environment = Registration::read(file).map(|registration| registration.environment);
    let mut command = Command::new(env::current_exe()?);
    command
        .arg0("doze-generator")
        .args([ONE, file.as_str()])
        .envs(environment.unwrap_or_default())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        // What goes wrong is in the outcome.
        .stderr(Stdio::null())
        .process_group(0);
    command.spawn()
}

/// What a process says until the deadline; then it is ended, with all that it started.
async fn outcome(child: io::Result<Child>, deadline: Instant) -> Result<Compiled, String> {
    let mut child = child.map_err(|error| format!("cannot start a process: {error}"))?;
    let group = child
        .id()
        .and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
    let mut text = String::new();
    let stdout = child.stdout.take();
    let said = async {
        if let Some(mut stdout) = stdout {
            stdout.read_to_string(&mut text).await?;
        }
        child.wait().await
    };
    let Ok(status) = timeout_at(deadline, said).await else {
        if let Some(group) = group {
            // The process was not waited for yet, so the group is still its own.
            kill_process_group(group, Signal::KILL).unwrap_or_default();
        }
        child.wait().await.map_err(|error| error.to_string())?;
        return Err(format!(
            "not done within {} seconds, and left out; does one of its drivers hang?",
            WITHIN.as_secs()
        ));
    };
    let status = status.map_err(|error| format!("cannot wait for its process: {error}"))?;
    match serde_json::from_str(&text) {
        Ok(Outcome::Compiled(compiled)) => Ok(compiled),
        Ok(Outcome::Failed(reason)) => Err(reason),
        Err(_) => Err(format!("its process ended with {status}")),
    }
}

fn write(normal: &Utf8Path, compiled: &Compiled) -> io::Result<()> {
    let plans = registered::plans(normal, &compiled.project);
    let put = |folder: &Utf8PathBuf, output: &Output| {
        fsx::replace(&folder.join(&output.name), &output.text, output.mode)
    };
    // The plans come first, for a unit without its plan is of no use.
    for output in &compiled.plans {
        put(&plans, output)?;
    }
    for output in &compiled.units {
        put(&normal.to_owned(), output)?;
    }
    systemd::enable(normal, &compiled.project).map(drop)
}

/// One line, whatever is in it.
fn say(text: &str) {
    let line = harmless(text).replace('\n', " ");
    complain(format_args!("doze-generator: {line}\n"));
}
