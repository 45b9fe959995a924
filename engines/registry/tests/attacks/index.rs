//! Attacks by whoever can change what is served as the index.

use std::{
    error::Error,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use camino::Utf8Path;
use doze_contract::{EngineName, Version};
use doze_registry::{
    Artefact, Digest, Index, Namespace, Pins, SecretKey, Triple,
    envelope::Handover,
    index::{Channel, EngineRelease, verify},
    pins::{Archives, EnginePin, RegistryPin, Source},
    select,
};

use crate::trial::{Attack, World, try_all};

pub(crate) const ATTACKS: &[Attack] = &[
    Attack {
        name: "index-tampered",
        run: |world| {
            let honest = Digest::of(b"honest").to_string();
            let forged = payload(&sealed(&index(13))).replace(&honest, &evil().to_string());
            let old = Digest::of(payload(&sealed(&index(13))).as_bytes()).to_string();
            let new = Digest::of(forged.as_bytes()).to_string();
            let head = header(&sealed(&index(13))).replace(&old, &new);
            client(world, &format!("{head}{forged}"))
        },
    },
    Attack {
        name: "index-mixed",
        run: |world| {
            let (old, new) = (sealed(&index(12)), sealed(&index(13)));
            client(world, &format!("{}{}", header(&new), payload(&old)))
        },
    },
    Attack {
        name: "index-other-key",
        run: |world| client(world, &seal(&index(13), &[], &thief())),
    },
    Attack {
        name: "index-forged-rotation",
        run: |world| {
            let mut handover = Handover::sign(&doze(), &thief(), &thief().public());
            handover.key = publisher().public();
            client(world, &seal(&index(13), &[handover], &thief()))
        },
    },
    Attack {
        name: "index-stolen-key",
        run: |world| {
            let next = SecretKey::from_seed(&[3; 32]);
            let handover = Handover::sign(&doze(), &publisher(), &next.public());
            let mut index = index(13);
            index
                .revoked_keys
                .insert(publisher().public(), "stolen".to_owned());
            client(world, &seal(&index, &[handover], &next))
        },
    },
    Attack {
        name: "index-weak-key",
        run: |world| {
            // The neutral element, of which a lenient verifier takes any message as signed.
            let weak = format!("AQ{}=", "A".repeat(41));
            let key = publisher().public().to_string();
            client(world, &sealed(&index(13)).replace(&key, &weak))
        },
    },
    Attack {
        name: "index-rolled-back",
        run: |world| client(world, &sealed(&index(11))),
    },
    Attack {
        name: "index-frozen",
        run: |world| {
            client_at(
                world,
                &sealed(&index(12)),
                now() + Duration::from_hours(30 * 24),
            )
        },
    },
    Attack {
        name: "index-clock-set-back",
        run: |world| {
            client_at(
                world,
                &sealed(&index(12)),
                now() - Duration::from_hours(30 * 24),
            )
        },
    },
    Attack {
        name: "index-two-signatures",
        run: |world| {
            let file = sealed(&index(13));
            let line = file.lines().nth(2).unwrap_or_default();
            client(world, &file.replacen(line, &format!("{line}\n{line}"), 1))
        },
    },
    Attack {
        name: "index-key-twice",
        run: |world| {
            let key = publisher();
            let handover = Handover::sign(&doze(), &key, &key.public());
            client(world, &seal(&index(13), &[handover, handover], &thief()))
        },
    },
    Attack {
        name: "index-of-other-namespace",
        run: |world| {
            let namespace = Namespace::new("acme")?;
            let other = Index {
                namespace,
                ..index(13)
            };
            client(world, &sealed(&other))
        },
    },
    Attack {
        name: "index-portal",
        run: |world| {
            client(
                world,
                "<!doctype html>\n\n<title>Welcome to our wifi</title>",
            )
        },
    },
    Attack {
        name: "index-revoked-archive",
        run: |world| {
            let mut index = index(13);
            index.revoked.insert(
                Digest::of(b"honest"),
                "its build machine was broken into".into(),
            );
            client(world, &sealed(&index))
        },
    },
];

#[test]
fn an_index_that_cannot_be_trusted_is_not() {
    try_all(ATTACKS);
}

/// The client that is attacked is one that would take what it should.
#[test]
fn an_honest_index_is_taken() {
    let world = World::new();
    write_lock(&world.lock());
    client(&world, &sealed(&index(13))).expect("an honest index");
    let pins = Pins::read(&world.lock())
        .expect("the lock")
        .expect("the lock");
    assert_eq!(pins.registries[&doze()].counter, 13);
}

/// What the user's `doze.lock` says before an attack.
pub(crate) fn write_lock(path: &Utf8Path) {
    let mut pins = Pins::default();
    let key = publisher().public();
    pins.registries
        .insert(doze(), RegistryPin { key, counter: 12 });
    pins.write(path).expect("a lock");
}

/// Resolves `[postgres.app] version = 17` with what is served, as `doze lock` does.
fn client(world: &World, served: &str) -> Result<(), Box<dyn Error>> {
    client_at(world, served, now())
}

fn client_at(world: &World, served: &str, now: SystemTime) -> Result<(), Box<dyn Error>> {
    let mut pins = Pins::read(&world.lock())?.unwrap_or_default();
    let verified = verify(served.as_bytes(), &doze(), &pins.trust(&doze()), now)?;
    let (name, declared) = (EngineName::new("postgres")?, Version::new("17")?);
    let choice = select::engine(
        verified.index(),
        &name,
        &declared,
        std::slice::from_ref(&declared),
        &linux(),
    )?;
    let source = Source::Registry(Archives {
        registry: doze(),
        sha256: [(linux(), choice.artefact.sha256)].into(),
    });
    let version = choice.package.version;
    let pin = EnginePin { version, source };
    pins.engines.entry(name).or_default().insert(declared, pin);
    let (key, counter) = (verified.key(), verified.counter());
    pins.registries.insert(doze(), RegistryPin { key, counter });
    Ok(pins.write(&world.lock())?)
}

/// What the publisher offers.
fn index(counter: u64) -> Index {
    let artefact = Artefact {
        size: 6,
        sha256: Digest::of(b"honest"),
    };
    let release = EngineRelease {
        channel: Channel::Stable,
        origin: "postgresql-17".to_owned(),
        licence: "PostgreSQL".to_owned(),
        artefacts: [(linux(), artefact)].into(),
    };
    let name = EngineName::new("postgres").expect("a name");
    let version = Version::new("17.11").expect("a version");
    let since = now()
        .duration_since(UNIX_EPOCH)
        .expect("a time after 1970")
        .as_secs();
    Index {
        counter,
        issued: since - 86_400,
        expires: since + 86_400,
        engines: [(name, [(version, release)].into())].into(),
        ..Index::new(doze())
    }
}

fn sealed(index: &Index) -> String {
    seal(index, &[], &publisher())
}

fn seal(index: &Index, chain: &[Handover], key: &SecretKey) -> String {
    let file = index.seal(chain, key).expect("an index");
    String::from_utf8(file).expect("an index in ASCII")
}

fn header(file: &str) -> String {
    let (header, _) = file.split_once("\n\n").expect("a header");
    format!("{header}\n\n")
}

fn payload(file: &str) -> String {
    let (_, payload) = file.split_once("\n\n").expect("a payload");
    payload.to_owned()
}

fn evil() -> Digest {
    Digest::of(b"evil")
}

fn publisher() -> SecretKey {
    SecretKey::from_seed(&[1; 32])
}

fn thief() -> SecretKey {
    SecretKey::from_seed(&[2; 32])
}

fn doze() -> Namespace {
    Namespace::new("doze").expect("a namespace")
}

fn linux() -> Triple {
    Triple::new("x86_64-unknown-linux-gnu").expect("a target")
}

fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_hours(20_778 * 24)
}
