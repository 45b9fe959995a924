//! `doze-generator NORMAL EARLY LATE`: doze as systemd.generator(7) has it, called by the user
//! manager whenever that starts or reloads.
//!
//! Without network, bus, or a file elsewhere than below NORMAL. What one project is or is not able to
//! do is no concern of the others; a failure is one line for the journal.

mod one;

use std::{
    collections::BTreeSet,
    env,
    ffi::{OsStr, OsString},
    io,
    path::Path,
    process::ExitCode,
};

use camino::Utf8Path;
use doze_contract::{error::chain, exit::Exit};
use doze_units::Prefix;
use rustix::fs::Mode;
use tokio::{runtime::Runtime, time::Instant};

use self::one::Compiled;
use crate::{
    dirs::Dirs,
    enabled, fsx,
    output::{complain, harmless},
    registered::{self, Registration},
    tree::{Area, Tree},
};

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
        [one, file] if one == one::ONE => one::run(Path::new(file)),
        [normal, _early, _late] => all_projects(Path::new(normal)),
        _ => Err("it is called by the systemd user manager, with three folders".into()),
    };
    if let Err(error) = done {
        say(&error);
    }
    Exit::Done.into()
}

/// What the generator would make of a project, in an environment that has no more than its own.
pub(super) fn try_out(file: &Utf8Path) -> Result<Tree, String> {
    let compiled = event_loop()?.block_on(async {
        let deadline = Instant::now() + one::WITHIN;
        one::outcome(one::command(file, true), deadline).await
    })?;
    let files = compiled.files.into_iter();
    Ok(Tree(
        files
            .map(|(area, name, file)| ((area, name), file))
            .collect(),
    ))
}

/// Compiles all projects at once, then writes what is there in time.
fn all_projects(normal: &Path) -> Result<(), String> {
    let normal = Utf8Path::from_path(normal).ok_or("the folder to write to is not UTF-8")?;
    let dirs = Dirs::from_environment().map_err(|error| chain(&error))?;
    let files = registered::all(&dirs).map_err(|error| format!("cannot list projects: {error}"))?;
    if files.is_empty() {
        return Ok(());
    }
    let outcomes = event_loop()?.block_on(async {
        let deadline = Instant::now() + one::WITHIN;
        let start =
            |file: &Utf8Path| tokio::spawn(one::outcome(one::command(file, false), deadline));
        let tasks: Vec<_> = files.into_iter().map(|file| (start(&file), file)).collect();
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

fn event_loop() -> Result<Runtime, String> {
    let built = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    built.map_err(|error| format!("cannot start the event loop: {error}"))
}

fn write(normal: &Utf8Path, compiled: &Compiled) -> io::Result<()> {
    let plans = registered::plans(normal, &compiled.project);
    // The units come last, for one without its plan is of no use.
    for (area, name, file) in compiled.files.iter().rev() {
        let folder = match area {
            Area::Units => normal,
            Area::Plans | Area::Project => &plans,
        };
        fsx::replace(&folder.join(name), &file.text, file.mode)?;
    }
    enabled::enable(normal, &Prefix::of(&compiled.project).target()).map(drop)
}

/// One line, whatever is in it.
fn say(text: &str) {
    let line = harmless(text).replace('\n', " ");
    complain(format_args!("doze-generator: {line}\n"));
}
