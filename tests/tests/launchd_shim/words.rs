//! What launchctl(1) prints, and in which words it refuses.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use doze_tests::programs;

use super::{
    LABEL, ask_tcp, bootstrap, clients, complaint, launchctl, target, world, write, write_probe,
};

#[test]
fn what_launchd_does_not_load_is_refused_by_number_and_in_words() {
    let Some(world) = world() else { return };
    let domain = world.launchd_domain();
    let plist = write(&world, &["/bin/true"], "");
    let path = plist.to_str().unwrap();
    let load = |domain: &str| complaint(&world, &["bootstrap", domain, path]);

    fs::set_permissions(&plist, fs::Permissions::from_mode(0o664)).unwrap();
    let bad = "Path had bad ownership/permissions";
    assert_eq!(
        load(&domain),
        (
            122,
            format!("{path}: {bad}\nBootstrap failed: 122: {bad}\n")
        )
    );
    fs::set_permissions(&plist, fs::Permissions::from_mode(0o644)).unwrap();

    launchctl(&world, &["disable", &target(&world)]);
    let off = "Service is disabled";
    assert_eq!(
        load(&domain),
        (
            119,
            format!("{path}: {off}\nBootstrap failed: 119: {off}\n")
        )
    );
    let listed = launchctl(&world, &["print-disabled", &domain]).stdout;
    let expected = format!("\n\tdisabled services = {{\n\t\t\"{LABEL}\" => disabled\n\t}}\n");
    assert_eq!(String::from_utf8_lossy(&listed), expected);
    launchctl(&world, &["enable", &target(&world)]);

    let elsewhere = "Bootstrap failed: 125: Domain does not support specified action\n";
    let other = domain.replace("gui", "user");
    assert_eq!(load(&other), (125, elsewhere.to_owned()));

    write(
        &world,
        &["/bin/true"],
        "<key>LimitLoadToSessionType</key><string>Background</string>",
    );
    let session = "Bootstrap failed: 134: Service cannot load in requested session\n";
    assert_eq!(load(&domain), (134, session.to_owned()));

    write(&world, &["/bin/true"], "<key>KeepAlife</key><true/>");
    let invalid = "Bootstrap failed: 109: Invalid property list\n";
    assert_eq!(load(&domain), (109, invalid.to_owned()));
    write(&world, &[], "");
    assert_eq!(load(&domain).0, 111);
    fs::remove_file(&plist).unwrap();
    assert_eq!(load(&domain).0, 2);
    assert_eq!(complaint(&world, &["bootstrap", "nowhere", path]).0, 64);
}

#[test]
fn print_shows_an_agent_and_its_domain() {
    let Some(world) = world() else { return };
    let port = world.port();
    let plist = write_probe(&world, &["clients", "--stay"], &clients(port));
    bootstrap(&world, &plist);
    let target = target(&world);
    let print = |what: &str| world.run(&["launchctl", "print", what]);

    let before = print(&target);
    for line in [
        &format!(
            "{target} = {{\n\tactive count = 0\n\tpath = {}\n",
            plist.display()
        ),
        "\n\tstate = not running\n",
        "\n\tminimum runtime = 1\n\texit timeout = 5\n\truns = 0\n",
        "\n\tlast exit code = (never exited)\n",
        "\n\tsockets = {\n\t\t\"clients\" = {\n\t\t\ttype = stream\n",
        &format!("\n\t\t\tservice name = {port}\n"),
        "\n}\n",
    ] {
        assert!(before.contains(line), "{line:?} in {before}");
    }
    let pid = ask_tcp(port);
    let running = print(&target);
    let lines = format!("\n\truns = 1\n\tpid = {pid}\n\timmediate reason = ipc (socket)\n");
    assert!(running.contains(&lines), "{running}");
    assert!(running.contains("\n\tstate = running\n"), "{running}");

    let domain = print(&world.launchd_domain());
    assert!(
        domain.contains(&format!("{pid:>8}      - \t{LABEL}\n")),
        "{domain}"
    );
    let (code, said) = complaint(&world, &["print", "gui/1"]);
    let nowhere = "Bad request.\nCould not find domain for user gui: 1\n";
    assert_eq!((code, said.as_str()), (112, nowhere));
}

/// What is called by name directly below the first line of an output: keys and blocks.
fn keys(printed: &str) -> BTreeSet<&str> {
    let below = printed.lines().filter_map(|line| line.strip_prefix('\t'));
    let named = below.filter(|line| !line.starts_with('\t'));
    named
        .filter_map(|line| Some(line.split_once(" = ")?.0))
        .collect()
}

#[test]
fn print_has_no_key_that_no_mac_has_printed() {
    let Some(world) = world() else { return };
    let folder = programs::workspace().join("tests/launchd/printed");
    let recorded: String = fs::read_dir(folder)
        .unwrap()
        .map(|entry| fs::read_to_string(entry.unwrap().path()).unwrap())
        .collect();
    let seen = keys(&recorded);
    assert!(seen.contains("immediate reason"), "{seen:?}");

    let port = world.port();
    let kept = "<key>KeepAlive</key><dict><key>SuccessfulExit</key><false/></dict>";
    let plist = write_probe(
        &world,
        &["clients", "--stay"],
        &format!("{kept}{}", clients(port)),
    );
    bootstrap(&world, &plist);
    ask_tcp(port);
    for what in [target(&world), world.launchd_domain()] {
        let printed = world.run(&["launchctl", "print", &what]);
        let unseen: Vec<_> = keys(&printed).difference(&seen).copied().collect();
        assert_eq!(unseen, [""; 0]);
    }
}
