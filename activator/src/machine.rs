//! What the activator does next: one total function from a state and an event to the next state
//! and a list of actions.
//!
//! It has no clock and does no I/O, so that every question about behaviour is answered here and
//! can be tried without a process. It must not know sockets, engines or time.

use doze_contract::{exit::ActivatorExit, status::Phase};

/// Who wants the instance awake.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct People {
    /// Clients that were accepted and have not gone: a client counts from its accept(2).
    pub clients: usize,
    /// Connections to the wake socket.
    pub holds: usize,
}

/// Where the activator is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Just started.
    Cold,
    /// The engine is on its way; clients wait in a queue.
    Booting(People),
    /// Somebody is there.
    Serving(People),
    /// The engine is ready and nobody is there; the idle timeout runs.
    Idling,
    /// The idle timeout is over; the listeners get one last look.
    Looking,
    /// Nothing is accepted any more; the engine is being stopped.
    Draining {
        /// Clients whose connection has not ended.
        clients: usize,
        /// What to exit with in the end.
        exit: ActivatorExit,
    },
    /// The engine is gone; what it said last is still on its way to its clients.
    Flushing {
        /// Clients whose connection has not ended; at least one.
        clients: usize,
        /// What to exit with in the end.
        exit: ActivatorExit,
    },
    /// The engine could not boot; for a while everybody is turned away at once.
    Failed,
    /// There is nothing left to do but to exit.
    Done(ActivatorExit),
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// The process started.
    Start,
    /// A client was accepted. It waits in the queue until an action says what becomes of it.
    Client,
    /// The connection of an admitted client ended.
    Closed,
    /// A client of the wake socket was accepted.
    HoldBegan,
    /// A client of the wake socket left.
    HoldEnded,
    /// The engine is ready.
    Ready,
    /// The engine could not boot, and nothing of it is left.
    BootFailed,
    /// A process of a ready engine ended unasked.
    EngineExit,
    /// The engine was stopped as asked, and nothing of it is left.
    Stopped,
    /// The armed timer is over.
    Tick,
    /// The last look found nobody (more).
    Looked,
    /// Somebody asks to stop now: a signal, or `sleep` on the status socket.
    Term,
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Begin to boot the engine; ends in `Ready` or `BootFailed`.
    Boot,
    /// Stop the engine, or give up booting it; ends in `Stopped`.
    StopEngine,
    /// Connect every queued client to the engine, and tell the holds that it is ready.
    Admit,
    /// Turn away every queued client, and tell the holds why.
    TurnAway,
    /// Accept nobody any more; whoever comes stays in the backlog for the next activation.
    StopAccepting,
    /// Accept on every listener once, without waiting; ends in `Looked`.
    Look,
    /// Tell the relays that the engine is gone: they end once its last bytes are delivered.
    Flush,
    /// Start the timer, in place of the one that runs; ends in `Tick`.
    Arm(Timer),
    /// Stop the timer.
    Disarm,
    /// Tell the init system that the instance is ready.
    SayReady,
    /// Tell the init system that the instance is stopping.
    SayStopping,
}

/// What the timer is for; how long each takes is not the machine's business.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Timer {
    /// Until an instance that nobody uses goes to sleep.
    Idle,
    /// While clients of an engine that cannot boot are turned away.
    CoolDown,
    /// For clients to take the last bytes of an engine that is gone.
    Flush,
}

/// The actions of one step, in order.
pub type Actions = &'static [Action];

const NOTHING: Actions = &[];
const LEAVE: Actions = &[
    Action::Disarm,
    Action::StopAccepting,
    Action::SayStopping,
    Action::StopEngine,
];

/// The next state and what to do on the way there. Events that mean nothing in a state (a timer
/// that was disarmed a moment ago, a second `Term`) leave it as it is.
pub fn step(state: State, event: Event) -> (State, Actions) {
    match state {
        State::Cold => cold(event),
        State::Booting(people) => booting(people, event),
        State::Serving(people) => serving(people, event),
        State::Idling => idling(event),
        State::Looking => looking(event),
        State::Draining { clients, exit } => draining(clients, exit, event),
        State::Flushing { clients, exit } => flushing(clients, exit, event),
        State::Failed => failed(event),
        State::Done(_) => (state, turn_away(event)),
    }
}

impl State {
    /// The word that the outside knows this state by.
    pub fn phase(self) -> Phase {
        match self {
            Self::Cold | Self::Booting(_) => Phase::Booting,
            Self::Serving(_) => Phase::Serving,
            Self::Idling | Self::Looking => Phase::Idling,
            Self::Draining { .. } | Self::Flushing { .. } | Self::Done(_) => Phase::Draining,
            Self::Failed => Phase::Failed,
        }
    }

    /// Who is there.
    pub fn people(self) -> People {
        match self {
            Self::Booting(people) | Self::Serving(people) => people,
            Self::Draining { clients, .. } | Self::Flushing { clients, .. } => {
                People { clients, holds: 0 }
            }
            Self::Cold | Self::Idling | Self::Looking | Self::Failed | Self::Done(_) => {
                People::default()
            }
        }
    }
}

impl People {
    const CLIENT: Self = Self {
        clients: 1,
        holds: 0,
    };
    const HOLD: Self = Self {
        clients: 0,
        holds: 1,
    };

    fn and(self, more: Self) -> Self {
        Self {
            clients: self.clients.saturating_add(more.clients),
            holds: self.holds.saturating_add(more.holds),
        }
    }

    fn without(self, gone: Self) -> Self {
        Self {
            clients: self.clients.saturating_sub(gone.clients),
            holds: self.holds.saturating_sub(gone.holds),
        }
    }

    fn is_nobody(self) -> bool {
        self == Self::default()
    }
}

fn cold(event: Event) -> (State, Actions) {
    const BOOT: Actions = &[Action::Boot];
    match event {
        Event::Start => (State::Booting(People::default()), BOOT),
        Event::Client => (State::Booting(People::CLIENT), BOOT),
        Event::HoldBegan => (State::Booting(People::HOLD), BOOT),
        Event::Term => (State::Done(ActivatorExit::Done), NOTHING),
        Event::Closed
        | Event::HoldEnded
        | Event::Ready
        | Event::BootFailed
        | Event::EngineExit
        | Event::Stopped
        | Event::Tick
        | Event::Looked => (State::Cold, NOTHING),
    }
}

fn booting(people: People, event: Event) -> (State, Actions) {
    match event {
        Event::Client => (State::Booting(people.and(People::CLIENT)), NOTHING),
        Event::HoldBegan => (State::Booting(people.and(People::HOLD)), NOTHING),
        Event::HoldEnded => (State::Booting(people.without(People::HOLD)), NOTHING),
        // Idle is armed here already: whoever woke the instance may have left before the accept.
        Event::Ready if people.is_nobody() => (
            State::Idling,
            &[Action::SayReady, Action::Admit, Action::Arm(Timer::Idle)],
        ),
        Event::Ready => (State::Serving(people), &[Action::SayReady, Action::Admit]),
        Event::BootFailed => (
            State::Failed,
            &[Action::TurnAway, Action::Arm(Timer::CoolDown)],
        ),
        Event::Term => (
            State::Draining {
                clients: 0,
                exit: ActivatorExit::Done,
            },
            &[
                Action::StopAccepting,
                Action::SayStopping,
                Action::TurnAway,
                Action::StopEngine,
            ],
        ),
        // Nobody was admitted who could have closed.
        Event::Closed
        | Event::Start
        | Event::EngineExit
        | Event::Stopped
        | Event::Tick
        | Event::Looked => (State::Booting(people), NOTHING),
    }
}

fn serving(people: People, event: Event) -> (State, Actions) {
    const ADMIT: Actions = &[Action::Admit];
    match event {
        Event::Client => (State::Serving(people.and(People::CLIENT)), ADMIT),
        Event::HoldBegan => (State::Serving(people.and(People::HOLD)), ADMIT),
        Event::Closed => remaining(people.without(People::CLIENT)),
        Event::HoldEnded => remaining(people.without(People::HOLD)),
        Event::EngineExit => leave(people.clients, ActivatorExit::EngineFailed),
        Event::Term => leave(people.clients, ActivatorExit::Done),
        Event::Start
        | Event::Ready
        | Event::BootFailed
        | Event::Stopped
        | Event::Tick
        | Event::Looked => (State::Serving(people), NOTHING),
    }
}

fn remaining(people: People) -> (State, Actions) {
    if people.is_nobody() {
        (State::Idling, &[Action::Arm(Timer::Idle)])
    } else {
        (State::Serving(people), NOTHING)
    }
}

fn leave(clients: usize, exit: ActivatorExit) -> (State, Actions) {
    (State::Draining { clients, exit }, LEAVE)
}

fn idling(event: Event) -> (State, Actions) {
    const ADMIT: Actions = &[Action::Disarm, Action::Admit];
    match event {
        Event::Client => (State::Serving(People::CLIENT), ADMIT),
        Event::HoldBegan => (State::Serving(People::HOLD), ADMIT),
        Event::Tick => (State::Looking, &[Action::Look]),
        Event::EngineExit => leave(0, ActivatorExit::EngineFailed),
        Event::Term => leave(0, ActivatorExit::Done),
        Event::Start
        | Event::Closed
        | Event::HoldEnded
        | Event::Ready
        | Event::BootFailed
        | Event::Stopped
        | Event::Looked => (State::Idling, NOTHING),
    }
}

fn looking(event: Event) -> (State, Actions) {
    const ADMIT: Actions = &[Action::Admit];
    match event {
        Event::Client => (State::Serving(People::CLIENT), ADMIT),
        Event::HoldBegan => (State::Serving(People::HOLD), ADMIT),
        Event::Looked | Event::Term => leave(0, ActivatorExit::Done),
        Event::EngineExit => leave(0, ActivatorExit::EngineFailed),
        Event::Start
        | Event::Closed
        | Event::HoldEnded
        | Event::Ready
        | Event::BootFailed
        | Event::Stopped
        | Event::Tick => (State::Looking, NOTHING),
    }
}

fn draining(clients: usize, exit: ActivatorExit, event: Event) -> (State, Actions) {
    match event {
        Event::Stopped if clients == 0 => (State::Done(exit), NOTHING),
        Event::Stopped => (
            State::Flushing { clients, exit },
            &[Action::Flush, Action::Arm(Timer::Flush)],
        ),
        Event::Closed => {
            let clients = clients.saturating_sub(1);
            (State::Draining { clients, exit }, NOTHING)
        }
        Event::Term => {
            let exit = ActivatorExit::Done;
            (State::Draining { clients, exit }, NOTHING)
        }
        Event::Client
        | Event::HoldBegan
        | Event::HoldEnded
        | Event::Start
        | Event::Ready
        | Event::BootFailed
        | Event::EngineExit
        | Event::Tick
        | Event::Looked => (State::Draining { clients, exit }, turn_away(event)),
    }
}

fn flushing(clients: usize, exit: ActivatorExit, event: Event) -> (State, Actions) {
    match event {
        Event::Closed if clients > 1 => {
            let clients = clients - 1;
            (State::Flushing { clients, exit }, NOTHING)
        }
        Event::Closed | Event::Tick => (State::Done(exit), NOTHING),
        Event::Term => {
            let exit = ActivatorExit::Done;
            (State::Flushing { clients, exit }, NOTHING)
        }
        Event::Client
        | Event::HoldBegan
        | Event::HoldEnded
        | Event::Start
        | Event::Ready
        | Event::BootFailed
        | Event::EngineExit
        | Event::Stopped
        | Event::Looked => (State::Flushing { clients, exit }, turn_away(event)),
    }
}

fn failed(event: Event) -> (State, Actions) {
    match event {
        Event::Tick => (State::Done(ActivatorExit::EngineFailed), NOTHING),
        Event::Term => (State::Done(ActivatorExit::Done), NOTHING),
        Event::Client
        | Event::HoldBegan
        | Event::HoldEnded
        | Event::Start
        | Event::Closed
        | Event::Ready
        | Event::BootFailed
        | Event::EngineExit
        | Event::Stopped
        | Event::Looked => (State::Failed, turn_away(event)),
    }
}

/// Whoever was accepted where nobody is served any more is told so, never left without an answer.
fn turn_away(event: Event) -> Actions {
    match event {
        Event::Client | Event::HoldBegan => &[Action::TurnAway],
        Event::Start
        | Event::Closed
        | Event::HoldEnded
        | Event::Ready
        | Event::BootFailed
        | Event::EngineExit
        | Event::Stopped
        | Event::Tick
        | Event::Looked
        | Event::Term => NOTHING,
    }
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod table;
