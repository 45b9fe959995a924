//! `doze.lock`: what a project was resolved to, for everybody who works on it.
//!
//! The text is the same for the same pins, one fact a line, so that a merge of two branches is a
//! merge of lines. Must not know how anything is resolved.

use std::{
    collections::BTreeMap,
    fmt::{self, Write},
    fs, io,
};

use camino::{Utf8Path, Utf8PathBuf};
use doze_contract::{EngineName, Version};

use crate::{Digest, Namespace, PublicKey, Triple, index::Trust, replace::replace};

mod read;

/// The format of locks that this code writes and reads.
pub const FORMAT: u32 = 1;

/// What `doze.lock` says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pins {
    /// The publishers that something came from.
    pub registries: BTreeMap<Namespace, RegistryPin>,
    /// The engines, by name and by what `doze.toml` asks for.
    pub engines: BTreeMap<EngineName, BTreeMap<Version, EnginePin>>,
    /// The drivers, by the engine that they drive.
    pub modules: BTreeMap<EngineName, ModulePin>,
}

/// What is known of a publisher.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RegistryPin {
    /// Its key.
    pub key: PublicKey,
    /// The highest counter of an index that was seen.
    pub counter: u64,
}

/// The exact engine for a declared version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnginePin {
    /// Its exact version.
    pub version: Version,
    /// Where it is from.
    pub source: Source,
}

/// Where an engine is from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// The operating system's packages, which keep it as they like.
    System,
    /// A publisher.
    Registry(Archives),
}

/// The archives of a release, as far as they are known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Archives {
    /// The publisher.
    pub registry: Namespace,
    /// The digest for each target that was resolved.
    pub sha256: BTreeMap<Triple, Digest>,
}

/// The exact driver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModulePin {
    /// Its own version.
    pub version: Version,
    /// The number of the protocol that it speaks.
    pub protocol: u32,
    /// The majors of the engine that it knows.
    pub majors: Vec<Version>,
    /// Where it is from.
    pub archives: Archives,
}

/// Why `doze.lock` cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PinsError {
    /// The file cannot be read or written.
    #[error("cannot use {path}")]
    File {
        /// The file.
        path: Utf8PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// The file says something else.
    #[error("cannot read {path}")]
    Text {
        /// The file.
        path: Utf8PathBuf,
        /// What is wrong with it.
        #[source]
        source: ParseError,
    },
}

/// What is wrong with the text of `doze.lock`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// A merge was left to a person.
    #[error(
        "line {0} is a conflict marker of a merge; keep the lines of either side, or take one \
         side's file (`git checkout --ours doze.lock`), then run `doze lock`"
    )]
    Conflict(usize),
    /// It was written by a newer doze.
    #[error("it has format {0} and this doze reads {FORMAT}; upgrade doze")]
    Format(i64),
    /// It is not TOML, or not a lock.
    #[error(
        "line {line}: {message}; restore the file from version control, or remove it and run \
         `doze lock` to pin everything anew"
    )]
    Line {
        /// The number of the line.
        line: usize,
        /// What is wrong there.
        message: String,
    },
}

impl Pins {
    /// Reads the text of a lock.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        read::parse(text)
    }

    /// The text of the lock: the same for equal pins.
    pub fn to_text(&self) -> String {
        self.to_string()
    }

    /// Reads the file, if it is there.
    pub fn read(path: &Utf8Path) -> Result<Option<Self>, PinsError> {
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => {
                let path = path.to_owned();
                return Err(PinsError::File { path, source });
            }
        };
        let pins = Self::parse(&text).map_err(|source| PinsError::Text {
            path: path.to_owned(),
            source,
        })?;
        Ok(Some(pins))
    }

    /// Replaces the file as a whole, unless it says the same already.
    pub fn write(&self, path: &Utf8Path) -> Result<(), PinsError> {
        let text = self.to_text();
        if fs::read_to_string(path).is_ok_and(|old| old == text) {
            return Ok(());
        }
        replace(path, text.as_bytes()).map_err(|source| PinsError::File {
            path: path.to_owned(),
            source,
        })
    }

    /// What is known of a publisher.
    pub fn trust(&self, namespace: &Namespace) -> Trust {
        match self.registries.get(namespace) {
            None => Trust::FirstUse,
            Some(RegistryPin { key, counter }) => Trust::Pinned {
                key: *key,
                counter: *counter,
            },
        }
    }
}

/// The names of everything here are bare keys or need no escape in a string: that is seen to where
/// they are read.
impl fmt::Display for Pins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "# Written by doze. Commit it.\nformat = {FORMAT}\n")?;
        for (namespace, RegistryPin { key, counter }) in &self.registries {
            write!(
                f,
                "\n[registry.{namespace}]\nkey = \"{key}\"\ncounter = {counter}\n"
            )?;
        }
        for (name, pins) in &self.engines {
            for (declared, EnginePin { version, source }) in pins {
                let table = format!("engine.{name}.\"{declared}\"");
                write!(f, "\n[{table}]\nversion = \"{version}\"\n")?;
                match source {
                    Source::System => f.write_str("source = \"system\"\n")?,
                    Source::Registry(archives) => {
                        writeln!(f, "registry = \"{}\"", archives.registry)?;
                        write_digests(f, &table, archives)?;
                    }
                }
            }
        }
        for (name, pin) in &self.modules {
            let ModulePin {
                version,
                protocol,
                majors,
                archives,
            } = pin;
            let table = format!("module.{name}");
            write!(f, "\n[{table}]\nversion = \"{version}\"\n")?;
            writeln!(f, "registry = \"{}\"", archives.registry)?;
            let majors: Vec<_> = majors.iter().map(|major| format!("\"{major}\"")).collect();
            write!(
                f,
                "protocol = {protocol}\nmajors = [{}]\n",
                majors.join(", ")
            )?;
            write_digests(f, &table, archives)?;
        }
        Ok(())
    }
}

fn write_digests(f: &mut impl Write, table: &str, archives: &Archives) -> fmt::Result {
    writeln!(f, "[{table}.sha256]")?;
    let mut digests = archives.sha256.iter();
    digests.try_for_each(|(triple, digest)| writeln!(f, "{triple} = \"{digest}\""))
}

#[cfg(test)]
mod tests;
