//! The process of one project: it compiles, prints what came of it, and can be ended at any time, for
//! it writes nothing.
//!
//! Owns both ends of it. Must not know where the files go.

use std::{collections::BTreeMap, env, io, path::Path, process::Stdio, time::Duration};

use camino::Utf8Path;
use doze_contract::{ProjectName, error::chain};
use rustix::{
    fs::Mode,
    process::{Pid, Signal, kill_process_group},
};
use serde::{Deserialize, Serialize};
use tokio::{
    io::AsyncReadExt,
    process::Command,
    time::{Instant, timeout_at},
};

use super::super::{Context, up};
use crate::{
    config::{ConfigError, Inputs},
    diagnostic::ordered,
    dirs::Dirs,
    failure::Failure,
    output::print,
    registered::Registration,
    supply::Reach,
    tree::{Area, File, Tree},
};

/// How long all projects together may take. The manager waits, and nobody's units work meanwhile.
pub(super) const WITHIN: Duration = Duration::from_secs(5);

/// The argument, before the file of a registration, that makes this the process of one project.
pub(super) const ONE: &str = "--project";

/// What the process prints.
#[derive(Debug, Serialize, Deserialize)]
enum Outcome {
    Compiled(Compiled),
    Failed(String),
}

/// A project, as far as a generator writes it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Compiled {
    pub(super) project: ProjectName,
    pub(super) files: Vec<(Area, String, File)>,
}

/// Compiles a project and prints the outcome.
pub(super) fn run(file: &Path) -> Result<(), String> {
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
        inputs: Inputs {
            profile: env::var("DOZE_PROFILE").ok(),
            ..Inputs::default()
        },
        umask: Mode::from_raw_mode(0o077),
        dirs: Dirs::from_environment()?,
        config: Some(registration.source),
    };
    let compiled = context.compile(Reach::Pinned)?;
    up::refuse_taken_name(&context, &compiled.project.name, &compiled.project.source)?;
    let Tree(files) = compiled.tree;
    // The rest stands in the project, and `doze up` writes it.
    let generated = |((area, name), file)| (area != Area::Project).then_some((area, name, file));
    Ok(Compiled {
        project: compiled.project.name,
        files: files.into_iter().filter_map(generated).collect(),
    })
}

/// A failure in one line. Of several problems in a file the first is enough to look there.
fn line(failure: &Failure) -> String {
    let whole = chain(failure);
    if let Failure::Config(ConfigError::Wrong { sources, problems }) = failure
        && let Some(first) = ordered(sources, problems).first()
    {
        return format!("{whole}: {}", first.message);
    }
    whole
}

/// The process of the project that this file registers, in the environment that it registers on top
/// of that of this process or, if `bare`, of no more than a manager gives its generators.
pub(super) fn command(file: &Utf8Path, bare: bool) -> io::Result<Command> {
    let mut command = Command::new(env::current_exe()?);
    if bare {
        let kept = ["HOME", "PATH", "XDG_RUNTIME_DIR"];
        let kept = kept.map(|name| (name, env::var_os(name)));
        let kept = kept
            .into_iter()
            .filter_map(|(name, value)| Some((name, value?)));
        command.env_clear().envs(kept);
    }
    command
        .arg0("doze-generator")
        .args([ONE, file.as_str()])
        .envs(environment(file))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        // What goes wrong is in the outcome.
        .stderr(Stdio::null())
        .process_group(0);
    Ok(command)
}

/// What a registration says of the environment. Of one that cannot be read, the process tells.
fn environment(file: &Utf8Path) -> BTreeMap<String, String> {
    let registration = Registration::read(file);
    registration
        .map(|registration| registration.environment)
        .unwrap_or_default()
}

/// What a process says until the deadline; then it is ended, with all that it started.
pub(super) async fn outcome(
    command: io::Result<Command>,
    deadline: Instant,
) -> Result<Compiled, String> {
    let child = command.and_then(|mut command| command.spawn());
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
