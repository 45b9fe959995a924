//! `doze hold NAMES… -- CMD`.
//!
//! A hold is an open connection, so nothing has to be counted or undone: whatever ends this process
//! ends its holds.

use std::{
    process::ExitCode,
    thread,
    time::{Duration, Instant},
};

use camino::Utf8Path;
use doze_contract::{InstanceName, ProjectName};

use super::{Context, instance, run::with_variables, wake};
use crate::{
    awake::{self, Hold, Wake},
    failure::Failure,
    output::complain,
};

/// How long to wait before an instance that went away is woken again: at first, and at most when
/// that fails, or does not last, again and again.
const SHORTEST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

pub(super) fn run(
    context: &Context,
    names: &[String],
    command: &[String],
) -> Result<ExitCode, Failure> {
    let project = context.project()?;
    let instances = names.iter().map(|name| instance(&project, name));
    let instances = instances.collect::<Result<Vec<_>, _>>()?;
    let held: Vec<_> = instances.iter().map(|instance| &instance.name).collect();
    wake::rearm_processes(context, &project.name, &held)?;
    // All are called before any is waited for, so that they boot at the same time.
    let called = instances.into_iter().map(|instance| {
        let name = instance.name.clone();
        let paths = context.dirs.instance(&project.name, &name);
        let socket = paths.wake_socket;
        let call = wake::call(name.as_str(), &socket)?;
        Ok((name, socket, call))
    });
    for (name, socket, call) in called.collect::<Result<Vec<_>, Failure>>()? {
        let hold = wake::ready(name.as_str(), call)?;
        let failed = Failure::io(format!("hold `{name}`"));
        let (context, project) = (context.clone(), project.name.clone());
        let call = move |instance: &InstanceName| again(&context, &project, instance, &socket);
        thread::Builder::new()
            .spawn(move || keep(&name, call, hold))
            .map_err(failed)?;
    }
    with_variables(context, &project, command)
}

/// Wakes the instance again whenever it went away, for as long as the process lives.
fn keep(name: &InstanceName, call: impl Fn(&InstanceName) -> Option<Hold>, mut hold: Hold) {
    let mut pause = SHORTEST_PAUSE;
    loop {
        let held = Instant::now();
        hold.lost();
        if held.elapsed() > LONGEST_PAUSE {
            pause = SHORTEST_PAUSE;
        }
        complain(format_args!("doze: `{name}` went away; waking it again\n"));
        hold = loop {
            back_off(pause);
            pause = LONGEST_PAUSE.min(pause * 2);
            // It will boot or be up again one day, or the command will have ended.
            if let Some(hold) = call(name) {
                break hold;
            }
        };
    }
}

/// Wakes it once more. Where nobody listens the init system may have given it up, as it does with
/// what starts with its project and fails again and again.
fn again(
    context: &Context,
    project: &ProjectName,
    instance: &InstanceName,
    socket: &Utf8Path,
) -> Option<Hold> {
    let mut call = awake::call(socket).ok()?;
    if call.is_none() {
        wake::rearm_processes(context, project, &[instance]).ok()?;
        call = awake::call(socket).ok()?;
    }
    match call?.answer() {
        Ok(Wake::Ready(hold)) => Some(hold),
        _ => None,
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "nothing but time is waited for between two tries"
)]
fn back_off(pause: Duration) {
    thread::sleep(pause);
}
