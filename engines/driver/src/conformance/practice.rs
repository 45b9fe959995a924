//! What only somebody who knows an engine can tell: how its clients store something and ask for it,
//! and what a change by hand is. It must not know any engine.

use std::{
    io::Read,
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use camino::Utf8PathBuf;
use doze_contract::Plan;

use super::{report::Flaw, until};

/// How long a client may take, the slowest machine included.
const BOUND: Duration = Duration::from_mins(1);

/// The interpreter that the packages of Debian are for.
const PYTHON: &str = "/usr/bin/python3";

/// How to use an engine.
#[derive(Debug, Clone, Default)]
pub struct Practice {
    /// Clients that have nothing in common with each other, or why one is not here. It takes two of
    /// them to show what a URL is worth.
    pub clients: Vec<Result<Client, String>>,
    /// What changes by hand something that the block declares.
    pub drift: Option<fn(&Plan) -> Command>,
}

/// A program that somebody else wrote, which goes by the connection of a plan.
#[derive(Debug, Clone)]
pub struct Client {
    /// What messages call it.
    pub name: &'static str,
    /// Stores a text in place of the last one, or prints the one that is stored.
    pub ask: fn(&Plan, Option<&str>) -> Command,
}

impl Client {
    /// A client that is written in Python with this module, if that is here.
    ///
    /// # Errors
    /// If it is not: what is missing.
    pub fn in_python(
        module: &'static str,
        ask: fn(&Plan, Option<&str>) -> Command,
    ) -> Result<Self, String> {
        let mut import = Command::new(PYTHON);
        import.args(["-c", &format!("import {module}")]);
        let client = Self { name: module, ask };
        match run(&mut import) {
            Ok(_) => Ok(client),
            Err(_) => Err(format!(
                "no {module} for {PYTHON}; install `python3-{module}`"
            )),
        }
    }
}

/// A script in Python, with the URL of the plan and what is to be stored for its arguments.
pub fn python(script: &str, plan: &Plan, store: Option<&str>) -> Command {
    let mut command = Command::new(PYTHON);
    let url = plan.body.connection.url.as_deref().unwrap_or_default();
    command.args(["-c", script, url]).args(store).env_clear();
    command
}

/// The client program of a plan with its arguments and its environment, and nothing else in that:
/// the one beside the engine, or the one that everybody can run.
pub fn shell(plan: &Plan) -> Option<Command> {
    let client = plan.body.connection.client.as_ref()?;
    let members = plan.body.members.iter();
    let beside = members
        .flat_map(|member| &member.argv)
        .map(Utf8PathBuf::from);
    let mut folders: Vec<_> = beside
        .filter(|word| word.is_absolute())
        .filter_map(|word| word.parent().map(ToOwned::to_owned))
        .collect();
    folders.extend(["/usr/local/bin", "/usr/bin", "/bin"].map(Utf8PathBuf::from));
    let all = || {
        folders
            .iter()
            .flat_map(|it| client.programs.iter().map(|name| it.join(name)))
    };
    let mut command = Command::new(all().find(|program| program.is_file())?);
    command.env_clear().args(&client.args).envs(&client.env);
    Some(command)
}

/// Runs a command to its end, with nothing to read, and gives what it printed.
pub(super) fn run(command: &mut Command) -> Result<String, Flaw> {
    let program = command.get_program().to_string_lossy().into_owned();
    let program = Path::new(&program)
        .file_name()
        .unwrap_or_default()
        .display()
        .to_string();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let printed = reader(child.stdout.take());
    let said = reader(child.stderr.take());
    let status = until(BOUND, || match child.try_wait() {
        Ok(Some(status)) => Ok(status),
        Ok(None) => Err(format!("{program} still runs")),
        Err(error) => Err(error.to_string()),
    });
    if status.is_err() {
        end(&mut child);
    }
    let read = |thread: thread::JoinHandle<String>| thread.join().unwrap_or_default();
    let (printed, said) = (read(printed), read(said));
    match status {
        Ok(status) if status.success() => Ok(printed),
        Ok(status) => Err(Flaw::Broken(format!(
            "{program}: {status}: {said}{printed}"
        ))),
        Err(why) => Err(Flaw::Broken(format!("{why}: {said}{printed}"))),
    }
}

fn reader(pipe: Option<impl Read + Send + 'static>) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut text = Vec::new();
        // What was read until then is told.
        drop(pipe.map(|mut pipe| pipe.read_to_end(&mut text)));
        String::from_utf8_lossy(&text).into_owned()
    })
}

fn end(child: &mut Child) {
    // Both fail only when it is gone already.
    let _killed = child.kill();
    let _reaped = child.wait();
}
