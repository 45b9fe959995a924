//! Telling a client why it cannot be served. It must not know what the reasons are.

use std::{
    io::{self, Write},
    time::{SystemTime, UNIX_EPOCH},
};

use bson::{DateTime, Document, doc};
use doze_driver::{Client, Refusal};

use crate::wire::Command;

/// `OperationFailed`: clients show it, and do not try again.
const CODE: i32 = 96;

/// Answers like a server until the client wants something of it. A client whose very first words are
/// refused would go on looking for a server for half a minute, and then tell of that.
pub(crate) fn refuse(refusal: &Refusal, client: &mut Client) -> io::Result<()> {
    let why = doc! {
        "ok": 0.0,
        "errmsg": refusal.one_line(),
        "code": CODE,
        "codeName": "OperationFailed",
    };
    loop {
        let command = Command::read(client)?;
        let greeted = matches!(command.name.as_str(), "hello" | "isMaster" | "ismaster");
        let answer = if greeted { greeting() } else { why.clone() };
        let answer = command.answer(&answer).map_err(io::Error::other)?;
        client.write_all(&answer)?;
        if !greeted {
            return Ok(());
        }
    }
}

/// What FerretDB answers to `hello`, as far as clients look at it.
fn greeting() -> Document {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.map_or(0, |age| i64::try_from(age.as_millis()).unwrap_or(0));
    doc! {
        "helloOk": true,
        "ismaster": true,
        "isWritablePrimary": true,
        "maxBsonObjectSize": 16_777_216,
        "maxMessageSizeBytes": 48_000_000,
        "maxWriteBatchSize": 100_000,
        "localTime": DateTime::from_millis(now),
        "minWireVersion": 0,
        "maxWireVersion": 21,
        "readOnly": false,
        "ok": 1.0,
    }
}
