//! Every transition as a row of data. A pair of state and event without a row changes nothing.

use doze_contract::exit::ActivatorExit::{Done, EngineFailed};

use super::{Action::*, Event::*, State::*, *};

const fn people(clients: usize, holds: usize) -> People {
    People { clients, holds }
}

const fn drain(clients: usize, exit: ActivatorExit) -> State {
    Draining { clients, exit }
}

const fn flush(clients: usize, exit: ActivatorExit) -> State {
    Flushing { clients, exit }
}

type Row = (State, Event, State, Actions);

#[rustfmt::skip]
const TABLE: &[Row] = &[
    (Cold, Start, Booting(people(0, 0)), &[Boot]),
    (Cold, Client, Booting(people(1, 0)), &[Boot]),
    (Cold, HoldBegan, Booting(people(0, 1)), &[Boot]),
    (Cold, Term, State::Done(Done), &[]),

    (Booting(people(0, 0)), Client, Booting(people(1, 0)), &[]),
    (Booting(people(0, 0)), HoldBegan, Booting(people(0, 1)), &[]),
    (Booting(people(0, 0)), Ready, Idling, &[SayReady, Admit, Arm(Timer::Idle)]),
    (Booting(people(0, 0)), BootFailed, Failed, &[TurnAway, Arm(Timer::CoolDown)]),
    (Booting(people(0, 0)), Term, drain(0, Done), &[StopAccepting, SayStopping, TurnAway, StopEngine]),
    (Booting(people(2, 1)), Client, Booting(people(3, 1)), &[]),
    (Booting(people(2, 1)), HoldBegan, Booting(people(2, 2)), &[]),
    (Booting(people(2, 1)), HoldEnded, Booting(people(2, 0)), &[]),
    (Booting(people(2, 1)), Ready, Serving(people(2, 1)), &[SayReady, Admit]),
    (Booting(people(2, 1)), BootFailed, Failed, &[TurnAway, Arm(Timer::CoolDown)]),
    (Booting(people(2, 1)), Term, drain(0, Done), &[StopAccepting, SayStopping, TurnAway, StopEngine]),

    (Serving(people(1, 0)), Client, Serving(people(2, 0)), &[Admit]),
    (Serving(people(1, 0)), HoldBegan, Serving(people(1, 1)), &[Admit]),
    (Serving(people(1, 0)), Closed, Idling, &[Arm(Timer::Idle)]),
    (Serving(people(1, 0)), EngineExit, drain(1, EngineFailed), LEAVE),
    (Serving(people(1, 0)), Term, drain(1, Done), LEAVE),
    (Serving(people(0, 1)), Client, Serving(people(1, 1)), &[Admit]),
    (Serving(people(0, 1)), HoldBegan, Serving(people(0, 2)), &[Admit]),
    (Serving(people(0, 1)), HoldEnded, Idling, &[Arm(Timer::Idle)]),
    (Serving(people(0, 1)), EngineExit, drain(0, EngineFailed), LEAVE),
    (Serving(people(0, 1)), Term, drain(0, Done), LEAVE),
    (Serving(people(2, 2)), Client, Serving(people(3, 2)), &[Admit]),
    (Serving(people(2, 2)), HoldBegan, Serving(people(2, 3)), &[Admit]),
    (Serving(people(2, 2)), Closed, Serving(people(1, 2)), &[]),
    (Serving(people(2, 2)), HoldEnded, Serving(people(2, 1)), &[]),
    (Serving(people(2, 2)), EngineExit, drain(2, EngineFailed), LEAVE),
    (Serving(people(2, 2)), Term, drain(2, Done), LEAVE),

    (Idling, Client, Serving(people(1, 0)), &[Disarm, Admit]),
    (Idling, HoldBegan, Serving(people(0, 1)), &[Disarm, Admit]),
    (Idling, Tick, Looking, &[Look]),
    (Idling, EngineExit, drain(0, EngineFailed), LEAVE),
    (Idling, Term, drain(0, Done), LEAVE),

    (Looking, Client, Serving(people(1, 0)), &[Admit]),
    (Looking, HoldBegan, Serving(people(0, 1)), &[Admit]),
    (Looking, Looked, drain(0, Done), LEAVE),
    (Looking, EngineExit, drain(0, EngineFailed), LEAVE),
    (Looking, Term, drain(0, Done), LEAVE),

    (drain(0, EngineFailed), Client, drain(0, EngineFailed), &[TurnAway]),
    (drain(0, EngineFailed), HoldBegan, drain(0, EngineFailed), &[TurnAway]),
    (drain(0, EngineFailed), Term, drain(0, Done), &[]),
    (drain(0, EngineFailed), Stopped, State::Done(EngineFailed), &[]),
    (drain(2, Done), Client, drain(2, Done), &[TurnAway]),
    (drain(2, Done), HoldBegan, drain(2, Done), &[TurnAway]),
    (drain(2, Done), Closed, drain(1, Done), &[]),
    (drain(2, Done), Stopped, flush(2, Done), &[Flush, Arm(Timer::Flush)]),

    (flush(1, EngineFailed), Client, flush(1, EngineFailed), &[TurnAway]),
    (flush(1, EngineFailed), HoldBegan, flush(1, EngineFailed), &[TurnAway]),
    (flush(1, EngineFailed), Closed, State::Done(EngineFailed), &[]),
    (flush(1, EngineFailed), Tick, State::Done(EngineFailed), &[]),
    (flush(1, EngineFailed), Term, flush(1, Done), &[]),
    (flush(2, Done), Client, flush(2, Done), &[TurnAway]),
    (flush(2, Done), HoldBegan, flush(2, Done), &[TurnAway]),
    (flush(2, Done), Closed, flush(1, Done), &[]),
    (flush(2, Done), Tick, State::Done(Done), &[]),

    (Failed, Client, Failed, &[TurnAway]),
    (Failed, HoldBegan, Failed, &[TurnAway]),
    (Failed, Tick, State::Done(EngineFailed), &[]),
    (Failed, Term, State::Done(Done), &[]),

    (State::Done(Done), Client, State::Done(Done), &[TurnAway]),
    (State::Done(Done), HoldBegan, State::Done(Done), &[TurnAway]),
    (State::Done(EngineFailed), Client, State::Done(EngineFailed), &[TurnAway]),
    (State::Done(EngineFailed), HoldBegan, State::Done(EngineFailed), &[TurnAway]),
];

const STATES: [State; 15] = [
    Cold,
    Booting(people(0, 0)),
    Booting(people(2, 1)),
    Serving(people(1, 0)),
    Serving(people(0, 1)),
    Serving(people(2, 2)),
    Idling,
    Looking,
    drain(0, EngineFailed),
    drain(2, Done),
    flush(1, EngineFailed),
    flush(2, Done),
    Failed,
    State::Done(Done),
    State::Done(EngineFailed),
];

const EVENTS: [Event; 12] = [
    Start, Client, Closed, HoldBegan, HoldEnded, Ready, BootFailed, EngineExit, Stopped, Tick,
    Looked, Term,
];

#[test]
fn every_transition_is_as_the_table_says() {
    for state in STATES {
        for event in EVENTS {
            let row = TABLE.iter().find(|row| (row.0, row.1) == (state, event));
            let expected = match row {
                Some((_, _, next, actions)) => (*next, *actions),
                // An end of somebody who is not there, or of nothing at all.
                None => (state, NOTHING),
            };
            assert_eq!(step(state, event), expected, "{state:?} on {event:?}");
        }
    }
}

#[test]
fn the_table_has_no_row_twice_and_none_that_is_never_tried() {
    for (at, row) in TABLE.iter().enumerate() {
        assert!(STATES.contains(&row.0), "{row:?}");
        let same = |other: &Row| (other.0, other.1) == (row.0, row.1);
        assert!(!TABLE[..at].iter().any(same), "{row:?}");
    }
}

#[test]
fn leaving_stops_the_engine_after_the_listeners() {
    assert_eq!(LEAVE, [Disarm, StopAccepting, SayStopping, StopEngine]);
}

#[test]
fn the_outside_sees_five_phases_and_the_people() {
    let phases: Vec<Phase> = STATES.iter().map(|state| state.phase()).collect();
    assert_eq!(
        phases,
        [
            Phase::Booting,
            Phase::Booting,
            Phase::Booting,
            Phase::Serving,
            Phase::Serving,
            Phase::Serving,
            Phase::Idling,
            Phase::Idling,
            Phase::Draining,
            Phase::Draining,
            Phase::Draining,
            Phase::Draining,
            Phase::Failed,
            Phase::Draining,
            Phase::Draining,
        ]
    );
    assert_eq!(Booting(people(2, 1)).people(), people(2, 1));
    assert_eq!(Serving(people(2, 2)).people(), people(2, 2));
    assert_eq!(drain(2, Done).people(), people(2, 0));
    assert_eq!(flush(2, Done).people(), people(2, 0));
    assert_eq!(Idling.people(), people(0, 0));
}
