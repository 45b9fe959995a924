//! `doze up`: from what is installed and running to what `doze.toml` says, by the fewest steps.

mod carry_out;
mod environment;

use camino::Utf8Path;
use doze_contract::{InstanceName, Plan, ProjectName, exit::Exit};
use serde::Serialize;
use serde_json::json;

pub(super) use self::carry_out::carry_out;
use super::{
    Compiled, Context,
    observed::{Holder, Observed},
};
use crate::{
    changes::Applied,
    compile::{plan_name, starts_with_project},
    dirs::{Init, SOURCE},
    failure::Failure,
    file_lock::{self, FileLock},
    foreground::Foreground,
    fsx, limits,
    manager::Manager,
    output::print_lines,
    registered,
    supply::Reach,
    tree::{self, Area, Roots, Step},
};

/// What was done, as `doze up --json` prints it.
#[derive(Debug, Serialize)]
struct Done<'a> {
    project: &'a ProjectName,
    started: Vec<&'a InstanceName>,
    restarted: Vec<&'a InstanceName>,
    removed: Vec<&'a str>,
}

pub(super) fn run(
    context: &Context,
    names: &[String],
    foreground: bool,
    json: bool,
) -> Result<(), Failure> {
    let compiled = context.compile(Reach::Registries)?;
    let names = &wanted(&compiled, names)?;
    let project = &compiled.project;
    refuse_taken_name(context, &project.name, &project.source)?;
    match Holder::find(context, &project.name)? {
        Holder::Listener => Err(in_another_terminal(&project.name)),
        Holder::Manager(manager) if !foreground => {
            under_manager(context, &compiled, names, manager.as_ref(), json)
        }
        Holder::Manager(_) => in_foreground(context, compiled, names, false, json),
        Holder::Nobody => in_foreground(context, compiled, names, !foreground, json),
    }
}

/// The listener of another terminal has to be stopped by whoever started it.
pub(super) fn in_another_terminal(project: &ProjectName) -> Failure {
    Failure::Plain {
        message: format!("{project} is up in the foreground of another terminal"),
        hint: Some("stop it there with Ctrl-C, or with `doze down`".into()),
        exit: Exit::Failed,
    }
}

/// The instances of these names with all that they depend on; none means all.
fn wanted(compiled: &Compiled, names: &[String]) -> Result<Vec<InstanceName>, Failure> {
    let plans = names.iter().map(|name| compiled.plan(name));
    let plans = plans.collect::<Result<Vec<_>, _>>()?;
    let names = plans.into_iter().map(|plan| &plan.instance);
    let all = compiled.project.with_dependencies(names);
    Ok(all.into_iter().cloned().collect())
}

/// Refuses a project whose name, and so whose units and data, belong to another `doze.toml` that
/// is still there.
pub(super) fn refuse_taken_name(
    context: &Context,
    project: &ProjectName,
    source: &Utf8Path,
) -> Result<(), Failure> {
    let owner = context.dirs.plans(project).join(SOURCE);
    let read = fsx::read(&owner).map_err(Failure::io(format!("read {owner}")))?;
    match read.as_deref().map(str::trim_end) {
        Some(other) if other != source && Utf8Path::new(other).is_file() => {
            Err(Failure::NameTaken {
                name: project.to_string(),
                other: other.to_owned(),
            })
        }
        _ => Ok(()),
    }
}

/// One command at a time works on a project.
pub(super) fn lock(context: &Context, project: &ProjectName) -> Result<FileLock, Failure> {
    Ok(file_lock::lock(
        &context.dirs.project(project).join("lock"),
    )?)
}

/// Forgets what was applied: nothing of it runs any more.
pub(super) fn forget_applied(context: &Context, project: &ProjectName) -> Result<(), Failure> {
    Applied::forget(&context.dirs.sockets(project)).map_err(Failure::io("forget what was applied"))
}

/// Brings the project up as long as this process lives.
pub(super) fn in_foreground(
    context: &Context,
    compiled: Compiled,
    names: &[InstanceName],
    no_manager: bool,
    json: bool,
) -> Result<(), Failure> {
    let project = compiled.project.name.clone();
    // The lock is for writing only: other commands go on working while the listener runs.
    let lock = lock(context, &project)?;
    // Whatever the manager is to do, this listener goes by plans of its own.
    registered::unlink_plans(&context.dirs, &project)
        .map_err(Failure::io("make room for plans"))?;
    let observed = Observed::read(context, &compiled, None)?;
    for step in &observed.steps {
        write(&compiled, &observed.roots, step)?;
    }
    compiled.remember(&context.dirs)?;
    drop(lock);
    let named = compiled.plans.iter().map(|plan| &plan.instance);
    let named = named.filter(|name| names.is_empty() || names.contains(name));
    limits::tell(&compiled.project, &named.collect(), None)?;
    let wanted = |plan: &Plan| names.is_empty() || names.contains(&plan.instance);
    let plans: Vec<_> = compiled.plans.into_iter().filter(wanted).collect();
    let mut lines = Vec::new();
    // Who chose this knows.
    if no_manager && context.dirs.init != Init::Foreground {
        lines.push(format!(
            "no {} here, so this process holds the sockets",
            context.dirs.init.manager()
        ));
    }
    for plan in &plans {
        lines.push(line(plan, "listening", "starts"));
    }
    lines.push("Ctrl-C stops everything".into());
    if json {
        let done = Done {
            project: &project,
            started: plans.iter().map(|plan| &plan.instance).collect(),
            restarted: Vec::new(),
            removed: observed.removed(),
        };
        lines = vec![format!("{:#}", json!(done))];
    }
    let instances = plans
        .into_iter()
        .map(|plan| {
            (
                context.dirs.plans(&project).join(plan_name(&plan.instance)),
                plan,
            )
        })
        .map(|(path, plan)| (plan, path))
        .collect();
    let foreground = Foreground {
        umask: environment::umask(context),
        activator: compiled.host.activator(),
        instances,
        control: context.control(&project),
    };
    Ok(foreground.run(|| drop(print_lines(&lines)))?)
}

fn under_manager(
    context: &Context,
    compiled: &Compiled,
    names: &[InstanceName],
    manager: &dyn Manager,
    json: bool,
) -> Result<(), Failure> {
    let _lock = lock(context, &compiled.project.name)?;
    let observed = Observed::read(context, compiled, Some(manager))?;
    carry_out(context, compiled, names, &observed, manager, json)
}

fn write(compiled: &Compiled, roots: &Roots, step: &Step) -> Result<(), Failure> {
    let (area, name) = step.place();
    if roots.generated && *area != Area::Project {
        return Ok(());
    }
    tree::apply(&compiled.tree, roots, step)
        .map_err(Failure::io(format!("write {}", roots.of(*area).join(name))))
}

/// Where an instance is: `held` by somebody else, or bound by the process itself.
fn line(plan: &Plan, held: &str, own: &str) -> String {
    let what = if starts_with_project(plan) { own } else { held };
    let places: Vec<_> = plan.addresses().map(ToString::to_string).collect();
    let (name, engine, places) = (&plan.instance, &plan.engine, places.join(", "));
    if places.is_empty() {
        return format!("{name} ({engine}): {what}");
    }
    format!("{name} ({engine}): {what} on {places}")
}
