//! A hello that is said until it is answered. What is said and answered comes from the plan.

use std::io;

use doze_contract::{Endpoint, plan::Hello};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::sleep,
};

use super::{RETRY, Seen};
use crate::{changes::Changes, stream::Stream};

/// The most that is kept of a reply, in bytes.
const REPLY: usize = 4096;

/// Says hello until it is answered: at once when the engine makes its unix socket, and then, as
/// nothing tells when a busy engine is free, again and again.
#[derive(Debug)]
pub(crate) struct HelloWatch<'a> {
    hello: &'a Hello,
    upstream: &'a Endpoint,
    /// The changes of the engine's socket, if it is a file.
    socket: Option<Changes<'a>>,
}

impl<'a> HelloWatch<'a> {
    pub(super) fn new(hello: &'a Hello, upstream: &'a Endpoint) -> io::Result<Self> {
        let socket = match upstream {
            Endpoint::Unix(path) => Some(Changes::of(path)?),
            Endpoint::Tcp(_) => None,
        };
        Ok(Self {
            hello,
            upstream,
            socket,
        })
    }

    pub(super) async fn ready(&mut self, seen: &mut Seen) -> io::Result<()> {
        while !answers(self.hello, self.upstream, seen).await {
            match &mut self.socket {
                Some(socket) if !socket.path.exists() => socket.next().await?,
                _ => sleep(RETRY).await,
            }
        }
        Ok(())
    }

    /// Ends the watch of an engine that is ready.
    pub(super) fn end(self) {
        self.socket.into_iter().for_each(Changes::end);
    }
}

/// Says hello once.
async fn answers(hello: &Hello, upstream: &Endpoint, seen: &mut Seen) -> bool {
    let Ok(mut stream) = Stream::connect(upstream).await else {
        *seen = Seen::Refused;
        return false;
    };
    if !matches!(seen, Seen::Reply(_)) {
        *seen = Seen::Silent;
    }
    if stream.write_all(&hello.send.0).await.is_err() {
        return false;
    }
    let mut reply = Vec::new();
    let mut part = [0; 512];
    while let Ok(count) = stream.read(&mut part).await {
        reply.extend_from_slice(part.get(..count).unwrap_or_default());
        if contains(&reply, &hello.ready.0) {
            return true;
        }
        let busy = hello.busy.iter().any(|busy| contains(&reply, &busy.0));
        if !reply.is_empty() {
            *seen = Seen::Reply(reply.clone());
        }
        if busy || count == 0 || reply.len() > REPLY {
            return false;
        }
    }
    false
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    part.is_empty() || text.windows(part.len()).any(|window| window == part)
}
