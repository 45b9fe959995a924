//! What was decided, done by the manager: whoever is disturbed is named first.

use std::collections::BTreeSet;

use doze_contract::{InstanceName, Plan, error::chain, exit::Exit};

use super::{Compiled, Context, Done, Observed, environment, line, write};
use crate::{
    changes::{InstanceChange, Reason, Restart},
    commands::register,
    compile::starts_with_project,
    dirs::Init,
    enabled,
    failure::Failure,
    limits,
    manager::{Manager, ManagerError},
    names::Names,
    output::{complain, print_json, print_lines},
    ports,
    tree::Area,
};

/// Brings what runs in line with what is declared. The caller holds the project's lock, since
/// before it looked.
pub(in crate::commands) fn carry_out(
    context: &Context,
    compiled: &Compiled,
    names: &[InstanceName],
    observed: &Observed,
    manager: &dyn Manager,
    json: bool,
) -> Result<(), Failure> {
    let project = &compiled.project.name;
    let called = Names::of(context.dirs.init, project);
    let Some(mut decision) = observed.decide(compiled, names) else {
        return reread(context, compiled, manager);
    };

    environment::keep(context, compiled)?;
    if observed.roots.generated && !observed.steps.is_empty() {
        register::try_out(context, compiled, manager)?;
    }
    // An address that cannot be had is known before anything is touched for it.
    let mut failed = refuse_impossible(&mut decision.instances, observed);
    let named = decision.restarts(&observed.awake);
    say(json, named.iter().map(Restart::line))?;

    // A unit has to be stopped while its file, its plan, and what they say are still there.
    let rebound = decision.instances.iter().flat_map(|change| &change.stop);
    let stop: Vec<_> = decision.stale.iter().chain(rebound).cloned().collect();
    manager.stop(&stop)?;
    for step in &observed.steps {
        write(compiled, &observed.roots, step)?;
    }
    compiled.remember(&context.dirs)?;
    reload(context, compiled, observed, manager)?;
    // Whoever connects to a socket that goes on listening from now on meets the new plan. Who came
    // a moment ago may have woken the old one.
    let units = manager.units(project)?;
    let running = |unit: &String| units.get(unit).is_some_and(|unit| unit.is_running());
    let outdated: Vec<_> = decision
        .instances
        .iter()
        .filter_map(|change| Some((&change.plan.instance, change.outdated.as_ref()?)))
        .filter(|(_, unit)| running(unit))
        .collect();
    let is_named = |name: &InstanceName| named.iter().any(|named| named.instance == *name);
    let unnamed = outdated.iter().map(|(name, _)| *name);
    let unnamed: Vec<_> = unnamed.filter(|name| !is_named(name)).collect();
    say(
        json,
        unnamed.iter().map(|name| Restart::of_settings(name).line()),
    )?;
    let outdated: Vec<String> = outdated.iter().map(|(_, unit)| (*unit).clone()).collect();
    manager.end(&outdated)?;

    let of = |change: &InstanceChange<'_>| {
        let socket = change.start.then(|| called.socket(&change.plan.instance));
        [socket, change.launch.clone()].into_iter().flatten()
    };
    let start: Vec<_> = decision.instances.iter().flat_map(of).collect();
    if let Some(target) = decision.target.filter(|_| failed.is_empty()) {
        manager.start_alone(&target)?;
    }
    // A process that does not start is told; the project is up without it.
    let (unready, unbound): (Vec<_>, Vec<_>) = begin(manager, &called, compiled, &start)?
        .into_iter()
        .partition(ManagerError::is_of_service);
    failed.extend(unbound.iter().map(ToString::to_string));
    if let Some(target) = decision.enable.filter(|_| failed.is_empty()) {
        enabled::enable(&context.dirs.units, &target).map_err(Failure::io("enable the target"))?;
    }
    if failed.is_empty() {
        observed
            .applied
            .record(&context.dirs.sockets(project))
            .map_err(Failure::io("record what was applied"))?;
    }

    let removed = observed.removed_units();
    let removed = removed.filter_map(|unit| called.stem(unit));
    let gone = |unit| format!("{unit} is no longer declared and is gone; its data stays");
    say(json, removed.map(gone))?;
    failed.extend(unready.iter().map(ToString::to_string));
    let started = decision.instances.iter();
    let started = started.filter(|change| change.start || change.launch.is_some());
    let runs = |plan: &Plan| {
        let service = called.service(&plan.instance);
        !starts_with_project(plan) || !unready.iter().any(|failure| failure.is_of(&service))
    };
    let started = started.map(|change| change.plan).filter(|plan| runs(plan));
    let started: Vec<_> = started.collect();
    let listens = match context.dirs.init {
        Init::Launchd => "launchd listens",
        Init::Systemd | Init::Foreground => "systemd listens",
    };
    say(json, started.iter().map(|plan| line(plan, listens, "runs")))?;
    if json {
        let named = named
            .iter()
            .filter(|restart| restart.reason != Reason::Removed);
        let named = named.map(|restart| &restart.instance);
        print_json(&Done {
            project,
            started: started.iter().map(|plan| &plan.instance).collect(),
            restarted: named.chain(unnamed).collect(),
            removed: observed.removed(),
        })
        .map_err(Failure::io("print"))?;
    }
    let touched = touched(&decision.instances);
    limits::tell(&compiled.project, &touched, Some(manager))?;
    complain_of(&failed, &unready, &called, compiled);
    if failed.is_empty() {
        Ok(())
    } else {
        Err(Failure::Told(Exit::Failed))
    }
}

/// Starts units, and says which processes are late.
fn begin(
    manager: &dyn Manager,
    called: &Names,
    compiled: &Compiled,
    units: &[String],
) -> Result<Vec<ManagerError>, Failure> {
    let failed = manager.start(units, &mut |services: &[String]| {
        let is_late = |plan: &&Plan| services.contains(&called.service(&plan.instance));
        if let Some(names) = names_of(compiled.plans.iter().filter(is_late)) {
            complain(format_args!("waiting until ready: {names}\n"));
        }
    })?;
    Ok(failed)
}

/// Tells what failed, and where a process that does not start says why.
fn complain_of(failed: &[String], unready: &[ManagerError], called: &Names, compiled: &Compiled) {
    for reason in failed {
        complain(format_args!("error: {reason}\n"));
    }
    let has_failed = |plan: &&Plan| {
        let service = called.service(&plan.instance);
        unready.iter().any(|failure| failure.is_of(&service))
    };
    if let Some(names) = names_of(compiled.plans.iter().filter(has_failed)) {
        complain(format_args!("help: doze logs {names}\n"));
    }
}

/// Has the manager read the new files, if there are any.
fn reload(
    context: &Context,
    compiled: &Compiled,
    observed: &Observed,
    manager: &dyn Manager,
) -> Result<(), Failure> {
    let generated = observed.roots.generated;
    let mut areas = observed.steps.iter().map(|step| step.place().0);
    let target = Names::of(context.dirs.init, &compiled.project.name).target();
    let target: Vec<_> = target.into_iter().collect();
    let reload = areas.any(|area| area == Area::Units || generated)
        || !target.iter().all(|target| observed.is_loaded(target))
        || !manager.unread(&target)?.is_empty();
    if reload {
        manager.reload()?;
    }
    if generated {
        register::settle(context, compiled, manager, reload)?;
    }
    Ok(())
}

/// Has the manager read the files again after a change of doze.toml that changed none of them: it
/// cannot know that, and warns of every unit that doze.toml is the source of.
fn reread(context: &Context, compiled: &Compiled, manager: &dyn Manager) -> Result<(), Failure> {
    let target = Names::of(context.dirs.init, &compiled.project.name).target();
    let target: Vec<_> = target.into_iter().collect();
    if !manager.unread(&target)?.is_empty() {
        manager.reload()?;
    }
    Ok(())
}

/// The instances that run by something new from now on.
fn touched<'a>(changes: &[InstanceChange<'a>]) -> BTreeSet<&'a InstanceName> {
    let touched = changes
        .iter()
        .filter(|change| change.start || change.launch.is_some() || change.outdated.is_some());
    touched.map(|change| &change.plan.instance).collect()
}

/// Takes out the changes whose addresses cannot be had, and returns why. Of a socket that is bound,
/// only the new addresses are in question.
fn refuse_impossible(changes: &mut Vec<InstanceChange<'_>>, observed: &Observed) -> Vec<String> {
    let mut failed = Vec::new();
    changes.retain(|change| {
        let held = observed
            .installed_plan(&change.plan.instance)
            .filter(|_| change.bound)
            .map(|plan| plan.addresses().cloned().collect::<Vec<_>>())
            .unwrap_or_default();
        let mut new = change
            .plan
            .addresses()
            .filter(|endpoint| !held.contains(endpoint));
        let check = |endpoint| ports::check(endpoint, change.plan.init_socket(endpoint));
        match new.try_for_each(check) {
            Err(error) if change.start || change.launch.is_some() => {
                failed.push(format!("{}: {}", change.plan.instance, chain(&error)));
                false
            }
            _ => true,
        }
    });
    failed
}

/// Tells people what happens; programs are told at the end.
fn say(json: bool, lines: impl Iterator<Item = String>) -> Result<(), Failure> {
    if json {
        return Ok(());
    }
    print_lines(&lines.collect::<Vec<_>>()).map_err(Failure::io("print"))
}

/// The names of instances, if there are any.
fn names_of<'a>(plans: impl Iterator<Item = &'a Plan>) -> Option<String> {
    let names: Vec<_> = plans.map(|plan| plan.instance.as_str()).collect();
    (!names.is_empty()).then(|| names.join(" "))
}
