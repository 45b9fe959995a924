//! What the tasks of the process tell its one loop.

use doze_contract::status::Status;
use tokio::sync::{mpsc, oneshot};

use crate::{carry::Client, machine::Event, upstream::Places};

/// Something that happened outside the loop.
#[derive(Debug)]
pub(crate) enum Message {
    /// An event with nothing more to it.
    Event(Event),
    /// Somebody who was set aside is a client now.
    Spoke(Client),
    /// The engine's first process runs; its pid.
    Spawned(u32),
    /// The engine could not boot, for this reason.
    BootFailed(String),
    /// Where the engine listens in this boot.
    Listens(Places),
    /// A process of the ready engine ended.
    EngineExit {
        /// How.
        reason: String,
        /// It may end by itself, and has not failed.
        well: bool,
    },
    /// Somebody wants to know the state.
    Question(oneshot::Sender<Status>),
}

/// The way to the loop.
#[derive(Debug, Clone)]
pub(crate) struct Teller(mpsc::UnboundedSender<Message>);

impl Teller {
    pub(crate) fn new() -> (Self, mpsc::UnboundedReceiver<Message>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Self(sender), receiver)
    }

    /// Tells the loop. When it is over nothing matters any more.
    pub(crate) fn tell(&self, message: Message) {
        self.0.send(message).ok();
    }
}
