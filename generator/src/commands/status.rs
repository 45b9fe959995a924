//! `doze status`: every instance of the project, without waking any.
//!
//! What is installed comes from the plans, what runs from the init system and from the
//! activators' status sockets. No driver is started.

mod gather;
mod graph;
mod show;
mod watch;

use std::collections::BTreeMap;

use doze_contract::{Endpoint, ProjectName};
use serde::Serialize;

pub(super) use self::gather::{orphaned, plan};
use super::Context;
use crate::{
    failure::Failure,
    limits,
    output::{Paint, columns, print_json, print_lines},
    usage::Usage,
};

/// How to show it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum View {
    Table,
    Graph,
    Json,
    /// The table again and again, or the graph.
    Watch {
        graph: bool,
    },
}

impl View {
    pub(super) fn of(json: bool, graph: bool, watch: bool) -> Self {
        match (json, graph, watch) {
            (true, ..) => Self::Json,
            (_, graph, true) => Self::Watch { graph },
            (_, true, _) => Self::Graph,
            _ => Self::Table,
        }
    }
}

/// The whole answer; its JSON form is `doze status --json`, which
/// docs/reference/schemas/status.json describes.
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

/// What an instance is for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Group {
    /// Its first client starts it.
    Service,
    /// It starts with the project.
    Process,
}

#[derive(Debug, Serialize)]
struct Row {
    name: String,
    engine: String,
    /// As it was declared.
    version: Option<String>,
    group: Group,
    state: &'static str,
    endpoints: Vec<Endpoint>,
    depends_on: Vec<String>,
    connections: usize,
    holds: usize,
    engine_pid: Option<u32>,
    boot_ms: Option<u64>,
    /// Whether it ever sleeps by itself.
    sleeps: bool,
    sleeps_in_ms: Option<u64>,
    memory_bytes: Option<u64>,
    /// Of one processor, over the whole time that it is awake.
    cpu_percent: Option<f64>,
    /// What its service is limited to, by the names of doze.toml.
    limits: BTreeMap<&'static str, limits::Row>,
    error: Option<String>,
    #[serde(skip)]
    usage: Option<Usage>,
}

impl Row {
    fn is_awake(&self) -> bool {
        self.usage.is_some() || self.memory_bytes.is_some()
    }
}

pub(super) fn run(context: &Context, view: View) -> Result<(), Failure> {
    if let View::Watch { graph } = view {
        return watch::run(context, graph);
    }
    let report = gather::report(context, &context.file()?, view == View::Json, None)?;
    let printed = match view {
        View::Json => print_json(&report),
        View::Graph => print_lines(&graph::lines(&report, Paint::stdout())),
        View::Table | View::Watch { .. } => {
            print_lines(&show::lines(&report, columns(), Paint::stdout()))
        }
    };
    printed.map_err(Failure::io("print the status"))
}
