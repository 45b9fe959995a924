use std::time::Duration;

use doze_contract::error::chain;
use proptest::prelude::*;

use super::*;

const DAY: u64 = 86_400;
const NOW: u64 = 1_795_219_200;

fn doze() -> Namespace {
    Namespace::new("doze").unwrap()
}

fn secret(seed: u8) -> SecretKey {
    SecretKey::from_seed(&[seed; 32])
}

fn time(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

/// An index that can be verified now.
fn index(counter: u64) -> Index {
    Index {
        counter,
        issued: NOW - DAY,
        expires: NOW + DAY,
        ..Index::new(doze())
    }
}

fn pinned(seed: u8, counter: u64) -> Trust {
    Trust::Pinned {
        key: secret(seed).public(),
        counter,
    }
}

/// A chain of hand-overs from one key to the next, and the last one.
fn rotated(seeds: &[u8]) -> (Vec<Handover>, SecretKey) {
    let hand_over = |pair: &[u8]| {
        let [old, new] = pair else { panic!("a pair") };
        Handover::sign(&doze(), &secret(*old), &secret(*new).public())
    };
    let chain = seeds.windows(2).map(hand_over).collect();
    (chain, secret(*seeds.last().unwrap()))
}

fn judged(index: &Index, seeds: &[u8], trust: &Trust) -> Result<Verified, IndexError> {
    let (chain, key) = rotated(seeds);
    verify(
        &index.seal(&chain, &key).unwrap(),
        &doze(),
        trust,
        time(NOW),
    )
}

#[test]
fn what_is_signed_is_verified() {
    let verified = judged(&index(12), &[1], &Trust::FirstUse).unwrap();
    assert_eq!(verified.counter(), 12);
    assert_eq!(verified.key(), secret(1).public());
    assert_eq!(verified.into_index(), index(12));
    judged(&index(12), &[1], &pinned(1, 12)).unwrap();
}

#[test]
fn the_file_is_this() {
    let (chain, key) = rotated(&[1, 2]);
    let file = index(12).seal(&chain, &key).unwrap();
    insta::assert_snapshot!(String::from_utf8(file).unwrap(), @r#"
    doze-index 1 doze
    key gTl3Dqh9F19Wo1Rmw0x+zMuNipG07jeiXfYPW4/Js5Q=
    rotated iojj3XQJ8ZX9UtstPLpdcspnCb8dlBIb83SIAbQPb1w= l3TvyUu85Lz0z7T2BScCyai5MMKGxA3gA6GYeqDb3KIZjn2XpjMFj/+rqniXa+wkOSgeQaiKd2cBSqs2n5PODQ==
    signature aecb9b9fd77b3b5f3f2b2e61f1bae563f942dbd8f4026d1a6b5f360517f3c490 PNrXnFXSfHHK4SE4qOmNMH31E+CcapaHNGV9OHAvSKyt2LX+ScAhEuRrZcdmYz+9Lt9V2ZB+nd2QzGGq8MwKDg==

    {
      "format": 1,
      "namespace": "doze",
      "counter": 12,
      "issued": 1795132800,
      "expires": 1795305600,
      "engines": {},
      "modules": {}
    }
    "#);
}

#[test]
fn a_file_with_any_bit_changed_is_refused() {
    let (chain, key) = rotated(&[1, 2, 3]);
    let file = index(12).seal(&chain, &key).unwrap();
    for at in 0..file.len() {
        for bit in 0..8 {
            let mut file = file.clone();
            file[at] ^= 1 << bit;
            let result = verify(&file, &doze(), &Trust::FirstUse, time(NOW));
            assert!(result.is_err(), "bit {bit} of byte {at}");
        }
    }
}

#[test]
fn a_file_that_is_longer_or_shorter_is_refused() {
    let (chain, key) = rotated(&[1, 2]);
    let file = index(12).seal(&chain, &key).unwrap();
    for end in 0..file.len() {
        let result = verify(&file[..end], &doze(), &Trust::FirstUse, time(NOW));
        assert!(result.is_err(), "cut at {end}");
    }
    for at in 0..=file.len() {
        for byte in [b' ', b'\n', b'=', b'0'] {
            let mut file = file.clone();
            file.insert(at, byte);
            let result = verify(&file, &doze(), &Trust::FirstUse, time(NOW));
            assert!(result.is_err(), "{byte:#x} put in at {at}");
        }
    }
}

#[test]
fn a_rotated_key_is_believed_by_all_who_pinned_one_before_it() {
    for seed in 1..=4 {
        let verified = judged(&index(2), &[1, 2, 3, 4], &pinned(seed, 1)).unwrap();
        assert_eq!(verified.key(), secret(4).public());
    }
    let error = judged(&index(2), &[2, 3, 4], &pinned(1, 1)).unwrap_err();
    assert!(
        matches!(error, IndexError::KeyChanged { .. }),
        "{}",
        chain(&error)
    );
    let error = judged(&index(2), &[1, 2], &pinned(3, 1)).unwrap_err();
    assert!(
        matches!(error, IndexError::KeyChanged { .. }),
        "{}",
        chain(&error)
    );
}

#[test]
fn a_forged_chain_is_refused() {
    let forged = |signer: u8, namespace: &str, new: u8| {
        let namespace = Namespace::new(namespace).unwrap();
        let mut handover = Handover::sign(&namespace, &secret(signer), &secret(new).public());
        handover.key = secret(1).public();
        let file = index(2).seal(&[handover], &secret(9)).unwrap();
        verify(&file, &doze(), &pinned(1, 1), time(NOW)).unwrap_err()
    };
    let refused = |error: IndexError| {
        let first = secret(1).public();
        let expected = EnvelopeError::Handover(first);
        assert!(
            matches!(&error, IndexError::Envelope(e) if *e == expected),
            "{}",
            chain(&error)
        );
    };
    // Signed by the thief, for another key, and for another namespace.
    refused(forged(9, "doze", 9));
    refused(forged(1, "doze", 8));
    refused(forged(1, "acme", 9));
}

#[test]
fn a_chain_cannot_lead_over_a_revoked_key() {
    let mut revoked = index(2);
    revoked
        .revoked_keys
        .insert(secret(2).public(), "stolen".to_owned());
    for (pin, right) in [(1, false), (2, false), (3, true)] {
        let result = judged(&revoked, &[1, 2, 3], &pinned(pin, 1));
        match result {
            Ok(_) => assert!(right, "pinned {pin}"),
            Err(error) => {
                assert!(
                    matches!(error, IndexError::KeyRevoked { .. }),
                    "{}",
                    chain(&error)
                );
                assert!(!right, "pinned {pin}");
            }
        }
    }
    judged(&revoked, &[1, 2, 3], &Trust::FirstUse).unwrap();
    let error = judged(&revoked, &[1, 2], &Trust::FirstUse).unwrap_err();
    assert!(
        matches!(error, IndexError::KeyRevoked { .. }),
        "{}",
        chain(&error)
    );
}

#[test]
fn an_index_has_its_time() {
    let at = |now: u64| {
        let file = index(1).seal(&[], &secret(1)).unwrap();
        verify(&file, &doze(), &Trust::FirstUse, time(now)).map(|_| ())
    };
    at(NOW - 2 * DAY).unwrap();
    at(NOW + DAY - 1).unwrap();
    assert!(matches!(
        at(NOW + DAY),
        Err(IndexError::Expired { days: 1, .. })
    ));
    assert!(matches!(
        at(NOW + 3 * DAY),
        Err(IndexError::Expired { days: 3, .. })
    ));
    assert!(matches!(
        at(NOW - 2 * DAY - 1),
        Err(IndexError::Early { days: 2, .. })
    ));
}

#[test]
fn what_a_later_doze_writes_is_ignored_or_told_apart() {
    let sealed = |payload: &str| {
        let file = envelope::seal(&doze(), &[], &secret(1), payload.as_bytes());
        verify(&file, &doze(), &Trust::FirstUse, time(NOW))
    };
    let payload = serde_json::to_string(&index(1)).unwrap();
    let more = payload.replacen('{', "{\"mood\":\"good\",", 1);
    assert_eq!(sealed(&more).unwrap().into_index(), index(1));
    let newer = "{\"format\":2,\"all\":\"different\"}";
    let error = sealed(newer).unwrap_err();
    assert_eq!(chain(&error), EnvelopeError::Format(2).to_string());
    let other = payload.replace("\"doze\"", "\"acme\"");
    let error = sealed(&other).unwrap_err();
    let expected = "the registry serves the index of `acme` in place of that of `doze`; check \
                    the address of the registry";
    assert_eq!(chain(&error), expected);
    assert!(matches!(sealed("[]"), Err(IndexError::Payload(_))));
}

#[test]
fn headers_that_are_not_ours_are_told_apart() {
    let file = index(1).seal(&[], &secret(1)).unwrap();
    let file = String::from_utf8(file).unwrap();
    let told = |file: &str| {
        let error = verify(file.as_bytes(), &doze(), &Trust::FirstUse, time(NOW)).unwrap_err();
        let IndexError::Envelope(error) = error else {
            panic!("{}", chain(&error))
        };
        error
    };
    let key = file.lines().nth(1).unwrap();
    let signature = file.lines().nth(2).unwrap();
    let repeated = |said: &str, first, second| EnvelopeError::Repeated {
        said: said.to_owned(),
        first,
        second,
    };
    let key_text = secret(1).public().to_string();
    assert_eq!(told("<!doctype html>\n\n<p>"), EnvelopeError::Foreign);
    assert_eq!(told(""), EnvelopeError::Foreign);
    assert_eq!(
        told(&file.replacen("index 1", "index 2", 1)),
        EnvelopeError::Format(2)
    );
    assert_eq!(
        told(&file.replacen("index 1", "index 01", 1)),
        EnvelopeError::Line(1)
    );
    let twice = |line: &str| file.replacen(line, &format!("{line}\n{line}"), 1);
    assert_eq!(told(&twice(key)), repeated("key", 2, 3));
    assert_eq!(told(&twice(signature)), repeated("signature", 3, 4));
    let own = file.replacen(key, &format!("{key}\nrotated {key_text} x"), 1);
    assert_eq!(told(&own), repeated(&key_text, 2, 3));
    let swapped = file
        .replacen(key, signature, 1)
        .replacen(&format!("{signature}\n\n"), "\n", 1);
    assert_eq!(told(&swapped), EnvelopeError::Line(3), "{swapped}");
}

#[test]
fn a_signature_is_for_one_namespace() {
    // Both publishers use one key, and the header says what was asked for.
    let acme = Index {
        namespace: Namespace::new("acme").unwrap(),
        ..index(1)
    };
    let file = String::from_utf8(acme.seal(&[], &secret(1)).unwrap()).unwrap();
    let renamed = file.replacen("1 acme", "1 doze", 1);
    let error = envelope::open(renamed.as_bytes(), &doze()).unwrap_err();
    assert_eq!(error, EnvelopeError::Signature(secret(1).public()));
    let all = renamed.replacen("\"acme\"", "\"doze\"", 1);
    assert!(verify(all.as_bytes(), &doze(), &Trust::FirstUse, time(NOW)).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_content_is_verified_as_it_was_sealed(
        payload in proptest::collection::vec(any::<u8>(), 0..200),
        seeds in proptest::sample::subsequence((1..9).collect::<Vec<u8>>(), 1..5),
    ) {
        let (chain, key) = rotated(&seeds);
        let file = envelope::seal(&doze(), &chain, &key, &payload);
        let opened = envelope::open(&file, &doze()).unwrap();
        prop_assert_eq!(opened.payload, payload);
        prop_assert_eq!(opened.chain, chain);
        prop_assert_eq!(opened.key, key.public());
    }

    #[test]
    fn no_bytes_make_the_reader_panic(
        bytes in proptest::collection::vec(any::<u8>(), 0..80),
        head in "doze-index 1 doze\n(key |rotated |signature |[ -~]{0,50}|\n){0,6}",
    ) {
        let file = [head.as_bytes(), &bytes].concat();
        prop_assert!(envelope::open(&file, &doze()).is_err());
    }
}
