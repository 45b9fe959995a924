//! An address in front of an engine, from which clients are carried to it and back as an activator
//! does it, in the simplest way there is. It must not know what they say.

use std::{
    io::{self, Read, Write},
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    os::unix::net::UnixStream,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
};

use doze_contract::Endpoint;

/// A port of 127.0.0.1 that leads to whatever runs. It is closed when dropped.
#[derive(Debug)]
pub(super) struct Door {
    address: SocketAddr,
    inside: Arc<Inside>,
}

#[derive(Debug, Default)]
struct Inside {
    upstream: Mutex<Option<Endpoint>>,
    /// The bytes that clients heard.
    heard: AtomicU64,
    closed: AtomicBool,
}

impl Door {
    pub(super) fn open() -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let inside = Arc::new(Inside::default());
        let mine = Arc::clone(&inside);
        thread::spawn(move || {
            for client in listener.incoming() {
                if mine.closed.load(Ordering::SeqCst) {
                    break;
                }
                let inside = Arc::clone(&mine);
                // A client that cannot be carried sees the end of its connection.
                thread::spawn(move || client.and_then(|client| inside.carry(&client)));
            }
        });
        Ok(Self { address, inside })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Leads whoever comes from now on to there.
    pub(super) fn lead_to(&self, upstream: Option<&Endpoint>) {
        *self.inside.upstream() = upstream.cloned();
    }

    /// How many bytes clients have heard so far. One that has left has its bytes counted.
    pub(super) fn heard(&self) -> u64 {
        self.inside.heard.load(Ordering::SeqCst)
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.inside.closed.store(true, Ordering::SeqCst);
        // So that it is looked at.
        drop(TcpStream::connect(self.address));
    }
}

impl Inside {
    fn upstream(&self) -> std::sync::MutexGuard<'_, Option<Endpoint>> {
        self.upstream.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn carry(&self, client: &TcpStream) -> io::Result<()> {
        let upstream = self.upstream().clone();
        match upstream.ok_or(io::ErrorKind::NotConnected)? {
            Endpoint::Tcp(address) => {
                let engine = TcpStream::connect(address)?;
                self.both(client, &engine, || engine.shutdown(Shutdown::Write));
            }
            Endpoint::Unix(path) => {
                let engine = UnixStream::connect(path)?;
                self.both(client, &engine, || engine.shutdown(Shutdown::Write));
            }
        }
        Ok(())
    }

    /// Both ways, each to its end. What fails has ended.
    fn both<E>(
        &self,
        client: &TcpStream,
        engine: &E,
        says_no_more: impl Fn() -> io::Result<()> + Sync,
    ) where
        E: Sync,
        for<'a> &'a E: Read + Write,
    {
        thread::scope(|scope| {
            scope.spawn(|| {
                drop(pour(client, engine, |_| {}));
                drop(says_no_more());
            });
            let count = |count| {
                self.heard.fetch_add(count, Ordering::SeqCst);
            };
            drop(pour(engine, client, count));
            drop(client.shutdown(Shutdown::Write));
        });
    }
}

/// Whatever comes is counted before anybody hears it.
fn pour(mut from: impl Read, mut to: impl Write, count: impl Fn(u64)) -> io::Result<()> {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(read) => {
                count(u64::try_from(read).unwrap_or(u64::MAX));
                to.write_all(buffer.get(..read).unwrap_or_default())?;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
