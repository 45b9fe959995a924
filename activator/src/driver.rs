//! The plan's driver as a child process: its command line, and one call of the driver protocol. It
//! must not know what a driver is asked for.

use std::{
    env, io,
    process::{Command, ExitStatus},
    time::Duration,
};

use camino::Utf8PathBuf;
use doze_contract::{Plan, protocol::PROTOCOL};
use serde::Deserialize;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    time::timeout,
};

use crate::{
    environment::PRIVATE,
    lock::Lock,
    log::Log,
    plan::Source,
    process::{Output, Process},
};

/// The longest answer of a driver, in bytes.
const ANSWER: u64 = 1024 * 1024;

/// How long a driver may take to leave after its answer and the end of its input.
const LEAVE: Duration = Duration::from_secs(10);

/// Why a driver did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DriverError {
    #[error("cannot start the driver {driver}")]
    Spawn {
        driver: Utf8PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("the driver ended without an answer ({status}){words}")]
    NoAnswer { status: ExitStatus, words: String },
    #[error("the driver's answer is not one to this question of the driver protocol")]
    Answer(#[source] serde_json::Error),
    #[error("the driver answered another question")]
    Mixed,
    #[error("{0}")]
    Refused(String),
}

/// An answer to one of the calls that an activator makes, as far as it matters.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Done {
    Provision,
    Replenish,
    Converge(Converged),
}

/// What was changed in the engine.
#[derive(Debug, Deserialize)]
pub(crate) struct Converged {
    pub(crate) changes: Vec<Change>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Change {
    pub(crate) statement: String,
}

/// The driver of `plan`, behind the plan's launcher, without arguments.
pub(crate) fn command(plan: &Plan) -> Command {
    let mut words = plan.launcher.iter().map(String::as_str);
    let mut command = Command::new(words.next().unwrap_or(plan.driver.as_str()));
    if !plan.launcher.is_empty() {
        command.args(words).arg(&plan.driver);
    }
    for name in PRIVATE.iter().filter(|name| env::var_os(name).is_some()) {
        command.env_remove(name);
    }
    command
}

/// Makes one call, `verb` with `fields` behind the plan, each after a comma. A driver that still runs
/// when this is dropped is left in `helper`.
pub(crate) async fn ask(
    plan: &Source,
    lock: &Lock,
    (verb, fields): (&str, &str),
    helper: &mut Option<Process>,
    log: &Log,
) -> Result<Done, DriverError> {
    let failed = |source| DriverError::Spawn {
        driver: plan.driver.clone(),
        source,
    };
    let spawn = || Process::spawn("driver", command(plan), Output::Dialogue, log);
    let process = helper.insert(lock.shared(spawn).map_err(failed)?);
    let mut answer = Vec::new();
    if let Some((mut stdin, stdout)) = process.dialogue().map_err(failed)? {
        // A driver that does not listen says why by how it ends.
        let question = question(plan, verb, fields);
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
    *helper = None;
    if answer.is_empty() {
        return Err(DriverError::NoAnswer {
            status,
            words: log.last_words(),
        });
    }
    understood(&answer)
}

/// The line of a request. Like [`understood`] it handles some forms of the protocol's messages by
/// itself: what serde makes of all of them is a tenth of this program.
fn question(plan: &Source, verb: &str, fields: &str) -> String {
    let plan = &plan.line;
    format!(r#"{{"protocol":{PROTOCOL},"call":{{"{verb}":{{"plan":{plan}{fields}}}}}}}"#) + "\n"
}

/// A response, as far as it matters.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Reply {
    Answer(Done),
    Error(String),
}

/// Reads the line of a response.
fn understood(line: &[u8]) -> Result<Done, DriverError> {
    // As text, like the plan: each kind of reader would be some kilobytes of its own.
    let line = String::from_utf8_lossy(line);
    match serde_json::from_str(&line).map_err(DriverError::Answer)? {
        Reply::Error(reason) => Err(DriverError::Refused(reason)),
        Reply::Answer(done) => Ok(done),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use doze_contract::protocol::{
        Action, Answer, Call, Checked, ConvergeCall, ProvisionCall, Request, Response,
    };

    use super::*;

    pub(crate) const PLAN: &str = r#"{"format":1,"revision":"r","project":"p","instance":"i","engine":"e",
        "idle_timeout_ms":null,"endpoints":[],"init_sockets":[],"open_to":"user","paths":{"wake_socket":"/w","status_socket":"/s",
        "lock":"/l","data":"/d","run":"/r","log":"/g","templates":"/t"},"driver":"/driver","launcher":[],
        "body":{"provision":{"fingerprint":"f","block":{"a":[1]}},"files":[],"members":[],
        "upstream":"unix:/u","hello":{"send":"","ready":"","busy":[]},
        "connection":{"variable":"V","url":"u"},"clients_speak_first":true,"generates_code":false}}"#;

    #[test]
    fn the_questions_are_what_the_protocol_says() {
        let plan: Plan = serde_json::from_str(PLAN).unwrap();
        let asked = |verb, fields: &str| {
            let line = question(&plan.clone().into(), verb, fields);
            assert_eq!(line.lines().count(), 1);
            assert!(line.ends_with('\n'));
            let request: Request = serde_json::from_str(&line).unwrap();
            assert_eq!(request.protocol, PROTOCOL);
            request.call
        };
        let call = ProvisionCall {
            plan: plan.clone(),
            data: "/a \"side\"".into(),
            fresh: true,
        };
        assert_eq!(
            asked("provision", r#","data":"/a \"side\"","fresh":true"#),
            Call::Provision(Box::new(call))
        );
        let converge = |upstream| {
            Call::Converge(Box::new(ConvergeCall {
                plan: plan.clone(),
                upstream,
                dry_run: false,
                prune: false,
            }))
        };
        assert_eq!(asked("converge", r#","dry_run":false"#), converge(None));
        assert_eq!(
            asked("converge", r#","upstream":"127.0.0.1:9","dry_run":false"#),
            converge(Some("127.0.0.1:9".parse().unwrap()))
        );
    }

    #[test]
    fn the_answers_are_what_the_protocol_says() {
        let read = |response: &Response| understood(&serde_json::to_vec(response).unwrap());
        let done = read(&Response::Answer(Answer::Provision)).unwrap();
        assert!(matches!(done, Done::Provision));

        let change = doze_contract::protocol::Change {
            action: Action::Create,
            object: String::from("role web"),
            statement: String::from("CREATE ROLE web"),
        };
        let converged = doze_contract::protocol::Converged {
            changes: vec![change],
            kept: Vec::new(),
        };
        let done = read(&Response::Answer(Answer::Converge(converged))).unwrap();
        let Done::Converge(Converged { changes }) = done else {
            panic!("{done:?}");
        };
        assert_eq!(changes.first().unwrap().statement, "CREATE ROLE web");

        let error = read(&Response::Error(String::from("no space"))).unwrap_err();
        assert_eq!(error.to_string(), "no space");
        let other = Response::Answer(Answer::Check(Checked {
            block: serde_json::Value::Null,
            problems: Vec::new(),
        }));
        assert!(matches!(read(&other), Err(DriverError::Answer(_))));
        assert!(matches!(understood(b"hello"), Err(DriverError::Answer(_))));
    }
}
