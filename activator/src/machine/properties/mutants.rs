//! Machines with one thing wrong each. The properties have to see every one of them.

use proptest::{
    strategy::{Strategy, ValueTree},
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};

use super::{world::Step, *};

/// The eleven, by what is wrong with them.
const MUTANTS: [(&str, Step); 11] = [
    (
        "forgets a client that comes while it boots",
        |state, event| match (state, event) {
            (State::Booting(_), Event::Client) => (state, NOTHING),
            _ => step(state, event),
        },
    ),
    (
        "does not join a client that comes while it idles",
        |state, event| match (state, event) {
            (State::Idling { .. }, Event::Client) => (step(state, event).0, &[Action::Disarm]),
            _ => step(state, event),
        },
    ),
    (
        "lets the idle timer run under a client",
        |state, event| match (state, event) {
            (State::Idling { .. }, Event::Client) => (step(state, event).0, &[Action::Admit]),
            _ => step(state, event),
        },
    ),
    ("sleeps without a last look", |state, event| {
        match (state, event) {
            (State::Idling { .. }, Event::Tick) => leave(0, ActivatorExit::Done),
            _ => step(state, event),
        }
    }),
    ("stops the engine while it accepts", |state, event| {
        match (state, event) {
            (State::Looking { aside: 0 }, Event::Looked) => (
                step(state, event).0,
                &[Action::SayStopping, Action::StopEngine],
            ),
            _ => step(state, event),
        }
    }),
    ("never idles after its last client", |state, event| {
        match (state, event) {
            (State::Serving(people), Event::Closed) => {
                (State::Serving(people.after(event)), NOTHING)
            }
            _ => step(state, event),
        }
    }),
    (
        "refuses nobody when the boot fails",
        |state, event| match (state, event) {
            (State::Booting(_), Event::BootFailed) => {
                (step(state, event).0, &[Action::Arm(Timer::CoolDown)])
            }
            _ => step(state, event),
        },
    ),
    (
        "boots again with its own lock held",
        |state, event| match (state, event) {
            (State::Failed(people), Event::Tick) if people.want_it() => {
                (State::Booting(people), BOOT)
            }
            _ => step(state, event),
        },
    ),
    (
        "leaves the unix endpoint with a dead engine",
        |state, event| match (state, event) {
            (State::Serving(_), Event::EngineExit) => (
                step(state, event).0,
                &[
                    Action::StopAccepting,
                    Action::SayStopping,
                    Action::StopEngine,
                ],
            ),
            _ => step(state, event),
        },
    ),
    (
        "leaves the unix endpoint with an engine that ended",
        |state, event| match (state, event) {
            (State::Serving(_), Event::EngineEnded) => (
                step(state, event).0,
                &[
                    Action::StopAccepting,
                    Action::SayStopping,
                    Action::StopEngine,
                ],
            ),
            _ => step(state, event),
        },
    ),
    (
        "leaves while a client is being flushed",
        |state, event| match (state, event) {
            (State::Flushing { clients: 1.., exit }, Event::Closed) => (State::Done(exit), NOTHING),
            _ => step(state, event),
        },
    ),
];

#[test]
fn eleven_mutants_are_caught() {
    let config = Config {
        failure_persistence: None,
        ..Config::default()
    };
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(config, rng);
    let sequences: Vec<(Vec<Event>, bool)> = (0..2000)
        .map(|_| {
            let tree = (vec(event(), 0..40), any::<bool>()).new_tree(&mut runner);
            tree.unwrap().current()
        })
        .collect();
    let caught = |step: Step| {
        sequences.iter().any(|(events, boots)| {
            let mut world = World::new(step);
            run(&mut world, events)
                .and_then(|()| world.settles(*boots))
                .is_err()
        })
    };
    assert!(!caught(step), "the machine itself is right");
    for (wrong, mutant) in MUTANTS {
        assert!(caught(mutant), "a machine that {wrong} passes");
    }
}
