//! Publishing, killed at any moment. The victim is this test program, called by itself.

use std::{
    env,
    io::{BufRead, BufReader},
    process::{Command, Stdio},
    sync::mpsc,
    thread,
};

use super::*;

/// Tells the victim where the world is.
const WORLD: &str = "DOZE_TEST_PUBLISH";
const VERSIONS: u64 = 60;
const KILLS: u64 = 25;

#[test]
fn a_publisher_that_is_killed_at_any_moment_leaves_a_whole_registry() {
    if let Some(world) = env::var_os(WORLD) {
        return victim(&Utf8PathBuf::from_os_string(world).unwrap());
    }
    let (world, registry) = World::new();
    drop(registry);
    for version in 0..VERSIONS {
        let manifest = ENGINE.replace("17.11", &format!("17.{version}"));
        let archive = world.archive(&manifest, "x");
        fs::rename(archive, world.path(&version.to_string())).unwrap();
    }
    let mut counter = 1;
    for kill in 0..KILLS {
        let delay = Duration::from_micros(kill * 37_199 % 120_000);
        kill_after(&world, delay);
        let verified = world.verified(&Trust::FirstUse).unwrap();
        assert!(verified.counter() >= counter, "an index came back");
        counter = verified.counter();
        check_archives(&world, verified.index());
    }
    assert!(
        counter > 1,
        "every victim was killed before it did anything"
    );

    victim(&world.path(""));
    let verified = world.verified(&Trust::FirstUse).unwrap();
    assert_eq!(verified.counter(), 1 + VERSIONS);
    check_archives(&world, verified.index());
    let left = fs::read_dir(world.path("registry/doze")).unwrap().count();
    assert_eq!(left, 3, "the index, its page and the engines");
}

/// Publishes whatever is not yet, and says so once it has begun.
fn victim(world: &Utf8Path) {
    let mut registry =
        Registry::open(&world.join("registry"), &doze(), &world.join("key")).unwrap();
    println!("\nopen");
    for version in 0..VERSIONS {
        let archive = world.join(version.to_string());
        let known = registry.index().engines.values().next();
        let package = postgres(Kind::Engine, &format!("17.{version}"));
        if known.is_none_or(|versions| !versions.contains_key(&package.version)) {
            registry.publish(&archive, moment(0)).unwrap();
        }
    }
}

/// Kills a publisher some time after it has begun.
fn kill_after(world: &World, delay: Duration) {
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["--exact", "--nocapture"])
        .arg("publish::tests::killed::a_publisher_that_is_killed_at_any_moment_leaves_a_whole_registry")
        .env(WORLD, world.path(""))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    lines
        .find(|line| line.as_ref().is_ok_and(|line| line == "open"))
        .unwrap()
        .unwrap();
    let (alive, dead) = mpsc::channel::<()>();
    let reader = thread::spawn(move || {
        lines.for_each(drop);
        drop(alive);
    });
    let ended = dead.recv_timeout(delay);
    assert!(ended.is_err(), "nothing is ever sent");
    child.kill().unwrap();
    child.wait().unwrap();
    reader.join().unwrap();
}

/// All that the index names is there.
fn check_archives(world: &World, index: &Index) {
    for version in index.engines.values().flat_map(|versions| versions.keys()) {
        let package = postgres(Kind::Engine, &version.to_string());
        let artefact = exact(index, &package, &linux()).unwrap();
        let bytes = fs::read(world.path("registry/doze").join(package.path(&linux()))).unwrap();
        assert_eq!(Digest::of(&bytes), artefact.sha256, "{package}");
    }
}
