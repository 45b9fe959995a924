//! `doze destroy`: afterwards doze has nothing of the project any more.
//!
//! The order is that of a safe stop: first nobody can wake anything, then the data goes, at last
//! what tells whose it was. A second run finishes what a killed one has begun.

use std::{fs, io};

use camino::{Utf8Path, Utf8PathBuf};
use doze_contract::{InstanceName, ProjectName};
use doze_registry::lock::FileLock;
use indicatif::HumanBytes;
use serde_json::json;

use super::{Context, confirm, observed, register, removal, up};
use crate::{
    changes::crowd,
    config, data, enabled,
    failure::Failure,
    foreground, fsx, manager,
    names::Names,
    output::{complain, print_json, print_lines},
};

pub(super) fn run(context: &Context, yes: bool, json: bool) -> Result<(), Failure> {
    let source = config::find(context.config.as_deref(), &context.dirs.here)?;
    let project = context.project_name()?;
    up::refuse_taken_name(context, &project, &source)?;
    let harm = told(context, &project)?;
    if !yes && !harm.is_empty() {
        if !confirm::can_ask() {
            return Err(confirm::unasked("destroy", &harm));
        }
        confirm::ask(&format!("remove all that doze has of {project}?"))?;
    }
    let lock = up::lock(context, &project)?;
    up::refuse_taken_name(context, &project, &source)?;

    let control = context.control(&project);
    foreground::down(&control).map_err(Failure::io("stop the listener in the foreground"))?;
    units(context, &project, &source)?;
    remove_data(context, &project)?;
    let derived = source.with_file_name(".doze");
    for path in [context.dirs.sockets(&project), derived] {
        data::remove(&path).map_err(cannot_remove(&path))?;
    }
    home(context, &project, lock)?;
    if json {
        let answer = json!({ "project": project, "removed": harm.len() });
        return print_json(&answer).map_err(Failure::io("print"));
    }
    print_lines(&[format!("doze has nothing of {project} any more")]).map_err(Failure::io("print"))
}

/// Says what is there, for who is asked; what of it somebody may miss.
fn told(context: &Context, project: &ProjectName) -> Result<Vec<String>, Failure> {
    let mut harm = Vec::new();
    for (instance, status) in observed::awake(context, project)? {
        let crowd = crowd(status.connections, status.holds);
        complain(format_args!("{instance}: is awake{crowd}\n"));
        harm.push(format!("stop {instance}"));
    }
    for path in children(&context.dirs.data(project))? {
        let size = data::size(&path).map_err(Failure::io(format!("measure {path}")))?;
        complain(format_args!("{path}: {}\n", HumanBytes(size)));
        harm.push(format!("remove {path}"));
    }
    Ok(harm)
}

/// Stops and disables the units, and removes their files.
fn units(context: &Context, project: &ProjectName, source: &Utf8Path) -> Result<(), Failure> {
    let folder = &context.dirs.units;
    enabled::disable(&context.dirs, project).map_err(Failure::io("disable the project"))?;
    let manager = manager::connect(&context.dirs)?;
    if let Some(manager) = &manager {
        manager.down(project)?;
        // What was started by hand, without the target.
        let left = manager.units(project)?.into_iter();
        let left = left.filter_map(|(name, unit)| unit.is_running().then_some(name));
        manager.stop(&left.collect::<Vec<_>>())?;
    }
    let registered = register::take_back(context, project, source)?;
    let called = Names::of(context.dirs.init, project);
    let mut removed = Vec::new();
    for path in children(folder)? {
        let Some(name) = path.file_name().filter(|name| called.owns(name)) else {
            continue;
        };
        removed.push(name.to_owned());
        data::remove(&path).map_err(cannot_remove(&path))?;
    }
    match manager {
        Some(manager) if registered || !removed.is_empty() => {
            manager.reload()?;
            Ok(manager.forget(&removed)?)
        }
        _ => Ok(()),
    }
}

/// Removes the data, each directory under the lock of its instance.
fn remove_data(context: &Context, project: &ProjectName) -> Result<(), Failure> {
    for path in children(&context.dirs.data(project))? {
        match InstanceName::new(path.file_name().unwrap_or_default()) {
            Ok(instance) => removal::data(&context.dirs.instance(project, &instance))?,
            // One that was being made, or was going; or none of an instance.
            Err(_) => data::remove(&path).map_err(cannot_remove(&path))?,
        }
    }
    Ok(())
}

/// Removes the project's folder. Whose it was goes last but for the locks, which end with this
/// command; a lock that somebody has stays.
fn home(context: &Context, project: &ProjectName, lock: FileLock) -> Result<(), Failure> {
    let home = context.dirs.project(project);
    let (plans, locks) = (context.dirs.plans(project), home.join("locks"));
    let lock_file = home.join("lock");
    for path in children(&home)? {
        if ![&plans, &locks, &lock_file].contains(&&path) {
            data::remove(&path).map_err(cannot_remove(&path))?;
        }
    }
    for path in children(&locks)? {
        if let Some(lock) = FileLock::attempt(&path)? {
            lock.remove(&path).map_err(cannot_remove(&path))?;
        }
    }
    data::remove(&plans).map_err(cannot_remove(&plans))?;
    lock.remove(&lock_file).map_err(cannot_remove(&lock_file))?;
    for folder in [locks, home] {
        match fs::remove_dir(&folder) {
            // Somebody has a lock there.
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => {}
            other => fsx::missing_is_none(other)
                .map(drop)
                .map_err(cannot_remove(&folder))?,
        }
    }
    Ok(())
}

fn children(folder: &Utf8Path) -> Result<Vec<Utf8PathBuf>, Failure> {
    let list = || -> io::Result<Vec<_>> {
        let entries = fsx::missing_is_none(folder.read_dir_utf8())?;
        let paths = entries.into_iter().flatten();
        paths.map(|entry| Ok(entry?.into_path())).collect()
    };
    list().map_err(Failure::io(format!("read {folder}")))
}

fn cannot_remove(path: &Utf8Path) -> impl FnOnce(io::Error) -> Failure {
    Failure::io(format!("remove {path}"))
}
