//! What a careless publisher does, and what a hostile one may say.
#![expect(
    clippy::expect_used,
    reason = "a surprise fails the test, and says what it was"
)]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

use doze_tests::World;
use doze_tests::project::{output, succeed};

const MANIFEST: &str = r#"kind = "engine"
name = "valkey"
version = "8.99"
target = "x86_64-unknown-linux-gnu"
channel = "stable"
licence = "none"
origin = "a test"
"#;

fn doze(world: &World, arguments: &[&str]) -> Command {
    let mut doze = world.command("doze");
    doze.args(arguments);
    doze
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// A registry with one archive.
fn registry() -> World {
    let world = World::new();
    publish(&world);
    world
}

fn publish(world: &World) {
    world.write("home/tree/package.toml", MANIFEST);
    world.write("home/tree/bin/valkey-server", "#!/bin/sh\n");
    succeed(&mut doze(
        world,
        &["registry", "init", "acme", "--dir", "registry"],
    ));
    succeed(&mut doze(
        world,
        &["registry", "pack", "tree", "--out", "packed"],
    ));
    let archive = "packed/valkey-8.99-x86_64-unknown-linux-gnu.tar.zst";
    let publish = ["registry", "publish", "acme", archive, "--dir", "registry"];
    succeed(&mut doze(world, &publish));
}

/// A project that wants what is published.
fn declare(world: &World) {
    let toml = format!(
        "[registries.acme]\nurl = \"file://{}/registry\"\n[valkey.a]\nversion = \"8.99\"\nport = 1\n",
        world.home().display()
    );
    world.write("home/doze.toml", &toml);
}

fn mode(path: &Path) -> u32 {
    let metadata = fs::metadata(path).expect("it is there");
    metadata.permissions().mode() & 0o777
}

#[test]
fn a_registry_is_for_everybody_and_its_key_for_nobody_else() {
    let world = registry();
    let registry = world.home().join("registry");
    let mut open = vec![registry];
    let mut files = 0;
    while let Some(folder) = open.pop() {
        assert_eq!(mode(&folder) & 0o005, 0o005, "{}", folder.display());
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("it can be listed").path();
            if path.is_dir() {
                open.push(path);
            } else {
                assert_eq!(mode(&path), 0o644, "{}", path.display());
                files += 1;
            }
        }
    }
    assert_eq!(files, 5, "index, archive, two pages and the catalogue");
    let keys = world.config_home().join("doze/keys");
    assert_eq!(mode(&keys), 0o700);
    assert_eq!(mode(&keys.join("acme.key")), 0o600);
}

#[test]
fn an_archive_is_not_packed_into_itself() {
    let world = registry();
    let tree = world.home().join("tree");
    for out in [".", "bin"] {
        let mut pack = doze(&world, &["registry", "pack", ".", "--out", out]);
        let refused = output(pack.current_dir(&tree));
        assert_eq!(refused.status.code(), Some(1));
        assert!(said(&refused).contains("--out"), "{}", said(&refused));
    }
    assert_eq!(fs::read_dir(tree).expect("our folder").count(), 2);
}

#[test]
fn a_reason_does_not_move_the_cursor() {
    let world = registry();
    let reason = "flawed\x1b[2J\r\x07";
    let what = "engine/valkey/8.99";
    succeed(&mut doze(
        &world,
        &[
            "registry", "revoke", "acme", what, reason, "--dir", "registry",
        ],
    ));
    declare(&world);
    for command in [&["lock"][..], &["generate", "--out", "out"]] {
        let refused = output(&mut doze(&world, command));
        assert!(!refused.status.success(), "{command:?}");
        let said = said(&refused);
        assert!(said.contains("flawed"), "{command:?}: {said:?}");
        assert!(
            !said.contains(['\x1b', '\r', '\x07']),
            "{command:?}: {said:?}"
        );
    }
}

#[test]
fn words_that_cannot_be_meant_are_the_command_lines_fault() {
    let world = registry();
    for arguments in [
        &["registry", "init", "../acme"][..],
        &["registry", "renew", "Acme"],
        &[
            "registry", "revoke", "acme", "valkey", "why", "--dir", "registry",
        ],
        &["info", "../valkey"],
    ] {
        let refused = output(&mut doze(&world, arguments));
        assert_eq!(refused.status.code(), Some(2), "{}", said(&refused));
    }
}

#[test]
fn a_full_disk_is_nobodys_attack() {
    let Some(world) = World::with_manager() else {
        return;
    };
    // More than the disk takes, and nothing that can be made small.
    let mut state = 1_u32;
    let noise = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        char::from(b' ' + (state >> 26) as u8)
    };
    let text: String = (0..2_000_000).map(noise).collect();
    world.write("home/tree/share/noise", &text);
    publish(&world);
    world.small_disk(&world.data_home().join("doze"), 1 << 20);
    declare(&world);
    let refused = output(&mut doze(&world, &["lock"]));
    assert!(
        said(&refused).contains("No space left"),
        "{}",
        said(&refused)
    );
    assert_eq!(refused.status.code(), Some(1));
    let lock = world.home().join("doze.lock");
    assert!(!lock.try_exists().expect("our home"));
}
