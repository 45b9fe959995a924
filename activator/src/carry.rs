//! A client, and its way to the engine.
//!
//! Must not know when there is an engine, nor how many clients there may be.

use tokio::sync::watch;

use crate::{log::Log, relay::Relay, stream::Stream, sys, upstream::Places};

/// Somebody who was accepted.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) stream: Stream,
    /// The side endpoint that it came to, if it did.
    pub(crate) side: Option<usize>,
}

/// Joins a client to where the engine listens for it, until one of them has ended or the engine is
/// gone.
pub(crate) async fn carry(
    client: Client,
    places: Places,
    mut engine_gone: watch::Receiver<bool>,
    log: Log,
) {
    let place = match client.side {
        None => places.engine.as_ref(),
        Some(at) => places.side.get(at),
    };
    let Some(place) = place else {
        return log.say(format_args!("a client is lost: the engine listens nowhere"));
    };
    let connected = match client.side {
        None if !sys::REFUSES_WHEN_FULL => Stream::connect(place).await,
        _ => Stream::connect_patiently(place).await,
    };
    let engine = match connected {
        Ok(engine) => engine,
        Err(error) => {
            return log.say(format_args!(
                "a client is lost: cannot connect to {place}: {error}"
            ));
        }
    };
    let mut relay = Relay::new(client.stream, engine);
    // How a connection ends is between the client and the engine.
    let ended = tokio::select! {
        biased;
        ended = relay.both() => Some(ended),
        _ = engine_gone.wait_for(|gone| *gone) => None,
    };
    if ended.is_none() {
        relay.last_words().await.ok();
    }
}
