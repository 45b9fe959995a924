//! Telling a client why it cannot be served, as the answer to its first command. It must not know
//! what the reasons are.

use std::{
    io::{self, Write},
    time::Duration,
};

use doze_driver::{Client, Refusal};

use crate::resp;

/// How long to wait for the first command; the server itself waits for none when it has too many
/// clients.
const FIRST_COMMAND: Duration = Duration::from_millis(100);

pub(crate) fn refuse(refusal: &Refusal, client: &mut Client) -> io::Result<()> {
    client.hear(FIRST_COMMAND)?;
    client.write_all(&resp::error(&refusal.one_line()))
}
