//! `doze generate`: files, and nothing else.

use camino::Utf8Path;
use doze_contract::exit::Exit;

use super::{Compiled, Context};
use crate::{
    dirs::Init,
    failure::Failure,
    launchd,
    names::Names,
    output::print_lines,
    ports,
    supply::Reach,
    tree::{self, Area, Roots, Step},
};

pub(super) fn run(context: &Context, out: Option<&Utf8Path>, check: bool) -> Result<(), Failure> {
    let compiled = context.compile(if check {
        Reach::Pinned
    } else {
        Reach::Registries
    })?;
    let roots = match out {
        Some(folder) => Roots::below(&context.dirs.here.join(folder), context.dirs.init),
        None => context.roots(&compiled.project),
    };
    if out.is_none() && !check {
        super::register::refuse(context, &compiled)?;
    }
    if out.is_none() {
        let project = &compiled.project;
        super::up::refuse_taken_name(context, &project.name, &project.source)?;
    }
    for plan in &compiled.plans {
        let mut endpoints = plan.addresses();
        endpoints
            .try_for_each(|endpoint| ports::refuse_file(endpoint, plan.init_socket(endpoint)))?;
    }
    let installed = compiled.installed(&roots)?;
    let steps = tree::converge(&compiled.tree, &installed);
    if check {
        return report_drift(&roots, &steps);
    }
    for step in &steps {
        // A unit whose file is gone cannot be stopped any more, so `doze up`, which stops it
        // first, removes it. Below another folder nothing runs.
        if matches!(step, Step::Remove((Area::Units, _))) && out.is_none() {
            continue;
        }
        tree::apply(&compiled.tree, &roots, step).map_err(Failure::io(format!(
            "write below {}",
            roots.of(step.place().0)
        )))?;
    }
    if out.is_none() {
        compiled.remember(&context.dirs)?;
        if context.dirs.init == Init::Launchd {
            compiled.plans.iter().for_each(launchd::prepare);
        }
    }
    say(&compiled, &roots, &steps, out.is_some())
}

fn report_drift(roots: &Roots, steps: &[Step]) -> Result<(), Failure> {
    let line = |step: &Step| {
        let word = match step {
            Step::Add(_) => "missing",
            Step::Change(_) => "differs",
            Step::Remove(_) => "stale",
        };
        let (area, name) = step.place();
        format!("{word}  {}", roots.of(*area).join(name))
    };
    let lines: Vec<_> = steps.iter().map(line).collect();
    print_lines(&lines).map_err(Failure::io("print"))?;
    if steps.is_empty() {
        Ok(())
    } else {
        Err(Failure::Told(Exit::Drift))
    }
}

fn say(compiled: &Compiled, roots: &Roots, steps: &[Step], elsewhere: bool) -> Result<(), Failure> {
    let removed = |step: &&Step| matches!(step, Step::Remove((Area::Units, _))) && !elsewhere;
    let stale: Vec<_> = steps
        .iter()
        .filter(removed)
        .map(|step| step.place().1.as_str())
        .collect();
    let (written, all) = (steps.len() - stale.len(), compiled.tree.0.len());
    let mut lines = Vec::new();
    if written > 0 {
        lines.push(format!(
            "wrote {written} of {all} files; {} are in {}",
            match compiled.host.dirs.init {
                Init::Launchd => "the agents",
                Init::Systemd | Init::Foreground => "the units",
            },
            roots.units
        ));
    }
    if written > 0 && !elsewhere {
        let called = Names::of(compiled.host.dirs.init, &compiled.project.name);
        let target = called.target().map(|target| {
            format!(
                "start them with: systemctl --user daemon-reload && systemctl --user start '{target}'"
            )
        });
        let agents = called.pattern().map(|pattern| {
            format!(
                "launchd loads them at the next login, or now: for agent in '{}'/{pattern}; \
                 do launchctl bootstrap gui/$(id -u) \"$agent\"; done",
                roots.units
            )
        });
        lines.extend(target.or(agents));
    }
    if !stale.is_empty() {
        lines.push(format!(
            "no longer declared, removed by `doze up`: {}",
            stale.join(", ")
        ));
    }
    print_lines(&lines).map_err(Failure::io("print"))
}
