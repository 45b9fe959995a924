//! Faults in the programs: drivers, engines, the store, the pins.

use std::collections::BTreeMap;

use doze_contract::{EngineName, Version};
use doze_registry::pins::{EnginePin, Pins, Source};

use crate::patient::{By, Patient};

#[test]
fn every_program_that_cannot_be_used_is_found_and_done_without() {
    let Some(patient) = Patient::new() else {
        return;
    };
    let home = patient.project.world.home();

    let words = "export DOZE_VALKEY_DRIVER=/bin/false; ";
    let fault = "a driver does not answer";
    patient.suffers(fault, By::Advice, words, "drivers", "/bin/false");

    patient.say("mkdir -p ~/.local/share/doze/store/engines/x/1.0-0badf00d/bin");
    let fault = "a tree in the store is damaged";
    patient.suffers(
        fault,
        By::Advice,
        "",
        "store",
        "1.0-0badf00d has no readable list",
    );

    let engine = |name| EngineName::new(name).expect("a name");
    let version = |version| Version::new(version).expect("a version");
    let pin = EnginePin {
        version: version("7.2.1"),
        source: Source::System,
    };
    let pins = Pins {
        engines: BTreeMap::from([(engine("valkey"), BTreeMap::from([(version("7"), pin)]))]),
        ..Pins::default()
    };
    patient
        .project
        .world
        .write("home/shop/doze.lock", &pins.to_text());
    let lock = home.join("shop/doze.lock");
    let fault = "`doze.lock` is out of date";
    patient.suffers(fault, By::Itself, "", "lock", &lock.display().to_string());

    // The operating system has another one, which is pinned then.
    let words = "export DOZE_POSTGRES_BINDIR=/nonexistent; ";
    let fault = "the programs of an engine are not where they should be";
    patient.suffers(
        fault,
        By::Advice,
        words,
        "engines",
        "DOZE_POSTGRES_BINDIR names /nonexistent",
    );
}
