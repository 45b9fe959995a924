//! The world around the machine: it does what the actions say, and knows what it is owed.

use super::{Action, Actions, Event, State, Timer};

/// A machine: the real one, or a mutant of it.
pub(super) type Step = fn(State, Event) -> (State, Actions);

#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of the world that has nothing to do with the others"
)]
pub(super) struct World {
    step: Step,
    pub(super) state: State,
    pub(super) queued: usize,
    pub(super) relayed: usize,
    pub(super) holds: usize,
    pub(super) aside: usize,
    started: bool,
    pub(super) booting: bool,
    pub(super) ready: bool,
    pub(super) stopping: bool,
    /// A failed boot still has the lock.
    unreleased: bool,
    swapped: bool,
    pub(super) accepting: bool,
    pub(super) armed: Option<Timer>,
    pub(super) looking: bool,
    leaving: bool,
}

/// Says where it happened, unless it is true.
fn so(is: bool, what: &str, place: impl Fn() -> String) -> Result<(), String> {
    if is {
        Ok(())
    } else {
        Err(format!("{what}: {}", place()))
    }
}

impl World {
    pub(super) fn new(step: Step) -> Self {
        Self {
            step,
            state: State::Cold,
            queued: 0,
            relayed: 0,
            holds: 0,
            aside: 0,
            started: false,
            booting: false,
            ready: false,
            stopping: false,
            unreleased: false,
            swapped: false,
            accepting: true,
            armed: None,
            looking: false,
            leaving: false,
        }
    }

    /// Whether the world can bring this about now.
    pub(super) fn can(&self, event: Event) -> bool {
        if matches!(self.state, State::Done(_)) {
            return false;
        }
        match event {
            Event::Start => !self.started,
            Event::Client | Event::HoldBegan | Event::Aside => self.accepting,
            Event::Spoke | Event::Left => self.aside > 0,
            Event::Closed => self.relayed > 0,
            Event::HoldEnded => self.holds > 0,
            Event::Ready => self.booting && !self.stopping,
            // It may fail in the moment in which it is asked to stop.
            Event::BootFailed => self.booting,
            Event::EngineExit | Event::EngineEnded => self.ready && !self.stopping,
            Event::Stopped => self.stopping,
            Event::Tick => self.armed.is_some(),
            Event::Looked => self.looking,
            Event::Direct => self.looking && self.ready,
            Event::Term => true,
        }
    }

    pub(super) fn happens(&mut self, event: Event) -> Result<(), String> {
        let before = self.state;
        match event {
            Event::Start => self.started = true,
            Event::Client => self.queued += 1,
            Event::Aside => self.aside += 1,
            Event::Spoke => (self.aside, self.queued) = (self.aside - 1, self.queued + 1),
            Event::Left => self.aside -= 1,
            Event::Closed => self.relayed -= 1,
            Event::HoldBegan => self.holds += 1,
            Event::HoldEnded => self.holds -= 1,
            Event::Ready => (self.booting, self.ready) = (false, true),
            Event::BootFailed => (self.booting, self.unreleased) = (false, true),
            Event::EngineExit | Event::EngineEnded => self.ready = false,
            Event::Stopped => {
                (self.booting, self.ready, self.stopping) = (false, false, false);
                self.unreleased = false;
            }
            Event::Tick => self.armed = None,
            Event::Looked | Event::Direct => self.looking = false,
            Event::Term => {}
        }
        let (state, actions) = (self.step)(before, event);
        self.state = state;
        for action in actions {
            self.does(*action, before, event)?;
        }
        self.holds_together(before, event)
    }

    fn does(&mut self, action: Action, before: State, event: Event) -> Result<(), String> {
        let place = || format!("{action:?} at {before:?} on {event:?}");
        let no_engine = !self.booting && !self.ready && !self.stopping;
        match action {
            Action::Boot => {
                so(no_engine, "two engines", place)?;
                so(!self.unreleased, "waits for its own lock", place)?;
                self.booting = true;
            }
            Action::StopEngine => {
                so(!self.stopping, "stopped twice", place)?;
                so(!self.accepting, "goes under a client", place)?;
                so(!self.swapped, "goes under a direct client", place)?;
                let asked = matches!(
                    event,
                    Event::Looked | Event::Term | Event::EngineExit | Event::EngineEnded
                );
                so(asked, "sleeps without a last look", place)?;
                self.stopping = true;
            }
            Action::Release => self.unreleased = false,
            Action::Admit => {
                so(self.ready, "joined to an engine that is not ready", place)?;
                self.relayed += std::mem::take(&mut self.queued);
            }
            Action::Refuse => self.aside += std::mem::take(&mut self.queued),
            Action::TurnAway => {
                let allowed = self.leaving || event == Event::Term || self.stopping;
                so(self.queued == 0 || allowed, "turned away", place)?;
                self.queued = 0;
            }
            Action::SwapIn => {
                so(self.ready, "leads to an engine that is not ready", place)?;
                self.swapped = true;
            }
            Action::SwapOut => self.swapped = false,
            Action::StopAccepting => self.accepting = false,
            Action::Accept => self.accepting = true,
            Action::Look => self.looking = true,
            Action::Flush => so(no_engine, "flushed too early", place)?,
            Action::Arm(timer) => self.armed = Some(timer),
            Action::Disarm => self.armed = None,
            Action::SayReady => so(self.ready, "not ready", place)?,
            Action::SayStopping => {
                so(!self.accepting, "still accepts", place)?;
                self.leaving = true;
            }
        }
        Ok(())
    }

    /// What is true between any two events.
    fn holds_together(&self, before: State, event: Event) -> Result<(), String> {
        let place = || format!("{self:?} after {before:?} on {event:?}");
        let people = self.state.people();
        let waits =
            (people.clients, people.holds, people.aside) == (self.queued, self.holds, self.aside);
        let joined =
            (people.clients, people.holds, people.aside) == (self.relayed, self.holds, self.aside);
        let no_engine = !self.ready && !self.booting && !self.stopping;
        match self.state {
            State::Cold => so(waits && people == super::People::default(), "counts", place)?,
            State::Waiting { aside, .. } => {
                so(waits, "counts", place)?;
                let goes_on = self.looking || self.armed == Some(Timer::Linger);
                so(aside > 0 || goes_on, "never leaves", place)?;
                so(no_engine, "an engine for nobody", place)?;
            }
            State::Booting(_) => {
                so(waits && self.relayed == 0, "counts", place)?;
                so(self.booting, "boots nothing", place)?;
            }
            State::Serving(_) => {
                so(joined, "counts", place)?;
                so(people.want_it(), "nobody is there, yet not idle", place)?;
                so(self.armed.is_none(), "sleeps under a client", place)?;
                so(self.swapped, "a detour", place)?;
            }
            State::Idling { .. } => {
                so(joined, "counts", place)?;
                let goes_on = self.looking || self.armed == Some(Timer::Idle);
                so(goes_on, "never sleeps", place)?;
                so(self.swapped, "a detour", place)?;
            }
            State::Looking { .. } => {
                so(joined, "counts", place)?;
                let goes_on = self.looking || self.armed == Some(Timer::Settle);
                so(goes_on, "never sleeps", place)?;
                so(!self.swapped, "looks while clients pass by", place)?;
            }
            State::Draining { next, .. } => {
                so(self.stopping, "nothing is being stopped", place)?;
                so(!self.accepting, "accepts without an engine", place)?;
                match next {
                    super::Next::Leave(_) => so(people.clients == self.relayed, "counts", place)?,
                    super::Next::Stay => so(waits, "counts", place)?,
                }
            }
            State::Flushing { clients, .. } => {
                so(clients == self.relayed, "counts", place)?;
                so(self.armed == Some(Timer::Flush), "never ends", place)?;
            }
            State::Failed(_) => {
                so(waits, "counts", place)?;
                so(self.armed == Some(Timer::CoolDown), "never ends", place)?;
                so(self.accepting, "accepts nobody", place)?;
            }
            State::Done(_) => {
                so(no_engine, "left behind", place)?;
                so(!self.swapped, "leads to nobody", place)?;
                so(!self.accepting, "accepts and leaves", place)?;
                let flushed = matches!(before, State::Flushing { .. }) && event == Event::Tick;
                so(self.relayed == 0 || flushed, "cut off", place)?;
            }
        }
        let may_wait = matches!(
            self.state,
            State::Booting(_)
                | State::Failed(_)
                | State::Draining {
                    next: super::Next::Stay,
                    ..
                }
        );
        so(
            may_wait || self.queued == 0,
            "left without an answer",
            place,
        )
    }

    /// Brings about what is owed until the machine is done.
    pub(super) fn settles(&mut self, boots: bool) -> Result<(), String> {
        let owed = [
            Event::Start,
            if boots {
                Event::Ready
            } else {
                Event::BootFailed
            },
            Event::Left,
            Event::Closed,
            Event::HoldEnded,
            Event::Stopped,
            Event::Looked,
            Event::Tick,
        ];
        for _ in 0..1000 {
            if matches!(self.state, State::Done(_)) {
                return Ok(());
            }
            match owed.into_iter().find(|event| self.can(*event)) {
                Some(event) => self.happens(event)?,
                None => return Err(format!("nothing is owed, but it is not done: {self:?}")),
            }
        }
        Err(format!("not done after 1000 events: {self:?}"))
    }
}
