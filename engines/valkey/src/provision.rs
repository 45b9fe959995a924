//! What a data directory needs: nothing, until `appendonly` changes.
//!
//! The server reads either its append-only files or its snapshot, whatever the other one holds,
//! and then overwrites the other. So when the key is turned on, the snapshot has to become the
//! first append-only file, and when it is turned off, nothing may be lost that only the
//! append-only files have. It must not know how the server is run.

use std::{
    fs::{self, Permissions},
    io::{self, ErrorKind},
    os::unix::fs::PermissionsExt,
    time::SystemTime,
};

use camino::{Utf8Path, Utf8PathBuf};
use doze_contract::protocol::ProvisionCall;
use serde::{Deserialize, Serialize};

/// The snapshot.
const SNAPSHOT: &str = "dump.rdb";

/// The append-only file of Redis 6. Newer servers take it over, and it may begin with a snapshot.
const LOG: &str = "appendonly.aof";

/// The append-only files of newer servers.
const LOG_FOLDER: &str = "appendonlydir";

/// All that the data directory depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Facts {
    /// The server reads its append-only files rather than its snapshot.
    pub(crate) appendonly: bool,
    /// The snapshot has to hold the data.
    pub(crate) save: bool,
}

impl Facts {
    pub(crate) fn fingerprint(self) -> String {
        let Self { appendonly, save } = self;
        format!("valkey, appendonly {appendonly}, save {save}")
    }
}

/// Why the data directory is not ready.
#[derive(Debug, thiserror::Error)]
pub enum ProvisionError {
    /// What the plan says of provisioning cannot be read.
    #[error("the plan is not one of this driver")]
    Facts(#[source] serde_json::Error),
    /// Changes that are in no snapshot.
    #[error(
        "the newest data is only in the append-only files, which `appendonly = false` would not \
         read; put `appendonly = true` and `save = true` back, wake the instance once and let it \
         go to sleep"
    )]
    OnlyInLog,
    /// A file or folder of the data directory.
    #[error("cannot prepare {0}")]
    File(Utf8PathBuf, #[source] io::Error),
}

pub(crate) fn provision(call: &ProvisionCall) -> Result<(), ProvisionError> {
    let block = &call.plan.body.provision.block;
    let facts: Facts = block.read().map_err(ProvisionError::Facts)?;
    fs::set_permissions(&call.data, Permissions::from_mode(0o700))
        .map_err(|error| ProvisionError::File(call.data.clone(), error))?;
    let (snapshot, log) = (saved(&call.data)?, logged(&call.data)?);
    if facts.appendonly {
        if snapshot > log {
            forget_log(&call.data)?;
            start_log(&call.data)?;
        }
    } else if facts.save && log > snapshot {
        return Err(ProvisionError::OnlyInLog);
    }
    Ok(())
}

/// When the snapshot was written.
fn saved(data: &Utf8Path) -> Result<Option<SystemTime>, ProvisionError> {
    written(&data.join(SNAPSHOT))
}

/// When something was last appended.
fn logged(data: &Utf8Path) -> Result<Option<SystemTime>, ProvisionError> {
    let folder = data.join(LOG_FOLDER);
    let failed = |error| ProvisionError::File(folder.clone(), error);
    let mut latest = written(&data.join(LOG))?;
    match folder.read_dir_utf8() {
        Ok(entries) => {
            for entry in entries {
                latest = latest.max(written(entry.map_err(failed)?.path())?);
            }
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(failed(error)),
    }
    Ok(latest)
}

fn written(path: &Utf8Path) -> Result<Option<SystemTime>, ProvisionError> {
    match fs::metadata(path).and_then(|metadata| metadata.modified()) {
        Ok(time) => Ok(Some(time)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(ProvisionError::File(path.to_owned(), error)),
    }
}

/// Removes append-only files that are older than the snapshot.
fn forget_log(data: &Utf8Path) -> Result<(), ProvisionError> {
    let (file, folder) = (data.join(LOG), data.join(LOG_FOLDER));
    for (result, path) in [
        (fs::remove_file(&file), file),
        (fs::remove_dir_all(&folder), folder),
    ] {
        match result {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(ProvisionError::File(path, error));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Makes the snapshot the first append-only file, aside and renamed.
fn start_log(data: &Utf8Path) -> Result<(), ProvisionError> {
    let (log, aside) = (data.join(LOG), data.join("appendonly.aof.new"));
    fs::copy(data.join(SNAPSHOT), &aside)
        .and_then(|_| fs::File::open(&aside)?.sync_all())
        .and_then(|()| fs::rename(&aside, &log))
        .map_err(|error| ProvisionError::File(log, error))
}
