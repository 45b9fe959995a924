//! `doze apply`: what `doze plan` shows, once somebody agrees. Nothing else is done than was shown.

use doze_contract::InstanceName;

use super::{
    Context, confirm,
    observed::{Holder, Observed},
    plan, removal, structure, up,
};
use crate::{
    changes::Changes,
    failure::Failure,
    output::print_lines,
    supply::{Reach, Supply},
};

pub(super) fn run(context: &Context, yes: bool, prune: bool) -> Result<(), Failure> {
    let (compiled, mut supply) = context.draft(Reach::Registries)?;
    let project = &compiled.project;
    up::refuse_taken_name(context, &project.name, &project.source)?;
    let holder = Holder::find(context, &project.name)?;
    let look = |supply: &mut Supply| {
        let observed = Observed::read(context, &compiled, holder.manager())?.sparing(&compiled);
        let changes = plan::propose(context, &compiled, supply, &observed, prune)?;
        Ok::<_, Failure>((observed, changes))
    };

    let mut agreed = None;
    if !yes && confirm::can_ask() {
        let (_, changes) = look(&mut supply)?;
        plan::show(&changes)?;
        if changes.is_empty() {
            return Ok(());
        }
        confirm::ask("apply this?")?;
        agreed = Some(changes);
    }
    // Others wait from here on, and what they did before has been seen.
    let lock = up::lock(context, &project.name)?;
    let (observed, changes) = look(&mut supply)?;
    match agreed {
        Some(shown) if shown.covers(&changes) => {}
        Some(_) => {
            return Err(Failure::plain(
                "what has to change is no longer what was shown; run `doze apply` again",
            ));
        }
        None => {
            plan::show(&changes)?;
            let harm = changes.harm();
            if !yes && !harm.is_empty() {
                return Err(confirm::unasked(&command(prune), &harm));
            }
        }
    }
    if prune {
        removal::sweep(context, &project.name)?;
    }
    if changes.is_empty() {
        return Ok(());
    }
    supply.write()?;
    match &holder {
        Holder::Manager(manager) => {
            up::carry_out(context, &compiled, &[], &observed, manager.as_ref(), false)?;
            remove_pruned(context, &changes)?;
            structure::converge(&compiled, &changes.structure)
        }
        Holder::Listener if !observed.steps.is_empty() => {
            Err(up::in_another_terminal(&project.name))
        }
        Holder::Listener => {
            remove_pruned(context, &changes)?;
            structure::converge(&compiled, &changes.structure)
        }
        Holder::Nobody => {
            remove_pruned(context, &changes)?;
            drop(lock);
            up::in_foreground(context, compiled, &[], true, false)
        }
    }
}

fn command(prune: bool) -> String {
    let prune = if prune { " --prune" } else { "" };
    format!("apply{prune}")
}

/// Removes the data that was shown as to be removed. What somebody has open stays, and is told.
fn remove_pruned(context: &Context, changes: &Changes) -> Result<(), Failure> {
    for data in changes.removed() {
        let name = data.path.file_name().unwrap_or_default();
        let name = InstanceName::new(name).map_err(|error| {
            let path = &data.path;
            Failure::plain(format!("{path} is none of an instance: its name {error}"))
        })?;
        removal::data(&context.dirs.instance(&changes.project, &name))?;
        print_lines(&[format!("removed {}", data.path)]).map_err(Failure::io("print"))?;
    }
    Ok(())
}
