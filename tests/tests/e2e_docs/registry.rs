//! What the reference shows of a registry, put to `doze`.

use std::fs;

use doze_tests::World;
use doze_tests::project::{output, succeed};

use crate::markdown::{Block, Page};

fn block(is_it: impl Fn(&Block) -> bool) -> Block {
    let blocks = Page::read("docs/reference/registry.md").blocks();
    let block = blocks.into_iter().find(|block| is_it(block));
    block.expect("the page shows it")
}

/// A project whose one registry serves this index.
fn project(index: &str) -> World {
    let world = World::new();
    world.write("home/registry/acme/index", index);
    let toml = format!(
        "[registries.acme]\nurl = \"file://{}/registry\"\n",
        world.home().display()
    );
    world.write("home/doze.toml", &toml);
    world
}

#[test]
fn the_index_is_signed_as_the_page_says() {
    let index = block(|block| block.is("index")).text();
    let world = project(&index);
    let found = world.run(&["doze", "search"]);
    for kind in ["driver  memcached  0.1.0", "engine  memcached  1.6.18"] {
        assert!(found.contains(kind), "{found}");
    }
    let known = world.run(&["doze", "info", "memcached"]);
    assert!(known.contains("Memory for items, in megabytes."), "{known}");

    let forged = index.replace("1.6.18\"", "1.6.19\"");
    assert_ne!(forged, index);
    let refused = output(project(&forged).command("doze").arg("search"));
    assert_eq!(refused.status.code(), Some(3), "{refused:?}");
}

#[test]
fn the_lock_can_be_read() {
    let lock = block(|block| block.file() == Some("doze.lock")).text();
    for (lock, status) in [
        (lock.clone(), 0),
        (lock.replace("format = 1", "format = 2"), 2),
        (lock.replace("counter = 7", "counter = \"7\""), 2),
    ] {
        let world = World::new();
        world.write("home/doze.toml", "");
        world.write("home/doze.lock", &lock);
        let generated = output(world.command("doze").args(["generate", "--check"]));
        let said = String::from_utf8_lossy(&generated.stderr);
        let code = generated.status.code().expect("an exit");
        assert_eq!(code == 2, status == 2, "{code}: {said}");
        assert_eq!(said.contains("doze.lock"), status == 2, "{said}");
    }
}

#[test]
fn both_manifests_can_be_packed() {
    let manifest = |module: bool| {
        let is_it = |block: &Block| block.file() == Some("package.toml");
        block(|block| is_it(block) && block.is("module") == module).text()
    };
    let world = World::new();
    world.write("home/engine/package.toml", &manifest(false));
    world.write("home/module/package.toml", &manifest(true));
    world.write("home/module/description.json", "{}");
    let driver = world.write("home/module/doze-driver-memcached", "#!/bin/sh\n");
    let pack = |folder: &str| {
        let mut pack = world.command("doze");
        pack.args(["registry", "pack", folder, "--out", "packed"]);
        pack
    };
    // A driver that nobody can run is none.
    assert!(!output(&mut pack("module")).status.success());
    world.run(&["chmod", "755", driver.to_str().expect("UTF-8")]);
    succeed(&mut pack("engine"));
    succeed(&mut pack("module"));
    let packed = fs::read_dir(world.home().join("packed")).expect("they are there");
    assert_eq!(packed.count(), 2);
}
