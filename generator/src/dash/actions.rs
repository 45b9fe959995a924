//! What the user has done to an instance, in the background. Must not know how it is shown.

use std::{sync::mpsc::Sender, thread};

use doze_contract::{InstanceName, error::chain, plan::Paths};

use super::model::{Event, Verb};
use crate::awake::{self, Wake};

/// Begins it; its end is an [`Event::Done`].
pub(super) fn start(verb: Verb, name: InstanceName, paths: Paths, events: Sender<Event>) {
    thread::spawn(move || {
        let result = match verb {
            Verb::Wake => wake(&paths),
            Verb::Sleep => sleep(&paths),
            Verb::Restart => sleep(&paths).and_then(|()| wake(&paths)),
        };
        drop(events.send(Event::Done { verb, name, result }));
    });
}

fn wake(paths: &Paths) -> Result<(), String> {
    let call = awake::call(&paths.wake_socket).map_err(|error| chain(&error))?;
    let call = call.ok_or("it is not up; `doze up` brings it up")?;
    match call.answer().map_err(|error| chain(&error))? {
        Wake::Ready(_) => Ok(()),
        Wake::Failed(reason) => Err(reason),
    }
}

fn sleep(paths: &Paths) -> Result<(), String> {
    awake::sleep(&paths.status_socket)
        .map(drop)
        .map_err(|error| chain(&error))
}
