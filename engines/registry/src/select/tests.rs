use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::{Digest, Namespace};

fn version(text: &str) -> Version {
    Version::new(text).unwrap()
}

fn versions(texts: &[&str]) -> Vec<Version> {
    texts.iter().map(|text| version(text)).collect()
}

fn name(text: &str) -> EngineName {
    EngineName::new(text).unwrap()
}

fn linux() -> Triple {
    Triple::new("x86_64-unknown-linux-gnu").unwrap()
}

fn mac() -> Triple {
    Triple::new("aarch64-apple-darwin").unwrap()
}

fn artefact(of: &str) -> Artefact {
    let sha256 = Digest::of(of.as_bytes());
    Artefact { size: 1, sha256 }
}

fn empty() -> Index {
    Index::new(Namespace::new("doze").unwrap())
}

/// Adds an engine; the text of its version tells its archives from others.
fn add_engine(index: &mut Index, of: &str, text: &str, channel: Channel, triple: Triple) {
    let release = EngineRelease {
        channel,
        origin: String::new(),
        licence: String::new(),
        artefacts: [(triple, artefact(text))].into(),
    };
    index
        .engines
        .entry(name(of))
        .or_default()
        .insert(version(text), release);
}

fn add_module(index: &mut Index, text: &str, channel: Channel, protocol: u32, majors: &[&str]) {
    let release = ModuleRelease {
        channel,
        origin: String::new(),
        licence: String::new(),
        protocol,
        majors: versions(majors),
        description: json!({}),
        artefacts: [(linux(), artefact(text))].into(),
    };
    index
        .modules
        .entry(name("mariadb"))
        .or_default()
        .insert(version(text), release);
}

/// The version of the chosen engine, or what the user is told.
fn chosen_engine(index: &Index, of: &str, declared: &str) -> String {
    match engine(
        index,
        &name(of),
        &version(declared),
        &[version(declared)],
        &linux(),
    ) {
        Ok(choice) => choice.package.version.to_string(),
        Err(error) => error.to_string(),
    }
}

fn chosen_module(index: &Index, declared: &[&str]) -> String {
    match module(index, &name("mariadb"), &versions(declared), &linux()) {
        Ok(choice) => choice.package.version.to_string(),
        Err(error) => error.to_string(),
    }
}

#[test]
fn an_engine_is_the_newest_of_what_is_declared() {
    let mut index = empty();
    for text in [
        "11.4.2", "11.4.10", "11.8.1", "12.2.1", "1.1.5", "1.10.1", "17.9", "17.11",
    ] {
        add_engine(&mut index, "any", text, Channel::Stable, linux());
    }
    add_engine(&mut index, "any", "17.12", Channel::Preview, linux());
    add_engine(&mut index, "any", "18.1", Channel::Preview, linux());
    for (declared, chosen) in [
        ("11.4", "11.4.10"),
        ("11.4.2", "11.4.2"),
        ("11", "11.8.1"),
        ("12.2", "12.2.1"),
        ("1.1", "1.1.5"),
        ("1", "1.10.1"),
        ("17", "17.11"),
        ("17.12", "17.12"),
        ("18", "18.1"),
    ] {
        assert_eq!(chosen_engine(&index, "any", declared), chosen, "{declared}");
    }
    insta::assert_snapshot!(chosen_engine(&index, "any", "17.1"), @"the registry `doze` has no any 17.1, its newest is 17.11; run `doze info any` to see what there is, and set `version` in doze.toml");
    insta::assert_snapshot!(chosen_engine(&index, "other", "17"), @"the registry `doze` has no engine `other`; run `doze search` to see what there is");
}

#[test]
fn an_engine_is_one_that_the_driver_knows() {
    let mut index = empty();
    for text in ["11.4.2", "11.8.1", "11.9.1"] {
        add_engine(&mut index, "mariadb", text, Channel::Stable, linux());
    }
    let chosen = |majors: &[&str]| {
        let majors = versions(majors);
        match engine(&index, &name("mariadb"), &version("11"), &majors, &linux()) {
            Ok(choice) => choice.package.version.to_string(),
            Err(error) => error.to_string(),
        }
    };
    assert_eq!(chosen(&["11.4", "11.8"]), "11.8.1");
    assert_eq!(chosen(&["10", "11"]), "11.9.1");
    insta::assert_snapshot!(chosen(&["10.6", "12"]), @"the registry `doze` has mariadb 11.9.1 for 11, but the driver for mariadb knows only 10.6 and 12; set `version` in doze.toml to one of these");
}

#[test]
fn a_driver_covers_all_that_is_declared() {
    let mut index = empty();
    add_module(
        &mut index,
        "0.1.0",
        Channel::Stable,
        PROTOCOL,
        &["10", "11.4"],
    );
    add_module(
        &mut index,
        "0.2.0",
        Channel::Stable,
        PROTOCOL,
        &["11.4", "11.8", "12.2"],
    );
    add_module(
        &mut index,
        "0.3.0",
        Channel::Preview,
        PROTOCOL,
        &["11.4", "11.8", "12.2", "13"],
    );
    add_module(
        &mut index,
        "0.4.0",
        Channel::Stable,
        PROTOCOL + 1,
        &["11.4", "11.8", "12.2", "13"],
    );
    for (declared, chosen) in [
        (&["11.4"][..], "0.2.0"),
        (&["11.4.3", "12.2"], "0.2.0"),
        (&["11"], "0.2.0"),
        (&["10.6", "11.4"], "0.1.0"),
        (&["13", "11.8"], "0.3.0"),
        (&[], "0.2.0"),
    ] {
        assert_eq!(chosen_module(&index, declared), chosen, "{declared:?}");
    }
    insta::assert_snapshot!(chosen_module(&index, &["10", "12.2", "12.3", "14"]), @"no driver for mariadb in the registry `doze` knows 10, 12.3 and 14; 0.2.0 knows 11.4, 11.8 and 12.2; set `version` in doze.toml to one of these");
    assert!(!version("1.1").is_related(&version("1.10")));
    assert!(!version("11.4").is_related(&version("11.40")));
}

#[test]
fn a_protocol_that_does_not_fit_is_told() {
    let mut index = empty();
    add_module(&mut index, "0.4.0", Channel::Stable, PROTOCOL + 1, &["11"]);
    insta::assert_snapshot!(chosen_module(&index, &["11"]), @"every driver for mariadb in the registry `doze` speaks protocol 2 or newer, this doze speaks 1; upgrade doze");
    add_module(&mut index, "0.1.0", Channel::Stable, PROTOCOL - 1, &["11"]);
    insta::assert_snapshot!(chosen_module(&index, &["11"]), @"the newest driver for mariadb in the registry `doze` speaks protocol 0, this doze speaks 1; ask its publisher for a new release, or set DOZE_MARIADB_DRIVER to a driver of your own");
}

#[test]
fn an_archive_for_the_target_that_was_not_revoked_is_taken() {
    let mut index = empty();
    add_engine(&mut index, "postgres", "17.9", Channel::Stable, linux());
    add_engine(&mut index, "postgres", "17.10", Channel::Stable, linux());
    add_engine(&mut index, "postgres", "17.11", Channel::Stable, mac());
    assert_eq!(chosen_engine(&index, "postgres", "17"), "17.10");
    insta::assert_snapshot!(chosen_engine(&index, "postgres", "17.11"), @"the registry `doze` has engine postgres 17.11 for aarch64-apple-darwin only, not for x86_64-unknown-linux-gnu; set `version` in doze.toml to another, or DOZE_POSTGRES_BINDIR to an engine of your own");
    index
        .revoked
        .insert(artefact("17.10").sha256, "it loses data".to_owned());
    assert_eq!(chosen_engine(&index, "postgres", "17"), "17.9");
    insta::assert_snapshot!(chosen_engine(&index, "postgres", "17.10"), @"engine postgres 17.10 was revoked by its publisher: it loses data; run `doze lock upgrade`, or set `version` in doze.toml to another");
    index
        .revoked
        .insert(artefact("17.9").sha256, "so does this".to_owned());
    insta::assert_snapshot!(chosen_engine(&index, "postgres", "17"), @"engine postgres 17.10 was revoked by its publisher: it loses data; run `doze lock upgrade`, or set `version` in doze.toml to another");
}

#[test]
fn a_pinned_release_is_looked_up_as_it_is() {
    let mut index = empty();
    add_engine(&mut index, "postgres", "17.9", Channel::Preview, linux());
    let pinned = |text: &str| Package {
        kind: Kind::Engine,
        name: name("postgres"),
        version: version(text),
    };
    assert_eq!(
        exact(&index, &pinned("17.9"), &linux()),
        Ok(artefact("17.9"))
    );
    let gone = exact(&index, &pinned("17.8"), &linux()).unwrap_err();
    insta::assert_snapshot!(gone, @"the registry `doze` does not have engine postgres 17.8; run `doze lock upgrade`");
}

proptest! {
    /// Whatever the order in which releases were published and written down.
    #[test]
    fn a_choice_does_not_depend_on_the_order(
        releases in Just(["16.1", "17.2", "17.10", "17.9", "18.0"]).prop_shuffle(),
        preview in 0..5_usize,
        declared in prop_oneof![Just("16"), Just("17"), Just("18")],
    ) {
        let all = |texts: &[&str]| {
            let channels = ["16.1", "17.2", "17.9", "17.10", "18.0"];
            let entries: Vec<_> = texts.iter().map(|text| {
                let channel = if *text == channels[preview] { "preview" } else { "stable" };
                let artefact = json!({"x86_64-unknown-linux-gnu": artefact(text)});
                format!(
                    "\"{text}\":{{\"artefacts\":{artefact},\"licence\":\"\",\"origin\":\"\",\
                     \"channel\":\"{channel}\"}}"
                )
            }).collect();
            let text = format!(
                "{{\"format\":1,\"namespace\":\"doze\",\"counter\":1,\"issued\":0,\"expires\":1,\
                 \"modules\":{{}},\"engines\":{{\"postgres\":{{{}}}}}}}", entries.join(",")
            );
            serde_json::from_str::<Index>(&text).unwrap()
        };
        let sorted = all(&["16.1", "17.2", "17.9", "17.10", "18.0"]);
        let chosen = chosen_engine(&all(&releases), "postgres", declared);
        prop_assert_eq!(&chosen, &chosen_engine(&sorted, "postgres", declared));
        let stable = match (declared, preview) {
            ("16", _) => "16.1",
            ("17", 3) => "17.9",
            ("17", _) => "17.10",
            _ => "18.0",
        };
        prop_assert_eq!(chosen, stable);
    }
}
