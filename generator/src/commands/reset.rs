//! `doze reset NAME`: an instance as on its first day. Its address stays held meanwhile.

use std::{
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

use doze_contract::{InstanceName, Plan, ProjectName, plan::Paths};
use doze_registry::lock::FileLock;
use indicatif::HumanBytes;
use serde_json::json;

use super::{Context, confirm, removal, status, up};
use crate::{
    awake,
    changes::crowd,
    data,
    failure::Failure,
    output::{complain, print_json, print_lines},
};

/// How long clients may win the race for the instance again and again.
const PATIENCE: Duration = Duration::from_mins(1);

/// How long an engine that was told to sleep may take before somebody else must have woken it.
const AGAIN: Duration = Duration::from_secs(1);

pub(super) fn run(context: &Context, name: &str, yes: bool, json: bool) -> Result<(), Failure> {
    let (project, instance) = context.instance(name)?;
    let source = context.file()?.path;
    up::refuse_taken_name(context, &project, &source)?;
    let paths = context.dirs.instance(&project, &instance);
    let size = data::size(&paths.data).map_err(Failure::io(format!("measure {}", paths.data)))?;
    for line in told(context, &project, &instance, &paths, size)? {
        complain(format_args!("{line}\n"));
    }
    if !yes && size > 0 {
        let harm = format!("remove {}", paths.data);
        if !confirm::can_ask() {
            return Err(confirm::unasked(&format!("reset {name}"), &[harm]));
        }
        confirm::ask(&format!("{harm}?"))?;
    }
    let _lock = up::lock(context, &project)?;
    removal::sweep(context, &project)?;
    let done = if size == 0 {
        "has no data"
    } else {
        let lock = asleep(name, &paths)?;
        removal::remove_locked(&paths, lock)?;
        "its data is gone; the next client has it made anew"
    };
    if json {
        let answer = json!({ "name": name, "removed_bytes": size });
        return print_json(&answer).map_err(Failure::io("print"));
    }
    print_lines(&[format!("{name}: {done}")]).map_err(Failure::io("print"))
}

/// What somebody has to know who is asked.
fn told(
    context: &Context,
    project: &ProjectName,
    instance: &InstanceName,
    paths: &Paths,
    size: u64,
) -> Result<Vec<String>, Failure> {
    if size == 0 {
        return Ok(Vec::new());
    }
    let mut lines = vec![format!(
        "{instance}: {} in {}",
        HumanBytes(size),
        paths.data
    )];
    if let Ok(Some(status)) = awake::status(&paths.status_socket) {
        let crowd = crowd(status.connections, status.holds);
        lines.push(format!("{instance}: is awake{crowd}"));
    }
    for plan in plans(context, project)? {
        if plan.holds.iter().any(|held| held.instance == *instance) {
            lines.push(format!(
                "{}: depends on {instance}, and stays up",
                plan.instance
            ));
        }
    }
    Ok(lines)
}

/// The plans that are installed and can be read.
fn plans(context: &Context, project: &ProjectName) -> Result<Vec<Plan>, Failure> {
    let blocks = context.file()?.blocks;
    let plans = blocks
        .iter()
        .map(|block| status::plan(context, project, &block.name));
    let plans: Result<Vec<_>, _> = plans.collect();
    Ok(plans?.into_iter().flatten().collect())
}

/// Puts the instance to sleep, and has its file lock before anybody can wake it again: whoever
/// tries waits for the lock.
fn asleep(name: &str, paths: &Paths) -> Result<FileLock, Failure> {
    let give_up = Instant::now() + PATIENCE;
    let (send, locked) = mpsc::channel();
    let path = paths.lock.clone();
    // In the queue for the lock before the engine lets go of it.
    thread::Builder::new()
        .spawn(move || send.send(FileLock::take(&path, PATIENCE, |_| ())).ok())
        .map_err(Failure::io(format!("wait for `{name}`")))?;
    loop {
        awake::sleep(&paths.status_socket).map_err(Failure::io(format!("stop `{name}`")))?;
        match locked.recv_timeout(AGAIN) {
            Ok(locked) => return Ok(locked?),
            Err(RecvTimeoutError::Timeout) if Instant::now() < give_up => {}
            Err(_) => return Err(removal::in_use(paths)),
        }
    }
}
