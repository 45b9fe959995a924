//! `doze dash`: the project on a terminal, live.
//!
//! The core is pure: [`model`] turns an event into the next state and what is to be done, [`view`]
//! draws a state. Threads bring the events: the keyboard, the signals, the [`sampler`], the actions.
//! Must not know: drivers; what is shown is what `doze status` reads, and wakes nobody.

mod layout;
mod log;
mod model;
mod sample;
mod sampler;
mod screen;
mod view;

use std::{
    io,
    sync::{
        Arc,
        mpsc::{self, RecvTimeoutError},
    },
    thread,
    time::{Duration, Instant},
};

use doze_contract::{ProjectName, error::chain};

pub(crate) use self::{model::Verb, sampler::Source};
use self::{
    model::{Command, Event, Model, update},
    sampler::{Ask, Sampler},
    screen::Screen,
};
use crate::{
    failure::Failure,
    output::Paint,
    signals,
    terminal::{self, Input},
};

/// How long the sampler may be silent before that is said.
const PATIENCE: Duration = Duration::from_secs(3);

/// Why the dashboard cannot go on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DashError {
    /// Keys cannot be read, or nothing can be drawn.
    #[error("cannot use the terminal")]
    Terminal(#[source] io::Error),
    /// Nobody would put the terminal back in order.
    #[error("cannot wait for signals")]
    Signals(#[source] io::Error),
}

/// Shows the project until the user quits or a signal says so. The terminal is then as it was.
/// `act` does something to the instance of a name, and must not print.
pub(crate) fn run(
    source: Source,
    project: &ProjectName,
    act: impl Fn(Verb, &str) -> Result<(), Failure> + Send + Sync + 'static,
) -> Result<(), DashError> {
    let act = Arc::new(act);
    let (events, incoming) = mpsc::channel();
    let tell = |event: fn() -> Event| {
        let events = events.clone();
        move || drop(events.send(event()))
    };
    let (stop, resume) = (tell(|| Event::Stop), tell(|| Event::Resume));
    signals::watch(stop.clone(), resume).map_err(DashError::Signals)?;
    let colour = Paint::stdout().is_on();
    let mut screen = Screen::open(stop).map_err(DashError::Terminal)?;
    let asks = Sampler::start(source, events.clone());
    terminal::listen(events.clone(), |input| Some(told(input)));
    let mut model = Model::new(project.to_string(), colour, screen.size()?);
    let mut heard = Instant::now();
    loop {
        screen.draw(|frame| view::draw(&model, frame))?;
        let mut next = match incoming.recv_timeout(PATIENCE) {
            Ok(event) => Some(event),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
        };
        // What has come meanwhile needs no picture of its own.
        while let Some(event) = next {
            if let Event::Sample(_) = event {
                heard = Instant::now();
            }
            let (changed, commands) = update(model, event);
            model = changed;
            for command in commands {
                match command {
                    Command::Quit => return Ok(()),
                    Command::Act(verb, name) => {
                        let (act, events) = (Arc::clone(&act), events.clone());
                        thread::spawn(move || {
                            let result = act(verb, name.as_str());
                            let result = result.map_err(|failure| chain(&failure));
                            drop(events.send(Event::Done { verb, name, result }));
                        });
                    }
                    Command::Copy(text) => screen.copy(&text)?,
                    // A sampler that is gone is told by its silence.
                    Command::Look => drop(asks.send(Ask::Look)),
                    Command::Watch(name) => drop(asks.send(Ask::Watch(name))),
                    Command::Suspend => {
                        screen.suspend()?;
                        // Who was stopped was not silent.
                        heard = Instant::now();
                    }
                    Command::TakeAgain => {
                        screen.take_again()?;
                        heard = Instant::now();
                    }
                }
            }
            next = incoming.try_recv().ok();
        }
        let silent = Some(heard.elapsed()).filter(|silent| *silent >= PATIENCE);
        (model, _) = update(model, Event::Silent(silent));
    }
}

/// What the terminal tells the model.
fn told(input: Input) -> Event {
    match input {
        Input::Key(key) => Event::Key(key),
        Input::Resize(width, height) => Event::Resize(width, height),
        Input::Gone => Event::Stop,
    }
}
