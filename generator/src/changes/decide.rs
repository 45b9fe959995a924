//! Which units have to be stopped and started for which difference.

use std::collections::{BTreeMap, BTreeSet};

use doze_contract::{InstanceName, Plan, ProjectName, status::Status};
use doze_units::{Prefix, manager::UnitState};

use super::{Applied, Reason, Restart, UnitAction, UnitChange};
use crate::{
    compile::plan_name,
    tree::{Area, Step},
};

/// What is there.
#[derive(Debug)]
pub(crate) struct Facts<'a> {
    pub(crate) project: &'a ProjectName,
    /// What is declared.
    pub(crate) plans: &'a [Plan],
    /// Only these are to be started; none means all.
    pub(crate) names: &'a [InstanceName],
    /// From the files that are installed to those that belong there.
    pub(crate) steps: &'a [Step],
    /// The units that the manager has loaded.
    pub(crate) units: &'a BTreeMap<String, Unit>,
    /// The target starts with the user's manager.
    pub(crate) enabled: bool,
    /// What the units were started with.
    pub(crate) applied: &'a Applied,
}

/// A loaded unit.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Unit {
    /// It is up.
    pub(crate) is_active: bool,
    /// There may be processes of it.
    pub(crate) is_running: bool,
}

impl From<&UnitState> for Unit {
    fn from(state: &UnitState) -> Self {
        Self {
            is_active: state.is_active(),
            is_running: state.is_running(),
        }
    }
}

/// What has to be done to the units of a project, and in which order: stop, write the files, end
/// what goes by old ones, start.
#[derive(Debug)]
pub(crate) struct Decision<'a> {
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
    /// The socket is bound now, to the addresses of the plan that is installed.
    pub(crate) bound: bool,
    /// The service runs, or tries to.
    running: bool,
}

/// Decides what has to be done to the units.
pub(crate) fn decide<'a>(facts: &Facts<'a>) -> Decision<'a> {
    let prefix = Prefix::of(facts.project);
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
        let unit = facts.units.get(&prefix.service(name));
        unit.is_some_and(|unit| unit.is_running)
    };
    let gone = removed(Area::Plans).filter_map(|name| name.strip_suffix(".json"));
    let gone = gone.filter_map(|name| InstanceName::new(name).ok());
    let whole = facts.names.is_empty();
    let target = prefix.target();
    let target_is_up = facts.units.get(&target).is_some_and(|unit| unit.is_active);
    Decision {
        stale: stale.collect(),
        gone: gone.filter(runs).collect(),
        instances: instances.collect(),
        target: (whole && !target_is_up).then(|| target.clone()),
        enable: (whole && !facts.enabled).then_some(target),
    }
}

fn instance<'a>(plan: &'a Plan, facts: &Facts<'_>, touched: &BTreeSet<&str>) -> InstanceChange<'a> {
    let unit = |name: &str| facts.units.get(name).copied().unwrap_or_default();
    // Whoever started the units may not have left a record; then it is the files that tell.
    let changed = |unit: &str, plan: &str| {
        let by_file = touched.contains(unit) || touched.contains(plan);
        facts.applied.differs(unit, plan).unwrap_or(by_file)
    };
    let prefix = Prefix::of(&plan.project);
    let (socket, service) = (
        prefix.socket(&plan.instance),
        prefix.service(&plan.instance),
    );
    let bound = unit(&socket).is_active;
    // A manager that has loaded a damaged socket unit has let go of its addresses.
    let damaged = touched.contains(socket.as_str());
    let rebind = bound && (damaged || changed(&socket, &socket));
    let restart = rebind || changed(&service, &plan_name(&plan.instance));
    // A boot that fails again and again goes by the old plan, too.
    let running = unit(&service).is_running;
    let wanted = facts.names.is_empty() || facts.names.contains(&plan.instance);
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
        start: rebind || (wanted && !bound),
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

    /// What becomes of the units that hold addresses.
    pub(crate) fn units(&self) -> Vec<UnitChange> {
        let sockets = self.instances.iter().filter(|change| change.start);
        let sockets = sockets.map(|change| {
            let action = if change.stop.is_empty() {
                UnitAction::Start
            } else {
                UnitAction::Restart
            };
            (
                action,
                Prefix::of(&change.plan.project).socket(&change.plan.instance),
            )
        });
        let stale = self.stale.iter().filter(|unit| unit.ends_with(".socket"));
        let stale = stale.map(|unit| (UnitAction::Stop, unit.clone()));
        let of_target = [
            (UnitAction::Start, &self.target),
            (UnitAction::Enable, &self.enable),
        ];
        let of_target = of_target
            .into_iter()
            .filter_map(|(action, unit)| Some((action, unit.clone()?)));
        let all = stale.chain(sockets).chain(of_target);
        all.map(|(action, unit)| UnitChange { action, unit })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use camino::Utf8PathBuf;

    use super::*;
    use crate::tree::Tree;

    fn plan(instance: &str) -> Plan {
        let paths = serde_json::json!({"wake_socket": "/w", "status_socket": "/s", "lock": "/l",
            "data": "/d", "run": "/r", "log": "/g"});
        serde_json::from_value(serde_json::json!({
            "format": 1, "revision": "r", "project": "shop", "instance": instance, "engine": "e",
            "idle_timeout_ms": null, "endpoints": [], "init_sockets": [], "open_to": "user",
            "paths": paths, "driver": "/driver", "launcher": [],
            "body": {"provision": {"fingerprint": "f", "block": {}}, "files": [], "members": [],
                "upstream": "unix:/u", "hello": {"send": "", "ready": "", "busy": []},
                "connection": {"variable": "V", "url": "u"}, "clients_speak_first": true,
                "generates_code": false},
        }))
        .unwrap()
    }

    /// A project of `app` and `cache` of which `app` is awake and everything else is up.
    struct World {
        project: ProjectName,
        plans: Vec<Plan>,
        units: BTreeMap<String, Unit>,
        applied: Applied,
    }

    impl World {
        fn new() -> Self {
            let (up, off) = (true, false);
            let unit = |is_active, is_running| Unit {
                is_active,
                is_running,
            };
            let units = [
                ("doze-shop.target", unit(up, up)),
                ("doze-shop-app.socket", unit(up, up)),
                ("doze-shop-app.service", unit(up, up)),
                ("doze-shop-cache.socket", unit(up, up)),
                ("doze-shop-cache.service", unit(off, off)),
            ];
            let nowhere = Utf8PathBuf::from("/nowhere");
            Self {
                project: ProjectName::new("shop").unwrap(),
                plans: vec![plan("app"), plan("cache")],
                units: units.map(|(name, unit)| (name.to_owned(), unit)).into(),
                applied: Applied::read(&nowhere, &Tree::default()).unwrap(),
            }
        }

        fn decide(
            &self,
            names: &[InstanceName],
            steps: &[Step],
        ) -> (Vec<Restart>, Vec<UnitChange>) {
            let facts = Facts {
                project: &self.project,
                plans: &self.plans,
                names,
                steps,
                units: &self.units,
                enabled: true,
                applied: &self.applied,
            };
            let decision = decide(&facts);
            (decision.restarts(&BTreeMap::new()), decision.units())
        }
    }

    fn change(area: Area, name: &str) -> Step {
        Step::Change((area, name.into()))
    }

    fn restart(instance: &str, reason: Reason) -> Restart {
        Restart {
            instance: InstanceName::new(instance).unwrap(),
            reason,
            clients: 0,
            holds: 0,
        }
    }

    fn unit(action: UnitAction, unit: &str) -> UnitChange {
        UnitChange {
            action,
            unit: unit.into(),
        }
    }

    #[test]
    fn nothing_is_decided_where_nothing_differs() {
        assert_eq!(World::new().decide(&[], &[]), (Vec::new(), Vec::new()));
    }

    #[test]
    fn new_settings_stop_what_is_awake_and_no_address() {
        let steps = [
            change(Area::Plans, "app.json"),
            change(Area::Plans, "cache.json"),
        ];
        let stopped = vec![restart("app", Reason::Settings)];
        assert_eq!(World::new().decide(&[], &steps), (stopped, Vec::new()));
    }

    #[test]
    fn an_address_moves_with_its_engine_and_with_no_other() {
        let steps = [change(Area::Units, "doze-shop-app.socket")];
        let moved = unit(UnitAction::Restart, "doze-shop-app.socket");
        let stopped = vec![restart("app", Reason::Address)];
        assert_eq!(World::new().decide(&[], &steps), (stopped, vec![moved]));
        let steps = [change(Area::Units, "doze-shop-cache.socket")];
        let moved = unit(UnitAction::Restart, "doze-shop-cache.socket");
        assert_eq!(World::new().decide(&[], &steps), (Vec::new(), vec![moved]));
    }

    #[test]
    fn what_is_not_declared_any_more_is_stopped_once() {
        let mut world = World::new();
        world.plans.remove(0);
        let remove = |area, name: &str| Step::Remove((area, name.into()));
        let steps = [
            remove(Area::Units, "doze-shop-app.socket"),
            remove(Area::Units, "doze-shop-app.service"),
            remove(Area::Plans, "app.json"),
        ];
        let stopped = vec![restart("app", Reason::Removed)];
        let given_back = unit(UnitAction::Stop, "doze-shop-app.socket");
        assert_eq!(world.decide(&[], &steps), (stopped, vec![given_back]));
        world.units.retain(|name, _| !name.contains("-app."));
        assert_eq!(world.decide(&[], &[]), (Vec::new(), Vec::new()));
    }

    #[test]
    fn a_project_that_was_never_up_is_started_with_its_target() {
        let mut world = World::new();
        world.units.clear();
        let (stopped, started) = world.decide(&[], &[]);
        let all = [
            "doze-shop-app.socket",
            "doze-shop-cache.socket",
            "doze-shop.target",
        ];
        assert_eq!(stopped, []);
        assert_eq!(started, all.map(|name| unit(UnitAction::Start, name)));
        let only = [InstanceName::new("cache").unwrap()];
        let started = world.decide(&only, &[]).1;
        assert_eq!(started, [unit(UnitAction::Start, "doze-shop-cache.socket")]);
    }
}
