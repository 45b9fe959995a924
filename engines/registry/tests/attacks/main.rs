//! Ways to be fooled, each tried on what a user has. Each has to fail with an error of its own, and to
//! leave nothing behind.
//!
//! `catalogue/NAME` tells of the attack NAME: `about.md` what is done and what would become of the
//! careless, `error.txt` what the user is told, with all its causes. `DOZE_BLESS=1` writes what is
//! told now.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "helpers of tests fail like tests"
)]

mod archive;
#[path = "../support/child.rs"]
mod child;
mod index;
#[path = "../support/server.rs"]
#[expect(dead_code, reason = "no honest answers are needed here")]
mod server;
#[path = "../support/tarball.rs"]
mod tarball;
mod transport;
mod trial;
#[path = "../support/world.rs"]
mod world;

use std::{collections::BTreeMap, env, fs, io::Write as _};

use crate::{trial::catalogue, world::World};

/// The name of its directory, and what the attacker does; the text is what the user sees.
pub(crate) type Attack = (&'static str, fn(&World) -> String);

/// Runs attacks, each in a world of its own.
fn run(attacks: &[Attack]) {
    let mut wrong = Vec::new();
    for (name, attack) in attacks {
        let world = World::new();
        let told = attack(&world) + "\n";
        let left = world.left();
        if !left.is_empty() {
            wrong.push(format!("{name} leaves {left:?}"));
        }
        let path = catalogue().join(name).join("error.txt");
        if env::var_os("DOZE_BLESS").is_some() {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            let mut file = fs::File::create(&path).unwrap();
            file.write_all(told.as_bytes()).unwrap();
        }
        let expected = fs::read_to_string(&path).unwrap_or_default();
        if told != expected {
            wrong.push(format!("{name} is told\n{told}and not\n{expected}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_archive_does_what_it_likes() {
    run(&archive::ATTACKS);
    run(&archive::TRAILING);
}

#[test]
fn no_server_does_what_it_likes() {
    run(&transport::ATTACKS);
}

#[test]
fn every_directory_is_an_attack_with_words_of_its_own() {
    let mut names: Vec<&str> = [
        &archive::ATTACKS[..],
        &archive::TRAILING,
        &transport::ATTACKS,
    ]
    .concat()
    .iter()
    .map(|(name, _)| *name)
    .chain(index::ATTACKS.iter().map(|attack| attack.name))
    .collect();
    names.sort_unstable();
    let mut found = Vec::new();
    let mut words = BTreeMap::new();
    for entry in catalogue().read_dir_utf8().unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().to_owned();
        let about = fs::read_to_string(entry.path().join("about.md")).unwrap_or_default();
        assert!(about.len() > 20, "{name} has no about.md");
        let told = fs::read_to_string(entry.path().join("error.txt")).unwrap();
        if let Some(other) = words.insert(told, name.clone()) {
            panic!("{name} and {other} are told the same");
        }
        found.push(name);
    }
    found.sort_unstable();
    assert_eq!(found, names);
}

#[test]
#[ignore = "is a process of the other tests"]
fn fetcher() {
    child::work();
}
