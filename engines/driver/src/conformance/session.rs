//! A driver program and the two pipes to it. It must not know what a right answer is.

use std::{
    io::{self, BufRead, BufReader, Write},
    process::{Child, ChildStdin, Command, ExitStatus, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    thread,
    time::Duration,
};

use camino::Utf8Path;
use doze_contract::{
    plan::Body,
    protocol::{
        Answer, Call, Check, Checked, ConvergeCall, Converged, Description, PROTOCOL, PlanCall,
        ProvisionCall, Request, Response,
    },
};

use super::until;

/// How long a driver may think about a call.
const PATIENCE: Duration = Duration::from_secs(20);

/// How long it may provision or converge, which takes seconds on a machine that does nothing else.
const PROVISIONING: Duration = Duration::from_mins(2);

/// A running driver. It is killed when dropped.
#[derive(Debug)]
pub struct Session {
    child: Child,
    input: Option<ChildStdin>,
    lines: Receiver<io::Result<String>>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The program cannot be started.
    #[error("cannot start the driver")]
    Start(#[source] io::Error),
    /// It cannot be written to.
    #[error("cannot write to the driver")]
    Write(#[source] io::Error),
    /// It cannot be read from.
    #[error("cannot read from the driver")]
    Read(#[source] io::Error),
    /// It is silent.
    #[error("the driver gave no line within {0:?}")]
    Silent(Duration),
    /// It is gone.
    #[error("the driver left without an answer")]
    Gone,
    /// What it wrote is no response.
    #[error("the driver wrote what is no response: {0}")]
    Garbage(String, #[source] serde_json::Error),
    /// It answered another call.
    #[error("the driver answered another call than the one it got")]
    Mixed,
    /// It says that it could not carry out the call.
    #[error("the driver says: {0}")]
    Refused(String),
}

impl Session {
    /// Starts `program` behind the words of `launcher`, with an empty environment: a driver may
    /// depend on nothing but what it is asked.
    pub fn start(launcher: &[String], program: &Utf8Path) -> Result<Self, SessionError> {
        let mut command = match launcher.split_first() {
            Some((first, rest)) => {
                let mut command = Command::new(first);
                command.args(rest).arg(program);
                command
            }
            None => Command::new(program),
        };
        let mut child = command
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(SessionError::Start)?;
        let (send, lines) = channel();
        let output = child.stdout.take();
        // A thread, so that a driver that hangs fails a test instead of hanging it. It ends with
        // the driver's output.
        thread::spawn(move || {
            for line in output
                .into_iter()
                .flat_map(|output| BufReader::new(output).lines())
            {
                if send.send(line).is_err() {
                    break;
                }
            }
        });
        Ok(Self {
            input: child.stdin.take(),
            child,
            lines,
        })
    }

    /// Writes one line as it is and reads the response.
    pub fn raw(&mut self, line: &[u8]) -> Result<Response, SessionError> {
        self.say(line, PATIENCE)
    }

    fn say(&mut self, line: &[u8], patience: Duration) -> Result<Response, SessionError> {
        let input = self.input.as_mut().ok_or(SessionError::Gone)?;
        let line = [line, b"\n"].concat();
        input.write_all(&line).map_err(|error| {
            if error.kind() == io::ErrorKind::BrokenPipe {
                SessionError::Gone
            } else {
                SessionError::Write(error)
            }
        })?;
        let line = self.lines.recv_timeout(patience);
        let line = line
            .map_err(|error| match error {
                RecvTimeoutError::Timeout => SessionError::Silent(patience),
                RecvTimeoutError::Disconnected => SessionError::Gone,
            })?
            .map_err(SessionError::Read)?;
        serde_json::from_str(&line).map_err(|error| SessionError::Garbage(line, error))
    }

    /// Asks what the engine is.
    pub fn describe(&mut self) -> Result<Description, SessionError> {
        self.ask(Call::Describe, |answer| {
            if let Answer::Describe(it) = answer {
                Some(*it)
            } else {
                None
            }
        })
    }

    /// Asks whether a block is right.
    pub fn check(&mut self, call: Check) -> Result<Checked, SessionError> {
        self.ask(Call::Check(call), |answer| {
            if let Answer::Check(it) = answer {
                Some(it)
            } else {
                None
            }
        })
    }

    /// Asks for the plan of an instance.
    pub fn plan(&mut self, call: PlanCall) -> Result<Body, SessionError> {
        self.ask(Call::Plan(Box::new(call)), |answer| {
            if let Answer::Plan(it) = answer {
                Some(*it)
            } else {
                None
            }
        })
    }

    /// Orders to provision.
    pub fn provision(&mut self, call: ProvisionCall) -> Result<(), SessionError> {
        self.ask(Call::Provision(Box::new(call)), |answer| {
            matches!(answer, Answer::Provision).then_some(())
        })
    }

    /// Orders to converge.
    pub fn converge(&mut self, call: ConvergeCall) -> Result<Converged, SessionError> {
        self.ask(Call::Converge(Box::new(call)), |answer| {
            if let Answer::Converge(it) = answer {
                Some(it)
            } else {
                None
            }
        })
    }

    fn ask<T>(
        &mut self,
        call: Call,
        own: impl FnOnce(Answer) -> Option<T>,
    ) -> Result<T, SessionError> {
        let request = Request {
            protocol: PROTOCOL,
            call,
        };
        let line = serde_json::to_vec(&request)
            .map_err(|error| SessionError::Write(io::Error::from(error)))?;
        let patience = match request.call {
            Call::Provision(_) | Call::Replenish(_) | Call::Converge(_) => PROVISIONING,
            Call::Describe | Call::Check(_) | Call::Plan(_) => PATIENCE,
        };
        match self.say(&line, patience)? {
            Response::Answer(answer) => own(answer).ok_or(SessionError::Mixed),
            Response::Error(message) => Err(SessionError::Refused(message)),
        }
    }

    /// Ends the input and gives the exit status.
    ///
    /// # Errors
    /// If the driver stays, or has more to say.
    pub fn end(mut self) -> Result<ExitStatus, String> {
        drop(self.input.take());
        let status = until(Duration::from_secs(10), || match self.child.try_wait() {
            Ok(Some(status)) => Ok(status),
            Ok(None) => Err("the driver still runs".to_owned()),
            Err(error) => Err(error.to_string()),
        })?;
        // Until the thread that reads has reached the end.
        match self.lines.iter().next() {
            Some(Ok(line)) => Err(format!("nothing was asked, and it said {line}")),
            Some(Err(error)) => Err(error.to_string()),
            None => Ok(status),
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // Both fail only when it is gone already.
        let _killed = self.child.kill();
        let _reaped = self.child.wait();
    }
}
