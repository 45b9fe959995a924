//! Ways to be fooled, each tried on what a user has: a `doze.lock` and a store. Each has to fail
//! with an error of its own, and to leave nothing behind.
//!
//! `catalogue/NAME` tells of the attack NAME: `about.md` what is done and what would become of the
//! careless, `error.txt` what the user is told, with all its causes. `DOZE_BLESS=1` writes what is
//! told now.
#![expect(
    clippy::expect_used,
    reason = "a surprise fails the test, and says what it was"
)]

mod index;

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    error::Error,
    fs,
};

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

/// All of them; each module tries its own.
const ATTACKS: &[&[Attack]] = &[index::ATTACKS];

/// What a user has, and room for the attacker.
pub(crate) struct World {
    dir: TempDir,
    varying: RefCell<Vec<(String, &'static str)>>,
}

impl World {
    fn new() -> Self {
        Self {
            dir: tempfile::tempdir().expect("a directory for the test"),
            varying: RefCell::default(),
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

    /// The user's store.
    #[expect(dead_code, reason = "for the attacks on archives")]
    pub(crate) fn store(&self) -> Utf8PathBuf {
        self.path("store")
    }

    /// Has text that is another one every time, such as an address, written as `name` in what the
    /// user is told.
    #[expect(dead_code, reason = "for the attacks on the transport")]
    pub(crate) fn varies(&self, text: &str, name: &'static str) {
        self.varying.borrow_mut().push((text.to_owned(), name));
    }

    fn told(&self, error: &dyn Error) -> String {
        let text = chain(error).replace(self.path("").as_str(), "DIR/");
        let varying = self.varying.borrow();
        varying
            .iter()
            .fold(text, |text, (from, to)| text.replace(from, to))
            + "\n"
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
        index::write_lock(&world.lock());
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

fn catalogue() -> Utf8PathBuf {
    Utf8Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/attacks/catalogue")
}

#[expect(
    clippy::disallowed_methods,
    reason = "whoever interrupts it blesses again"
)]
fn bless(file: &Utf8Path, told: &str) {
    fs::write(file, told).expect("a directory in the catalogue");
}

#[test]
fn the_catalogue_is_complete_and_each_attack_has_its_own_error() {
    let items = catalogue().read_dir_utf8().expect("the catalogue");
    let names = items.map(|item| item.expect("the catalogue").file_name().to_owned());
    let names: BTreeSet<_> = names.collect();
    let attacks = ATTACKS
        .iter()
        .copied()
        .flatten()
        .map(|attack| attack.name.to_owned());
    assert_eq!(names, attacks.collect());
    assert_eq!(
        ATTACKS.iter().map(|attacks| attacks.len()).sum::<usize>(),
        names.len()
    );

    let mut errors = BTreeMap::new();
    for name in &names {
        let read = |file: &str| {
            let path = catalogue().join(name).join(file);
            let text = fs::read_to_string(&path).unwrap_or_else(|_| panic!("no {path}"));
            assert!(!text.trim().is_empty(), "{path} is empty");
            text
        };
        read("about.md");
        let other = errors.insert(read("error.txt"), name);
        assert_eq!(other, None, "{name} has the same error");
    }
}
