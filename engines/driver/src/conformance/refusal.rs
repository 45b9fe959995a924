//! A driver called to refuse clients, as an activator does it. It must not know what is said.

use std::{
    error::Error,
    io,
    os::fd::OwnedFd,
    process::{Child, Command, ExitStatus, Output, Stdio},
    time::Duration,
};

use camino::Utf8Path;
use doze_contract::protocol::{REFUSAL, REFUSAL_HINT, REFUSE};

use super::until;
use crate::Refusal;

/// How long a driver may take for one client, whatever the client does.
const BOUND: Duration = Duration::from_secs(10);

/// A driver that refuses one client. It is killed when dropped.
#[derive(Debug)]
pub struct Refusing(Child);

impl Refusing {
    /// Starts `program` for the client on this socket, with nothing else in its environment.
    pub fn start(
        program: &Utf8Path,
        socket: impl Into<OwnedFd>,
        refusal: &Refusal,
    ) -> io::Result<Self> {
        Command::new(program)
            .arg(REFUSE)
            .env_clear()
            .env(REFUSAL, &refusal.reason)
            .env(REFUSAL_HINT, &refusal.hint)
            .stdin(socket.into())
            .stdout(Stdio::null())
            .spawn()
            .map(Self)
    }

    /// Waits until the driver has left.
    pub fn end(mut self) -> Result<ExitStatus, String> {
        until(BOUND, || match self.0.try_wait() {
            Ok(Some(status)) => Ok(status),
            Ok(None) => Err("the driver still runs".to_owned()),
            Err(error) => Err(error.to_string()),
        })
    }
}

impl Drop for Refusing {
    fn drop(&mut self) {
        // Both fail only when it is gone already.
        let _killed = self.0.kill();
        let _reaped = self.0.wait();
    }
}

/// Runs `client` to its end while the driver refuses whoever `accept` accepts, which has to be
/// non-blocking, and gives what the client printed. Every driver has to leave with status 0.
pub fn refused(
    program: &Utf8Path,
    refusal: &Refusal,
    mut accept: impl FnMut() -> io::Result<OwnedFd>,
    mut client: Command,
) -> Result<Output, Box<dyn Error>> {
    let mut client = client
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let mut drivers = Vec::new();
    let ended = until(BOUND, || {
        let mut turn = || -> io::Result<bool> {
            match accept() {
                Ok(socket) => drivers.push(Refusing::start(program, socket, refusal)?),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
            Ok(client.try_wait()?.is_some())
        };
        match turn() {
            Ok(true) => Ok(()),
            Ok(false) => Err("the client still runs".to_owned()),
            Err(error) => Err(error.to_string()),
        }
    });
    if ended.is_err() {
        client.kill()?;
    }
    let output = client.wait_with_output()?;
    ended?;
    for driver in drivers {
        let status = driver.end()?;
        if !status.success() {
            return Err(format!("the driver left with {status}").into());
        }
    }
    Ok(output)
}
