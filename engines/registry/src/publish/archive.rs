//! What an archive that is to be published says of itself.
//!
//! Must not know the registry. The unpacker's rules are not checked here: they are the client's.

use std::{
    fs::File,
    io::{self, BufReader, Read, Seek, Write},
};

use camino::Utf8Path;
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use crate::{
    Artefact, Digest, Kind,
    manifest::{DESCRIPTION, FILE, Manifest, ManifestError},
};

/// The most that is read of either file, in bytes.
const TEXT_MAX: u64 = 1024 * 1024;

/// What an archive says of itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Content {
    /// Its manifest.
    pub manifest: Manifest,
    /// A driver's answer to `describe`; of an engine, null.
    pub description: Value,
}

/// Why an archive cannot be published.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// It cannot be read, or is no archive.
    #[error("it cannot be read as an archive")]
    Read(#[source] io::Error),
    /// A file that has to be in it is not.
    #[error("there is no {0} at its top; make the archive with `doze registry pack`")]
    Missing(&'static str),
    /// The manifest says something else.
    #[error("its {FILE} is not right")]
    Manifest(#[source] ManifestError),
    /// The description is no JSON object.
    #[error("its {DESCRIPTION} is not right")]
    Description(#[source] serde_json::Error),
}

/// Copies an archive, and measures it.
pub(super) fn copy(from: &Utf8Path, to: &mut File) -> Result<Artefact, ArchiveError> {
    measured(from, to).map_err(ArchiveError::Read)
}

fn measured(from: &Utf8Path, to: &mut File) -> io::Result<Artefact> {
    let mut from = File::open(from)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 128 * 1024];
    let mut size = 0;
    loop {
        let read = from.read(&mut buffer)?;
        let bytes = buffer.get(..read).unwrap_or_default();
        if bytes.is_empty() {
            let sha256 = Digest::from_hasher(hasher);
            return Ok(Artefact { size, sha256 });
        }
        hasher.update(bytes);
        to.write_all(bytes)?;
        size += read as u64;
    }
}

/// Reads an archive to its end.
pub(super) fn read(file: &mut File) -> Result<Content, ArchiveError> {
    let (manifest, description) = texts(file).map_err(ArchiveError::Read)?;
    let manifest = manifest.ok_or(ArchiveError::Missing(FILE))?;
    let manifest = Manifest::parse(&manifest).map_err(ArchiveError::Manifest)?;
    let description = match manifest.package.kind {
        Kind::Engine => Value::Null,
        Kind::Module => {
            let text = description.ok_or(ArchiveError::Missing(DESCRIPTION))?;
            let object: Map<String, Value> =
                serde_json::from_str(&text).map_err(ArchiveError::Description)?;
            Value::Object(object)
        }
    };
    Ok(Content {
        manifest,
        description,
    })
}

/// The text of the manifest and that of the description.
fn texts(file: &mut File) -> io::Result<(Option<String>, Option<String>)> {
    file.rewind()?;
    let mut archive = tar::Archive::new(zstd::Decoder::with_buffer(BufReader::new(file))?);
    let (mut manifest, mut description) = (None, None);
    for entry in archive.entries()? {
        let entry = entry?;
        let path = entry.path_bytes();
        let place = if *path == *FILE.as_bytes() {
            &mut manifest
        } else if *path == *DESCRIPTION.as_bytes() {
            &mut description
        } else {
            continue;
        };
        drop(path);
        let mut text = String::new();
        entry.take(TEXT_MAX).read_to_string(&mut text)?;
        *place = Some(text);
    }
    Ok((manifest, description))
}
