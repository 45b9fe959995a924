//! What must hold whatever happens, in whatever order.

mod day;
mod mutants;
mod world;

use proptest::{collection::vec, prelude::*};

use super::*;
use world::World;

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        1 => Just(Event::Start),
        6 => Just(Event::Client),
        4 => Just(Event::Aside),
        3 => Just(Event::Spoke),
        3 => Just(Event::Left),
        6 => Just(Event::Closed),
        3 => Just(Event::HoldBegan),
        3 => Just(Event::HoldEnded),
        3 => Just(Event::Ready),
        1 => Just(Event::BootFailed),
        1 => Just(Event::EngineExit),
        1 => Just(Event::EngineEnded),
        2 => Just(Event::Stopped),
        6 => Just(Event::Tick),
        4 => Just(Event::Looked),
        1 => Just(Event::Direct),
        1 => Just(Event::Term),
    ]
}

/// The events of a sequence that the world can bring about.
fn run(world: &mut World, events: &[Event]) -> Result<(), String> {
    world.happens(Event::Start)?;
    for event in events {
        if world.can(*event) {
            world.happens(*event)?;
        }
    }
    Ok(())
}

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

fn holds(outcome: Result<(), String>) -> Result<(), TestCaseError> {
    outcome.map_err(TestCaseError::fail)
}

proptest! {
    #![proptest_config(config(100_000))]

    #[test]
    fn whatever_the_world_does_nobody_is_lost_and_it_ends(
        events in vec(event(), 0..40),
        boots: bool,
    ) {
        let mut world = World::new(step);
        holds(run(&mut world, &events))?;
        holds(world.settles(boots))?;
    }
}

proptest! {
    #![proptest_config(config(10_000))]

    #[test]
    fn even_events_that_cannot_be_do_not_keep_it_from_ending(
        events in vec(event(), 0..40),
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
    fn who_ends_well_has_not_failed_and_who_fails_has_not_ended_well(
        events in vec(event(), 0..40),
        well: bool,
    ) {
        let (end, exit) = if well {
            (Event::EngineEnded, ActivatorExit::Ended)
        } else {
            (Event::EngineExit, ActivatorExit::EngineFailed)
        };
        let mut world = World::new(step);
        holds(run(&mut world, &events))?;
        if world.can(end) {
            holds(world.happens(end))?;
            holds(world.settles(true))?;
            prop_assert_eq!(world.state, State::Done(exit));
        }
    }

    #[test]
    fn a_request_to_stop_is_no_failure(events in vec(event(), 0..40)) {
        let mut world = World::new(step);
        holds(run(&mut world, &events))?;
        if !matches!(world.state, State::Done(_)) {
            holds(world.happens(Event::Term))?;
            holds(world.settles(true))?;
            prop_assert_eq!(world.state, State::Done(ActivatorExit::Done));
        }
    }
}
