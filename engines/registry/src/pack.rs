//! Making an archive of a folder: the same folder gives the same bytes, whoever packs it where and
//! when.
//!
//! Must not know what becomes of the archive.

use std::{
    collections::BTreeMap,
    fs::{self, File, Metadata},
    io::{self, Read, Write},
    os::unix::fs::PermissionsExt,
    path::PathBuf,
};

use camino::{Utf8Component, Utf8Path, Utf8PathBuf};
use doze_contract::EngineName;
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};
use tar::{Builder, EntryType, Header};

use crate::{
    Artefact, Digest, Kind,
    manifest::{self, Manifest, ManifestError},
};

/// Small enough archives at a bearable pace. With it the window stays under 8 MiB.
const LEVEL: i32 = 12;

/// Why a folder cannot be packed.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// A file cannot be read, or is not there.
    #[error("cannot read {path}")]
    Read {
        /// The file or folder.
        path: Utf8PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// The manifest says something else.
    #[error("{} is not right", manifest::FILE)]
    Manifest(#[source] ManifestError),
    /// A driver's description is no JSON object.
    #[error("{} is not right", manifest::DESCRIPTION)]
    Description(#[source] serde_json::Error),
    /// The folder is said to be a module.
    #[error("{0} is not a program; a module holds the driver under this name")]
    NoDriver(Utf8PathBuf),
    /// A name that is no text.
    #[error("the name {0:?} is not UTF-8, or has control characters; rename it")]
    Name(PathBuf),
    /// A device, socket or pipe.
    #[error("{0} is neither a file, a folder nor a link; remove it")]
    Special(Utf8PathBuf),
    /// A program that would run as somebody else.
    #[error("{0} is setuid or setgid; run `chmod ug-s` on it")]
    SetId(Utf8PathBuf),
    /// A symbolic link that leads elsewhere on another machine.
    #[error(
        "the link {path} leads out of the folder or takes a detour, to {target}; let it go up at \
         its beginning only, or replace it by what it leads to"
    )]
    Outside {
        /// The link.
        path: Utf8PathBuf,
        /// What it says.
        target: Utf8PathBuf,
    },
    /// A symbolic link to nothing, or to itself.
    #[error("the link {path} leads to nothing, {target}; remove it")]
    Dangling {
        /// The link.
        path: Utf8PathBuf,
        /// What it says.
        target: Utf8PathBuf,
    },
    /// The archive cannot be written.
    #[error("cannot write the archive")]
    Write(#[source] io::Error),
}

/// Writes a tar archive compressed with zstd, of all that is in the folder.
pub fn pack(dir: &Utf8Path, out: &mut dyn Write) -> Result<(Manifest, Artefact), PackError> {
    let manifest = read_manifest(dir)?;
    let mut entries = BTreeMap::new();
    walk(dir, Utf8Path::new(""), &mut entries)?;

    let mut counted = Counted {
        out,
        size: 0,
        hasher: Sha256::new(),
    };
    let encoder = zstd::Encoder::new(&mut counted, LEVEL).map_err(PackError::Write)?;
    let mut archive = Builder::new(encoder);
    for (path, entry) in &entries {
        append(&mut archive, dir, path, entry)?;
    }
    archive
        .into_inner()
        .and_then(zstd::Encoder::finish)
        .map_err(PackError::Write)?;
    let artefact = Artefact {
        size: counted.size,
        sha256: Digest::from_hasher(counted.hasher),
    };
    Ok((manifest, artefact))
}

/// What is packed of one path.
enum Entry {
    Folder,
    File { program: bool },
    Link(Utf8PathBuf),
}

/// The manifest, and whether what it speaks of is there.
fn read_manifest(dir: &Utf8Path) -> Result<Manifest, PackError> {
    let read = |name: &str| {
        let path = dir.join(name);
        fs::read_to_string(&path).map_err(failed(&path))
    };
    let manifest = Manifest::parse(&read(manifest::FILE)?).map_err(PackError::Manifest)?;
    if manifest.package.kind == Kind::Module {
        let description = read(manifest::DESCRIPTION)?;
        serde_json::from_str::<Map<String, Value>>(&description).map_err(PackError::Description)?;
        let driver = dir.join(driver_file(&manifest.package.name));
        let metadata = driver.symlink_metadata().map_err(failed(&driver))?;
        if !metadata.is_file() || !is_program(&metadata) {
            return Err(PackError::NoDriver(driver));
        }
    }
    Ok(manifest)
}

/// The name of a driver's program.
pub fn driver_file(engine: &EngineName) -> String {
    format!("doze-driver-{engine}")
}

/// Finds all that is below `at`, sorted, and refuses what nobody should have to unpack.
fn walk(
    root: &Utf8Path,
    at: &Utf8Path,
    entries: &mut BTreeMap<Utf8PathBuf, Entry>,
) -> Result<(), PackError> {
    let folder = root.join(at);
    for item in fs::read_dir(&folder).map_err(failed(&folder))? {
        let item = item.map_err(failed(&folder))?;
        let name = item.file_name();
        let name = name
            .to_str()
            .filter(|name| !name.contains(char::is_control))
            .ok_or_else(|| PackError::Name(folder.as_std_path().join(&name)))?;
        let path = at.join(name);
        let metadata = item.metadata().map_err(failed(&path))?;
        let kind = metadata.file_type();
        let entry = if kind.is_dir() {
            walk(root, &path, entries)?;
            Entry::Folder
        } else if kind.is_symlink() {
            Entry::Link(link(root, &path)?)
        } else if kind.is_file() {
            if metadata.permissions().mode() & 0o6000 != 0 {
                return Err(PackError::SetId(path));
            }
            Entry::File {
                program: is_program(&metadata),
            }
        } else {
            return Err(PackError::Special(path));
        };
        entries.insert(path, entry);
    }
    Ok(())
}

/// What a symbolic link says, if it leads to something in the folder wherever the folder stands:
/// it goes up at its beginning only, and not above the top. Then each step leads down, or over
/// another link of which the same is true.
fn link(root: &Utf8Path, path: &Utf8Path) -> Result<Utf8PathBuf, PackError> {
    let full = root.join(path);
    let target = fs::read_link(&full).map_err(failed(path))?;
    let target = Utf8PathBuf::from_path_buf(target).map_err(PackError::Name)?;
    let above = path.components().count() - 1;
    let words = || target.components();
    let up = words().take_while(|word| *word == Utf8Component::ParentDir);
    let up = up.count();
    let down = |word| matches!(word, Utf8Component::Normal(_) | Utf8Component::CurDir);
    let path = path.to_owned();
    if up > above || !words().skip(up).all(down) {
        Err(PackError::Outside { path, target })
    } else if fs::metadata(&full).is_err() {
        Err(PackError::Dangling { path, target })
    } else {
        Ok(target)
    }
}

/// Writes one entry with nothing in it that the next packing could change.
fn append(
    archive: &mut Builder<impl Write>,
    root: &Utf8Path,
    path: &Utf8Path,
    entry: &Entry,
) -> Result<(), PackError> {
    let mut header = Header::new_gnu();
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(0);
    header.set_mode(0o755);
    match entry {
        Entry::Folder => {
            header.set_entry_type(EntryType::Directory);
            archive.append_data(&mut header, path, io::empty())
        }
        Entry::Link(target) => {
            header.set_entry_type(EntryType::Symlink);
            archive.append_link(&mut header, path, target)
        }
        Entry::File { program } => {
            let file = File::open(root.join(path)).map_err(failed(path))?;
            let left = file.metadata().map_err(failed(path))?.len();
            header.set_entry_type(EntryType::Regular);
            header.set_mode(if *program { 0o755 } else { 0o644 });
            header.set_size(left);
            archive.append_data(&mut header, path, Exact { file, left })
        }
    }
    .map_err(PackError::Write)
}

fn is_program(metadata: &Metadata) -> bool {
    metadata.permissions().mode() & 0o100 != 0
}

fn failed(path: &Utf8Path) -> impl FnOnce(io::Error) -> PackError {
    let path = path.to_owned();
    |source| PackError::Read { path, source }
}

/// The bytes that a file had when its header was written: no more, and an error if there are
/// fewer, for an archive would be wrong from there on.
struct Exact {
    file: File,
    left: u64,
}

impl Read for Exact {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = (&self.file).take(self.left).read(buffer)?;
        if read == 0 && self.left > 0 && !buffer.is_empty() {
            return Err(io::Error::other("a file got shorter while it was packed"));
        }
        self.left -= read as u64;
        Ok(read)
    }
}

/// Passes on what is written, and knows its size and digest.
struct Counted<'a> {
    out: &'a mut dyn Write,
    size: u64,
    hasher: Sha256,
}

impl Write for Counted<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.hasher.update(bytes.get(..written).unwrap_or_default());
        self.size += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests;
