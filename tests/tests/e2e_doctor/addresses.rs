//! Faults in who listens.

use std::net::{Ipv4Addr, TcpListener};
use std::process::{Child, Stdio};
use std::time::Duration;

use doze_tests::project::output;
use doze_tests::wait_until;

use crate::patient::{By, Patient};

const BOUND: Duration = Duration::from_secs(30);

/// A program of the user that listens on a port.
fn squatter(patient: &Patient, port: u16) -> Child {
    let line = format!("exec python3 -m http.server --bind 127.0.0.1 {port}");
    let mut shell = patient.shell(&line);
    let child = shell.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let child = child.expect("it starts");
    wait_until("the squatter", BOUND, || {
        if patient.project.accepts(port) {
            Ok(())
        } else {
            Err("nobody listens".into())
        }
    });
    child
}

#[test]
fn every_address_that_is_not_held_is_found_and_held_again() {
    let Some(patient) = Patient::new() else {
        return;
    };
    let project = &patient.project;
    let cache = "doze-shop-cache.socket";

    patient.say(&format!("systemctl --user stop {cache}"));
    patient.suffers("a socket was stopped", By::Itself, "", "sockets", cache);

    patient.say(&format!("systemctl --user stop {cache}"));
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, project.cache)).expect("it is free");
    let start = output(&mut patient.shell(&format!("systemctl --user start {cache}")));
    assert!(!start.status.success());
    drop(taken);
    patient.suffers("a socket failed", By::Itself, "", "failed", cache);

    patient.say("rm ../../run/doze/shop/cache/wake.sock");
    let fault = "the path of a wake socket is gone";
    patient.suffers(fault, By::Itself, "", "sockets", "wake.sock is gone");
    assert_eq!(project.cached(&["set", "k", "v"]), "OK");
    project.run(&["sleep", "cache"]);

    let plan = project.home().join("plans/cache.json");
    let service = "systemctl --user start doze-shop-cache.service";
    let plan = plan.display();
    patient.say(&format!("chmod 0 {plan}; ! {service}; chmod 600 {plan}"));
    patient.suffers(
        "a service failed",
        By::Itself,
        "",
        "failed",
        "cache.service",
    );

    project.run(&["down"]);
    let mut squatter = squatter(&patient, project.cache);
    let detail = format!("127.0.0.1:{} is taken by python3 (pid ", project.cache);
    patient.suffers("somebody else has a port", By::Advice, "", "ports", &detail);
    squatter.wait().expect("our child");
    project.run(&["up"]);
    assert_eq!(project.cached(&["get", "k"]), "v");
}
