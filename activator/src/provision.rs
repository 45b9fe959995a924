//! The data directory: complete and made for the plan's fingerprint, or not there at all.
//!
//! A new one is built aside, stamped, and renamed into place. Must not know what is in it: the driver
//! fills it, as a child process that speaks the driver protocol, and puts it on the disk.

use std::{
    fs::{self, DirBuilder},
    io,
    os::unix::fs::DirBuilderExt,
};

use camino::{Utf8Path, Utf8PathBuf};

use crate::{
    driver::{self, Done, DriverError},
    lock::Lock,
    log::Log,
    plan::Source,
    process::Process,
    stamp,
};

/// The file in a data directory that holds the fingerprint it was provisioned for.
const STAMP: &str = "doze-provisioned";

/// Why there is no data directory to start an engine on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProvisionError {
    #[error("{0} was not made by doze: it is not empty and has no {STAMP} file")]
    Foreign(Utf8PathBuf),
    #[error("the data directory {0} has no folder that it stands in")]
    Rootless(Utf8PathBuf),
    #[error("cannot prepare {path}")]
    File {
        path: Utf8PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("cannot put the question to the driver")]
    Question(#[source] serde_json::Error),
    #[error(transparent)]
    Driver(#[from] DriverError),
}

/// Sees to it that the data directory is what the plan needs; whether it is a new one. A driver that
/// still runs when this is dropped is left in `helper`.
pub(crate) async fn ensure(
    plan: &Source,
    lock: &Lock,
    helper: &mut Option<Process>,
    log: &Log,
) -> Result<bool, ProvisionError> {
    let data = &plan.paths.data;
    let wanted = &plan.body.provision.fingerprint;
    match look(data).map_err(file(data))? {
        Stamp::Of(fingerprint) if fingerprint == *wanted => Ok(false),
        Stamp::Of(_) => {
            log.say(format_args!("bringing {data} up to date"));
            call(plan, lock, data, false, helper, log).await?;
            stamp::write(data, STAMP, wanted).map_err(file(data))?;
            Ok(false)
        }
        Stamp::Absent => {
            let (Some(parent), Some(name)) = (data.parent(), data.file_name()) else {
                return Err(ProvisionError::Rootless(data.clone()));
            };
            let aside = parent.join(format!(".{name}.new"));
            log.say(format_args!("creating {data}"));
            make(&aside).map_err(file(&aside))?;
            call(plan, lock, &aside, true, helper, log).await?;
            stamp::write(&aside, STAMP, wanted).map_err(file(&aside))?;
            // Not without its stamp.
            stamp::sync_folder(&aside).map_err(file(&aside))?;
            // An empty folder may stand there; rename(2) replaces it.
            fs::rename(&aside, data).map_err(file(data))?;
            stamp::sync_folder(parent).map_err(file(parent))?;
            Ok(true)
        }
        Stamp::Missing => Err(ProvisionError::Foreign(data.clone())),
    }
}

/// Has the driver make ahead what the next new data directory is made of. That it failed is no matter:
/// the next one is made all the same.
pub(crate) async fn replenish(plan: &Source, lock: &Lock, helper: &mut Option<Process>, log: &Log) {
    let asked = driver::ask(plan, lock, ("replenish", ""), helper, log);
    drop(asked.await);
}

/// What a data directory says of itself.
enum Stamp {
    /// It was provisioned for this fingerprint.
    Of(String),
    /// It is not there, or empty.
    Absent,
    /// It is there without a stamp.
    Missing,
}

fn look(data: &Utf8Path) -> io::Result<Stamp> {
    // A damaged one is that of no plan, so the driver looks the data over.
    if let Some(fingerprint) = stamp::read(data, STAMP)? {
        return Ok(Stamp::Of(fingerprint));
    }
    match fs::read_dir(data) {
        Ok(mut entries) => match entries.next() {
            None => Ok(Stamp::Absent),
            Some(_) => Ok(Stamp::Missing),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Stamp::Absent),
        Err(error) => Err(error),
    }
}

/// Makes a new empty directory in place of what a failed attempt may have left.
fn make(aside: &Utf8Path) -> io::Result<()> {
    match fs::remove_dir_all(aside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    DirBuilder::new().recursive(true).mode(0o700).create(aside)
}

/// Asks the driver to work on `data`.
async fn call(
    plan: &Source,
    lock: &Lock,
    data: &Utf8Path,
    fresh: bool,
    helper: &mut Option<Process>,
    log: &Log,
) -> Result<(), ProvisionError> {
    let path = serde_json::to_string(data.as_str()).map_err(ProvisionError::Question)?;
    let fields = format!(r#","data":{path},"fresh":{fresh}"#);
    match driver::ask(plan, lock, ("provision", &fields), helper, log).await? {
        Done::Provision => Ok(()),
        Done::Replenish | Done::Converge(_) => Err(DriverError::Mixed.into()),
    }
}

fn file(path: &Utf8Path) -> impl FnOnce(io::Error) -> ProvisionError {
    |source| ProvisionError::File {
        path: path.to_owned(),
        source,
    }
}
