//! What doze made in a server, kept beside its data: pruning takes away nothing else. It must not
//! know what is declared.

use std::{
    collections::BTreeSet,
    fs::{self, OpenOptions},
    io::{self, ErrorKind, Write},
    os::unix::fs::OpenOptionsExt,
};

use camino::{Utf8Path, Utf8PathBuf};
use doze_contract::protocol::Action;
use serde::{Deserialize, Serialize};

use crate::{
    diff::{Object, Step},
    privilege::ALL,
    structure::{Account, Grant, Structure},
};

/// The file in the data directory.
const FILE: &str = "made.json";

/// What earlier calls made.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Record {
    pub(crate) databases: BTreeSet<String>,
    pub(crate) accounts: BTreeSet<Account>,
    pub(crate) grants: Vec<Grant>,
}

/// Why it is not known what doze made.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The file cannot be read or written.
    #[error("cannot keep {0}")]
    File(Utf8PathBuf, #[source] io::Error),
    /// It says something else.
    #[error("{0} is no record of what was made")]
    Content(Utf8PathBuf, #[source] serde_json::Error),
}

impl Record {
    /// Of this data directory; empty if nothing was made there.
    pub(crate) fn read(data: &Utf8Path) -> Result<Self, RecordError> {
        let path = data.join(FILE);
        match fs::read(&path) {
            Ok(text) => {
                serde_json::from_slice(&text).map_err(|error| RecordError::Content(path, error))
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(RecordError::File(path, error)),
        }
    }

    /// Replaces the record of this data directory.
    pub(crate) fn write(&self, data: &Utf8Path) -> Result<(), RecordError> {
        let path = data.join(FILE);
        let aside = path.with_extension("new");
        let text =
            serde_json::to_vec(self).map_err(|error| RecordError::Content(path.clone(), error))?;
        OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&aside)
            .and_then(|mut file| {
                file.write_all(&text)?;
                file.sync_all()
            })
            .and_then(|()| fs::rename(&aside, &path))
            .map_err(|error| RecordError::File(path, error))
    }

    /// Adds what these steps make.
    pub(crate) fn add(&mut self, steps: &[Step]) {
        for Step { change, object, .. } in steps {
            let is_new = change.action == Action::Create;
            match object {
                Object::Database(name) if is_new => {
                    self.databases.insert(name.clone());
                }
                Object::Account(account) if is_new => {
                    self.accounts.insert(account.clone());
                }
                Object::Grant(grant) if change.action != Action::Drop => self.add_grant(grant),
                Object::Database(_) | Object::Account(_) | Object::Grant(_) => {}
            }
        }
    }

    fn add_grant(&mut self, grant: &Grant) {
        match self.grants.iter_mut().find(|is| is.target == grant.target) {
            None => self.grants.push(grant.clone()),
            Some(is) => {
                is.passes_on |= grant.passes_on;
                is.privileges.extend(grant.privileges.iter().cloned());
            }
        }
    }

    /// Leaves what is declared, and what is in databases that were kept.
    pub(crate) fn settle(&mut self, wanted: &Structure, kept: &BTreeSet<String>) {
        let declared = |name: &String| wanted.databases.contains_key(name);
        self.databases
            .retain(|name| declared(name) || kept.contains(name));
        let accounts: BTreeSet<_> = wanted.accounts().map(|(account, _)| account).collect();
        self.accounts.retain(|account| accounts.contains(account));
        self.grants.retain_mut(|made| {
            let mut grants = wanted.grants.iter();
            let Some(wanted) = grants.find(|wanted| wanted.target == made.target) else {
                let database = made.target.database.as_ref();
                return accounts.contains(&made.target.account)
                    && database.is_some_and(|name| kept.contains(name));
            };
            if made.privileges.contains(ALL) {
                made.privileges.clone_from(&wanted.privileges);
            } else if !wanted.privileges.contains(ALL) {
                made.privileges
                    .retain(|name| wanted.privileges.contains(name));
            }
            made.passes_on &= wanted.passes_on;
            true
        });
    }
}
