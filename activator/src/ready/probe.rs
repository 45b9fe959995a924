//! Questions that are asked until the answer is good: a connection, an HTTP request, a command.
//!
//! Nothing tells when a server would answer, so it is asked often at first, and then ever less.

use std::{io, time::Duration};

use doze_contract::{Endpoint, plan::Probe};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::{Instant, sleep, timeout},
};

use super::{RETRY, Seen};
use crate::{helper::Bench, stream::Stream};

/// How to ask whether something accepts connections, for which a plan has no numbers. Only a full
/// backlog makes a connect wait.
pub(super) const CONNECT: Probe = Probe {
    interval: Duration::from_millis(100),
    timeout: Duration::from_secs(1),
};

/// A pause is this part of the time since the first try, so that readiness is never seen later
/// than by as much.
const PART: u32 = 8;

/// The longest status line of an answer, in bytes.
const STATUS_LINE: usize = 512;

/// What is asked, and what a good answer is.
#[derive(Debug)]
pub(crate) enum Question<'a> {
    /// Something accepts a connection here.
    Connect(&'a Endpoint),
    /// A server here answers a GET of this path with a status from 200 to 299.
    Http(&'a Endpoint, &'a str),
    /// This command ends with status 0.
    Exec(&'a [String]),
}

/// Asks until the answer is good.
pub(super) async fn answered(
    question: &Question<'_>,
    probe: Probe,
    seen: &mut Seen,
    bench: &mut Bench<'_>,
) -> io::Result<()> {
    let begun = Instant::now();
    loop {
        let now = match timeout(probe.timeout, ask(question, bench)).await {
            Ok(answer) => answer?,
            Err(_) => Some(Seen::Slow(probe.timeout)),
        };
        // A command that is late is not left to itself.
        bench.end().await;
        match now {
            Some(now) => *seen = now,
            None => return Ok(()),
        }
        sleep((begun.elapsed() / PART).min(probe.interval).max(RETRY)).await;
    }
}

/// Asks once: nothing if the answer is good, else what was seen. An error says that asking again
/// would not help.
async fn ask(question: &Question<'_>, bench: &mut Bench<'_>) -> io::Result<Option<Seen>> {
    match question {
        Question::Connect(at) => Ok(Stream::connect(at).await.err().map(|_| Seen::Refused)),
        Question::Http(at, path) => Ok(get(at, path).await),
        Question::Exec(argv) => {
            let status = bench.run(argv).await?;
            Ok((!status.success()).then_some(Seen::Check(status)))
        }
    }
}

/// One GET, as far as its status.
async fn get(at: &Endpoint, path: &str) -> Option<Seen> {
    let Ok(mut stream) = Stream::connect(at).await else {
        return Some(Seen::Refused);
    };
    let host = match at {
        Endpoint::Tcp(address) => address.to_string(),
        Endpoint::Unix(_) => String::from("localhost"),
    };
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: doze\r\nAccept: */*\r\nConnection: close\r\n\r\n"
    );
    // A server may answer and leave before it has read everything.
    let sent = stream.write_all(request.as_bytes()).await;
    let mut line = Vec::new();
    let mut part = [0; STATUS_LINE];
    while !line.contains(&b'\n') && line.len() < STATUS_LINE {
        match stream.read(&mut part).await {
            Ok(count @ 1..) => line.extend_from_slice(part.get(..count).unwrap_or_default()),
            Ok(0) | Err(_) => break,
        }
    }
    match status(&line) {
        Some(200..=299) => None,
        Some(status) => Some(Seen::Status(status)),
        None if line.is_empty() || sent.is_err() => Some(Seen::Silent),
        None => Some(Seen::Reply(line)),
    }
}

/// The status code of an answer, by its first line (RFC 9112, section 4).
fn status(answer: &[u8]) -> Option<u16> {
    let line = answer.split(|byte| *byte == b'\n').next()?;
    let rest = line.strip_prefix(b"HTTP/1.")?;
    let (_, rest) = rest.split_first()?;
    let code = rest.strip_prefix(b" ")?.get(..3)?;
    std::str::from_utf8(code).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_read_from_the_first_line_alone() {
        for (answer, expected) in [
            ("HTTP/1.1 200 OK\r\n", Some(200)),
            ("HTTP/1.0 503 \r\nServer: x\r\n", Some(503)),
            ("HTTP/1.1 204\r\n", Some(204)),
            ("HTTP/1.1 20", None),
            ("HTTP/2 200\r\n", None),
            ("+PONG\r\nHTTP/1.1 200 OK\r\n", None),
            ("", None),
        ] {
            assert_eq!(status(answer.as_bytes()), expected, "{answer:?}");
        }
    }
}
