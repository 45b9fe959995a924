//! What is known of every instance: files, one question to the manager, one to each activator.

use std::{
    collections::BTreeMap,
    fs::{self, File as Log},
    io::{self, Seek, SeekFrom},
};

use camino::Utf8Path;
use doze_contract::{InstanceName, Plan, ProjectName, plan::Start};
use doze_units::{Controller, Limits, Prefix, manager::UnitState};

use super::{Context, Group, HeldBy, Report, Row};
use crate::{
    awake,
    compile::plan_name,
    config::{File, block::Block},
    failure::Failure,
    foreground, fsx, limits, registered,
    systemd::Systemd,
    usage::{Meter, Usage},
};

/// How much of a log is read for the reason of a failure, from its end.
const LAST_WORDS: u64 = 8 * 1024;

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
    let systemd = if listens { None } else { Systemd::connect()? };
    let states = systemd
        .as_ref()
        .map(|systemd| systemd.states(&project))
        .transpose()?
        .unwrap_or_default();
    let prefix = Prefix::of(&project);
    let is_held = |block: &Block| {
        states
            .get(&prefix.socket(&block.name))
            .is_some_and(UnitState::is_active)
    };
    let held_by = match (listens, file.blocks.iter().any(is_held)) {
        (true, _) => HeldBy::Foreground,
        (false, true) => HeldBy::Systemd,
        (false, false) => HeldBy::Nobody,
    };
    let mut look = Look {
        context,
        project: &project,
        prefix: Prefix::of(&project),
        states: &states,
        meter: Meter::default(),
    };
    let mut instances = Vec::new();
    for block in &file.blocks {
        let held = held_by == HeldBy::Foreground || is_held(block);
        let before = before.and_then(|report| {
            let mut rows = report.instances.iter();
            rows.find(|row| row.name == block.name.as_str())?.usage
        });
        instances.push(look.row(block, held, before.as_ref())?);
    }
    if let (Some(systemd), true) = (&systemd, with_limits) {
        let mut there = None;
        for (row, block) in instances.iter_mut().zip(&file.blocks) {
            let service = prefix.service(&block.name);
            row.limits = limits_of(context, &service, systemd, states.get(&service), &mut there)?;
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

/// The plan that is installed. One that cannot be read is as good as none: `doze up` writes it.
pub(in crate::commands) fn plan(
    context: &Context,
    project: &ProjectName,
    instance: &InstanceName,
) -> Result<Option<Plan>, Failure> {
    let path = context.dirs.plans(project).join(plan_name(instance));
    let text = fsx::read(&path).map_err(Failure::io(format!("read {path}")))?;
    Ok(text.and_then(|text| serde_json::from_str(&text).ok()))
}

/// One look at a project.
struct Look<'a> {
    context: &'a Context,
    project: &'a ProjectName,
    prefix: Prefix,
    states: &'a BTreeMap<String, UnitState>,
    meter: Meter,
}

impl Look<'_> {
    fn row(&mut self, block: &Block, held: bool, before: Option<&Usage>) -> Result<Row, Failure> {
        let plan = plan(self.context, self.project, &block.name)?;
        let paths = self.context.dirs.instance(self.project, &block.name);
        let status = awake::status(&paths.status_socket)
            .map_err(Failure::io(format!("ask `{}` for its status", block.name)))?;
        let starts = plan.as_ref().map(|plan| &plan.body.start);
        let group = match starts {
            Some(Start::WithProject(_)) => Group::Process,
            Some(Start::OnDemand) | None => Group::Service,
        };
        let state = match &status {
            Some(status) => status.phase.word(),
            None if !block.enabled => "disabled",
            None if plan.is_none() => "not up",
            None => self.at_rest(&block.name, group, held),
        };
        let service = self.prefix.service(&block.name);
        let usage = status
            .as_ref()
            .and_then(|status| self.meter.usage(status.activator_pid, &service));
        let error = match &status {
            Some(status) => status.error.clone(),
            None if state.ends_with("failed") => last_words(&paths.log),
            None => None,
        };
        let holds = plan.iter().flat_map(|plan| &plan.holds);
        let depends_on = holds.map(|held| held.instance.to_string()).collect();
        let status = status.as_ref();
        Ok(Row {
            name: block.name.to_string(),
            engine: block.engine.to_string(),
            version: block.declared().map(ToString::to_string),
            group,
            state,
            depends_on,
            connections: status.map_or(0, |status| status.connections),
            holds: status.map_or(0, |status| status.holds),
            engine_pid: status.and_then(|status| status.engine_pid),
            boot_ms: status.and_then(|status| status.boot_ms),
            sleeps: plan.as_ref().is_none_or(|plan| plan.idle_timeout.is_some()),
            sleeps_in_ms: status.and_then(|status| status.sleeps_in_ms),
            memory_bytes: usage.map(|usage| usage.memory),
            cpu_percent: usage.map(|usage| usage.cpu_percent(before)),
            limits: BTreeMap::new(),
            error,
            usage,
            endpoints: plan.map(|plan| plan.endpoints).unwrap_or_default(),
        })
    }

    /// The state of one that does not run.
    fn at_rest(&self, instance: &InstanceName, group: Group, held: bool) -> &'static str {
        let service = self.states.get(&self.prefix.service(instance));
        let socket = self.states.get(&self.prefix.socket(instance));
        let failed = service.is_some_and(UnitState::is_failed);
        match group {
            _ if socket.is_some_and(UnitState::is_failed) => "socket failed",
            _ if !held => "not up",
            Group::Service if failed => "asleep, failed",
            Group::Service => "asleep",
            Group::Process if failed => "failed",
            // It is about to be started, again perhaps.
            Group::Process if service.is_some_and(UnitState::is_running) => "booting",
            Group::Process => "ended",
        }
    }
}

/// What an activator said last before it left.
fn last_words(log: &Utf8Path) -> Option<String> {
    let mut file = Log::open(log).ok()?;
    let size = file.metadata().ok()?.len();
    let from = size.saturating_sub(LAST_WORDS);
    file.seek(SeekFrom::Start(from)).ok()?;
    let mut end = Vec::new();
    io::copy(&mut file, &mut end).ok()?;
    let text = String::from_utf8_lossy(&end);
    // What follows the mark is the time.
    let own = |line: &str| Some(line.strip_prefix("doze: ")?.split_once(' ')?.1.to_owned());
    let mut own = text.lines().rev().filter_map(own);
    own.find(|line| !line.starts_with("leaving with ") && !line.starts_with("stopping "))
}

/// The limits in the installed service, as the kernel has them for one that runs, and as the manager
/// could set them for one that does not.
fn limits_of(
    context: &Context,
    service: &str,
    systemd: &Systemd,
    state: Option<&UnitState>,
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
    let running = match state {
        Some(state) => systemd.limited(state)?,
        None => None,
    };
    let there = match (running, managers) {
        (Some(there), _) => there,
        (None, Some(there)) => there.clone(),
        (None, unknown) => unknown.insert(systemd.controllers()?).clone(),
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
