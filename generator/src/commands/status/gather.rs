//! The report: one look at the instances, and what else belongs to it.

use std::{collections::BTreeMap, fs, io};

use doze_contract::{InstanceName, Plan, ProjectName};
use doze_units::{Controller, Limits};

use super::{Context, Report};
use crate::{
    config::File,
    failure::Failure,
    foreground, fsx, limits,
    look::{installed, look},
    manager::{self, Manager},
    names::Names,
    registered,
};

/// Looks at everything. The limits are asked for only if they are wanted; `before` is the last
/// look, if there was one.
pub(super) fn report(
    context: &Context,
    file: &File,
    with_limits: bool,
    before: Option<&Report>,
) -> Result<Report, Failure> {
    let project = file.name.clone();
    let listens = foreground::is_running(&context.control(&project));
    let manager = if listens {
        None
    } else {
        manager::connect(&context.dirs)?
    };
    let found = manager
        .as_ref()
        .map(|manager| manager.units(&project))
        .transpose()?
        .unwrap_or_default();
    let before = before.map_or(&[][..], |report| &report.instances);
    let units = (!listens).then_some(&found);
    let (held_by, mut instances) = look(&context.dirs, file, units, before)?;
    if let (Some(manager), true) = (&manager, with_limits) {
        let mut there = None;
        let called = Names::of(context.dirs.init, &project);
        for row in &mut instances {
            let service = called.service_file(&row.name);
            row.limits = limits_of(context, &service, manager.as_ref(), &mut there)?;
        }
    }
    let orphaned = orphaned(context, file)?;
    Ok(Report {
        project,
        held_by,
        instances,
        orphaned,
    })
}

/// The whole plan that is installed, as [`installed`] reads it.
pub(in crate::commands) fn plan(
    context: &Context,
    project: &ProjectName,
    instance: &InstanceName,
) -> Result<Option<Plan>, Failure> {
    installed(&context.dirs, project, instance)
}

/// The limits in the installed service, as the kernel has them for one that runs, and as the manager
/// could set them for one that does not.
fn limits_of(
    context: &Context,
    service: &str,
    manager: &dyn Manager,
    managers: &mut Option<Vec<Controller>>,
) -> Result<BTreeMap<&'static str, limits::Row>, Failure> {
    // What the user's own folder has hides what is generated.
    let folders = [context.dirs.units.clone(), registered::units(&context.dirs)];
    let mut texts = folders.iter().map(|folder| {
        fsx::read(&folder.join(service)).map_err(Failure::io(format!("read {service}")))
    });
    let text = texts.find_map(Result::transpose).transpose()?;
    let limits = Limits::of_service(&text.unwrap_or_default());
    if limits == Limits::default() {
        return Ok(BTreeMap::new());
    }
    let there = match (manager.limited(service)?, managers) {
        (Some(there), _) => there,
        (None, Some(there)) => there.clone(),
        (None, unknown) => unknown.insert(manager.controllers()?).clone(),
    };
    Ok(limits::rows(&limits, &there))
}

/// Data that stays when an instance is taken out of the file.
pub(in crate::commands) fn orphaned(
    context: &Context,
    file: &File,
) -> Result<Vec<String>, Failure> {
    let folder = context.dirs.data(&file.name);
    let list = || -> io::Result<Vec<String>> {
        let Some(entries) = fsx::missing_is_none(fs::read_dir(&folder))? else {
            return Ok(Vec::new());
        };
        let names = entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
        let mut names = names.collect::<io::Result<Vec<_>>>()?;
        // A hidden folder is one that is still being made.
        names.retain(|name| !name.starts_with('.') && file.block(name).is_none());
        names.sort();
        Ok(names
            .into_iter()
            .map(|name| folder.join(name).into_string())
            .collect())
    };
    list().map_err(Failure::io(format!("read {folder}")))
}
