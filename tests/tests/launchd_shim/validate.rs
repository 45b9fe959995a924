//! The check of property lists against launchd.plist(5).

use doze_tests::project::output;
use doze_tests::{World, programs};

use super::{clients, write};

/// What the validator says of an agent with these keys, without the path.
fn validate(world: &World, keys: &str) -> (bool, Vec<String>) {
    let plist = write(world, &["/bin/true"], keys);
    let validator = programs::workspace().join("tests/launchd/validate");
    let output = output(
        world
            .command(world.readable(validator.parent().unwrap()).join("validate"))
            .arg(&plist),
    );
    let said = String::from_utf8(output.stdout).unwrap();
    let path = format!("{}: ", plist.display());
    let lines = said
        .lines()
        .map(|line| line.replacen(&path, "", 1))
        .collect();
    (output.status.success(), lines)
}

#[test]
fn the_validator_names_each_wrong_key_and_type_by_its_path() {
    let world = World::new();
    let good = format!(
        "{}<key>KeepAlive</key><dict><key>SuccessfulExit</key><false/></dict>\
         <key>ProcessType</key><string>Interactive</string><key>Umask</key><integer>63</integer>",
        clients(1)
    );
    assert_eq!(validate(&world, &good), (true, vec![]));

    let bad = "<key>RunAtLoad</key><integer>1</integer>\
        <key>ThrottleInterval</key><integer>-1</integer>\
        <key>ProcessType</key><string>Fast</string>\
        <key>EnvironmentVariables</key><dict><key>A</key><integer>1</integer></dict>\
        <key>LimitLoadToSessionType</key><array><string>aqua</string></array>\
        <key>Sockets</key><dict><key>clients</key><array><dict>\
        <key>SockServiceName</key><integer>80</integer><key>SockPort</key><string>80</string>\
        <key>SockPathMode</key><string>0600</string></dict></array></dict>";
    let expected = [
        "RunAtLoad: is an integer, not a boolean",
        "ThrottleInterval: is an integer, not an integer, not negative",
        "ProcessType: is a string, not one of Background, Standard, Adaptive, Interactive",
        "EnvironmentVariables.A: is an integer, not a string",
        "Sockets.clients[0].SockServiceName: is an integer, not a string",
        "Sockets.clients[0].SockPort: is no key of launchd.plist(5)",
        "Sockets.clients[0].SockPathMode: is a string, not an integer from 0 to 511",
        "LimitLoadToSessionType: knows no session aqua",
    ];
    let expected = expected.map(str::to_owned).to_vec();
    assert_eq!(validate(&world, bad), (false, expected));
    let (valid, said) = validate(&world, "<key>");
    assert!(
        !valid && said[0].starts_with("is no property list: "),
        "{said:?}"
    );
}
