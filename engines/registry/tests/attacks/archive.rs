//! Attacks by what is in an archive, or in the place of one.

use doze_registry::Artefact;

use crate::{
    Attack,
    tarball::{self, Item, good, tar, zstd},
    world::{World, artefact, package},
};

/// All of them.
pub(crate) const ATTACKS: [Attack; 18] = [
    ("archive-tampered", tampered),
    ("archive-truncated", truncated),
    ("archive-oversized", oversized),
    ("archive-swapped", swapped),
    ("path-upwards", |world| {
        one(world, Item::file("../evil", b"x"))
    }),
    ("path-absolute", |world| {
        one(world, Item::file("/tmp/evil", b"x"))
    }),
    ("path-reserved", |world| {
        one(world, Item::file(".doze-files", b"x"))
    }),
    ("path-endless", |world| signed(world, &tarball::long_name())),
    ("link-outside", |world| {
        one(world, Item::of(b'2', "lib/evil", "../../outside"))
    }),
    ("link-then-write", link_then_write),
    ("hard-link", |world| {
        one(world, Item::of(b'1', "evil", "/etc/passwd"))
    }),
    ("device", |world| one(world, Item::of(b'3', "evil", ""))),
    ("named-pipe", |world| one(world, Item::of(b'6', "evil", ""))),
    ("setuid", setuid),
    ("twice", |world| {
        let items = [Item::file("a", b"x"), Item::file("a", b"y")];
        signed(world, &zstd(&tar(&items)))
    }),
    ("bomb", |world| signed(world, &tarball::bomb())),
    ("million", |world| signed(world, &tarball::million())),
    ("window", |world| signed(world, &tarball::window(27))),
];

/// More attacks, by what follows the end.
pub(crate) const TRAILING: [Attack; 2] = [
    ("trailing-frame", |world| {
        let mut bytes = good(10);
        bytes.extend(good(10));
        signed(world, &bytes)
    }),
    ("trailing-tar", |world| {
        let mut bytes = tar(&[Item::file("a", b"x")]);
        bytes.extend(tar(&[Item::file("b", b"x")]));
        signed(world, &zstd(&bytes))
    }),
];

/// An archive that its publisher has signed, and that is not to be trusted all the same.
fn signed(world: &World, bytes: &[u8]) -> String {
    fetch(world, bytes, &artefact(bytes))
}

fn one(world: &World, item: Item<'_>) -> String {
    let before = Item::file("before", b"harmless");
    signed(world, &zstd(&tar(&[before, item])))
}

/// Somebody between publisher and user gives other bytes than those that are signed.
fn fetch(world: &World, bytes: &[u8], signed: &Artefact) -> String {
    let package = package("postgres");
    world.publish(&package, bytes);
    world.refusal(&package, signed)
}

fn tampered(world: &World) -> String {
    let good = good(1000);
    let mut bytes = good.clone();
    let at = bytes.len() / 2;
    bytes[at] ^= 1;
    let shown = fetch(world, &bytes, &artefact(&good));
    shown.replace(&artefact(&bytes).sha256.to_string(), "ANOTHER")
}

fn truncated(world: &World) -> String {
    let good = good(1000);
    let shown = fetch(world, &good[..700], &artefact(&good));
    shown.replace(&good.len().to_string(), "SIZE")
}

fn oversized(world: &World) -> String {
    let good = good(1000);
    let mut bytes = good.clone();
    bytes.extend([0; 100]);
    let shown = fetch(world, &bytes, &artefact(&good));
    shown.replace(&good.len().to_string(), "SIZE")
}

/// The archive of one engine in the place of another one's, both by the same publisher.
fn swapped(world: &World) -> String {
    let first = zstd(&tar(&[Item::file("postgres", b"x")]));
    let second = zstd(&tar(&[Item::file("valkey-7", b"x")]));
    let valkey = package("valkey");
    world.publish(&valkey, &first);
    let mut signed = artefact(&second);
    // Both are as long as each other, which leaves only the digest to tell them apart.
    signed.size = first.len() as u64;
    let shown = world.refusal(&valkey, &signed);
    shown.replace(&artefact(&first).sha256.to_string(), "ANOTHER")
}

fn link_then_write(world: &World) -> String {
    let items = [
        Item::of(b'2', "lib", "share"),
        Item::of(b'5', "share", ""),
        Item::file("lib/evil", b"x"),
    ];
    signed(world, &zstd(&tar(&items)))
}

fn setuid(world: &World) -> String {
    let mut item = Item::file("bin/evil", b"x");
    item.mode = 0o4755;
    one(world, item)
}
