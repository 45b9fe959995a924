//! An archive, as anybody may publish it, unpacked in a world of its own.
//!
//! The first byte of an input says what the others are: `Z` the archive; `S` an archive that is
//! not the promised one; `T` a tar stream, of which the checksums are made right here; anything
//! else a list of entries, one a line, from which the tar stream is made (see `tarball`).
#![no_main]

use std::{fs::File, os::fd::AsFd};

use doze_registry::{
    Artefact, Digest,
    unpack::{Limits, UnpackError, unpack},
};
use libfuzzer_sys::fuzz_target;

mod tarball;
mod world;

use tarball::Entry;
use world::World;

/// So low that an input can be too much.
const LIMITS: Limits = Limits {
    entries: 24,
    bytes: 32 * 1024,
    ratio: 200,
};

fuzz_target!(|input: &[u8]| {
    let Some((form, input)) = input.split_first() else {
        return;
    };
    let world = World::new();
    let mut entries = Vec::new();
    let archive = match form {
        b'Z' | b'S' => input.to_vec(),
        b'T' => zstd(&tarball::with_checksums(input)),
        _ => {
            entries = tarball::entries(input, &world.outside());
            zstd(&tarball::tar(&entries))
        }
    };
    let promised = match form {
        b'S' => Digest::of(b"something else"),
        _ => Digest::of(&archive),
    };
    let artefact = Artefact {
        size: archive.len() as u64,
        sha256: promised,
    };

    let before = world.outside_of_root();
    let root = File::open(world.root()).unwrap();
    let result = unpack(archive.as_slice(), &artefact, root.as_fd(), &LIMITS);

    assert_eq!(world.outside_of_root(), before, "it wrote outside");
    let nodes = world.tame_nodes(&LIMITS);
    match result {
        Ok(()) => {
            assert_ne!(*form, b'S', "bytes that nobody promised");
            world.assert_listed(&nodes);
            // Where a long name is an entry of its own, the next one is called by that.
            if !entries.iter().any(Entry::is_long) {
                entries.iter().for_each(|entry| world.assert_holds(entry));
            }
        }
        // What other bytes say is nobody's word.
        Err(error) => assert_eq!(*form == b'S', matches!(error, UnpackError::Stream(_))),
    }
});

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).unwrap()
}
