//! The signals that end the dashboard. Must not know what is put in order before it ends.

use std::{io, sync::mpsc::Sender, thread};

use tokio::signal::unix::{SignalKind, signal};

use super::model::Event;

/// From now on SIGINT, SIGTERM and SIGHUP do not kill this process: they are the event
/// [`Event::Stop`].
pub(super) fn watch(events: Sender<Event>) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let (mut int, mut term, mut hup) = {
        let _inside = runtime.enter();
        (
            signal(SignalKind::interrupt())?,
            signal(SignalKind::terminate())?,
            signal(SignalKind::hangup())?,
        )
    };
    thread::spawn(move || {
        runtime.block_on(async {
            tokio::select! {
                _ = int.recv() => {}
                _ = term.recv() => {}
                _ = hup.recv() => {}
            }
        });
        drop(events.send(Event::Stop));
    });
    Ok(())
}
