//! Every transition as a row of data. A pair of state and event without a row changes nothing.

use doze_contract::exit::ActivatorExit::{Done, Ended, EngineFailed};

use super::{Action::*, Event::*, State::*, *};

const fn people(clients: usize, holds: usize, aside: usize) -> People {
    People {
        clients,
        holds,
        aside,
    }
}

const fn wait(aside: usize, exit: ActivatorExit) -> State {
    Waiting { aside, exit }
}

const fn boot(clients: usize, holds: usize, aside: usize) -> State {
    Booting(people(clients, holds, aside))
}

const fn serve(clients: usize, holds: usize, aside: usize) -> State {
    Serving(people(clients, holds, aside))
}

const fn fail(clients: usize, holds: usize, aside: usize) -> State {
    Failed(people(clients, holds, aside))
}

const fn idle(aside: usize) -> State {
    Idling { aside }
}

const fn look(aside: usize) -> State {
    Looking { aside }
}

const fn drain(clients: usize, exit: ActivatorExit) -> State {
    Draining {
        people: people(clients, 0, 0),
        next: Next::Leave(exit),
    }
}

const fn stay(clients: usize, holds: usize, aside: usize) -> State {
    Draining {
        people: people(clients, holds, aside),
        next: Next::Stay,
    }
}

const fn flush(clients: usize, exit: ActivatorExit) -> State {
    Flushing { clients, exit }
}

type Row = (State, Event, State, Actions);

#[rustfmt::skip]
const TABLE: &[Row] = &[
    (Cold, Start, Cold, &[Look]),
    (Cold, Client, boot(1, 0, 0), &[Boot]),
    (Cold, HoldBegan, boot(0, 1, 0), &[Boot]),
    (Cold, Aside, wait(1, Done), &[]),
    (Cold, Looked, boot(0, 0, 0), &[Boot]),
    (Cold, Term, State::Done(Done), LEAVE_AT_ONCE),

    (wait(0, EngineFailed), Client, boot(1, 0, 0), &[Disarm, Boot]),
    (wait(0, EngineFailed), HoldBegan, boot(0, 1, 0), &[Disarm, Boot]),
    (wait(0, EngineFailed), Spoke, boot(1, 0, 0), &[Disarm, Boot]),
    (wait(0, EngineFailed), Aside, wait(1, EngineFailed), &[]),
    (wait(0, EngineFailed), Left, wait(0, EngineFailed), &[Arm(Timer::Linger)]),
    (wait(0, EngineFailed), Tick, wait(0, EngineFailed), &[Look]),
    (wait(0, EngineFailed), Looked, State::Done(EngineFailed), LEAVE_AT_ONCE),
    (wait(0, EngineFailed), Term, State::Done(Done), LEAVE_AT_ONCE),
    (wait(2, Done), Client, boot(1, 0, 2), &[Disarm, Boot]),
    (wait(2, Done), HoldBegan, boot(0, 1, 2), &[Disarm, Boot]),
    (wait(2, Done), Spoke, boot(1, 0, 1), &[Disarm, Boot]),
    (wait(2, Done), Aside, wait(3, Done), &[]),
    (wait(2, Done), Left, wait(1, Done), &[]),
    (wait(2, Done), Term, State::Done(Done), LEAVE_AT_ONCE),

    (boot(0, 0, 0), Client, boot(1, 0, 0), &[]),
    (boot(0, 0, 0), HoldBegan, boot(0, 1, 0), &[]),
    (boot(0, 0, 0), Aside, boot(0, 0, 1), &[]),
    (boot(0, 0, 0), Spoke, boot(1, 0, 0), &[]),
    (boot(0, 0, 0), Ready, idle(0), &[SayReady, SwapIn, Admit, Arm(Timer::Idle)]),
    (boot(0, 0, 0), BootFailed, fail(0, 0, 0), &[Refuse, Arm(Timer::CoolDown)]),
    (boot(0, 0, 0), Term, drain(0, Done), &[StopAccepting, SayStopping, TurnAway, StopEngine]),
    (boot(2, 1, 1), Client, boot(3, 1, 1), &[]),
    (boot(2, 1, 1), HoldBegan, boot(2, 2, 1), &[]),
    (boot(2, 1, 1), HoldEnded, boot(2, 0, 1), &[]),
    (boot(2, 1, 1), Aside, boot(2, 1, 2), &[]),
    (boot(2, 1, 1), Spoke, boot(3, 1, 0), &[]),
    (boot(2, 1, 1), Left, boot(2, 1, 0), &[]),
    (boot(2, 1, 1), Ready, serve(2, 1, 1), &[SayReady, SwapIn, Admit]),
    (boot(2, 1, 1), BootFailed, fail(0, 1, 3), &[Refuse, Arm(Timer::CoolDown)]),
    (boot(2, 1, 1), Term, drain(0, Done), &[StopAccepting, SayStopping, TurnAway, StopEngine]),

    (serve(1, 0, 0), Client, serve(2, 0, 0), &[Admit]),
    (serve(1, 0, 0), HoldBegan, serve(1, 1, 0), &[Admit]),
    (serve(1, 0, 0), Aside, serve(1, 0, 1), &[]),
    (serve(1, 0, 0), Spoke, serve(2, 0, 0), &[Admit]),
    (serve(1, 0, 0), Closed, idle(0), &[Arm(Timer::Idle)]),
    (serve(1, 0, 0), EngineExit, drain(1, EngineFailed), LEAVE),
    (serve(1, 0, 0), EngineEnded, drain(1, Ended), LEAVE),
    (serve(1, 0, 0), Term, drain(1, Done), LEAVE),
    (serve(0, 1, 1), Client, serve(1, 1, 1), &[Admit]),
    (serve(0, 1, 1), HoldBegan, serve(0, 2, 1), &[Admit]),
    (serve(0, 1, 1), HoldEnded, idle(1), &[Arm(Timer::Idle)]),
    (serve(0, 1, 1), Aside, serve(0, 1, 2), &[]),
    (serve(0, 1, 1), Spoke, serve(1, 1, 0), &[Admit]),
    (serve(0, 1, 1), Left, serve(0, 1, 0), &[]),
    (serve(0, 1, 1), EngineExit, drain(0, EngineFailed), LEAVE),
    (serve(0, 1, 1), EngineEnded, drain(0, Ended), LEAVE),
    (serve(0, 1, 1), Term, drain(0, Done), LEAVE),
    (serve(2, 2, 0), Client, serve(3, 2, 0), &[Admit]),
    (serve(2, 2, 0), HoldBegan, serve(2, 3, 0), &[Admit]),
    (serve(2, 2, 0), Aside, serve(2, 2, 1), &[]),
    (serve(2, 2, 0), Spoke, serve(3, 2, 0), &[Admit]),
    (serve(2, 2, 0), Closed, serve(1, 2, 0), &[]),
    (serve(2, 2, 0), HoldEnded, serve(2, 1, 0), &[]),
    (serve(2, 2, 0), EngineExit, drain(2, EngineFailed), LEAVE),
    (serve(2, 2, 0), EngineEnded, drain(2, Ended), LEAVE),
    (serve(2, 2, 0), Term, drain(2, Done), LEAVE),

    (idle(0), Client, serve(1, 0, 0), &[Disarm, Admit]),
    (idle(0), HoldBegan, serve(0, 1, 0), &[Disarm, Admit]),
    (idle(0), Aside, idle(1), &[]),
    (idle(0), Spoke, serve(1, 0, 0), &[Disarm, Admit]),
    (idle(0), Tick, idle(0), &[Look]),
    (idle(0), Direct, idle(0), &[Arm(Timer::Idle)]),
    (idle(0), Looked, look(0), &[SwapOut, Arm(Timer::Settle)]),
    (idle(0), EngineExit, drain(0, EngineFailed), LEAVE),
    (idle(0), EngineEnded, drain(0, Ended), LEAVE),
    (idle(0), Term, drain(0, Done), LEAVE),
    (idle(1), Client, serve(1, 0, 1), &[Disarm, Admit]),
    (idle(1), HoldBegan, serve(0, 1, 1), &[Disarm, Admit]),
    (idle(1), Aside, idle(2), &[]),
    (idle(1), Spoke, serve(1, 0, 0), &[Disarm, Admit]),
    (idle(1), Left, idle(0), &[]),
    (idle(1), Tick, idle(1), &[Look]),
    (idle(1), Direct, idle(1), &[Arm(Timer::Idle)]),
    (idle(1), Looked, look(1), &[SwapOut, Arm(Timer::Settle)]),
    (idle(1), EngineExit, drain(0, EngineFailed), LEAVE),
    (idle(1), EngineEnded, drain(0, Ended), LEAVE),
    (idle(1), Term, drain(0, Done), LEAVE),

    (look(0), Client, serve(1, 0, 0), &[Disarm, SwapIn, Admit]),
    (look(0), HoldBegan, serve(0, 1, 0), &[Disarm, SwapIn, Admit]),
    (look(0), Aside, look(1), &[]),
    (look(0), Spoke, serve(1, 0, 0), &[Disarm, SwapIn, Admit]),
    (look(0), Tick, look(0), &[Look]),
    (look(0), Direct, idle(0), &[SwapIn, Arm(Timer::Idle)]),
    (look(0), Looked, drain(0, Done), LEAVE),
    (look(0), EngineExit, drain(0, EngineFailed), LEAVE),
    (look(0), EngineEnded, drain(0, Ended), LEAVE),
    (look(0), Term, drain(0, Done), LEAVE),
    (look(1), Client, serve(1, 0, 1), &[Disarm, SwapIn, Admit]),
    (look(1), HoldBegan, serve(0, 1, 1), &[Disarm, SwapIn, Admit]),
    (look(1), Aside, look(2), &[]),
    (look(1), Spoke, serve(1, 0, 0), &[Disarm, SwapIn, Admit]),
    (look(1), Left, look(0), &[]),
    (look(1), Tick, look(1), &[Look]),
    (look(1), Direct, idle(1), &[SwapIn, Arm(Timer::Idle)]),
    (look(1), Looked, stay(0, 0, 1), &[Disarm, StopAccepting, StopEngine]),
    (look(1), EngineExit, drain(0, EngineFailed), LEAVE),
    (look(1), EngineEnded, drain(0, Ended), LEAVE),
    (look(1), Term, drain(0, Done), LEAVE),

    (stay(0, 0, 0), Client, stay(1, 0, 0), &[]),
    (stay(0, 0, 0), HoldBegan, stay(0, 1, 0), &[]),
    (stay(0, 0, 0), Aside, stay(0, 0, 1), &[]),
    (stay(0, 0, 0), Spoke, stay(1, 0, 0), &[]),
    (stay(0, 0, 0), Stopped, wait(0, Done), &[Accept, Look]),
    (stay(0, 0, 0), Term, drain(0, Done), &[SayStopping, TurnAway]),
    (stay(0, 0, 2), Client, stay(1, 0, 2), &[]),
    (stay(0, 0, 2), HoldBegan, stay(0, 1, 2), &[]),
    (stay(0, 0, 2), Aside, stay(0, 0, 3), &[]),
    (stay(0, 0, 2), Spoke, stay(1, 0, 1), &[]),
    (stay(0, 0, 2), Left, stay(0, 0, 1), &[]),
    (stay(0, 0, 2), Stopped, wait(2, Done), &[Accept]),
    (stay(0, 0, 2), Term, drain(0, Done), &[SayStopping, TurnAway]),
    (stay(1, 1, 0), Client, stay(2, 1, 0), &[]),
    (stay(1, 1, 0), HoldBegan, stay(1, 2, 0), &[]),
    (stay(1, 1, 0), HoldEnded, stay(1, 0, 0), &[]),
    (stay(1, 1, 0), Aside, stay(1, 1, 1), &[]),
    (stay(1, 1, 0), Spoke, stay(2, 1, 0), &[]),
    (stay(1, 1, 0), Stopped, boot(1, 1, 0), &[Accept, Boot]),
    (stay(1, 1, 0), Term, drain(0, Done), &[SayStopping, TurnAway]),

    (drain(0, EngineFailed), Client, drain(0, EngineFailed), &[TurnAway]),
    (drain(0, EngineFailed), Spoke, drain(0, EngineFailed), &[TurnAway]),
    (drain(0, EngineFailed), HoldBegan, drain(0, EngineFailed), &[TurnAway]),
    (drain(0, EngineFailed), Term, drain(0, Done), &[]),
    (drain(0, EngineFailed), Stopped, State::Done(EngineFailed), &[]),
    (drain(1, Ended), Client, drain(1, Ended), &[TurnAway]),
    (drain(1, Ended), Spoke, drain(1, Ended), &[TurnAway]),
    (drain(1, Ended), HoldBegan, drain(1, Ended), &[TurnAway]),
    (drain(1, Ended), Closed, drain(0, Ended), &[]),
    (drain(1, Ended), Term, drain(1, Done), &[]),
    (drain(1, Ended), Stopped, flush(1, Ended), &[Flush, Arm(Timer::Flush)]),
    (drain(2, Done), Client, drain(2, Done), &[TurnAway]),
    (drain(2, Done), Spoke, drain(2, Done), &[TurnAway]),
    (drain(2, Done), HoldBegan, drain(2, Done), &[TurnAway]),
    (drain(2, Done), Closed, drain(1, Done), &[]),
    (drain(2, Done), Stopped, flush(2, Done), &[Flush, Arm(Timer::Flush)]),

    (flush(1, EngineFailed), Client, flush(1, EngineFailed), &[TurnAway]),
    (flush(1, EngineFailed), Spoke, flush(1, EngineFailed), &[TurnAway]),
    (flush(1, EngineFailed), HoldBegan, flush(1, EngineFailed), &[TurnAway]),
    (flush(1, EngineFailed), Closed, State::Done(EngineFailed), &[]),
    (flush(1, EngineFailed), Tick, State::Done(EngineFailed), &[]),
    (flush(1, EngineFailed), Term, flush(1, Done), &[]),
    (flush(2, Done), Client, flush(2, Done), &[TurnAway]),
    (flush(2, Done), Spoke, flush(2, Done), &[TurnAway]),
    (flush(2, Done), HoldBegan, flush(2, Done), &[TurnAway]),
    (flush(2, Done), Closed, flush(1, Done), &[]),
    (flush(2, Done), Tick, State::Done(Done), &[]),

    (fail(0, 0, 0), Client, fail(1, 0, 0), &[]),
    (fail(0, 0, 0), HoldBegan, fail(0, 1, 0), &[]),
    (fail(0, 0, 0), Aside, fail(0, 0, 1), &[]),
    (fail(0, 0, 0), Spoke, fail(1, 0, 0), &[]),
    (fail(0, 0, 0), Tick, State::Done(EngineFailed), LEAVE_AT_ONCE),
    (fail(0, 0, 0), Term, State::Done(Done), LEAVE_AT_ONCE),
    (fail(0, 0, 2), Client, fail(1, 0, 2), &[]),
    (fail(0, 0, 2), HoldBegan, fail(0, 1, 2), &[]),
    (fail(0, 0, 2), Aside, fail(0, 0, 3), &[]),
    (fail(0, 0, 2), Spoke, fail(1, 0, 1), &[]),
    (fail(0, 0, 2), Left, fail(0, 0, 1), &[]),
    (fail(0, 0, 2), Tick, wait(2, EngineFailed), &[Release]),
    (fail(0, 0, 2), Term, State::Done(Done), LEAVE_AT_ONCE),
    (fail(1, 1, 1), Client, fail(2, 1, 1), &[]),
    (fail(1, 1, 1), HoldBegan, fail(1, 2, 1), &[]),
    (fail(1, 1, 1), HoldEnded, fail(1, 0, 1), &[]),
    (fail(1, 1, 1), Aside, fail(1, 1, 2), &[]),
    (fail(1, 1, 1), Spoke, fail(2, 1, 0), &[]),
    (fail(1, 1, 1), Left, fail(1, 1, 0), &[]),
    (fail(1, 1, 1), Tick, boot(1, 1, 1), &[Release, Boot]),
    (fail(1, 1, 1), Term, State::Done(Done), LEAVE_AT_ONCE),

    (State::Done(Done), Client, State::Done(Done), &[TurnAway]),
    (State::Done(Done), Spoke, State::Done(Done), &[TurnAway]),
    (State::Done(Done), HoldBegan, State::Done(Done), &[TurnAway]),
    (State::Done(EngineFailed), Client, State::Done(EngineFailed), &[TurnAway]),
    (State::Done(EngineFailed), Spoke, State::Done(EngineFailed), &[TurnAway]),
    (State::Done(EngineFailed), HoldBegan, State::Done(EngineFailed), &[TurnAway]),
];

/// Each with the phase that the outside sees.
const STATES: [(State, Phase); 25] = [
    (Cold, Phase::Booting),
    (wait(0, EngineFailed), Phase::Booting),
    (wait(2, Done), Phase::Booting),
    (boot(0, 0, 0), Phase::Booting),
    (boot(2, 1, 1), Phase::Booting),
    (serve(1, 0, 0), Phase::Serving),
    (serve(0, 1, 1), Phase::Serving),
    (serve(2, 2, 0), Phase::Serving),
    (idle(0), Phase::Idling),
    (idle(1), Phase::Idling),
    (look(0), Phase::Idling),
    (look(1), Phase::Idling),
    (stay(0, 0, 0), Phase::Draining),
    (stay(0, 0, 2), Phase::Draining),
    (stay(1, 1, 0), Phase::Draining),
    (drain(0, EngineFailed), Phase::Draining),
    (drain(1, Ended), Phase::Draining),
    (drain(2, Done), Phase::Draining),
    (flush(1, EngineFailed), Phase::Draining),
    (flush(2, Done), Phase::Draining),
    (fail(0, 0, 0), Phase::Failed),
    (fail(0, 0, 2), Phase::Failed),
    (fail(1, 1, 1), Phase::Failed),
    (State::Done(Done), Phase::Draining),
    (State::Done(EngineFailed), Phase::Draining),
];

const EVENTS: [Event; 17] = [
    Start,
    Client,
    Aside,
    Spoke,
    Left,
    Closed,
    HoldBegan,
    HoldEnded,
    Ready,
    BootFailed,
    EngineExit,
    EngineEnded,
    Stopped,
    Tick,
    Looked,
    Direct,
    Term,
];

#[test]
fn every_transition_is_as_the_table_says() {
    for (state, _) in STATES {
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
fn every_row_is_about_a_state_and_an_event_of_the_lists() {
    for (at, row) in TABLE.iter().enumerate() {
        let known = STATES.iter().any(|(state, _)| *state == row.0);
        assert!(known, "row {at}: {:?}", row.0);
        let again = TABLE
            .iter()
            .skip(at + 1)
            .any(|other| (other.0, other.1) == (row.0, row.1));
        assert!(!again, "row {at} stands twice: {:?} on {:?}", row.0, row.1);
    }
}

#[test]
fn the_outside_sees_five_phases_and_the_people() {
    for (state, phase) in STATES {
        assert_eq!(state.phase(), phase, "{state:?}");
    }
    assert_eq!(boot(2, 1, 1).people(), people(2, 1, 1));
    assert_eq!(serve(2, 2, 0).people(), people(2, 2, 0));
    assert_eq!(drain(2, Done).people(), people(2, 0, 0));
    assert_eq!(flush(2, Done).people(), people(2, 0, 0));
    assert_eq!(wait(2, Done).people(), people(0, 0, 2));
    assert_eq!(idle(1).people(), people(0, 0, 1));
}
