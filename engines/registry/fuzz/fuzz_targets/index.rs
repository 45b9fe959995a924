//! An index, as a mirror may serve it, and as a publisher may sign it.
//!
//! Every input is both: a file, and after its first four bytes a payload that gets signed here.
//! Those four choose how many keys handed over, what is pinned, and what the clock says.
#![no_main]

use std::{
    collections::BTreeSet,
    sync::LazyLock,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use doze_contract::Version;
use doze_registry::{
    Index, Namespace, PublicKey, SecretKey, Triple,
    envelope::{self, Handover},
    index::{self, Trust, Verified},
    select,
};
use libfuzzer_sys::fuzz_target;

/// Between `issued` and `expires` of the seeds.
const NOW: u64 = 1_795_219_200;

const DAY: u64 = 86_400;

/// The publisher's keys, one after the other, and one that is nobody's.
static KEYS: LazyLock<[SecretKey; 4]> =
    LazyLock::new(|| [1, 2, 3, 4].map(|seed| SecretKey::from_seed(&[seed; 32])));

fuzz_target!(|bytes: &[u8]| {
    let namespace = Namespace::new("doze").unwrap();
    served(bytes, &namespace);
    if let Some((choice, payload)) = bytes.split_first_chunk() {
        signed(*choice, payload, &namespace);
    }
});

/// What opens was written by who has the key, to the byte: a signature has one form, and there is
/// nothing in the file that it does not cover.
fn served(file: &[u8], namespace: &Namespace) {
    let Ok(opened) = envelope::open(file, namespace) else {
        return;
    };
    let secret = |public: &PublicKey| KEYS.iter().find(|key| key.public() == *public).unwrap();
    let mut successors = opened.chain.iter().skip(1).map(|next| next.key);
    for old in &opened.chain {
        let new = successors.next().unwrap_or(opened.key);
        assert_eq!(*old, Handover::sign(namespace, secret(&old.key), &new));
    }
    let key = secret(&opened.key);
    let sealed = envelope::seal(namespace, &opened.chain, key, opened.payload);
    assert_eq!(sealed, file, "a signature that the key did not make");
}

fn signed([keys, pin, counter, clock]: [u8; 4], payload: &[u8], namespace: &Namespace) {
    let [first, second, third, stranger] = &*KEYS;
    let owners = &[first, second, third][..=usize::from(keys % 3)];
    let mut chain = Vec::new();
    for pair in owners.windows(2) {
        chain.push(Handover::sign(namespace, pair[0], &pair[1].public()));
    }
    let key = owners[owners.len() - 1];
    let file = envelope::seal(namespace, &chain, key, payload);

    let trust = match pin % 5 {
        0 => Trust::FirstUse,
        pin => Trust::Pinned {
            key: [first, second, third, stranger][usize::from(pin - 1)].public(),
            counter: counter.into(),
        },
    };
    let now = (NOW + u64::from(clock) * DAY / 8).saturating_sub(8 * DAY);
    let time = UNIX_EPOCH + Duration::from_secs(now);
    if let Ok(verified) = index::verify(&file, namespace, &trust, time) {
        assert_believable(&verified, owners, &trust, now);
        used(verified.index());
        same_again(verified.index(), &chain, key, &trust, time);
    }
}

/// All that verification promises, said another way.
fn assert_believable(verified: &Verified, owners: &[&SecretKey], trust: &Trust, now: u64) {
    let index = verified.index();
    assert_eq!(index.namespace.as_str(), "doze");
    assert_eq!(verified.key(), owners[owners.len() - 1].public());
    assert!(now < index.expires && index.issued <= now + DAY);
    let mut believed = owners.iter().map(|key| key.public());
    match trust {
        Trust::FirstUse => assert!(!index.revoked_keys.contains_key(&verified.key())),
        Trust::Pinned { key, counter } => {
            assert!(index.counter >= *counter);
            assert!(believed.any(|owner| owner == *key), "nobody's key");
            assert!(!index.revoked_keys.contains_key(key));
            assert!(believed.all(|owner| !index.revoked_keys.contains_key(&owner)));
        }
    }
}

/// Selects every release that there is, and some that are not; what is selected is fit for use.
fn used(index: &Index) {
    let engines = index.engines.values().flat_map(|all| all.values());
    let modules = index.modules.values().flat_map(|all| all.values());
    let triples: BTreeSet<&Triple> = engines
        .flat_map(|release| release.artefacts.keys())
        .chain(modules.flat_map(|release| release.artefacts.keys()))
        .collect();
    for triple in triples {
        for (name, releases) in &index.engines {
            for declared in releases.keys() {
                let majors = std::slice::from_ref(declared);
                if let Ok(choice) = select::engine(index, name, declared, majors, triple) {
                    assert!(choice.package.version.provides(declared));
                    assert_eq!(index.revoked(&choice.artefact.sha256), None);
                    choice.package.path(triple);
                }
            }
        }
        for (name, releases) in &index.modules {
            for release in releases.values() {
                let declared: &[Version] = &release.majors;
                if let Ok(choice) = select::module(index, name, declared, triple) {
                    assert_eq!(index.revoked(&choice.artefact.sha256), None);
                    choice.package.path(triple);
                }
            }
        }
    }
}

/// Its publisher can read the index, and sign it again without a change.
fn same_again(index: &Index, chain: &[Handover], key: &SecretKey, trust: &Trust, now: SystemTime) {
    let file = index.seal(chain, key).unwrap();
    let again = index::verify(&file, &index.namespace, trust, now).unwrap();
    assert_eq!(again.index(), index);
}
