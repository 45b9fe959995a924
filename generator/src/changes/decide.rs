//! Which units have to be stopped and started for which difference.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use doze_contract::{InstanceName, Plan, status::Status};

use super::{Applied, Reason, Restart, UnitAction, UnitChange};
use crate::{
    compile::{plan_name, starts_with_project},
    manager::Units,
    names::Names,
    tree::{Area, Step},
};

/// What is there.
#[derive(Debug)]
pub(crate) struct Facts<'a> {
    /// What the units are called.
    pub(crate) called: &'a Names,
    /// What is declared.
    pub(crate) plans: &'a [Plan],
    /// Only these are to be started; none means all.
    pub(crate) names: &'a [InstanceName],
    /// From the files that are installed to those that belong there.
    pub(crate) steps: &'a [Step],
    /// The units that the manager has loaded.
    pub(crate) units: &'a Units,
    /// The target starts with the user's manager.
    pub(crate) enabled: bool,
    /// What the units were started with.
    pub(crate) applied: &'a Applied,
    /// The instances whose plans need no restart.
    pub(crate) spared: &'a BTreeSet<InstanceName>,
}

/// What has to be done to the units of a project, and in which order: stop, write the files, end
/// what goes by old ones, start.
#[derive(Debug)]
pub(crate) struct Decision<'a> {
    called: &'a Names,
    /// The loaded units of what is no longer declared, to be stopped while their files are there.
    pub(crate) stale: Vec<String>,
    /// The instances among them that run.
    gone: Vec<InstanceName>,
    /// What has to be done for each declared instance.
    pub(crate) instances: Vec<InstanceChange<'a>>,
    /// The target, if it has to be started.
    pub(crate) target: Option<String>,
    /// The target, if it has to start with the user's manager from now on.
    pub(crate) enable: Option<String>,
}

/// What has to be done for one instance, so that what runs is what is installed.
#[derive(Debug)]
pub(crate) struct InstanceChange<'a> {
    pub(crate) plan: &'a Plan,
    /// Units to stop before their files are replaced.
    pub(crate) stop: Vec<String>,
    /// The service behind a socket that goes on listening, which goes by old files if it runs.
    pub(crate) outdated: Option<String>,
    /// The socket has to be started.
    pub(crate) start: bool,
    /// The service, if it has to be started as well, for nobody has to connect for that.
    pub(crate) launch: Option<String>,
    /// The socket is bound now, to the addresses of the plan that is installed.
    pub(crate) bound: bool,
    /// The service runs, or tries to.
    running: bool,
}

/// Decides what has to be done to the units.
pub(crate) fn decide<'a>(facts: &Facts<'a>) -> Decision<'a> {
    let steps = facts.steps.iter();
    let touched: BTreeSet<&str> = steps.map(|step| step.place().1.as_str()).collect();
    let instances = facts.plans.iter();
    let instances = instances.map(|plan| instance(plan, facts, &touched));
    let removed = |area: Area| {
        facts.steps.iter().filter_map(move |step| match step {
            Step::Remove((of, name)) if *of == area => Some(name.as_str()),
            Step::Add(_) | Step::Change(_) | Step::Remove(_) => None,
        })
    };
    let loaded = |unit: &&str| facts.units.contains_key(*unit);
    let stale = removed(Area::Units).filter(loaded).map(ToOwned::to_owned);
    let runs = |name: &InstanceName| {
        let unit = facts.units.get(&facts.called.service(name));
        unit.is_some_and(|unit| unit.is_running())
    };
    let gone = removed(Area::Plans).filter_map(|name| name.strip_suffix(".json"));
    let gone = gone.filter_map(|name| InstanceName::new(name).ok());
    let whole = facts.names.is_empty();
    let target = facts.called.target().filter(|_| whole);
    let is_down = |target: &String| !facts.units.get(target).is_some_and(|unit| unit.is_active());
    Decision {
        called: facts.called,
        stale: stale.collect(),
        gone: gone.filter(runs).collect(),
        instances: instances.collect(),
        target: target.clone().filter(is_down),
        enable: target.filter(|_| !facts.enabled),
    }
}

fn instance<'a>(plan: &'a Plan, facts: &Facts<'_>, touched: &BTreeSet<&str>) -> InstanceChange<'a> {
    let unit = |name: &str| facts.units.get(name).copied().unwrap_or_default();
    // Whoever started the units may not have left a record; then it is the files that tell.
    let changed = |unit: &str, plan: &str| {
        let by_file = touched.contains(unit) || touched.contains(plan);
        facts.applied.differs(unit, plan).unwrap_or(by_file)
    };
    let names = facts.called;
    let (socket, service) = (names.socket(&plan.instance), names.service(&plan.instance));
    let file = names.service_file(&plan.instance);
    let bound = unit(&socket).is_active();
    // A manager that has loaded a damaged socket unit has let go of its addresses.
    let damaged = touched.contains(socket.as_str());
    let rebind = bound && (damaged || changed(&socket, &socket));
    let spared = facts.spared.contains(&plan.instance);
    let by_plan = !spared && changed(&file, &plan_name(&plan.instance));
    let restart = rebind || by_plan || changed(&file, &file);
    // A boot that fails again and again goes by the old plan, too.
    let running = unit(&service).is_running();
    let wanted = facts.names.is_empty() || facts.names.contains(&plan.instance);
    let start = rebind || (wanted && !bound);
    // One that has ended by itself stays so as long as nothing changes.
    let launch = start || (restart && (wanted || running));
    let launch = (launch && starts_with_project(plan)).then(|| service.clone());
    let outdated = (restart && !rebind).then(|| service.clone());
    // Once the socket is gone, no client can have the service started again.
    let stop = [(socket, rebind), (service, running && rebind)];
    InstanceChange {
        plan,
        stop: stop
            .into_iter()
            .filter_map(|(unit, stop)| stop.then_some(unit))
            .collect(),
        outdated,
        start,
        launch,
        bound,
        running,
    }
}

impl Decision<'_> {
    /// The awake instances that are stopped, with those who notice.
    pub(crate) fn restarts(&self, awake: &BTreeMap<InstanceName, Status>) -> Vec<Restart> {
        let gone = self.gone.iter().map(|name| (name, Reason::Removed));
        let stopped = self.instances.iter().filter(|change| change.running);
        let stopped = stopped.filter_map(|change| {
            let reason = match (change.stop.is_empty(), &change.outdated) {
                (false, _) => Reason::Address,
                (true, Some(_)) => Reason::Settings,
                (true, None) => return None,
            };
            Some((&change.plan.instance, reason))
        });
        let restart = |(instance, reason): (&InstanceName, Reason)| {
            let status = awake.get(instance);
            Restart {
                instance: instance.clone(),
                reason,
                clients: status.map_or(0, |status| status.connections),
                holds: status.map_or(0, |status| status.holds),
            }
        };
        gone.chain(stopped).map(restart).collect()
    }

    /// What becomes of the units that hold addresses, and of those that start with the project.
    pub(crate) fn units(&self) -> Vec<UnitChange> {
        let sockets = self.instances.iter().filter(|change| change.start);
        let sockets = sockets.map(|change| {
            let action = if change.stop.is_empty() {
                UnitAction::Start
            } else {
                UnitAction::Restart
            };
            (action, self.called.socket(&change.plan.instance))
        });
        let services = self.instances.iter();
        let services = services.filter_map(|change| {
            let action = if change.running {
                UnitAction::Restart
            } else {
                UnitAction::Start
            };
            Some((action, change.launch.clone()?))
        });
        let stale = self
            .stale
            .iter()
            .filter(|unit| self.called.stem(unit).is_some());
        let stale = stale.map(|unit| (UnitAction::Stop, unit.clone()));
        let of_target = [
            (UnitAction::Start, &self.target),
            (UnitAction::Enable, &self.enable),
        ];
        let of_target = of_target
            .into_iter()
            .filter_map(|(action, unit)| Some((action, unit.clone()?)));
        let all = stale.chain(sockets).chain(services).chain(of_target);
        all.map(|(action, unit)| UnitChange { action, unit })
            .collect()
    }
}
