//! What must hold whatever happens, in whatever order.

use proptest::{collection::vec, prelude::*};

use super::*;

/// The world around the machine: it does what the actions say, and knows what it owes in return.
#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of the world that has nothing to do with the others"
)]
struct World {
    state: State,
    queued: usize,
    relayed: usize,
    holds: usize,
    booting: bool,
    ready: bool,
    stopping: bool,
    accepting: bool,
    armed: Option<Timer>,
    looking: bool,
}

impl World {
    fn new() -> Self {
        Self {
            state: State::Cold,
            queued: 0,
            relayed: 0,
            holds: 0,
            booting: false,
            ready: false,
            stopping: false,
            accepting: true,
            armed: None,
            looking: false,
        }
    }

    /// Whether the world can bring this about now.
    fn can(&self, event: Event) -> bool {
        match event {
            Event::Start => self.state == State::Cold,
            Event::Client | Event::HoldBegan => self.accepting,
            Event::Closed => self.relayed > 0,
            Event::HoldEnded => self.holds > 0,
            Event::Ready | Event::BootFailed => self.booting && !self.stopping,
            Event::EngineExit => self.ready && !self.stopping,
            Event::Stopped => self.stopping,
            Event::Tick => self.armed.is_some(),
            Event::Looked => self.looking,
            Event::Term => true,
        }
    }

    fn happens(&mut self, event: Event) {
        let before = self.state;
        match event {
            Event::Client => self.queued += 1,
            Event::Closed => self.relayed -= 1,
            Event::HoldBegan => self.holds += 1,
            Event::HoldEnded => self.holds -= 1,
            Event::Ready => (self.booting, self.ready) = (false, true),
            Event::BootFailed => self.booting = false,
            Event::EngineExit => self.ready = false,
            Event::Stopped => (self.booting, self.ready, self.stopping) = (false, false, false),
            Event::Tick => self.armed = None,
            Event::Looked => self.looking = false,
            Event::Start | Event::Term => {}
        }
        let (state, actions) = step(before, event);
        self.state = state;
        for action in actions {
            self.does(*action, before, event);
        }
        self.holds_together(before, event);
    }

    fn does(&mut self, action: Action, before: State, event: Event) {
        let place = || format!("{action:?} at {before:?} on {event:?}");
        match action {
            Action::Boot => {
                assert!(
                    !self.booting && !self.ready && !self.stopping,
                    "{}",
                    place()
                );
                self.booting = true;
            }
            Action::StopEngine => {
                assert!(!self.stopping, "stopped twice: {}", place());
                assert!(
                    !self.accepting,
                    "the engine goes under a client: {}",
                    place()
                );
                self.stopping = true;
            }
            Action::Admit => {
                assert!(
                    self.ready,
                    "relayed to an engine that is not ready: {}",
                    place()
                );
                self.relayed += std::mem::take(&mut self.queued);
            }
            Action::TurnAway => self.queued = 0,
            Action::StopAccepting => self.accepting = false,
            Action::Look => self.looking = true,
            Action::Flush => assert!(!self.ready && !self.stopping, "{}", place()),
            Action::Arm(timer) => self.armed = Some(timer),
            Action::Disarm => self.armed = None,
            Action::SayReady => assert!(self.ready, "{}", place()),
            Action::SayStopping => assert!(!self.accepting, "{}", place()),
        }
    }

    /// What is true between any two events.
    fn holds_together(&self, before: State, event: Event) {
        let place = || format!("{self:?} after {before:?} on {event:?}");
        let people = self.state.people();
        match self.state {
            State::Cold => assert_eq!(self.queued + self.relayed, 0, "{}", place()),
            State::Booting(_) => {
                assert_eq!(
                    (people.clients, people.holds),
                    (self.queued, self.holds),
                    "{}",
                    place()
                );
                assert_eq!(self.relayed, 0, "{}", place());
            }
            State::Serving(_) => {
                let counted = (people.clients, people.holds);
                assert_eq!(counted, (self.relayed, self.holds), "{}", place());
                assert!(
                    counted != (0, 0),
                    "nobody is there, yet not idle: {}",
                    place()
                );
                assert!(self.armed.is_none(), "sleeps under a client: {}", place());
            }
            State::Idling => {
                assert_eq!((self.relayed, self.holds), (0, 0), "{}", place());
                assert_eq!(self.armed, Some(Timer::Idle), "never sleeps: {}", place());
            }
            State::Looking => assert!(self.looking, "{}", place()),
            State::Draining { clients, .. } => {
                assert_eq!(clients, self.relayed, "{}", place());
                assert!(self.stopping, "{}", place());
            }
            State::Flushing { clients, .. } => {
                assert_eq!(clients, self.relayed, "{}", place());
                assert_eq!(self.armed, Some(Timer::Flush), "{}", place());
            }
            State::Failed => {
                assert_eq!(self.armed, Some(Timer::CoolDown), "{}", place());
            }
            State::Done(_) => {
                assert!(
                    !self.ready && !self.booting && !self.stopping,
                    "left behind: {}",
                    place()
                );
            }
        }
        let waiting = matches!(self.state, State::Booting(_));
        assert!(
            waiting || self.queued == 0,
            "left without an answer: {}",
            place()
        );
    }

    /// Brings about what is owed until the machine is done.
    fn settles(&mut self, boots: bool) {
        let owed = [
            Event::Start,
            if boots {
                Event::Ready
            } else {
                Event::BootFailed
            },
            Event::Closed,
            Event::HoldEnded,
            Event::Stopped,
            Event::Looked,
            Event::Tick,
        ];
        for _ in 0..1000 {
            if matches!(self.state, State::Done(_)) {
                return;
            }
            match owed.into_iter().find(|event| self.can(*event)) {
                Some(event) => self.happens(event),
                None => panic!("nothing is owed any more, but it is not done: {self:?}"),
            }
        }
        panic!("not done after 1000 events: {self:?}");
    }
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        1 => Just(Event::Start),
        6 => Just(Event::Client),
        6 => Just(Event::Closed),
        3 => Just(Event::HoldBegan),
        3 => Just(Event::HoldEnded),
        3 => Just(Event::Ready),
        1 => Just(Event::BootFailed),
        1 => Just(Event::EngineExit),
        2 => Just(Event::Stopped),
        4 => Just(Event::Tick),
        3 => Just(Event::Looked),
        1 => Just(Event::Term),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_the_world_does_nobody_is_lost_and_it_ends(
        events in vec(event(), 0..60),
        boots: bool,
    ) {
        let mut world = World::new();
        for event in events {
            if world.can(event) && !matches!(world.state, State::Done(_)) {
                world.happens(event);
            }
        }
        world.settles(boots);
    }

    #[test]
    fn even_events_that_cannot_be_do_not_keep_it_from_ending(
        events in vec(event(), 0..60),
    ) {
        let mut state = State::Cold;
        for event in events {
            state = step(state, event).0;
        }
        for event in [Event::Term, Event::Stopped, Event::Tick] {
            state = step(state, event).0;
        }
        prop_assert!(matches!(state, State::Done(_)), "{:?}", state);
    }

    #[test]
    fn a_request_to_stop_is_no_failure(events in vec(event(), 0..60)) {
        let mut world = World::new();
        for event in events {
            if world.can(event) && !matches!(world.state, State::Done(_)) {
                world.happens(event);
            }
        }
        if !matches!(world.state, State::Done(_)) {
            world.happens(Event::Term);
            world.settles(true);
            prop_assert_eq!(world.state, State::Done(ActivatorExit::Done));
        }
    }
}
