//! The data directory: complete and made for the plan's fingerprint, or not there at all.
//!
//! A new one is built aside, stamped, made durable, and renamed into place. Must not know what is
//! in it: the driver fills it, as a child process that speaks the driver protocol.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    process::ExitStatus,
    thread,
    time::Duration,
};

use camino::{Utf8Path, Utf8PathBuf};
use doze_contract::protocol::PROTOCOL;
use serde::Deserialize;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    sync::oneshot,
    time::timeout,
};

use crate::{
    driver,
    lock::Lock,
    log::Log,
    plan::Source,
    process::{Output, Process},
};

/// The file in a data directory that holds the fingerprint it was provisioned for.
pub(crate) const STAMP: &str = "doze-provisioned";

/// The longest answer of a driver, in bytes.
const ANSWER: u64 = 1024 * 1024;

/// How long a driver may take to leave after its answer and the end of its input.
const LEAVE: Duration = Duration::from_secs(10);

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
    #[error("cannot start the driver {driver}")]
    Spawn {
        driver: Utf8PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("cannot put the question to the driver")]
    Question(#[source] serde_json::Error),
    #[error("the driver ended without an answer ({status}); it said: {words}")]
    NoAnswer { status: ExitStatus, words: String },
    #[error("the driver's answer is not one to this question of the driver protocol")]
    Answer(#[source] serde_json::Error),
    #[error("{0}")]
    Refused(String),
}

/// Sees to it that the data directory is what the plan needs. A driver that still runs
/// when this is dropped is left in `driver`.
pub(crate) async fn ensure(
    plan: &Source,
    lock: &Lock,
    driver: &mut Option<Process>,
    log: &Log,
) -> Result<(), ProvisionError> {
    let data = &plan.paths.data;
    let wanted = &plan.body.provision.fingerprint;
    match stamp(data).map_err(file(data))? {
        Stamp::Of(fingerprint) if fingerprint == *wanted => Ok(()),
        Stamp::Of(_) => {
            log.say(format_args!("bringing {data} up to date"));
            call(plan, lock, data, false, driver, log).await?;
            write_stamp(data, wanted).map_err(file(data))?;
            sync_folder(data).map_err(file(data))
        }
        Stamp::Absent => {
            let (Some(parent), Some(name)) = (data.parent(), data.file_name()) else {
                return Err(ProvisionError::Rootless(data.clone()));
            };
            let aside = parent.join(format!(".{name}.new"));
            log.say(format_args!("creating {data}"));
            make(&aside).map_err(file(&aside))?;
            call(plan, lock, &aside, true, driver, log).await?;
            write_stamp(&aside, wanted).map_err(file(&aside))?;
            sync_all(&aside).await.map_err(file(&aside))?;
            // An empty folder may stand there; rename(2) replaces it.
            fs::rename(&aside, data).map_err(file(data))?;
            sync_folder(parent).map_err(file(parent))
        }
        Stamp::Missing => Err(ProvisionError::Foreign(data.clone())),
    }
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

fn stamp(data: &Utf8Path) -> io::Result<Stamp> {
    match fs::read(data.join(STAMP)) {
        // A damaged one is that of no plan, so the driver looks the data over.
        Ok(text) => return Ok(Stamp::Of(String::from_utf8_lossy(&text).into_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
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

/// Replaces the stamp as a whole.
fn write_stamp(folder: &Utf8Path, fingerprint: &str) -> io::Result<()> {
    let aside = folder.join(format!("{STAMP}.new"));
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&aside)?;
    file.write_all(fingerprint.as_bytes())?;
    file.sync_all()?;
    fs::rename(&aside, folder.join(STAMP))
}

fn sync_folder(folder: &Utf8Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Makes everything in the file system of `folder` durable: one call for thousands of files. It
/// can take seconds, so it has a thread of its own.
async fn sync_all(folder: &Utf8Path) -> io::Result<()> {
    let folder = File::open(folder)?;
    let (tell, told) = oneshot::channel();
    thread::Builder::new().spawn(move || tell.send(rustix::fs::syncfs(&folder)).ok())?;
    Ok(told.await.map_err(io::Error::other)??)
}

/// Asks the driver to work on `data`.
async fn call(
    plan: &Source,
    lock: &Lock,
    data: &Utf8Path,
    fresh: bool,
    driver: &mut Option<Process>,
    log: &Log,
) -> Result<(), ProvisionError> {
    let question = question(plan, data, fresh).map_err(ProvisionError::Question)?;

    let failed = |source| ProvisionError::Spawn {
        driver: plan.driver.clone(),
        source,
    };
    let spawn = || Process::spawn("driver", driver::command(plan), Output::Dialogue, log);
    let process = driver.insert(lock.shared(spawn).map_err(failed)?);
    let mut answer = Vec::new();
    if let Some((mut stdin, stdout)) = process.dialogue().map_err(failed)? {
        // A driver that does not listen says why by how it ends.
        if stdin.write_all(question.as_bytes()).await.is_ok() {
            let mut stdout = BufReader::new(stdout.take(ANSWER));
            // What was read until an error is judged all the same.
            stdout.read_until(b'\n', &mut answer).await.ok();
        }
    }
    if timeout(LEAVE, process.ended()).await.is_err() {
        process.kill_group();
    }
    let status = process.ended().await;
    *driver = None;
    if answer.is_empty() {
        return Err(ProvisionError::NoAnswer {
            status,
            words: log.last_words(),
        });
    }
    understood(&answer)
}

/// The line of a request. Like [`understood`] it handles one form of the protocol's message by
/// itself: what serde makes of all of them is a tenth of this program.
fn question(plan: &Source, data: &Utf8Path, fresh: bool) -> serde_json::Result<String> {
    let (plan, data) = (&plan.line, serde_json::to_string(data.as_str())?);
    let call = format!(r#"{{"plan":{plan},"data":{data},"fresh":{fresh}}}"#);
    Ok(format!(r#"{{"protocol":{PROTOCOL},"call":{{"provision":{call}}}}}"#) + "\n")
}

/// A response to `provision`, as far as it matters.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Reply {
    Answer(Done),
    Error(String),
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Done {
    Provision,
}

/// Reads the line of a response.
fn understood(line: &[u8]) -> Result<(), ProvisionError> {
    match serde_json::from_slice(line).map_err(ProvisionError::Answer)? {
        Reply::Error(reason) => Err(ProvisionError::Refused(reason)),
        Reply::Answer(Done::Provision) => Ok(()),
    }
}

fn file(path: &Utf8Path) -> impl FnOnce(io::Error) -> ProvisionError {
    |source| ProvisionError::File {
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use doze_contract::{
        Plan,
        protocol::{Answer, Call, Checked, ProvisionCall, Request, Response},
    };

    use super::*;

    pub(crate) const PLAN: &str = r#"{"format":1,"revision":"r","project":"p","instance":"i","engine":"e",
        "idle_timeout_ms":null,"endpoints":[],"init_sockets":[],"open_to":"user","paths":{"wake_socket":"/w","status_socket":"/s",
        "lock":"/l","data":"/d","run":"/r","log":"/g"},"driver":"/driver","launcher":[],
        "body":{"provision":{"fingerprint":"f","block":{"a":[1]}},"files":[],"members":[],
        "upstream":"unix:/u","hello":{"send":"","ready":"","busy":[]},
        "connection":{"variable":"V","url":"u"},"clients_speak_first":true,"generates_code":false}}"#;

    #[test]
    fn the_question_is_what_the_protocol_says() {
        let plan: Plan = serde_json::from_str(PLAN).unwrap();
        let line = question(&plan.clone().into(), "/a \"side\"".into(), true).unwrap();
        assert_eq!(line.lines().count(), 1);
        assert!(line.ends_with('\n'));
        let request: Request = serde_json::from_str(&line).unwrap();
        assert_eq!(request.protocol, PROTOCOL);
        let call = ProvisionCall {
            plan,
            data: "/a \"side\"".into(),
            fresh: true,
        };
        assert_eq!(request.call, Call::Provision(Box::new(call)));
    }

    #[test]
    fn the_answer_is_what_the_protocol_says() {
        let read = |response: &Response| understood(&serde_json::to_vec(response).unwrap());
        read(&Response::Answer(Answer::Provision)).unwrap();
        let error = read(&Response::Error(String::from("no space"))).unwrap_err();
        assert_eq!(error.to_string(), "no space");
        let other = Response::Answer(Answer::Check(Checked {
            block: serde_json::Value::Null,
            problems: Vec::new(),
        }));
        assert!(matches!(read(&other), Err(ProvisionError::Answer(_))));
        assert!(matches!(
            understood(b"hello"),
            Err(ProvisionError::Answer(_))
        ));
    }
}
