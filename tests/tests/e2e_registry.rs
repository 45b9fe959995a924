//! Registries: a project comes up from one with nothing installed, stays up without a network, and
//! is told what has changed, was taken back, or is not what it should be.
#![expect(
    clippy::expect_used,
    reason = "a surprise fails the test, and says what it was"
)]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use doze_tests::engines;
use doze_tests::project::{output, succeed};
use doze_tests::random::Random;
use doze_tests::size::pick;
use doze_tests::{User, World, needed, recipe, wait_until};

/// How long an engine may take that is provisioned by its first client.
const BOUND: Duration = Duration::from_mins(1);

/// Somebody who publishes.
struct Publisher {
    world: World,
}

impl Publisher {
    fn new() -> Option<Self> {
        recipe::possible()?;
        let world = World::of(User::Current);
        // Everybody may read what is published.
        fs::set_permissions(world.dir(), fs::Permissions::from_mode(0o755)).expect("our folder");
        let publisher = Self { world };
        publisher.run(&["init", "acme", "--dir", "site"]);
        Some(publisher)
    }

    fn run(&self, words: &[&str]) -> String {
        let mut command = self.world.command("doze");
        succeed(command.arg("registry").args(words))
    }

    /// Makes a tree by a recipe.
    fn tree(&self, engine: &str, major: &str) -> PathBuf {
        let tree = self.world.home().join(format!("{engine}-{major}"));
        let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("recipes");
        recipe::build(&cache, engine, major, &tree);
        tree
    }

    fn publish(&self, tree: &Path) {
        let packed = tree.with_extension("packed");
        let (from, to) = (tree.display().to_string(), packed.display().to_string());
        self.run(&["pack", &from, "--out", &to]);
        for archive in fs::read_dir(&packed).expect("it was packed") {
            let archive = archive.expect("it can be listed").path();
            let archive = archive.display().to_string();
            self.run(&["publish", "acme", &archive, "--dir", "site"]);
        }
    }

    fn site(&self) -> PathBuf {
        self.world.home().join("site")
    }

    /// A project that takes its engines from here.
    fn declare(&self, user: &World, blocks: &str) {
        let url = format!("file://{}", self.site().display());
        let toml = format!("name = \"shop\"\n\n[registries.acme]\nurl = \"{url}\"\n\n{blocks}");
        user.write("home/shop/doze.toml", &toml);
    }
}

/// A doze command in the user's project.
fn doze(user: &World, words: &[&str]) -> Command {
    let mut command = user.command("doze");
    command.args(words).current_dir(shop(user));
    command
}

fn shop(user: &World) -> PathBuf {
    user.home().join("shop")
}

fn lock(user: &World) -> Option<String> {
    fs::read_to_string(shop(user).join("doze.lock")).ok()
}

/// What a command that has to fail with this status says.
#[track_caller]
fn refused(command: &mut Command, status: i32) -> String {
    let output = output(command);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(status), "{said}");
    said
}

/// The trees in a user's store, whole or not.
fn stored(user: &World) -> Vec<String> {
    let store = user.data_home().join("doze/store");
    let below = |folder: PathBuf| fs::read_dir(folder).into_iter().flatten().flatten();
    let kinds = below(store).filter(|kind| !kind.file_name().to_string_lossy().starts_with('.'));
    let names = kinds.flat_map(|kind| below(kind.path()));
    let trees = names.flat_map(|name| below(name.path()));
    let mut trees: Vec<_> = trees
        .map(|tree| tree.file_name().to_string_lossy().into_owned())
        .collect();
    trees.sort();
    trees
}

/// Must hold 5 and 4.
#[test]
fn a_project_comes_up_from_a_registry_alone_and_then_without_it() {
    let Some(publisher) = Publisher::new() else {
        return;
    };
    let Some(client) = needed("a Postgres", engines::postgres()) else {
        return;
    };
    let Some(user) = World::with_manager() else {
        return;
    };
    for (engine, major) in [("postgres", "17"), ("postgres", "18"), ("valkey", "8")] {
        publisher.publish(&publisher.tree(engine, major));
    }
    let [new, old, cache] = [(); 3].map(|()| user.port());
    let blocks = format!(
        "[postgres.new]\nversion = 18\nport = {new}\n\n[postgres.old]\nversion = 17\nport = {old}\n\n\
         [valkey.cache]\nversion = 8\nport = {cache}\n"
    );
    publisher.declare(&user, &blocks);
    succeed(&mut doze(&user, &["up"]));

    let version = |name: &str| {
        let url = succeed(&mut doze(&user, &["url", name]));
        let mut psql = user.command(&client.client);
        psql.args(["-XAtc", "show server_version", url.trim_end()]);
        succeed(&mut psql)
    };
    assert!(version("new").starts_with("18."));
    assert!(version("old").starts_with("17."));
    let trees = stored(&user);
    let [_, _, valkey] = trees.as_slice() else {
        panic!("three trees are stored: {trees:?}")
    };
    let cli = user
        .data_home()
        .join("doze/store/engines/valkey")
        .join(valkey);
    let mut ping = user.command(cli.join("bin/valkey-cli"));
    assert_eq!(
        succeed(ping.args(["-p", &cache.to_string(), "ping"])),
        "PONG\n"
    );
    assert_eq!(succeed(&mut doze(&user, &["up"])), "");
    assert_eq!(
        succeed(&mut doze(&user, &["store", "verify"])),
        "everything is as it was when it was verified\n"
    );
    // What a plan or a lock names is not removed, and templates are made anew.
    let removed = succeed(&mut doze(&user, &["store", "gc"]));
    let mut removed = removed.lines();
    assert!(removed.all(|line| line.contains("/templates/postgres-")));
    assert_eq!(succeed(&mut doze(&user, &["store", "gc"])), "");

    let other = World::new();
    publisher.declare(&other, &blocks);
    succeed(&mut doze(&other, &["lock"]));
    assert_eq!(lock(&other), lock(&user), "another user pins the same");

    succeed(&mut doze(&user, &["down"]));
    fs::rename(publisher.site(), publisher.world.home().join("gone")).expect("our folder");
    without_network(&user, &client.client, old);
}

/// Brings the project up where there is no network but loopback, and asks a Postgres of it.
fn without_network(user: &World, psql: &Path, port: u16) {
    let script = format!(
        "doze up --foreground | while read line; do case $line in Ctrl-C*) \
         {} -XAtc 'select 42' postgres://postgres@127.0.0.1:{port}/postgres; doze down;; \
         esac; done",
        psql.display()
    );
    let mut command = user.offline_command("sh");
    command.args(["-c", &script]).current_dir(shop(user));
    assert_eq!(succeed(&mut command), "42\n");
}

#[test]
fn what_is_newer_taken_back_or_different_is_told() {
    let Some(publisher) = Publisher::new() else {
        return;
    };
    let tree = publisher.tree("valkey", "8");
    publisher.publish(&tree);
    let user = World::new();
    let blocks = format!("[valkey.cache]\nversion = 8\nport = {}\n", user.port());
    publisher.declare(&user, &blocks);
    let said = refused(&mut doze(&user, &["url", "cache"]), 2);
    assert!(
        said.contains("not in doze.lock yet; run `doze up`"),
        "{said}"
    );
    assert_eq!(
        succeed(&mut doze(&user, &["lock"])),
        "valkey 8: 8.1.8 from acme\n"
    );
    let pinned = lock(&user).expect("it was written");
    succeed(&mut doze(&user, &["lock", "upgrade", "--check"]));

    // A newer one moves no pin by itself.
    let manifest = fs::read_to_string(tree.join("package.toml")).expect("a manifest");
    let newer = manifest.replace("version = \"8.1.8\"", "version = \"8.1.9\"");
    fs::remove_dir_all(tree.with_extension("packed")).expect("our folder");
    publisher.world.write(tree.join("package.toml"), &newer);
    publisher.publish(&tree);
    succeed(&mut doze(&user, &["lock"]));
    assert!(lock(&user).expect("a lock").contains("8.1.8"));
    let mut check = doze(&user, &["lock", "upgrade", "--check"]);
    let check = output(&mut check);
    assert_eq!(check.status.code(), Some(5));
    let told = "valkey 8: 8.1.8 from acme -> 8.1.9 from acme\n";
    assert_eq!(String::from_utf8_lossy(&check.stdout), told);
    assert_eq!(succeed(&mut doze(&user, &["lock", "upgrade"])), told);
    let upgraded = lock(&user).expect("a lock");

    // Whoever has it keeps it, and nobody else gets it.
    publisher.run(&[
        "revoke",
        "acme",
        "engine/valkey/8.1.9",
        "it eats keys",
        "--dir",
        "site",
    ]);
    succeed(&mut doze(&user, &["generate"]));
    let other = World::new();
    publisher.declare(&other, &blocks);
    other.write("home/shop/doze.lock", &upgraded);
    let said = refused(&mut doze(&other, &["generate"]), 3);
    assert!(
        said.contains("8.1.9 was revoked by its publisher: it eats keys"),
        "{said}"
    );
    assert!(said.contains("doze lock upgrade"), "{said}");
    assert!(stored(&other).is_empty(), "{:?}", stored(&other));
    assert_eq!(
        succeed(&mut doze(&other, &["lock", "upgrade"])),
        "valkey 8: 8.1.9 from acme -> 8.1.8 from acme\n"
    );

    // One byte of the archive is another one.
    let archive = publisher.site().join(format!(
        "acme/engines/valkey/valkey-8.1.8-{}-unknown-linux-gnu.tar.zst",
        std::env::consts::ARCH
    ));
    let mut bytes = fs::read(&archive).expect("it was published");
    let middle = bytes.len() / 2;
    if let Some(byte) = bytes.get_mut(middle) {
        *byte ^= 1;
    }
    let bad = publisher.world.home().join("bad");
    let mut file = fs::File::create(&bad).expect("our folder");
    std::io::Write::write_all(&mut file, &bytes).expect("room");
    fs::rename(&bad, &archive).expect("our folder");
    let third = World::new();
    publisher.declare(&third, &blocks);
    third.write("home/shop/doze.lock", &pinned);
    let said = refused(&mut doze(&third, &["generate"]), 3);
    assert!(said.contains("cannot unpack engine valkey 8.1.8"), "{said}");
    assert!(stored(&third).is_empty(), "{:?}", stored(&third));
}

/// Must hold 2.
#[test]
fn a_lock_that_is_killed_leaves_whole_entries_and_a_lock_that_parses() {
    let Some(publisher) = Publisher::new() else {
        return;
    };
    publisher.publish(&publisher.tree("valkey", "8"));
    let user = World::new();
    let blocks = format!("[valkey.cache]\nversion = 8\nport = {}\n", user.port());
    publisher.declare(&user, &blocks);
    let forget = || {
        let store = user.data_home().join("doze/store");
        for path in [store, shop(&user).join("doze.lock")] {
            drop(fs::remove_dir_all(&path));
            drop(fs::remove_file(&path));
        }
    };
    let begun = std::time::Instant::now();
    succeed(&mut doze(&user, &["lock"]));
    let whole = begun.elapsed();
    let pinned = lock(&user);
    let mut random = Random::new(11);
    for _ in 0..pick(10, 50) {
        forget();
        let mut child = doze(&user, &["lock"]).spawn().expect("doze starts");
        pause(random.within(whole));
        child.kill().expect("our child");
        child.wait().expect("our child");
        if let Some(text) = lock(&user) {
            assert_eq!(Some(text), pinned, "the lock is there as a whole");
        }
        succeed(&mut doze(&user, &["store", "verify"]));
        succeed(&mut doze(&user, &["lock"]));
        assert_eq!(lock(&user), pinned);
        assert_eq!(stored(&user).len(), 1);
        wait_until("the store to be without leftovers", BOUND, || {
            let parts = user.data_home().join("doze/store/.part");
            let left = fs::read_dir(parts).into_iter().flatten().count();
            if left == 0 {
                Ok(())
            } else {
                Err(format!("{left} parts"))
            }
        });
    }
}

/// The time until a kill is not a wait: nothing is expected to happen in it.
#[expect(clippy::disallowed_methods, reason = "a kill comes at a random moment")]
fn pause(gap: Duration) {
    thread::sleep(gap);
}
