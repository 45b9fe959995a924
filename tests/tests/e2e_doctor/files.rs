//! Faults in what is written: units, plans, the list of endpoints.

use std::fs;

use crate::patient::{By, Patient};

#[test]
fn every_file_that_is_not_as_declared_is_found_and_written_again() {
    let Some(patient) = Patient::new() else {
        return;
    };
    let units = patient.project.world.units();
    let service = units.join("doze-shop-cache.service");
    let socket = units.join("doze-shop-cache.socket");
    let found = |fault, check, detail| patient.suffers(fault, By::Itself, "", check, detail);

    patient.say(&format!("echo '# mine' >> {}", service.display()));
    found(
        "a unit was edited by hand",
        "units",
        "doze-shop-cache.service",
    );

    fs::remove_file(&socket).expect("it is there");
    found(
        "the file of a unit is gone",
        "units",
        "doze-shop-cache.socket",
    );
    assert!(socket.is_file());

    patient.say(&format!("touch {}", service.display()));
    let fault = "a unit changed on the disk and was not read again";
    found(fault, "reload", "doze-shop-cache.service");

    patient.say("echo '{' > ~/.local/share/doze/projects/shop/plans/cache.json");
    found("a plan is damaged", "plans", "cache.json");

    patient.project.declare(&patient.project.toml("2h"));
    let fault = "`doze.toml` was changed and not applied";
    found(fault, "plans", "app.json, cache.json");

    fs::remove_file(units.join("default.target.wants/doze-shop.target")).expect("it is enabled");
    let fault = "the project does not come up with the next login";
    found(fault, "enabled", "doze-shop.target");

    patient.say("rm .doze/endpoints.json");
    found(
        "the list of endpoints is gone",
        "endpoints",
        "endpoints.json",
    );
    patient.say("test -s .doze/endpoints.json");

    patient.say("cp -rL ../../bin ~/old && ~/old/doze up && rm -r ~/old");
    found(
        "the programs of doze were moved",
        "units",
        "doze-shop-app.service",
    );
    assert_eq!(patient.project.cached(&["set", "k", "v"]), "OK");
}

/// Whoever is awake would be stopped by the advice: that is for the user to say.
#[test]
fn what_would_stop_an_engine_is_advised_and_not_done() {
    let Some(patient) = Patient::new() else {
        return;
    };
    patient.project.cached(&["set", "k", "v"]);
    patient.project.declare(&patient.project.toml("2h"));
    let before = patient.project.running("valkey-server");
    patient.say("doze doctor --fix >&2; test $? = 1");
    assert_eq!(patient.project.running("valkey-server"), before);
    let fault = "`doze.toml` was changed and not applied";
    patient.suffers(fault, By::Advice, "", "plans", "cache.json");
    assert_eq!(patient.project.running("valkey-server"), []);
}
