use std::{io::Write, time::UNIX_EPOCH};

use doze_contract::{EngineName, Version, error::chain};
use tempfile::TempDir;

use super::*;
use crate::{
    Kind,
    index::{Trust, Verified, verify},
    pack::pack,
    select::{SelectError, exact},
};

mod killed;

const ENGINE: &str = r#"kind = "engine"
name = "postgres"
version = "17.11"
target = "x86_64-unknown-linux-gnu"
channel = "stable"
licence = "<script>alert(1)</script>"
origin = "postgresql-17 & more"
"#;

const MODULE: &str = r#"kind = "module"
name = "postgres"
version = "0.1.0"
target = "x86_64-unknown-linux-gnu"
channel = "stable"
licence = "Apache-2.0"
origin = "doze"
protocol = 1
majors = ["14", "17"]
"#;

/// A publisher's machine: a registry, its keys beside it, and archives.
struct World(TempDir);

impl World {
    fn new() -> (Self, Registry) {
        let world = Self(tempfile::tempdir().unwrap());
        let registry = Registry::init(
            &world.path("registry"),
            &doze(),
            &world.path("key"),
            moment(0),
        )
        .unwrap();
        (world, registry)
    }

    fn path(&self, name: &str) -> Utf8PathBuf {
        Utf8Path::from_path(self.0.path()).unwrap().join(name)
    }

    fn open(&self, key: &str) -> Result<Registry, PublishError> {
        Registry::open(&self.path("registry"), &doze(), &self.path(key))
    }

    /// An archive with this manifest and a program that holds this text.
    fn archive(&self, manifest: &str, program: &str) -> Utf8PathBuf {
        let folder = tempfile::tempdir_in(self.0.path()).unwrap();
        let folder = Utf8Path::from_path(folder.path()).unwrap();
        let file = |name: &str, text: &str| {
            File::create(folder.join(name))
                .unwrap()
                .write_all(text.as_bytes())
                .unwrap();
        };
        file("package.toml", manifest);
        file("description.json", "{\"engine\":\"postgres\"}");
        file("doze-driver-postgres", program);
        let program = folder.join("doze-driver-postgres");
        fs::set_permissions(program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let archive = self.path("archive.tar.zst");
        pack(folder, &mut File::create(&archive).unwrap()).unwrap();
        archive
    }

    fn index(&self) -> Vec<u8> {
        fs::read(self.path("registry/doze/index")).unwrap()
    }

    fn verified(&self, trust: &Trust) -> Result<Verified, IndexError> {
        verify(&self.index(), &doze(), trust, moment(0).now)
    }

    fn page(&self, name: &str) -> String {
        fs::read_to_string(self.path("registry").join(name)).unwrap()
    }
}

fn doze() -> Namespace {
    Namespace::new("doze").unwrap()
}

fn moment(days: u64) -> Moment {
    Moment {
        now: UNIX_EPOCH + Duration::from_hours((20_778 + days) * 24),
        validity: VALIDITY,
    }
}

fn postgres(kind: Kind, version: &str) -> Package {
    Package {
        kind,
        name: EngineName::new("postgres").unwrap(),
        version: Version::new(version).unwrap(),
    }
}

fn linux() -> Triple {
    Triple::new("x86_64-unknown-linux-gnu").unwrap()
}

#[test]
fn what_is_published_can_be_verified_and_is_there() {
    let (world, mut registry) = World::new();
    for manifest in [ENGINE, MODULE] {
        let published = registry
            .publish(&world.archive(manifest, "x"), moment(0))
            .unwrap();
        assert!(published.new);
        let verified = world.verified(&Trust::FirstUse).unwrap();
        let artefact = exact(verified.index(), &published.package, &linux()).unwrap();
        let path = published.package.path(&linux());
        let bytes = fs::read(world.path("registry/doze").join(path)).unwrap();
        assert_eq!(artefact.sha256, Digest::of(&bytes));
        assert_eq!(artefact.size, bytes.len() as u64);
    }
    let verified = world.verified(&Trust::FirstUse).unwrap();
    assert_eq!(verified.counter(), 3);
    assert_eq!(verified.key(), registry.key());
    let modules = &verified.index().modules;
    let (_, release) = modules
        .first_key_value()
        .unwrap()
        .1
        .first_key_value()
        .unwrap();
    assert_eq!(release.description["engine"], "postgres");
    assert_eq!(release.protocol, 1);
}

#[test]
fn what_is_published_does_not_change() {
    let (world, mut registry) = World::new();
    registry
        .publish(&world.archive(ENGINE, "one"), moment(0))
        .unwrap();
    let before = world.index();
    let place = world
        .path("registry/doze")
        .join(postgres(Kind::Engine, "17.11").path(&linux()));
    let bytes = fs::read(&place).unwrap();

    let error = registry
        .publish(&world.archive(ENGINE, "two"), moment(0))
        .unwrap_err();
    assert!(
        matches!(error, PublishError::Add(AddError::Published { .. })),
        "{}",
        chain(&error)
    );
    let other = ENGINE
        .replace("x86_64", "aarch64")
        .replace("stable", "preview");
    let error = registry
        .publish(&world.archive(&other, "two"), moment(0))
        .unwrap_err();
    let field = "engine postgres 17.11 is published with another channel";
    assert!(chain(&error).starts_with(field), "{}", chain(&error));
    assert!(
        !registry
            .publish(&world.archive(ENGINE, "one"), moment(0))
            .unwrap()
            .new
    );
    assert_eq!(world.index(), before);
    assert_eq!(fs::read(&place).unwrap(), bytes);

    let other = ENGINE.replace("x86_64", "aarch64").replace("more", "less");
    registry
        .publish(&world.archive(&other, "two"), moment(0))
        .unwrap();
    let (_, versions) = registry.index().engines.first_key_value().unwrap();
    let (_, release) = versions.first_key_value().unwrap();
    assert_eq!(release.origin, "postgresql-17 & more\npostgresql-17 & less");
    assert_eq!(release.artefacts.len(), 2);
}

#[test]
fn a_publish_that_was_killed_leaves_the_old_registry_and_can_be_done_again() {
    let (world, registry) = World::new();
    drop(registry);
    let before = world.index();
    let place = world
        .path("registry/doze")
        .join(postgres(Kind::Engine, "17.11").path(&linux()));
    fs::create_dir_all(place.parent().unwrap()).unwrap();
    File::create(&place).unwrap().write_all(b"half").unwrap();
    File::create(world.path("registry/doze/.doze-left")).unwrap();

    let mut registry = world.open("key").unwrap();
    assert_eq!(world.index(), before);
    let published = registry
        .publish(&world.archive(ENGINE, "x"), moment(0))
        .unwrap();
    assert_eq!(Digest::of(&fs::read(&place).unwrap()), published.digest);
    assert!(!world.path("registry/doze/.doze-left").try_exists().unwrap());
}

#[test]
fn a_publish_that_cannot_place_the_archive_leaves_the_old_registry() {
    let (world, mut registry) = World::new();
    let before = (world.index(), world.page("catalogue.json"));
    File::create(world.path("registry/doze/engines")).unwrap();
    let error = registry
        .publish(&world.archive(ENGINE, "x"), moment(0))
        .unwrap_err();
    assert!(
        matches!(error, PublishError::File { .. }),
        "{}",
        chain(&error)
    );
    assert_eq!((world.index(), world.page("catalogue.json")), before);
    let left = fs::read_dir(world.path("registry/doze")).unwrap().count();
    assert_eq!(left, 3, "the index, its page and the file in the way");
}

#[test]
fn other_files_are_not_published() {
    let (world, mut registry) = World::new();
    let mut told = |path: &Utf8Path| {
        let told = chain(&registry.publish(path, moment(0)).unwrap_err());
        told.replace(path.as_str(), "FILE")
    };
    let told_of_text = told(&world.path("key"));
    let first = "cannot publish FILE: it cannot be read as an archive: ";
    assert!(told_of_text.starts_with(first), "{told_of_text}");

    let bare = world.path("bare.tar.zst");
    let encoder = zstd::Encoder::new(File::create(&bare).unwrap(), 1).unwrap();
    let encoder = tar::Builder::new(encoder).into_inner().unwrap();
    encoder.finish().unwrap();
    assert_eq!(
        told(&bare),
        "cannot publish FILE: there is no package.toml at its top; make the archive with \
         `doze registry pack`"
    );
}

#[test]
fn a_key_can_be_rotated_and_stays_out_of_the_registry() {
    let (world, mut registry) = World::new();
    let first = registry.key();
    let inside = registry
        .rotate_key(&world.path("registry/doze/key"), moment(0))
        .unwrap_err();
    assert!(
        matches!(inside, PublishError::KeyInside { .. }),
        "{}",
        chain(&inside)
    );
    let second = registry.rotate_key(&world.path("key2"), moment(0)).unwrap();
    registry.rotate_key(&world.path("key3"), moment(0)).unwrap();
    drop(registry);

    let error = world.open("key").unwrap_err();
    assert!(
        matches!(error, PublishError::OtherKey { .. }),
        "{}",
        chain(&error)
    );
    let third = world.open("key3").unwrap().key();
    for key in [first, second, third] {
        let verified = world.verified(&Trust::Pinned { key, counter: 1 }).unwrap();
        assert_eq!(verified.key(), third);
    }
    let again = Registry::init(
        &world.path("registry"),
        &doze(),
        &world.path("key4"),
        moment(0),
    );
    assert!(matches!(again, Err(PublishError::Exists(_))), "{again:?}");
}

#[test]
fn a_revoked_release_is_refused_and_cannot_come_back() {
    let (world, mut registry) = World::new();
    registry
        .publish(&world.archive(ENGINE, "x"), moment(0))
        .unwrap();
    let package = postgres(Kind::Engine, "17.11");
    registry
        .revoke(&package, "it loses data", moment(0))
        .unwrap();
    let verified = world.verified(&Trust::FirstUse).unwrap();
    let error = exact(verified.index(), &package, &linux()).unwrap_err();
    assert!(
        matches!(error, SelectError::Revoked { .. }),
        "{}",
        chain(&error)
    );
    let error = registry
        .publish(&world.archive(ENGINE, "x"), moment(0))
        .unwrap_err();
    assert!(
        matches!(error, PublishError::Add(AddError::Revoked { .. })),
        "{}",
        chain(&error)
    );
    assert!(
        world
            .page("doze/index.html")
            .contains("Revoked: it loses data")
    );

    let unknown = registry
        .revoke(&postgres(Kind::Engine, "16"), "", moment(0))
        .unwrap_err();
    assert!(
        matches!(unknown, PublishError::Unknown(_)),
        "{}",
        chain(&unknown)
    );
}

#[test]
fn a_key_is_revoked_after_it_was_rotated() {
    let (world, mut registry) = World::new();
    let stolen = registry.key();
    let error = registry
        .revoke_key(&stolen, "stolen", moment(0))
        .unwrap_err();
    assert!(
        matches!(error, PublishError::KeyInUse(_)),
        "{}",
        chain(&error)
    );
    registry.rotate_key(&world.path("key2"), moment(0)).unwrap();
    registry.revoke_key(&stolen, "stolen", moment(0)).unwrap();
    let trust = Trust::Pinned {
        key: stolen,
        counter: 1,
    };
    let error = world.verified(&trust).unwrap_err();
    assert!(
        matches!(error, IndexError::KeyRevoked { .. }),
        "{}",
        chain(&error)
    );
    world.verified(&Trust::FirstUse).unwrap();
}

#[test]
fn an_expired_index_is_renewed() {
    let (world, registry) = World::new();
    drop(registry);
    let late = moment(91);
    let expired = verify(&world.index(), &doze(), &Trust::FirstUse, late.now).unwrap_err();
    assert!(
        matches!(expired, IndexError::Expired { days: 2, .. }),
        "{}",
        chain(&expired)
    );
    world.open("key").unwrap().renew(late).unwrap();
    verify(&world.index(), &doze(), &Trust::FirstUse, late.now).unwrap();
}

#[test]
fn two_cannot_change_a_registry_at_once() {
    let (world, registry) = World::new();
    let error = world.open("key").unwrap_err();
    assert!(matches!(error, PublishError::Busy(_)), "{}", chain(&error));
    drop(registry);
    world.open("key").unwrap();
}

#[test]
fn the_pages_show_what_there_is_and_run_nothing() {
    let (world, mut registry) = World::new();
    registry
        .publish(&world.archive(ENGINE, "x"), moment(0))
        .unwrap();
    registry
        .publish(&world.archive(MODULE, "x"), moment(0))
        .unwrap();
    let key = registry.key();
    drop(registry);
    let acme = Namespace::new("acme").unwrap();
    Registry::init(
        &world.path("registry"),
        &acme,
        &world.path("acme-key"),
        moment(0),
    )
    .unwrap();

    let page = world.page("doze/index.html");
    for part in [
        "postgres 17.11",
        "&lt;script&gt;alert(1)&lt;/script&gt;",
        "postgresql-17 &amp; more",
        "href=\"engines/postgres/postgres-17.11-x86_64-unknown-linux-gnu.tar.zst\"",
        "for postgres 14, 17; protocol 1",
        "signed 2026-11-21, valid until 2027-02-19",
        &key.to_string(),
    ] {
        assert!(page.contains(part), "{part} is not in {page}");
    }
    let all = world.page("index.html");
    assert!(
        all.contains("<a href=\"doze/index.html\">doze</a></td><td>postgres</td>"),
        "{all}"
    );
    assert!(
        all.contains("<a href=\"acme/index.html\">acme</a>"),
        "{all}"
    );
    for page in [&page, &all] {
        assert!(
            !page.contains("<script") && !page.contains("http"),
            "{page}"
        );
    }
    let catalogue: catalogue::Catalogue =
        serde_json::from_str(&world.page("catalogue.json")).unwrap();
    let publisher = &catalogue.namespaces[&doze()];
    assert_eq!(publisher.key, key);
    let listed = publisher
        .modules
        .first_key_value()
        .unwrap()
        .1
        .first_key_value()
        .unwrap()
        .1;
    assert_eq!(listed.targets, [linux()].into());
}
