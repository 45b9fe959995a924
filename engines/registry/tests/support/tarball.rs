//! Archives byte by byte, good ones and those that no honest tool would write.
//!
//! Must not know what is refused.

use std::io::Write as _;

/// A header and what follows it.
pub(crate) struct Item<'a> {
    pub(crate) name: &'a str,
    /// The type of ustar: `0` a file, `1` a hard link, `2` a symbolic link, `3` a device, `5` a
    /// directory, `L` a long name of GNU.
    pub(crate) kind: u8,
    pub(crate) mode: u32,
    pub(crate) link: &'a str,
    pub(crate) body: &'a [u8],
}

impl<'a> Item<'a> {
    pub(crate) fn file(name: &'a str, body: &'a [u8]) -> Self {
        Self {
            name,
            kind: b'0',
            mode: 0o644,
            link: "",
            body,
        }
    }

    pub(crate) fn of(kind: u8, name: &'a str, link: &'a str) -> Self {
        Self {
            kind,
            link,
            ..Self::file(name, b"")
        }
    }

    /// The header of POSIX ustar, with names as they are.
    pub(crate) fn header(&self, size: u64) -> tar::Header {
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(tar::EntryType::new(self.kind));
        header.set_mode(self.mode);
        header.set_size(size);
        let old = header.as_old_mut();
        old.name[..self.name.len()].copy_from_slice(self.name.as_bytes());
        old.linkname[..self.link.len()].copy_from_slice(self.link.as_bytes());
        header.set_cksum();
        header
    }
}

/// A tar stream with its end.
pub(crate) fn tar(items: &[Item<'_>]) -> Vec<u8> {
    let mut tar = Vec::new();
    for item in items {
        tar.extend(item.header(item.body.len() as u64).as_bytes());
        tar.extend(item.body);
        tar.resize(tar.len().next_multiple_of(512), 0);
    }
    tar.resize(tar.len() + 1024, 0);
    tar
}

/// One frame.
pub(crate) fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).unwrap()
}

/// A good archive: a program, a library, a link to it, and bytes that nobody can compress.
pub(crate) fn good(bulk: usize) -> Vec<u8> {
    let noise = noise(bulk);
    let mut program = Item::file("bin/server", b"#!/bin/sh\n");
    program.mode = 0o755;
    zstd(&tar(&[
        Item::of(b'5', "bin/", ""),
        program,
        Item::file("lib/a.so.1", b"a library"),
        Item::of(b'2', "lib/a.so", "a.so.1"),
        Item::file("share/noise", &noise),
    ]))
}

/// Bytes without any pattern.
pub(crate) fn noise(count: usize) -> Vec<u8> {
    let mut hash = blake3::Hasher::new().finalize_xof();
    let mut noise = vec![0; count];
    hash.fill(&mut noise);
    noise
}

/// A frame of 10 GB of zeros in a file, made of blocks that say what they repeat (RFC 8878,
/// 3.1.1.2.2): a compressor would take a minute for it.
pub(crate) fn bomb() -> Vec<u8> {
    const BLOCK: u32 = 128 * 1024;
    let zeros: u64 = 10_000_000_000;
    let blocks = zeros.div_ceil(BLOCK.into());
    let head = Item::file("zeros", b"").header(blocks * u64::from(BLOCK));
    let mut frame = window(17);
    let block = |kind: u32, size: u32| (size << 3 | kind << 1).to_le_bytes();
    frame.extend(&block(0, 512)[..3]);
    frame.extend(head.as_bytes());
    for _ in 0..blocks {
        frame.extend(&block(1, BLOCK)[..3]);
        frame.push(0);
    }
    frame
}

/// The beginning of a frame that wants a window of 2^`log` bytes (RFC 8878, 3.1.1.1).
pub(crate) fn window(log: u8) -> Vec<u8> {
    vec![0x28, 0xb5, 0x2f, 0xfd, 0, (log - 10) << 3]
}

/// A million times the same directory, and enough noise to be no bomb.
pub(crate) fn million() -> Vec<u8> {
    let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
    let noise = noise(400_000);
    let first = Item::file("noise", &noise);
    let mut first = tar(&[first]);
    first.truncate(first.len() - 1024);
    encoder.write_all(&first).unwrap();
    let directory = Item::of(b'5', "d", "");
    let thousand = directory.header(0).as_bytes().repeat(1000);
    for _ in 0..1000 {
        encoder.write_all(&thousand).unwrap();
    }
    encoder.write_all(&[0; 1024]).unwrap();
    encoder.finish().unwrap()
}

/// A name of a gigabyte, of which the first two megabytes come, and enough noise to be no bomb.
pub(crate) fn long_name() -> Vec<u8> {
    let noise = noise(20_000);
    let mut bytes = tar(&[Item::file("noise", &noise)]);
    bytes.truncate(bytes.len() - 1024);
    let head = Item::of(b'L', "././@LongLink", "").header(1 << 30);
    bytes.extend(head.as_bytes());
    bytes.resize(bytes.len() + (1 << 21), b'x');
    zstd(&bytes)
}
