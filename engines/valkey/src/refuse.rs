//! Telling a client why it cannot be served, as the answer to its first command. It must not know
//! what the reasons are.

use std::{
    io::{self, ErrorKind, Read, Write},
    time::Duration,
};

use doze_driver::{Client, Refusal};

use crate::resp;

/// How long to wait for the first command. Some clients take what comes before it for noise; the
/// server itself waits for none when it has too many clients.
const FIRST_COMMAND: Duration = Duration::from_millis(100);

pub(crate) fn refuse(refusal: &Refusal, client: &mut Client) -> io::Result<()> {
    client.set_patience(FIRST_COMMAND);
    match client.read(&mut [0]) {
        Err(error) if error.kind() != ErrorKind::TimedOut => return Err(error),
        Ok(_) | Err(_) => {}
    }
    let Refusal { reason, hint } = refusal;
    client.write_all(&resp::error(&format!("doze: {reason}; {hint} shows more")))
}
