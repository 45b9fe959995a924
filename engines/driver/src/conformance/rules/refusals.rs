//! Clients that are refused: none may keep a driver, and whoever says hello is told why. It must
//! not know any engine's protocol.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    os::unix::net::UnixStream,
    time::Duration,
};

use camino::Utf8Path;
use doze_contract::plan::Hello;

use crate::{
    Refusal,
    conformance::{
        Refusing, WorldError,
        report::{Flaw, Rules, demand},
    },
};

/// What a client may hang before a rule is broken rather than the test.
const BOUND: Duration = Duration::from_secs(10);

/// What a client says after its hello: more than a reader takes by chance.
const MORE: usize = 256 * 1024;

/// What has to reach the client: both lines of a reason.
const REASON: [&str; 2] = ["no space", "left on the device"];

/// A client that makes it hard to be refused, and its driver.
pub(super) struct Refused {
    rule: &'static str,
    /// Its side of the connection, if it stays.
    _stream: Option<UnixStream>,
    driver: Refusing,
}

/// One of each kind, all at once: a driver may take its time for each.
pub(super) fn start(program: &Utf8Path) -> Result<Vec<Refused>, WorldError> {
    let start = |rule, says: &[u8], stays: bool| -> Result<_, WorldError> {
        let (mut ours, theirs) = UnixStream::pair()?;
        ours.write_all(says)?;
        Ok(Refused {
            rule,
            _stream: stays.then_some(ours),
            driver: Refusing::start(program, theirs, &refusal())?,
        })
    };
    Ok(vec![
        start(
            "refuse: a client that says nothing: status 0 within 10 seconds",
            b"",
            true,
        )?,
        start("refuse: a client that leaves at once: status 0", b"", false)?,
        start(
            "refuse: a client that says garbage and stays: status 0 within 10 seconds",
            b"\xff\0\r\n",
            true,
        )?,
        start(
            "refuse: a client that says garbage and leaves: status 0",
            b"\xff\0\r\n",
            false,
        )?,
    ])
}

/// Waits for them, and lets others say `hello`.
pub(super) fn check(
    rules: &mut Rules<'_>,
    program: &Utf8Path,
    started: Vec<Refused>,
    hello: &Result<Hello, Flaw>,
) {
    rules.last(
        "refuse: a client that says hello is told all of the reason, over TCP",
        || {
            let listener = TcpListener::bind("127.0.0.1:0")?;
            let ours = TcpStream::connect(listener.local_addr()?)?;
            let (theirs, _) = listener.accept()?;
            // As an activator has it.
            theirs.set_nonblocking(true)?;
            ours.set_read_timeout(Some(BOUND))?;
            let driver = Refusing::start(program, theirs, &refusal())?;
            is_told(&ours, &ours, &hello.as_ref().map_err(Clone::clone)?.send.0)?;
            ours.shutdown(Shutdown::Both)?;
            ends_well(driver)
        },
    );
    rules.last(
        "refuse: and on a unix socket, however much it says besides",
        || {
            let hello = hello.as_ref().map_err(Clone::clone)?;
            let (ours, theirs) = UnixStream::pair()?;
            for timeout in [UnixStream::set_read_timeout, UnixStream::set_write_timeout] {
                timeout(&ours, Some(BOUND))?;
            }
            let driver = Refusing::start(program, theirs, &refusal())?;
            let says = [hello.send.0.as_slice(), &vec![b'\n'; MORE]].concat();
            is_told(&ours, &ours, &says)?;
            ours.shutdown(Shutdown::Both)?;
            ends_well(driver)
        },
    );
    for refused in started {
        rules.last(refused.rule, || ends_well(refused.driver));
    }
}

fn refusal() -> Refusal {
    Refusal {
        reason: REASON.join("\n"),
        hint: "doze logs app".to_owned(),
    }
}

fn is_told(mut reads: impl Read, mut writes: impl Write, says: &[u8]) -> Result<(), Flaw> {
    writes.write_all(says)?;
    let mut told = Vec::new();
    reads.read_to_end(&mut told)?;
    let text = String::from_utf8_lossy(&told);
    demand(REASON.iter().all(|line| text.contains(line)), || {
        format!("expected {REASON:?}\ncame     {}", told.escape_ascii())
    })
}

fn ends_well(driver: Refusing) -> Result<(), Flaw> {
    let status = driver.end().map_err(Flaw::Broken)?;
    demand(status.success(), || {
        format!("expected status 0\ncame     {status}")
    })
}
