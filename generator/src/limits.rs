//! Whether instances are really held to their limits, and who is told where not.
//!
//! Must not know how a limit is written in doze.toml.

use std::collections::{BTreeMap, BTreeSet};

use doze_contract::InstanceName;
use doze_units::{Controller, Limits};
use serde::Serialize;

use crate::{
    config::{Instance, Project},
    dirs::Init,
    manager::{Manager, ManagerError},
    output::complain,
};

/// A limit of one instance, as `doze status --json` shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Row {
    /// Bytes, per cent of a processor, or tasks.
    declared: u64,
    /// Whether the kernel holds the instance to it or, of one that is asleep, would.
    held: bool,
}

/// Says of which instances the limits do not hold, and why; without a manager nothing does.
pub(crate) fn tell(
    project: &Project,
    instances: &BTreeSet<&InstanceName>,
    manager: Option<&dyn Manager>,
) -> Result<(), ManagerError> {
    let is_limited = |instance: &&Instance| {
        instances.contains(&instance.name) && instance.limits != Limits::default()
    };
    let limited: Vec<_> = project.instances.iter().filter(is_limited).collect();
    if limited.is_empty() {
        return Ok(());
    }
    let ask =
        |manager: &dyn Manager| Ok::<_, ManagerError>((manager.init(), manager.controllers()?));
    let there = manager.map(ask).transpose()?;
    for instance in limited {
        let there = there
            .as_ref()
            .map(|(init, there)| (*init, there.as_slice()));
        if let Some(note) = note(&instance.name, &instance.limits, there) {
            complain(format_args!("{note}\n"));
        }
    }
    Ok(())
}

/// The limits of an instance, and whether those whose controllers are `there` hold.
pub(crate) fn rows(limits: &Limits, there: &[Controller]) -> BTreeMap<&'static str, Row> {
    let declared = |controller: &Controller| match controller {
        Controller::Memory => limits.memory,
        Controller::Cpu => limits.cpu.map(u64::from),
        Controller::Pids => limits.tasks,
    };
    let row = |controller: Controller| {
        let declared = declared(&controller)?;
        let held = there.contains(&controller);
        Some((controller.limit(), Row { declared, held }))
    };
    Controller::ALL.into_iter().filter_map(row).collect()
}

fn note(
    instance: &InstanceName,
    limits: &Limits,
    there: Option<(Init, &[Controller])>,
) -> Option<String> {
    let missing = limits.unheld(there.map(|(_, there)| there).unwrap_or_default());
    if missing.is_empty() {
        return None;
    }
    let list = |word: fn(Controller) -> &'static str| {
        let words: Vec<_> = missing.iter().map(|controller| word(*controller)).collect();
        words.join(", ")
    };
    let why = match there {
        Some((Init::Launchd, _)) => "launchd has no limits of this kind".into(),
        Some(_) => format!(
            "this user manager lacks the cgroup controllers {} (Delegate= of user@.service, \
             systemd.resource-control(5))",
            list(Controller::name)
        ),
        None => "in the foreground there are no cgroups".into(),
    };
    let limits = list(Controller::limit);
    Some(format!(
        "note: {instance}: nothing holds it to its limits ({limits}): {why}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        memory: Some(1 << 29),
        cpu: None,
        tasks: Some(64),
    };

    #[test]
    fn limits_that_do_not_hold_are_told_with_the_reason() {
        let app = InstanceName::new("app").unwrap();
        let note = |there| note(&app, &LIMITS, there);
        assert_eq!(note(Some((Init::Systemd, &Controller::ALL))), None);
        assert_eq!(
            note(Some((Init::Systemd, &[Controller::Memory]))).unwrap(),
            "note: app: nothing holds it to its limits (tasks): this user manager lacks the cgroup \
             controllers pids (Delegate= of user@.service, systemd.resource-control(5))"
        );
        assert_eq!(
            note(None).unwrap(),
            "note: app: nothing holds it to its limits (memory, tasks): in the foreground there \
             are no cgroups"
        );
    }

    #[test]
    fn status_tells_of_each_limit_whether_it_holds() {
        let json = serde_json::to_string(&rows(&LIMITS, &[Controller::Pids])).unwrap();
        assert_eq!(
            json,
            r#"{"memory":{"declared":536870912,"held":false},"tasks":{"declared":64,"held":true}}"#
        );
    }
}
