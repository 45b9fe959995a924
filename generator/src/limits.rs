//! Whether instances are really held to their limits, and who is told where not.
//!
//! What an instance declares is read from its service, as it was compiled or as it is installed.
//! Must not know how a limit is written in doze.toml.

use std::collections::{BTreeMap, BTreeSet};

use doze_contract::InstanceName;
use doze_units::{Controller, Limits, Prefix};
use serde::Serialize;

use crate::{
    config::Project,
    output::complain,
    systemd::{Systemd, SystemdError},
    tree::{Area, Tree},
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
    tree: &Tree,
    instances: &BTreeSet<&InstanceName>,
    systemd: Option<&Systemd>,
) -> Result<(), SystemdError> {
    let prefix = Prefix::of(&project.name);
    let limits = |name: &InstanceName| {
        let service = (Area::Units, prefix.service(name));
        let text = tree.0.get(&service).map_or("", |file| &file.text);
        Limits::of_service(text)
    };
    let limited: Vec<_> = instances
        .iter()
        .map(|name| (*name, limits(name)))
        .filter(|(_, limits)| *limits != Limits::default())
        .collect();
    if limited.is_empty() {
        return Ok(());
    }
    let there = systemd.map(Systemd::controllers).transpose()?;
    for (name, limits) in limited {
        if let Some(note) = note(name, &limits, there.as_deref()) {
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

fn note(instance: &InstanceName, limits: &Limits, there: Option<&[Controller]>) -> Option<String> {
    let missing = limits.unheld(there.unwrap_or_default());
    if missing.is_empty() {
        return None;
    }
    let list = |word: fn(Controller) -> &'static str| {
        let words: Vec<_> = missing.iter().map(|controller| word(*controller)).collect();
        words.join(", ")
    };
    let why = match there {
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
        assert_eq!(note(Some(&Controller::ALL)), None);
        assert_eq!(
            note(Some(&[Controller::Memory])).unwrap(),
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
