use proptest::{collection::btree_map, prelude::*};

use super::*;
use crate::SecretKey;

const SAMPLE: &str = r#"# Written by doze. Commit it.
format = 1

[registry.doze]
key = "6kpsY+KcUgq+9VB7Ey7F+ZVHdq6+vnuSQh7qaRRG0iw="
counter = 12

[engine.mariadb."11.4"]
version = "11.4.9"
source = "system"

[engine.postgres."17"]
version = "17.11"
registry = "doze"
[engine.postgres."17".sha256]
aarch64-apple-darwin = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
x86_64-unknown-linux-gnu = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

[module.postgres]
version = "0.1.0"
registry = "doze"
protocol = 1
majors = ["14", "15"]
[module.postgres.sha256]
x86_64-unknown-linux-gnu = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
"#;

#[test]
fn the_text_of_a_lock_is_this() {
    let pins = Pins::parse(SAMPLE).unwrap();
    assert_eq!(pins.to_text(), SAMPLE);
    let doze = Namespace::new("doze").unwrap();
    let key = SecretKey::from_seed(&[7; 32]).public();
    assert_eq!(pins.trust(&doze), Trust::Pinned { key, counter: 12 });
    let acme = Namespace::new("acme").unwrap();
    assert_eq!(pins.trust(&acme), Trust::FirstUse);
}

#[test]
fn what_is_wrong_is_told_with_its_line() {
    let told = |text: &str| Pins::parse(text).unwrap_err().to_string();
    let line = |number: usize, from: &str, to: &str| {
        assert!(SAMPLE.contains(from));
        let told = told(&SAMPLE.replacen(from, to, 1));
        assert!(told.starts_with(&format!("line {number}: ")), "{told}");
        told
    };
    line(6, "counter = 12", "counter = many");
    line(5, "key = \"6kps", "key = \"5kps ");
    line(7, "counter = 12", "counter = 12\ncounter = 13")
        .find("duplicate")
        .unwrap();
    line(4, "[registry.doze]", "[registry.Doze]");
    line(14, "registry = \"doze\"", "regsitry = \"doze\"")
        .find("regsitry")
        .unwrap();
    line(8, "source = \"system\"", "")
        .find("source = \"system\"")
        .unwrap();
    line(16, "e3b0", "E3B0");
    assert_eq!(
        told("format = 2\nwhat = \"is this\"\n"),
        ParseError::Format(2).to_string()
    );
    assert!(
        told("").starts_with("line 1: missing field `format`"),
        "{}",
        told("")
    );
}

#[test]
fn an_engine_without_a_version_is_nothing() {
    assert_eq!(
        Pins::parse("format = 1\n[engine.valkey]\n"),
        Ok(Pins::default())
    );
}

#[test]
fn a_merge_that_was_left_open_is_called_that() {
    let open = SAMPLE.replacen(
        "counter = 12\n",
        "<<<<<<< ours\ncounter = 12\n=======\ncounter = 13\n>>>>>>> theirs\n",
        1,
    );
    assert_eq!(Pins::parse(&open), Err(ParseError::Conflict(6)));
}

#[test]
fn a_file_is_written_whole_and_not_touched_for_nothing() {
    let world = tempfile::tempdir().unwrap();
    let path = Utf8Path::from_path(world.path()).unwrap().join("doze.lock");
    assert_eq!(Pins::read(&path).unwrap(), None);
    let pins = Pins::parse(SAMPLE).unwrap();
    pins.write(&path).unwrap();
    assert_eq!(Pins::read(&path).unwrap(), Some(pins.clone()));

    let inode = || std::os::unix::fs::MetadataExt::ino(&fs::metadata(&path).unwrap());
    let before = inode();
    pins.write(&path).unwrap();
    assert_eq!(inode(), before);
    Pins::default().write(&path).unwrap();
    assert_ne!(inode(), before);
    assert_eq!(fs::read_dir(world.path()).unwrap().count(), 1);
}

fn version() -> impl Strategy<Value = Version> {
    "(0|[1-9][0-9]{0,3})(\\.(0|[1-9][0-9]{0,3})){0,3}".prop_map(|text| Version::new(&text).unwrap())
}

fn name() -> impl Strategy<Value = EngineName> {
    "[a-z0-9_]{1,12}".prop_map(|text| EngineName::new(text).unwrap())
}

fn archives() -> impl Strategy<Value = Archives> {
    let triple =
        "[a-z0-9_]{1,8}(-[a-z0-9_]{1,8}){2,3}".prop_map(|text| Triple::new(&text).unwrap());
    let digest = any::<[u8; 4]>().prop_map(|bytes| Digest::of(&bytes));
    let sha256 = btree_map(triple, digest, 0..4);
    (namespace(), sha256).prop_map(|(registry, sha256)| Archives { registry, sha256 })
}

fn namespace() -> impl Strategy<Value = Namespace> {
    "[a-z][a-z0-9-]{0,31}".prop_map(|text| Namespace::new(text).unwrap())
}

prop_compose! {
    fn pins()(
        registries in btree_map(namespace(), (any::<[u8; 32]>(), any::<u64>()), 0..3),
        engines in btree_map(
            name(),
            btree_map(version(), (version(), proptest::option::of(archives())), 1..3),
            0..3,
        ),
        modules in btree_map(
            name(),
            (version(), any::<u32>(), proptest::collection::vec(version(), 0..4), archives()),
            0..3,
        ),
    ) -> Pins {
        let registry = |(seed, counter)| RegistryPin {
            key: SecretKey::from_seed(&seed).public(),
            counter,
        };
        let engine = |(version, archives): (_, Option<_>)| EnginePin {
            version,
            source: archives.map_or(Source::System, Source::Registry),
        };
        let module = |(version, protocol, majors, archives)| ModulePin {
            version,
            protocol,
            majors,
            archives,
        };
        Pins {
            registries: registries.into_iter().map(|(at, pin)| (at, registry(pin))).collect(),
            engines: engines
                .into_iter()
                .map(|(at, pins)| (at, pins.into_iter().map(|(at, pin)| (at, engine(pin))).collect()))
                .collect(),
            modules: modules.into_iter().map(|(at, pin)| (at, module(pin))).collect(),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn a_lock_reads_what_it_writes(pins in pins()) {
        let text = pins.to_text();
        prop_assert_eq!(Pins::parse(&text), Ok(pins.clone()), "{}", text);
        prop_assert_eq!(Pins::parse(&text).unwrap().to_text(), text);
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in "\\PC{0,64}", cut in 0..SAMPLE.len()) {
        let (before, after) = SAMPLE.split_at(cut);
        let spoilt = format!("{before}{text}{after}");
        if let Ok(pins) = Pins::parse(&spoilt) {
            prop_assert_eq!(Pins::parse(&pins.to_text()), Ok(pins));
        }
    }
}
