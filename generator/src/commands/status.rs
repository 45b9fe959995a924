//! `doze status`: every instance of the project, without waking any.
//!
//! What is installed comes from the plans, what runs from the init system and from the
//! activators' status sockets. No driver is started.

mod gather;
mod graph;
mod picture;
mod show;
mod watch;

use doze_contract::ProjectName;
use serde::Serialize;

pub(super) use self::gather::{orphaned, plan};
use super::Context;
use crate::{
    failure::Failure,
    look::{Group, HeldBy, Row},
    output::{Paint, columns, print_json, print_lines},
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
