//! `doze restart [NAMES…]`: what runs, and what has failed, is started anew; what sleeps goes on
//! sleeping.

use std::collections::BTreeSet;

use doze_contract::{InstanceName, Plan, ProjectName};
use serde_json::json;

use super::{Context, observed::Holder, status, wake};
use crate::{
    awake,
    compile::{dependencies_first, starts_with_project},
    failure::Failure,
    names::Names,
    output::{complain, print_json},
};

pub(super) fn run(context: &Context, names: &[String], json: bool) -> Result<(), Failure> {
    let restarted = restart(context, names, |name| {
        if !json {
            complain(format_args!("{name}: is ready again\n"));
        }
    })?;
    if json {
        let answer = json!({ "restarted": restarted });
        return print_json(&answer).map_err(Failure::io("print"));
    }
    if restarted.is_empty() {
        complain(format_args!("nothing is awake, so nothing was restarted\n"));
    }
    Ok(())
}

/// Restarts them, says of each when it is ready, and returns their names.
pub(super) fn restart(
    context: &Context,
    names: &[String],
    ready: impl Fn(&str),
) -> Result<Vec<String>, Failure> {
    let (project, instances) = context.instances(names)?;
    let plans = instances
        .iter()
        .map(|instance| status::plan(context, &project, instance));
    let plans: Result<Vec<_>, _> = plans.collect();
    let plans: Vec<Plan> = plans?.into_iter().flatten().collect();
    if let Some(name) = names.iter().find(|name| {
        let mut plans = plans.iter();
        !plans.any(|plan| plan.instance.as_str() == *name)
    }) {
        return Err(wake::not_up(name));
    }
    let holder = Holder::find(context, &project)?;
    let failed = failed(context, &project, &instances, &holder)?;
    let mut chosen = Vec::new();
    for plan in dependencies_first(plans, |plan| plan).into_iter().rev() {
        let was_awake = awake::sleep(&plan.paths.status_socket)
            .map_err(Failure::io(format!("stop `{}`", plan.instance)))?;
        // A process that is over is started by name; together with all others only if it failed.
        if was_awake
            || failed.contains(&plan.instance)
            || starts_with_project(&plan) && !names.is_empty()
        {
            chosen.push(plan);
        }
    }
    if let Some(manager) = holder.manager() {
        let instances: Vec<_> = chosen.iter().map(|plan| &plan.instance).collect();
        manager.rearm(&project, &instances)?;
    }
    // All are called before any is waited for, so that they boot at the same time.
    let called = chosen.iter().map(|plan| {
        let name = plan.instance.as_str();
        Ok((name, wake::call(name, &plan.paths.wake_socket)?))
    });
    let mut restarted = Vec::new();
    for (name, call) in called.collect::<Result<Vec<_>, Failure>>()? {
        drop(wake::ready(name, call)?);
        ready(name);
        restarted.push(name.to_owned());
    }
    Ok(restarted)
}

/// The instances whose last run failed, as far as the manager knows.
fn failed<'a>(
    context: &Context,
    project: &ProjectName,
    instances: &'a [InstanceName],
    holder: &Holder,
) -> Result<BTreeSet<&'a InstanceName>, Failure> {
    let Some(manager) = holder.manager() else {
        return Ok(BTreeSet::new());
    };
    let called = Names::of(context.dirs.init, project);
    let units = manager.units(project)?;
    let has_failed = |instance: &&InstanceName| {
        let unit = units.get(&called.service(instance));
        unit.is_some_and(|unit| unit.is_failed())
    };
    Ok(instances.iter().filter(has_failed).collect())
}
