use std::slice;

use camino::Utf8PathBuf;
use doze_contract::ProjectName;

use super::*;
use crate::{dirs::Init, manager::Unit, tree::Tree};

fn plan(instance: &str) -> Plan {
    let paths = serde_json::json!({"wake_socket": "/w", "status_socket": "/s", "lock": "/l",
        "data": "/d", "run": "/r", "log": "/g", "templates": "/t"});
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
    called: Names,
    plans: Vec<Plan>,
    units: Units,
    applied: Applied,
    spared: BTreeSet<InstanceName>,
}

impl World {
    fn new() -> Self {
        let units = [
            ("doze-shop.target", Unit::Up),
            ("doze-shop-app.socket", Unit::Up),
            ("doze-shop-app.service", Unit::Up),
            ("doze-shop-cache.socket", Unit::Up),
            ("doze-shop-cache.service", Unit::Down),
        ];
        let nowhere = Utf8PathBuf::from("/nowhere");
        Self {
            called: Names::of(Init::Systemd, &ProjectName::new("shop").unwrap()),
            plans: vec![plan("app"), plan("cache")],
            units: units.map(|(name, unit)| (name.to_owned(), unit)).into(),
            applied: Applied::read(&nowhere, &Tree::default()).unwrap(),
            spared: BTreeSet::new(),
        }
    }

    fn decide(&self, names: &[InstanceName], steps: &[Step]) -> (Vec<Restart>, Vec<UnitChange>) {
        let facts = Facts {
            called: &self.called,
            plans: &self.plans,
            names,
            steps,
            units: &self.units,
            enabled: true,
            applied: &self.applied,
            spared: &self.spared,
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
fn what_is_spared_stops_for_its_service_alone() {
    let mut world = World::new();
    world.spared.insert(InstanceName::new("app").unwrap());
    let plan = change(Area::Plans, "app.json");
    let service = change(Area::Units, "doze-shop-app.service");
    assert_eq!(
        world.decide(&[], slice::from_ref(&plan)),
        (Vec::new(), Vec::new())
    );
    let stopped = vec![restart("app", Reason::Settings)];
    assert_eq!(world.decide(&[], &[plan, service]), (stopped, Vec::new()));
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

/// A project of a process that starts with it, and runs.
fn with_a_process() -> World {
    let mut world = World::new();
    let restart = doze_contract::plan::Restart {
        policy: doze_contract::plan::RestartPolicy::OnFailure,
        backoff: std::time::Duration::from_secs(1),
        max_retries: 5,
    };
    world.plans.truncate(1);
    for plan in &mut world.plans {
        plan.body.start = doze_contract::plan::Start::WithProject(restart.clone());
    }
    world
}

#[test]
fn a_process_is_started_where_an_engine_waits_for_a_client() {
    let mut world = with_a_process();
    let (start, again) = (UnitAction::Start, UnitAction::Restart);
    let service = "doze-shop-app.service";
    assert_eq!(world.decide(&[], &[]), (Vec::new(), Vec::new()));

    let plan = [change(Area::Plans, "app.json")];
    let (stopped, units) = world.decide(&[], &plan);
    assert_eq!(stopped, [restart("app", Reason::Settings)]);
    assert_eq!(units, [unit(again, service)]);

    // One that has ended stays so, until something changes; without a socket it was given up.
    world.units.insert(service.to_owned(), Unit::default());
    assert_eq!(world.decide(&[], &[]).1, []);
    assert_eq!(world.decide(&[], &plan).1, [unit(start, service)]);
    let other = [InstanceName::new("cache").unwrap()];
    assert_eq!(world.decide(&other, &plan).1, []);
    let socket = "doze-shop-app.socket";
    world.units.insert(socket.to_owned(), Unit::default());
    let both = [unit(start, socket), unit(start, service)];
    assert_eq!(world.decide(&[], &[]).1, both);
}
