//! What the activator does next: one total function from a state and an event to the next state
//! and a list of actions.
//!
//! It has no clock and does no I/O, so that every question about behaviour is answered here and
//! can be tried without a process. It must not know sockets, engines or time.

mod people;

use doze_contract::{exit::ActivatorExit, status::Phase};

pub use people::People;

/// Where the activator is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Just started; the listeners get a first look.
    Cold,
    /// There is no engine, and nobody yet who wants one.
    Waiting {
        /// Those who are there all the same; without any, it lingers, and the listeners get one last
        /// look.
        aside: usize,
        /// What to exit with when the last one has gone.
        exit: ActivatorExit,
    },
    /// The engine is on its way; clients wait in a queue.
    Booting(People),
    /// Somebody is there.
    Serving(People),
    /// The engine is ready and nobody of ours wants it; the idle timeout runs, and then there is a
    /// first look.
    Idling {
        /// Those who are there all the same.
        aside: usize,
    },
    /// Nobody was there, and nobody gets to the engine any more; there is one last look.
    Looking {
        /// Those who are there all the same.
        aside: usize,
    },
    /// Nothing is accepted; the engine is being stopped.
    Draining {
        /// Clients whose connection to it has not ended, or who wait for the next boot.
        people: People,
        /// What comes then.
        next: Next,
    },
    /// The engine is gone; what it said last is still on its way to its clients.
    Flushing {
        /// Clients whose connection has not ended; at least one.
        clients: usize,
        /// What to exit with in the end.
        exit: ActivatorExit,
    },
    /// The engine could not boot. Whoever waited for it is being refused, and whoever comes now
    /// waits for the next try.
    Failed(People),
    /// There is nothing left to do but to exit.
    Done(ActivatorExit),
}

/// What comes after the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// The exit.
    Leave(ActivatorExit),
    /// To wait for those who are still there.
    Stay,
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// The process started.
    Start,
    /// A client of the engine was accepted. It waits in the queue until an action says what
    /// becomes of it.
    Client,
    /// Somebody was accepted who wants nothing of the engine, at least for now.
    Aside,
    /// One of those aside is a client now, and waits in the queue.
    Spoke,
    /// One of those aside is gone.
    Left,
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
    /// One that may end by itself did, and well.
    EngineEnded,
    /// The engine was stopped as asked, and nothing of it is left.
    Stopped,
    /// The armed timer is over.
    Tick,
    /// The look found nobody (more).
    Looked,
    /// The look found clients who are with the engine without us.
    Direct,
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
    /// Let go of what a failed boot has kept: the lock and the status socket.
    Release,
    /// Connect every queued client to the engine, and tell the holds that it is ready.
    Admit,
    /// Tell every queued client and hold why there is no engine; each client ends in `Left`.
    Refuse,
    /// Close the connection of every queued client and hold.
    TurnAway,
    /// Let clients get to the engine without us, where that is possible.
    SwapIn,
    /// Let nobody get there any more: they come to us, or wait.
    SwapOut,
    /// Accept nobody any more; whoever comes stays in the backlog.
    StopAccepting,
    /// Accept again.
    Accept,
    /// Accept on every listener once, without waiting, and count who is with the engine without
    /// us; ends in `Looked` or `Direct`.
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
    /// Until the init system would start the next activator without delay.
    Linger,
    /// Until a client that found its way to the engine before `SwapOut` has arrived there.
    Settle,
    /// Between two tries to boot an engine that cannot.
    CoolDown,
    /// For clients to take the last bytes of an engine that is gone.
    Flush,
}

/// The actions of one step, in order.
pub type Actions = &'static [Action];

const NOTHING: Actions = &[];
const BOOT: Actions = &[Action::Boot];
const LEAVE: Actions = &[
    Action::Disarm,
    Action::SwapOut,
    Action::StopAccepting,
    Action::SayStopping,
    Action::StopEngine,
];
const LEAVE_AT_ONCE: Actions = &[
    Action::Disarm,
    Action::StopAccepting,
    Action::SayStopping,
    Action::TurnAway,
];

/// The next state and what to do on the way there. Events that mean nothing in a state (a timer
/// that was disarmed a moment ago, a second `Term`) leave it as it is.
pub fn step(state: State, event: Event) -> (State, Actions) {
    match state {
        State::Cold => cold(event),
        State::Waiting { aside, exit } => waiting(aside, exit, event),
        State::Booting(people) => booting(people, event),
        State::Serving(people) => serving(people, event),
        State::Idling { aside } => idling(aside, event),
        State::Looking { aside } => looking(aside, event),
        State::Draining {
            people,
            next: Next::Leave(exit),
        } => leaving(people, exit, event),
        State::Draining {
            people,
            next: Next::Stay,
        } => staying(people, event),
        State::Flushing { clients, exit } => flushing(clients, exit, event),
        State::Failed(people) => failed(people, event),
        State::Done(_) => (state, turn_away(event)),
    }
}

impl State {
    /// The word that the outside knows this state by.
    pub fn phase(self) -> Phase {
        match self {
            Self::Cold | Self::Waiting { .. } | Self::Booting(_) => Phase::Booting,
            Self::Serving(_) => Phase::Serving,
            Self::Idling { .. } | Self::Looking { .. } => Phase::Idling,
            Self::Draining { .. } | Self::Flushing { .. } | Self::Done(_) => Phase::Draining,
            Self::Failed(_) => Phase::Failed,
        }
    }

    /// Who is there.
    pub fn people(self) -> People {
        match self {
            Self::Booting(people)
            | Self::Serving(people)
            | Self::Failed(people)
            | Self::Draining { people, .. } => people,
            Self::Waiting { aside, .. } | Self::Idling { aside } | Self::Looking { aside } => {
                People::of(aside)
            }
            Self::Flushing { clients, .. } => People {
                clients,
                ..People::default()
            },
            Self::Cold | Self::Done(_) => People::default(),
        }
    }

    /// Whether an engine is there for a client, or will be in a moment. If not, one has to say
    /// something first.
    pub fn has_engine(self) -> bool {
        matches!(self, Self::Booting(_) | Self::Serving(_))
    }
}

fn cold(event: Event) -> (State, Actions) {
    let people = People::default().after(event);
    match event {
        Event::Start => (State::Cold, &[Action::Look]),
        // If no connection brought us here, somebody started the service by hand.
        Event::Client | Event::HoldBegan | Event::Looked => (State::Booting(people), BOOT),
        Event::Aside => {
            let (aside, exit) = (people.aside, ActivatorExit::Done);
            (State::Waiting { aside, exit }, NOTHING)
        }
        Event::Term => (State::Done(ActivatorExit::Done), LEAVE_AT_ONCE),
        Event::Spoke
        | Event::Left
        | Event::Closed
        | Event::HoldEnded
        | Event::Ready
        | Event::BootFailed
        | Event::EngineExit
        | Event::EngineEnded
        | Event::Stopped
        | Event::Tick
        | Event::Direct => (State::Cold, NOTHING),
    }
}

fn waiting(aside: usize, exit: ActivatorExit, event: Event) -> (State, Actions) {
    let people = People::of(aside).after(event);
    let aside = people.aside;
    match event {
        Event::Client | Event::HoldBegan | Event::Spoke => {
            (State::Booting(people), &[Action::Disarm, Action::Boot])
        }
        Event::Left if aside == 0 => (
            State::Waiting { aside, exit },
            &[Action::Arm(Timer::Linger)],
        ),
        Event::Tick if aside == 0 => (State::Waiting { aside, exit }, &[Action::Look]),
        Event::Looked if aside == 0 => (State::Done(exit), LEAVE_AT_ONCE),
        Event::Term => (State::Done(ActivatorExit::Done), LEAVE_AT_ONCE),
        Event::Aside
        | Event::Left
        | Event::Looked
        | Event::Start
        | Event::Closed
        | Event::HoldEnded
        | Event::Ready
        | Event::BootFailed
        | Event::EngineExit
        | Event::EngineEnded
        | Event::Stopped
        | Event::Tick
        | Event::Direct => (State::Waiting { aside, exit }, NOTHING),
    }
}

fn booting(people: People, event: Event) -> (State, Actions) {
    match event {
        // Whoever woke the instance may have left before it was accepted.
        Event::Ready if !people.want_it() => (
            State::Idling {
                aside: people.aside,
            },
            &[
                Action::SayReady,
                Action::SwapIn,
                Action::Admit,
                Action::Arm(Timer::Idle),
            ],
        ),
        Event::Ready => (
            State::Serving(people),
            &[Action::SayReady, Action::SwapIn, Action::Admit],
        ),
        Event::BootFailed => (
            State::Failed(people.refused()),
            &[Action::Refuse, Action::Arm(Timer::CoolDown)],
        ),
        Event::Term => (
            draining(0, ActivatorExit::Done),
            &[
                Action::StopAccepting,
                Action::SayStopping,
                Action::TurnAway,
                Action::StopEngine,
            ],
        ),
        Event::Client
        | Event::Aside
        | Event::Spoke
        | Event::Left
        | Event::HoldBegan
        | Event::HoldEnded => (State::Booting(people.after(event)), NOTHING),
        // Nobody was admitted who could have closed.
        Event::Closed
        | Event::Start
        | Event::EngineExit
        | Event::EngineEnded
        | Event::Stopped
        | Event::Tick
        | Event::Looked
        | Event::Direct => (State::Booting(people), NOTHING),
    }
}

fn serving(people: People, event: Event) -> (State, Actions) {
    let now = people.after(event);
    match event {
        Event::Client | Event::Spoke | Event::HoldBegan => (State::Serving(now), &[Action::Admit]),
        Event::Closed | Event::HoldEnded if !now.want_it() => {
            let aside = now.aside;
            (State::Idling { aside }, &[Action::Arm(Timer::Idle)])
        }
        Event::EngineExit => leave(people.clients, ActivatorExit::EngineFailed),
        Event::EngineEnded => leave(people.clients, ActivatorExit::Ended),
        Event::Term => leave(people.clients, ActivatorExit::Done),
        Event::Closed
        | Event::HoldEnded
        | Event::Aside
        | Event::Left
        | Event::Start
        | Event::Ready
        | Event::BootFailed
        | Event::Stopped
        | Event::Tick
        | Event::Looked
        | Event::Direct => (State::Serving(now), NOTHING),
    }
}

fn draining(clients: usize, exit: ActivatorExit) -> State {
    State::Draining {
        people: People {
            clients,
            ..People::default()
        },
        next: Next::Leave(exit),
    }
}

fn leave(clients: usize, exit: ActivatorExit) -> (State, Actions) {
    (draining(clients, exit), LEAVE)
}

fn idling(aside: usize, event: Event) -> (State, Actions) {
    let people = People::of(aside).after(event);
    let aside = people.aside;
    match event {
        Event::Client | Event::Spoke | Event::HoldBegan => {
            (State::Serving(people), &[Action::Disarm, Action::Admit])
        }
        // Nobody is kept out as long as it would be in vain.
        Event::Tick => (State::Idling { aside }, &[Action::Look]),
        Event::Direct => (State::Idling { aside }, &[Action::Arm(Timer::Idle)]),
        Event::Looked => (
            State::Looking { aside },
            &[Action::SwapOut, Action::Arm(Timer::Settle)],
        ),
        Event::EngineExit => leave(0, ActivatorExit::EngineFailed),
        Event::EngineEnded => leave(0, ActivatorExit::Ended),
        Event::Term => leave(0, ActivatorExit::Done),
        Event::Aside
        | Event::Left
        | Event::Start
        | Event::Closed
        | Event::HoldEnded
        | Event::Ready
        | Event::BootFailed
        | Event::Stopped => (State::Idling { aside }, NOTHING),
    }
}

fn looking(aside: usize, event: Event) -> (State, Actions) {
    let people = People::of(aside).after(event);
    let aside = people.aside;
    match event {
        Event::Client | Event::Spoke | Event::HoldBegan => (
            State::Serving(people),
            &[Action::Disarm, Action::SwapIn, Action::Admit],
        ),
        Event::Tick => (State::Looking { aside }, &[Action::Look]),
        Event::Direct => (
            State::Idling { aside },
            &[Action::SwapIn, Action::Arm(Timer::Idle)],
        ),
        Event::Looked if aside == 0 => leave(0, ActivatorExit::Done),
        Event::Looked => (
            State::Draining {
                people,
                next: Next::Stay,
            },
            &[Action::Disarm, Action::StopAccepting, Action::StopEngine],
        ),
        Event::EngineExit => leave(0, ActivatorExit::EngineFailed),
        Event::EngineEnded => leave(0, ActivatorExit::Ended),
        Event::Term => leave(0, ActivatorExit::Done),
        Event::Aside
        | Event::Left
        | Event::Start
        | Event::Closed
        | Event::HoldEnded
        | Event::Ready
        | Event::BootFailed
        | Event::Stopped => (State::Looking { aside }, NOTHING),
    }
}

fn leaving(people: People, exit: ActivatorExit, event: Event) -> (State, Actions) {
    let clients = people.clients;
    match event {
        Event::Stopped if clients == 0 => (State::Done(exit), NOTHING),
        Event::Stopped => (
            State::Flushing { clients, exit },
            &[Action::Flush, Action::Arm(Timer::Flush)],
        ),
        Event::Closed => (draining(clients.saturating_sub(1), exit), NOTHING),
        Event::Term => (draining(clients, ActivatorExit::Done), NOTHING),
        Event::Client
        | Event::Aside
        | Event::Spoke
        | Event::Left
        | Event::HoldBegan
        | Event::HoldEnded
        | Event::Start
        | Event::Ready
        | Event::BootFailed
        | Event::EngineExit
        | Event::EngineEnded
        | Event::Tick
        | Event::Looked
        | Event::Direct => (draining(clients, exit), turn_away(event)),
    }
}

fn staying(people: People, event: Event) -> (State, Actions) {
    const REBOOT: Actions = &[Action::Accept, Action::Boot];
    let (aside, exit) = (people.aside, ActivatorExit::Done);
    match event {
        Event::Stopped if people.want_it() => (State::Booting(people), REBOOT),
        Event::Stopped if aside > 0 => (State::Waiting { aside, exit }, &[Action::Accept]),
        Event::Stopped => (
            State::Waiting { aside, exit },
            &[Action::Accept, Action::Look],
        ),
        Event::Term => (draining(0, exit), &[Action::SayStopping, Action::TurnAway]),
        Event::Client
        | Event::Aside
        | Event::Spoke
        | Event::Left
        | Event::HoldBegan
        | Event::HoldEnded => {
            let (people, next) = (people.after(event), Next::Stay);
            (State::Draining { people, next }, NOTHING)
        }
        // Nobody was with the engine who could have closed.
        Event::Closed
        | Event::Start
        | Event::Ready
        | Event::BootFailed
        | Event::EngineExit
        | Event::EngineEnded
        | Event::Tick
        | Event::Looked
        | Event::Direct => {
            let next = Next::Stay;
            (State::Draining { people, next }, NOTHING)
        }
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
        | Event::Aside
        | Event::Spoke
        | Event::Left
        | Event::HoldBegan
        | Event::HoldEnded
        | Event::Start
        | Event::Ready
        | Event::BootFailed
        | Event::EngineExit
        | Event::EngineEnded
        | Event::Stopped
        | Event::Looked
        | Event::Direct => (State::Flushing { clients, exit }, turn_away(event)),
    }
}

fn failed(people: People, event: Event) -> (State, Actions) {
    const AGAIN: Actions = &[Action::Release, Action::Boot];
    let (aside, exit) = (people.aside, ActivatorExit::EngineFailed);
    match event {
        Event::Tick if people.want_it() => (State::Booting(people), AGAIN),
        Event::Tick if aside > 0 => (State::Waiting { aside, exit }, &[Action::Release]),
        Event::Tick => (State::Done(exit), LEAVE_AT_ONCE),
        Event::Term => (State::Done(ActivatorExit::Done), LEAVE_AT_ONCE),
        Event::Client
        | Event::Aside
        | Event::Spoke
        | Event::Left
        | Event::HoldBegan
        | Event::HoldEnded => (State::Failed(people.after(event)), NOTHING),
        // Nobody is with an engine who could have closed.
        Event::Closed
        | Event::Start
        | Event::Ready
        | Event::BootFailed
        | Event::EngineExit
        | Event::EngineEnded
        | Event::Stopped
        | Event::Looked
        | Event::Direct => (State::Failed(people), NOTHING),
    }
}

/// Whoever was accepted where nobody is served any more is told so, never left without an answer.
fn turn_away(event: Event) -> Actions {
    match event {
        Event::Client | Event::Spoke | Event::HoldBegan => &[Action::TurnAway],
        Event::Start
        | Event::Aside
        | Event::Left
        | Event::Closed
        | Event::HoldEnded
        | Event::Ready
        | Event::BootFailed
        | Event::EngineExit
        | Event::EngineEnded
        | Event::Stopped
        | Event::Tick
        | Event::Looked
        | Event::Direct
        | Event::Term => NOTHING,
    }
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod table;
