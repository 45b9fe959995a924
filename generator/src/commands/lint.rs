//! `doze lint`: whether everything in the project is right, and what is unwise of it.

use doze_contract::ProjectName;
use serde::Serialize;

use super::Context;
use crate::{
    config::{File, Project},
    failure::Failure,
    output::{Paint, complain, print},
    supply::Reach,
};

/// What was read. Its JSON form is `doze lint --json`.
#[derive(Debug, Serialize)]
struct Report<'a> {
    project: &'a ProjectName,
    instances: usize,
    variables: usize,
    locals: usize,
    outputs: usize,
    warnings: Vec<Warning>,
}

/// Something that is right, and hardly meant.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Warning {
    file: String,
    /// Counted from 1.
    line: usize,
    message: String,
}

pub(super) fn run(context: &Context, json: bool) -> Result<(), Failure> {
    let file = context.file()?;
    let (variables, locals) = file.declared();
    let unused = unused(&file);
    let (compiled, _) = context.draft(Reach::Pinned)?;
    let project = &compiled.project;
    let mut warnings = unused;
    warnings.extend(sleepless(project));
    let report = Report {
        project: &project.name,
        instances: project.instances.len(),
        variables,
        locals,
        outputs: project.outputs.len(),
        warnings,
    };
    show(&report, json).map_err(Failure::io("print"))
}

fn show(report: &Report<'_>, json: bool) -> std::io::Result<()> {
    if json {
        let text = serde_json::to_string_pretty(report).unwrap_or_default();
        return print(format_args!("{text}\n"));
    }
    let paint = Paint::stderr();
    for warning in &report.warnings {
        let Warning {
            file,
            line,
            message,
        } = warning;
        let word = paint.yellow("warning");
        complain(format_args!("{word}: {file}:{line}: {message}\n"));
    }
    print(format_args!(
        "{}: {}, {}, {}, {}\n",
        report.project,
        count(report.instances, "instance"),
        count(report.variables, "variable"),
        count(report.locals, "local"),
        count(report.outputs, "output"),
    ))
}

fn count(number: usize, of: &str) -> String {
    match number {
        1 => format!("1 {of}"),
        _ => format!("{number} {of}s"),
    }
}

fn unused(file: &File) -> Vec<Warning> {
    let unused = file.unused().into_iter().filter_map(|unused| {
        let (start, source) = file.sources.at(unused.span.start)?;
        let before = source.text.get(..unused.span.start.checked_sub(start)?)?;
        Some(Warning {
            file: source.path.to_string(),
            line: before.matches('\n').count() + 1,
            message: format!("nobody refers to {}", unused.name),
        })
    });
    unused.collect()
}

/// A project of which nothing ever sleeps might as well do without doze.
fn sleepless(project: &Project) -> Option<Warning> {
    let mut all = project.instances.iter();
    let never = !project.instances.is_empty() && all.all(|it| it.idle_timeout.is_none());
    never.then(|| Warning {
        file: project.source.to_string(),
        line: 1,
        message: "every instance has `idle_timeout = \"never\"`: once awake, none sleeps".into(),
    })
}
