//! What doze has made in a server, in a file beside the cluster: so that it can be taken back once
//! nobody declares it, and what others made is left alone. Whether it is still there, and how it
//! is, only the catalogs tell. It must not know how anything is made.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use camino::Utf8Path;
use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use crate::structure::Target;

/// The file in the data directory of the instance.
pub(crate) const FILE: &str = "doze-structure.json";

/// All that doze remembers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Record {
    made: BTreeSet<Made>,
    /// Made for this record, as base64.
    key: String,
    /// By the name of the role.
    passwords: BTreeMap<String, Known>,
}

/// Something that doze has made. In this order one thing may need another before it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Made {
    Role(String),
    Membership {
        group: String,
        member: String,
    },
    Setting {
        role: String,
        name: String,
    },
    Database(String),
    Schema(String),
    Extension(String),
    Grant {
        role: String,
        target: Target,
        privilege: String,
    },
    Comment(Commented),
}

/// Something that has a comment.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Commented {
    Role(String),
    Database(String),
    Schema(String),
}

/// A verifier that doze has set. To see whether a verifier is of a password takes some thousand
/// hashes, and this takes one; the password itself stands, for the same eyes alone, in the plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Known {
    /// A keyed digest of the verifier.
    verifier: String,
    /// One of the verifier together with the password.
    password: String,
}

impl Record {
    /// What is remembered. A file that nobody can make sense of is as none: then nothing is known
    /// to be doze's, and nothing is taken back.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(crate) fn read(data: &Utf8Path) -> io::Result<Self> {
        match fs::read(data.join(FILE)) {
            Ok(text) => Ok(serde_json::from_slice(&text).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error),
        }
    }

    /// Replaces the file as a whole; when this returns, a crash of the machine does not undo it.
    ///
    /// # Errors
    /// It cannot be written.
    pub(crate) fn write(&self, data: &Utf8Path) -> io::Result<()> {
        // One at a time does this: who converges holds the lock of the server.
        let new = data.join(format!(".{FILE}.new"));
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&new)?;
        file.write_all(&serde_json::to_vec(self)?)?;
        file.sync_all()?;
        fs::rename(&new, data.join(FILE))?;
        File::open(data)?.sync_all()
    }

    /// What doze has made.
    pub(crate) fn made(&self) -> impl DoubleEndedIterator<Item = &Made> {
        self.made.iter()
    }

    /// Whether doze has made this.
    pub(crate) fn has(&self, made: &Made) -> bool {
        self.made.contains(made)
    }

    /// Notes what was made.
    pub(crate) fn add(&mut self, made: impl IntoIterator<Item = Made>) {
        self.made.extend(made);
    }

    /// Forgets what is gone, and what went with it.
    pub(crate) fn remove(&mut self, gone: &Made) {
        if let Made::Role(name) = gone {
            self.passwords.remove(name);
        }
        self.made.retain(|made| made != gone && !made.is_of(gone));
    }

    /// Forgets all that is not so.
    pub(crate) fn retain(&mut self, mut is_there: impl FnMut(&Made) -> bool) {
        self.made.retain(|made| is_there(made));
    }

    /// What to remember before this is made: whatever a crash leaves of it.
    #[must_use]
    pub(crate) fn on_the_way_from(&self, before: &Self) -> Self {
        let mut both = self.clone();
        both.made.extend(before.made.iter().cloned());
        for (role, known) in &before.passwords {
            both.passwords
                .entry(role.clone())
                .or_insert_with(|| known.clone());
        }
        both
    }

    /// Whether `verifier` was found to be of `password`.
    pub(crate) fn knows(&self, role: &str, verifier: &str, password: &str) -> bool {
        let known = self.passwords.get(role);
        known.is_some_and(|known| known.password == self.digest(&[verifier, password]))
    }

    /// Whether doze has set this verifier, or had a password that it was of.
    pub(crate) fn has_set(&self, role: &str, verifier: &str) -> bool {
        let known = self.passwords.get(role);
        known.is_some_and(|known| known.verifier == self.digest(&[verifier]))
    }

    /// Notes that `verifier` is of `password`.
    ///
    /// # Errors
    /// There is no randomness for a key.
    pub(crate) fn learn(
        &mut self,
        role: &str,
        verifier: &str,
        password: &str,
    ) -> Result<(), getrandom::Error> {
        if self.key.is_empty() {
            let mut key = [0; 32];
            getrandom::fill(&mut key)?;
            self.key = BASE64_STANDARD.encode(key);
        }
        let known = Known {
            verifier: self.digest(&[verifier]),
            password: self.digest(&[verifier, password]),
        };
        self.passwords.insert(role.to_owned(), known);
        Ok(())
    }

    /// Forgets the password of a role.
    pub(crate) fn unlearn(&mut self, role: &str) {
        self.passwords.remove(role);
    }

    fn digest(&self, parts: &[&str]) -> String {
        // HMAC takes a key of any length up to a block, and 32 bytes are 44 of base64.
        let mut block = [0; 64];
        for (to, from) in block.iter_mut().zip(self.key.bytes()) {
            *to = from;
        }
        let mut mac = Hmac::<Sha256>::new(&block.into());
        for part in parts {
            // No part of two can be moved from one to the other.
            mac.update(&part.len().to_be_bytes());
            mac.update(part.as_bytes());
        }
        BASE64_STANDARD.encode(mac.finalize().into_bytes())
    }
}

impl Made {
    /// Whether this cannot be without that.
    fn is_of(&self, that: &Self) -> bool {
        match (self, that) {
            (Self::Membership { group, member }, Self::Role(name)) => {
                group == name || member == name
            }
            (
                Self::Setting { role, .. }
                | Self::Grant { role, .. }
                | Self::Comment(Commented::Role(role)),
                Self::Role(name),
            ) => role == name,
            (
                Self::Grant {
                    target: Target::Database(of),
                    ..
                }
                | Self::Comment(Commented::Database(of)),
                Self::Database(name),
            )
            | (Self::Comment(Commented::Schema(of)), Self::Schema(name)) => of == name,
            (Self::Grant { target, .. }, Self::Schema(name)) => {
                matches!(target, Target::Schema(of) | Target::Objects { schema: of, .. } | Target::Future { schema: of, .. } if of == name)
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_password_is_known_again_by_its_verifier_and_is_not_in_the_file() {
        let mut record = Record::default();
        assert!(!record.knows("web", "v", "s3cret"));
        record.learn("web", "v", "s3cret").unwrap();
        assert!(record.knows("web", "v", "s3cret"));
        for (role, verifier, password) in [
            ("app", "v", "s3cret"),
            ("web", "w", "s3cret"),
            ("web", "v", "other"),
            ("web", "vs", "3cret"),
        ] {
            assert!(!record.knows(role, verifier, password), "{role} {verifier}");
        }
        assert!(record.has_set("web", "v") && !record.has_set("web", "w"));
        let text = serde_json::to_string(&record).unwrap();
        assert!(!text.contains("s3cret"), "{text}");
        let mut other = Record::default();
        other.learn("web", "v", "s3cret").unwrap();
        assert_ne!(record, other, "each has a key of its own");
        record.unlearn("web");
        assert!(!record.has_set("web", "v"));
    }

    #[test]
    fn what_was_written_is_read_by_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let data = Utf8Path::from_path(folder.path()).unwrap();
        assert_eq!(Record::read(data).unwrap(), Record::default());
        let mut record = Record::default();
        record.add([
            Made::Role("it's \"me\"".into()),
            Made::Grant {
                role: "web".into(),
                target: Target::Database("d".into()),
                privilege: "CONNECT".into(),
            },
        ]);
        record.write(data).unwrap();
        assert_eq!(Record::read(data).unwrap(), record);
        let mode = fs::metadata(data.join(FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let mut spoilt = File::create(data.join(FILE)).unwrap();
        spoilt.write_all(b"{\"made\":[").unwrap();
        assert_eq!(Record::read(data).unwrap(), Record::default());
    }

    #[test]
    fn with_a_role_goes_what_is_of_it() {
        let mut record = Record::default();
        let web = Made::Role("web".into());
        let team = Made::Role("team".into());
        let member = Made::Membership {
            group: "team".into(),
            member: "web".into(),
        };
        record.add([web.clone(), team.clone(), member]);
        record.learn("web", "v", "p").unwrap();
        record.remove(&web);
        assert_eq!(record.made().collect::<Vec<_>>(), [&team]);
        assert!(!record.has_set("web", "v"));
    }
}
