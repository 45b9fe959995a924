//! A trial of one attack on what a user has: a `doze.lock` and a store.

use std::{collections::BTreeSet, error::Error, fs};

use camino::{Utf8Path, Utf8PathBuf};
use doze_contract::error::chain;
use tempfile::TempDir;

/// One way.
pub(crate) struct Attack {
    /// Its directory in the catalogue.
    pub(crate) name: &'static str,
    /// Attacks a client, and says what stopped it.
    pub(crate) run: fn(&World) -> Result<(), Box<dyn Error>>,
}

/// What a user has, and room for the attacker.
pub(crate) struct World {
    dir: TempDir,
}

impl World {
    pub(crate) fn new() -> Self {
        Self {
            dir: tempfile::tempdir().expect("a directory for the test"),
        }
    }

    /// A place for the attacker's files.
    pub(crate) fn path(&self, name: &str) -> Utf8PathBuf {
        let dir = Utf8Path::from_path(self.dir.path()).expect("a temporary directory in UTF-8");
        dir.join(name)
    }

    /// The user's `doze.lock`.
    pub(crate) fn lock(&self) -> Utf8PathBuf {
        self.path("doze.lock")
    }

    fn told(&self, error: &dyn Error) -> String {
        chain(error).replace(self.path("").as_str(), "DIR/") + "\n"
    }

    /// All that is in the store but for the files that locks are held on.
    fn left(&self) -> BTreeSet<Utf8PathBuf> {
        let mut left = BTreeSet::new();
        let mut folders = vec![self.path("store")];
        while let Some(folder) = folders.pop() {
            let Ok(items) = folder.read_dir_utf8() else {
                continue;
            };
            for item in items {
                let item = item.expect("a store that can be read");
                if item.file_type().expect("a file that is there").is_dir() {
                    folders.push(item.path().to_owned());
                } else if folder.file_name() != Some(".locks") {
                    left.insert(item.path().to_owned());
                }
            }
        }
        left
    }
}

/// Tries each attack, and compares what the user is told and has with what the catalogue says.
pub(crate) fn try_all(attacks: &[Attack]) {
    let mut wrong = Vec::new();
    for Attack { name, run } in attacks {
        let world = World::new();
        crate::index::write_lock(&world.lock());
        let lock = fs::read(world.lock()).expect("the lock");
        let Err(error) = run(&world) else {
            wrong.push(format!("{name}: the attack succeeded"));
            continue;
        };
        let told = world.told(&*error);
        let file = catalogue().join(name).join("error.txt");
        if std::env::var_os("DOZE_BLESS").is_some() {
            bless(&file, &told);
        }
        let expected = fs::read_to_string(&file).unwrap_or_default();
        if told != expected {
            wrong.push(format!("{name}: told\n{told}and not\n{expected}"));
        }
        if fs::read(world.lock()).expect("the lock") != lock {
            wrong.push(format!("{name}: the lock was changed"));
        }
        let left = world.left();
        if !left.is_empty() {
            wrong.push(format!("{name}: left {left:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

pub(crate) fn catalogue() -> Utf8PathBuf {
    Utf8Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/attacks/catalogue")
}

#[expect(
    clippy::disallowed_methods,
    reason = "whoever interrupts it blesses again"
)]
fn bless(file: &Utf8Path, told: &str) {
    fs::write(file, told).expect("a directory in the catalogue");
}
