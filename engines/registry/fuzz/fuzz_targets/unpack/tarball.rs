//! Tar streams of what a fuzzer makes up: so that it need not find out what a header looks like.
//!
//! An entry is a line of `TYPE MODE NAME REST`, with the type of ustar, the mode in octal, and as
//! the rest the target of a link or what is in a file. A `@` is the absolute path of a folder that
//! nobody may touch.
//!
//! Must not know what is refused.

use std::{os::unix::ffi::OsStrExt, path::Path};

/// An entry of a tar stream, as somebody wants it to be.
pub struct Entry {
    pub kind: u8,
    pub mode: u32,
    pub name: Vec<u8>,
    pub rest: Vec<u8>,
}

/// Reads the lines.
pub fn entries(input: &[u8], outside: &Path) -> Vec<Entry> {
    let lines = input.split(|byte| *byte == b'\n');
    let lines = lines.filter(|line| !line.is_empty());
    lines.map(|line| Entry::read(line, outside)).collect()
}

/// A tar stream with its end.
pub fn tar(entries: &[Entry]) -> Vec<u8> {
    let mut tar = Vec::new();
    entries.iter().for_each(|entry| entry.write(&mut tar));
    tar.resize(tar.len() + 1024, 0);
    tar
}

/// Makes the checksum of every header right.
pub fn with_checksums(tar: &[u8]) -> Vec<u8> {
    let mut tar = tar.to_vec();
    let mut at = 0;
    while let Some(block) = tar
        .get_mut(at..)
        .and_then(|rest| rest.first_chunk_mut::<512>())
    {
        at += 512;
        if block.iter().any(|byte| *byte != 0) {
            let mut header = tar::Header::from_byte_slice(block).clone();
            header.set_cksum();
            block.copy_from_slice(header.as_bytes());
            let size = header.entry_size().unwrap_or(0).min(1 << 20);
            at += size.next_multiple_of(512) as usize;
        }
    }
    tar
}

impl Entry {
    fn read(line: &[u8], outside: &Path) -> Self {
        let mut words = line.splitn(4, |byte| *byte == b' ');
        let mut word = || words.next().unwrap_or_default();
        let (kind, mode, name, rest) = (word(), word(), word(), word());
        let mode = str::from_utf8(mode).ok();
        let mode = mode.and_then(|mode| u32::from_str_radix(mode, 8).ok());
        let outside = outside.as_os_str().as_bytes();
        let placed = |word: &[u8]| {
            let parts: Vec<_> = word.split(|byte| *byte == b'@').collect();
            parts.join(outside)
        };
        // Tar ends a name at a zero byte.
        let name = name.split(|byte| *byte == 0).next().unwrap_or_default();
        Self {
            kind: kind.first().copied().unwrap_or_default(),
            mode: mode.unwrap_or(0o644) & 0o7777,
            name: placed(name),
            rest: placed(rest),
        }
    }

    pub fn is_long(&self) -> bool {
        matches!(self.kind, b'L' | b'K')
    }

    fn is_link(&self) -> bool {
        matches!(self.kind, b'1' | b'2')
    }

    fn write(&self, tar: &mut Vec<u8>) {
        let (target, body): (&[u8], &[u8]) = match self.is_link() {
            true => (&self.rest, b""),
            false => (b"", &self.rest),
        };
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::new(self.kind));
        header.set_mode(self.mode);
        header.set_size(body.len() as u64);
        let old = header.as_old_mut();
        let words = [
            (b'L', &*self.name, &mut old.name),
            (b'K', target, &mut old.linkname),
        ];
        for (kind, word, field) in words {
            match field.get_mut(..word.len()) {
                Some(field) => field.copy_from_slice(word),
                None => Self::long(kind, word).write(tar),
            }
        }
        header.set_cksum();
        tar.extend(header.as_bytes());
        tar.extend(body);
        tar.resize(tar.len().next_multiple_of(512), 0);
    }

    /// The entry of GNU that goes before one with a long name or target.
    fn long(kind: u8, word: &[u8]) -> Self {
        Self {
            kind,
            mode: 0,
            name: b"././@LongLink".to_vec(),
            rest: [word, b"\0"].concat(),
        }
    }
}
