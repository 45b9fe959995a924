//! `doze status`: every instance of the project, without waking any.
//!
//! What is installed comes from the plans, what runs from the init system and from the
//! activators' status sockets. No driver is started.

use std::{collections::BTreeMap, fs, io};

use doze_contract::{Endpoint, InstanceName, Plan, ProjectName, duration};
use doze_units::{Limits, Prefix, manager::UnitState};
use serde::Serialize;

use super::Context;
use crate::{
    awake,
    compile::plan_name,
    config::{File, block::Block},
    failure::Failure,
    foreground, fsx, limits,
    output::{Paint, print, table},
    registered,
    systemd::Systemd,
};

/// The whole answer; its JSON form is `doze status --json`.
#[derive(Debug, Serialize)]
struct Report {
    project: ProjectName,
    /// Who holds the sockets.
    held_by: HeldBy,
    instances: Vec<Row>,
    /// Data directories that no declared instance owns.
    orphaned: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum HeldBy {
    Systemd,
    Foreground,
    Nobody,
}

#[derive(Debug, Serialize)]
struct Row {
    name: String,
    engine: String,
    state: &'static str,
    endpoints: Vec<Endpoint>,
    connections: usize,
    holds: usize,
    engine_pid: Option<u32>,
    boot_ms: Option<u64>,
    sleeps_in_ms: Option<u64>,
    /// What its service is limited to, by the names of doze.toml.
    limits: BTreeMap<&'static str, limits::Row>,
    error: Option<String>,
}

pub(super) fn run(context: &Context, json: bool) -> Result<(), Failure> {
    let report = report(context, &context.file()?)?;
    let text = if json {
        serde_json::to_string_pretty(&report).unwrap_or_default() + "\n"
    } else {
        show(&report)
    };
    print(format_args!("{text}")).map_err(Failure::io("print the status"))
}

fn report(context: &Context, file: &File) -> Result<Report, Failure> {
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
    let mut instances = Vec::new();
    for block in &file.blocks {
        let plan = plan(context, &project, &block.name)?;
        let held = held_by == HeldBy::Foreground || is_held(block);
        let mut row = row(context, &project, block, plan, held, &states)?;
        let service = prefix.service(&block.name);
        if let Some(systemd) = &systemd {
            row.limits = limits_of(context, &service, systemd, states.get(&service))?;
        }
        instances.push(row);
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
pub(super) fn plan(
    context: &Context,
    project: &ProjectName,
    instance: &InstanceName,
) -> Result<Option<Plan>, Failure> {
    let path = context.dirs.plans(project).join(plan_name(instance));
    let text = fsx::read(&path).map_err(Failure::io(format!("read {path}")))?;
    Ok(text.and_then(|text| serde_json::from_str(&text).ok()))
}

fn row(
    context: &Context,
    project: &ProjectName,
    block: &Block,
    plan: Option<Plan>,
    held: bool,
    states: &BTreeMap<String, UnitState>,
) -> Result<Row, Failure> {
    let paths = context.dirs.instance(project, &block.name);
    let status = awake::status(&paths.status_socket)
        .map_err(Failure::io(format!("ask `{}` for its status", block.name)))?;
    let prefix = Prefix::of(project);
    let failed = |unit: String| states.get(&unit).is_some_and(UnitState::is_failed);
    let state = match &status {
        Some(status) => status.phase.word(),
        None if !block.enabled => "disabled",
        None if plan.is_none() => "not up",
        None if failed(prefix.socket(&block.name)) => "socket failed",
        None if !held => "not up",
        None if failed(prefix.service(&block.name)) => "asleep, failed",
        None => "asleep",
    };
    Ok(Row {
        name: block.name.to_string(),
        engine: block.engine.to_string(),
        state,
        endpoints: plan.map(|plan| plan.endpoints).unwrap_or_default(),
        connections: status.as_ref().map_or(0, |status| status.connections),
        holds: status.as_ref().map_or(0, |status| status.holds),
        engine_pid: status.as_ref().and_then(|status| status.engine_pid),
        boot_ms: status.as_ref().and_then(|status| status.boot_ms),
        sleeps_in_ms: status.as_ref().and_then(|status| status.sleeps_in_ms),
        limits: BTreeMap::new(),
        error: status.and_then(|status| status.error),
    })
}

/// The limits in the installed service, as the kernel has them for one that runs, and as the manager
/// could set them for one that does not.
fn limits_of(
    context: &Context,
    service: &str,
    systemd: &Systemd,
    state: Option<&UnitState>,
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
    let there = match running {
        Some(there) => there,
        None => systemd.controllers()?,
    };
    Ok(limits::rows(&limits, &there))
}

/// Data that stays when an instance is taken out of the file.
pub(super) fn orphaned(context: &Context, file: &File) -> Result<Vec<String>, Failure> {
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

fn show(report: &Report) -> String {
    let paint = Paint::stdout();
    let head = [
        "NAME",
        "ENGINE",
        "STATE",
        "CLIENTS",
        "SLEEPS IN",
        "ENDPOINT",
    ];
    let mut rows = vec![head.map(String::from).to_vec()];
    rows.extend(report.instances.iter().map(cells));
    let mut lines = table(&rows, paint, colour);
    if report.held_by == HeldBy::Foreground {
        lines.push(format!(
            "{} is up in the foreground of another terminal",
            report.project
        ));
    }
    for row in &report.instances {
        if let Some(error) = &row.error {
            lines.push(format!("{}: {error}", paint.red(&row.name)));
        }
    }
    let orphan = paint.yellow("orphaned:");
    lines.extend(
        report
            .orphaned
            .iter()
            .map(|at| format!("{orphan} no instance owns {at}; it stays until you remove it")),
    );
    lines.join("\n") + "\n"
}

fn colour(cell: &str) -> Option<&'static str> {
    match cell {
        "serving" | "idling" => Some("32"),
        "booting" | "draining" => Some("33"),
        "failed" | "socket failed" | "asleep, failed" => Some("31"),
        "asleep" => Some("36"),
        _ => None,
    }
}

fn cells(row: &Row) -> Vec<String> {
    let endpoints: Vec<_> = row.endpoints.iter().map(ToString::to_string).collect();
    let sleeps_in = row
        .sleeps_in_ms
        .map(std::time::Duration::from_millis)
        .map(duration::show);
    vec![
        row.name.clone(),
        row.engine.clone(),
        row.state.to_owned(),
        row.connections.to_string(),
        sleeps_in.unwrap_or_else(|| "-".into()),
        endpoints.join(", "),
    ]
}
