//! The store as many use it at once, and as they are killed while they do.
#![cfg(target_os = "linux")]
#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "helpers of tests fail like tests"
)]

#[path = "../support/child.rs"]
mod child;
#[path = "../support/server.rs"]
mod server;
#[path = "../support/tarball.rs"]
#[expect(dead_code, reason = "no attacks are needed here")]
mod tarball;
#[path = "../support/world.rs"]
#[expect(dead_code, reason = "nothing is refused here")]
mod world;

use std::{
    collections::BTreeSet,
    fs,
    io::{self, Write as _},
    os::unix::fs::PermissionsExt,
    sync::{Arc, mpsc},
    thread,
    time::{Duration, Instant},
};

use camino::Utf8PathBuf;
use doze_registry::{Artefact, store::FaultKind};
use doze_tests::random::Random;

use crate::{
    child::Job,
    server::{Server, give, head},
    tarball::{Item, good, noise, tar, zstd},
    world::{World, artefact, package},
};

/// A world with a server, and a fetch from it.
struct Scene {
    world: World,
    server: Server,
    artefact: Artefact,
}

impl Scene {
    /// The server gives these bytes honestly, a little at a time.
    fn new(bytes: Vec<u8>) -> Self {
        let artefact = artefact(&bytes);
        let world = World::new();
        let server = Server::new(world.dir(), move |request, out| give(out, &bytes, request));
        Self {
            world,
            server,
            artefact,
        }
    }

    fn job(&self, answer: &str) -> Job {
        Job {
            url: self.server.url.clone(),
            authority: self.server.authority.clone(),
            store: self.world.store_dir(),
            name: "postgres",
            artefact: self.artefact,
            stretch: 5000,
            answer: self.world.dir().join(answer),
        }
    }

    /// Nothing but whole trees is in the store.
    #[track_caller]
    fn whole(&self) {
        let faults = self.world.store().verify().unwrap();
        assert!(faults.is_empty(), "{faults:?}");
    }
}

/// What a fetch of a good archive leaves, by its paths.
fn tree(artefact: &Artefact) -> Vec<Utf8PathBuf> {
    let top = format!("engines/postgres/1.0-{}", artefact.sha256.short());
    let inside = [
        "",
        "/.doze-files",
        "/bin",
        "/bin/server",
        "/lib",
        "/lib/a.so",
        "/lib/a.so.1",
        "/share",
        "/share/noise",
    ];
    let above = ["engines", "engines/postgres"].map(Utf8PathBuf::from);
    let inside = inside.map(|path| format!("{top}{path}").into());
    above.into_iter().chain(inside).collect()
}

#[test]
fn what_was_published_is_in_the_store() {
    let world = World::new();
    let bytes = good(100_000);
    let (package, artefact) = (package("postgres"), artefact(&bytes));
    world.publish(&package, &bytes);
    let path = world.fetch(&package, &artefact).unwrap();
    assert_eq!(world.left(), tree(&artefact));
    let mode = |file: &str| {
        let metadata = fs::metadata(path.join(file)).unwrap();
        metadata.permissions().mode() & 0o7777
    };
    assert_eq!((mode("bin/server"), mode("lib/a.so")), (0o755, 0o644));
    assert_eq!(fs::read(path.join("lib/a.so")).unwrap(), b"a library");
    assert_eq!(fs::read(path.join("share/noise")).unwrap(), noise(100_000));
    // From now on the registry is not needed.
    fs::remove_dir_all(world.dir().join("registry")).unwrap();
    assert_eq!(world.fetch(&package, &artefact).unwrap(), path);
    assert_eq!(world.store().find(&package, &artefact.sha256), Some(path));
}

#[test]
fn names_of_any_length_are_unpacked() {
    let world = World::new();
    let name = format!("share/{}/{}", "a".repeat(120), "b".repeat(120));
    let mut long = name.clone().into_bytes();
    long.push(0);
    let mut head = Item::file("././@LongLink", &long);
    head.kind = b'L';
    let bytes = zstd(&tar(&[head, Item::file("share/short", b"x")]));
    let (package, artefact) = (package("postgres"), artefact(&bytes));
    world.publish(&package, &bytes);
    let path = world.fetch(&package, &artefact).unwrap();
    assert_eq!(fs::read(path.join(name)).unwrap(), b"x");
}

#[test]
fn a_change_in_the_store_is_found() {
    let world = World::new();
    let bytes = good(100);
    let (package, artefact) = (package("postgres"), artefact(&bytes));
    world.publish(&package, &bytes);
    let path = world.fetch(&package, &artefact).unwrap();
    assert!(world.store().verify().unwrap().is_empty());
    let write = |file: &str, bytes: &[u8]| {
        let mut file = fs::File::create(path.join(file)).unwrap();
        file.write_all(bytes).unwrap();
    };
    write("bin/server", b"#!/bin/su\n");
    write("lib/more", b"");
    fs::remove_file(path.join("lib/a.so")).unwrap();
    let mode = fs::Permissions::from_mode(0o755);
    fs::set_permissions(path.join("lib/a.so.1"), mode).unwrap();
    let faults = world.store().verify().unwrap();
    let mut faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
    faults.sort();
    let expected = [
        "bin/server has been changed",
        "lib/a.so is missing",
        "lib/a.so.1 has been changed",
        "lib/more does not belong there",
    ];
    assert_eq!(faults, expected.map(|fault| format!("{path}/{fault}")));
    write(".doze-files", b"");
    let faults = world.store().verify().unwrap();
    assert!(matches!(faults[0].kind, FaultKind::List(_)), "{faults:?}");
    // What is not whole is not found, and fetched again.
    assert_eq!(world.store().find(&package, &artefact.sha256), None);
    world.fetch(&package, &artefact).unwrap();
    assert!(world.store().verify().unwrap().is_empty());
    assert_eq!(world.left(), tree(&artefact));
}

#[test]
fn what_nobody_keeps_goes() {
    let world = World::new();
    let mut paths = Vec::new();
    for (name, bulk) in [("postgres", 10), ("valkey", 20)] {
        let bytes = good(bulk);
        world.publish(&package(name), &bytes);
        paths.push(world.fetch(&package(name), &artefact(&bytes)).unwrap());
    }
    let part = world.store_dir().join(".part").join("0".repeat(64));
    fs::File::create(&part).unwrap();
    let keep = BTreeSet::from([paths[0].clone()]);
    let removed = world.store().gc(&keep).unwrap();
    assert_eq!(removed, [paths[1].clone(), part]);
    assert_eq!(world.store().gc(&keep).unwrap(), Vec::<Utf8PathBuf>::new());
    assert!(world.store().verify().unwrap().is_empty());
    assert!(paths[0].is_dir() && !paths[1].is_dir());
}

#[test]
fn a_lost_connection_is_gone_on_with() {
    let bytes = good(300_000);
    let artefact = artefact(&bytes);
    let world = World::new();
    let server = Server::new(world.dir(), move |request, out| match request.from {
        None => {
            head(out, "200 OK", bytes.len() as u64, "")?;
            out.write_all(&bytes[..200_000])?;
            Err(io::ErrorKind::ConnectionReset.into())
        }
        Some(_) => give(out, &bytes, request),
    });
    let scene = Scene {
        world,
        server,
        artefact,
    };
    let error = scene.job("first").run().unwrap_err();
    assert!(error.contains("cannot read https://"), "{error}");
    scene.job("second").run().unwrap();
    let asked = scene.server.requests();
    let from: Vec<_> = asked.iter().map(|request| request.from).collect();
    assert!(matches!(from[..], [None, Some(1..=200_000)]), "{from:?}");
    assert_eq!(scene.world.left(), tree(&artefact));
}

#[test]
fn a_server_without_ranges_begins_anew() {
    let bytes = good(300_000);
    let artefact = artefact(&bytes);
    let world = World::new();
    let parts = world.store_dir().join(".part");
    fs::create_dir_all(&parts).unwrap();
    let mut part = fs::File::create(parts.join(artefact.sha256.to_string())).unwrap();
    part.write_all(&bytes[..100_000]).unwrap();
    let server = Server::new(world.dir(), move |_, out| {
        head(out, "200 OK", bytes.len() as u64, "")?;
        out.write_all(&bytes)
    });
    let scene = Scene {
        world,
        server,
        artefact,
    };
    scene.job("answer").run().unwrap();
    assert_eq!(scene.server.requests()[0].from, Some(100_000));
    assert_eq!(scene.world.left(), tree(&artefact));
}

#[test]
fn threads_share_a_store_and_a_mirror() {
    let world = World::new();
    let published: Vec<_> = ["postgres", "valkey"]
        .iter()
        .map(|name| {
            let bytes = good(name.len() * 10_000);
            world.publish(&package(name), &bytes);
            (package(name), artefact(&bytes))
        })
        .collect();
    let mirror = world.mirror();
    let store = world.store();
    let trees: BTreeSet<_> = thread::scope(|scope| {
        let fetches = (0..8).map(|i| {
            let (package, artefact) = &published[i % 2];
            let (store, mirror) = (&store, &mirror);
            scope.spawn(move || world::fetch(store, mirror, package, artefact).unwrap())
        });
        let fetches: Vec<_> = fetches.collect();
        fetches.into_iter().map(|it| it.join().unwrap()).collect()
    });
    assert_eq!(trees.len(), 2);
    assert!(store.verify().unwrap().is_empty());
}

#[test]
fn eight_processes_fetch_once() {
    let bytes = good(1_000_000);
    let artefact = artefact(&bytes);
    let world = World::new();
    let (go, started) = mpsc::channel();
    let started = std::sync::Mutex::new(started);
    // Nothing comes until all of them are there.
    let server = Server::new(world.dir(), move |request, out| {
        let started = started.lock().unwrap();
        started
            .recv_timeout(Duration::from_secs(20))
            .map_err(io::Error::other)?;
        give(out, &bytes, request)
    });
    let scene = Scene {
        world,
        server,
        artefact,
    };
    let jobs: Vec<Job> = (0..8).map(|i| scene.job(&i.to_string())).collect();
    let children: Vec<_> = jobs.iter().map(Job::start).collect();
    go.send(()).unwrap();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    let trees: BTreeSet<_> = jobs.iter().map(|job| job.answer().unwrap()).collect();
    assert_eq!(trees.len(), 1);
    assert_eq!(scene.server.requests().len(), 1);
    assert_eq!(scene.world.left(), tree(&artefact));
    scene.whole();
}

#[test]
fn a_kill_at_any_point_leaves_whole_trees_only() {
    const KILLS: u32 = 50;
    let noise = noise(1_000_000);
    let names: Vec<String> = (0..100).map(|i| format!("share/{i}/file")).collect();
    let parts = noise.chunks(10_000).zip(&names);
    let items: Vec<Item<'_>> = parts.map(|(part, name)| Item::file(name, part)).collect();
    let bytes = Arc::new(zstd(&tar(&items)));
    let scene = Scene::new(bytes.to_vec());
    let begun = Instant::now();
    let path = scene.job("first").run().unwrap();
    let whole = begun.elapsed();
    let mut random = Random::new(4);
    let (_silent, never) = mpsc::channel::<()>();
    let (mut done, mut parts) = (0, 0);
    for _ in 0..KILLS {
        scene.world.store().discard(&path).unwrap();
        let job = scene.job("killed");
        let mut child = job.start();
        // Nothing is ever sent here: it is the clock of the kill.
        assert!(never.recv_timeout(random.within(whole)).is_err());
        child.kill().unwrap();
        child.wait().unwrap();
        scene.whole();
        let left = scene.world.left();
        done += u32::from(path.is_dir());
        parts += u32::from(left.iter().any(|path| path.starts_with(".part")));
        scene.job("next").run().unwrap();
        scene.whole();
        let left = scene.world.left();
        let leftover = left.iter().find(|path| path.as_str().starts_with('.'));
        assert_eq!(leftover, None);
    }
    println!("{KILLS} kills: {parts} left a part of a download, {done} came too late");
    assert!(parts > 0 && done < KILLS, "no kill hit a download");
}

#[test]
#[ignore = "is a process of the other tests"]
fn fetcher() {
    child::work();
}
