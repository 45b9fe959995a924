//! `doze status --watch`: the same again each second and whenever an instance wakes or leaves,
//! until q or Ctrl-C. The terminal is as it was afterwards, whatever ended it.

use std::{
    io::{self, Write},
    sync::mpsc::{self, RecvTimeoutError, Sender},
    thread,
    time::Duration,
};

use camino::Utf8Path;
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use doze_contract::{ProjectName, error::chain};

use super::{Context, gather, graph, picture::picture, show};
use crate::{
    failure::Failure,
    folders::Folders,
    output::{Paint, columns, rows},
    signals,
    terminal::{self, Input, WholeTerminal},
};

/// How long a look is good for.
const PAUSE: Duration = Duration::from_secs(1);

pub(super) fn run(context: &Context, as_graph: bool) -> Result<(), Failure> {
    if !terminal::is_there() {
        return Err(Failure::usage(
            "`doze status --watch` is for terminals that are not dumb; `doze status --json` tells \
             programs, and `doze wait` waits",
        ));
    }
    let mut project = context.file()?.name;
    let failed = || Failure::io("watch the project");
    let (send, events) = mpsc::channel();
    let tell = |event: Event| {
        let events = send.clone();
        move || drop(events.send(event.clone()))
    };
    let (stop, resume) = (tell(Event::Leave), tell(Event::TakeAgain));
    signals::watch(stop.clone(), resume).map_err(failed())?;
    let whole = WholeTerminal::take(stop).map_err(failed())?;
    terminal::listen(send.clone(), told);
    listen(&context.dirs.sockets(&project), send).map_err(failed())?;
    let mut before = None;
    loop {
        let report = context
            .file()
            .and_then(|file| gather::report(context, &file, false, before.as_ref()));
        let lines = match report {
            Ok(report) => {
                let lines = if as_graph {
                    graph::lines(&report, Paint::stdout())
                } else {
                    show::lines(&report, columns(), Paint::stdout())
                };
                project.clone_from(&report.project);
                before = Some(report);
                lines
            }
            // It may be right again in a moment: somebody edits doze.toml.
            Err(failure) => vec![Paint::stdout().red(chain(&failure))],
        };
        draw(&project, &lines).map_err(failed())?;
        match events.recv_timeout(PAUSE) {
            Ok(Event::Look) | Err(RecvTimeoutError::Timeout) => {}
            Ok(Event::Suspend) => whole.suspend().map_err(failed())?,
            Ok(Event::TakeAgain) => whole.take_again().map_err(failed())?,
            Ok(Event::Leave) | Err(RecvTimeoutError::Disconnected) => return Ok(()),
        }
    }
}

/// What ends a wait.
#[derive(Debug, Clone)]
enum Event {
    /// Something has changed.
    Look,
    /// Leave the terminal to others for a while.
    Suspend,
    /// This job was stopped, and goes on.
    TakeAgain,
    /// Nobody wants to see more.
    Leave,
}

/// What the terminal tells.
fn told(input: Input) -> Option<Event> {
    match input {
        Input::Key(key) => press(key),
        Input::Resize(..) => Some(Event::Look),
        Input::Gone => Some(Event::Leave),
    }
}

fn press(key: KeyEvent) -> Option<Event> {
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    match (key.code, control) {
        (KeyCode::Char('q' | 'Q'), false) | (KeyCode::Char('c' | 'd'), true) => Some(Event::Leave),
        (KeyCode::Char('z'), true) => Some(Event::Suspend),
        _ => None,
    }
}

/// Tells what happens to the sockets, from a thread that ends with the process.
fn listen(sockets: &Utf8Path, events: Sender<Event>) -> io::Result<()> {
    let mut watch = Folders::new()?;
    let entries = sockets.read_dir_utf8().into_iter().flatten().flatten();
    let folders = entries.map(|entry| entry.path().to_owned());
    for folder in folders.chain([sockets.to_owned()]) {
        // One that is not there, or is none, is not missed: there is a look each second.
        watch.names(&folder).unwrap_or_default();
    }
    thread::spawn(move || {
        // Until nobody listens any more.
        drop(watch.each(|_| events.send(Event::Look).map_err(io::Error::other)));
    });
    Ok(())
}

fn draw(project: &ProjectName, lines: &[String]) -> io::Result<()> {
    let size = columns().zip(rows());
    let text = picture(project, lines, size, Paint::stdout());
    let mut stdout = io::stdout();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}
