//! The terminal while one command has the whole of it, and how it is given back: by every return,
//! and by a panic, which ends a release build without one. Must not know what is drawn.

use std::{
    io::{self, IsTerminal},
    panic,
    sync::mpsc::Sender,
    thread,
};

use crossterm::{
    cursor::{Hide, Show},
    event::{self, Event, KeyEvent},
    execute,
    terminal::{
        EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
        is_raw_mode_enabled,
    },
};
use rustix::process::{Signal, kill_current_process_group};

use crate::output::is_dumb;

/// Whether somebody can see what is drawn here, and has keys.
pub(crate) fn is_there() -> bool {
    io::stdin().is_terminal() && io::stdout().is_terminal() && !is_dumb()
}

/// The terminal's other screen, without a cursor, with keys that come at once and do not show. The
/// terminal is as it was when this is dropped.
#[derive(Debug)]
pub(crate) struct WholeTerminal(());

impl WholeTerminal {
    /// Takes the terminal. A panic in whatever thread gives it back before it is told, and does this
    /// where it does not end the process.
    pub(crate) fn take(stop: impl Fn() + Send + Sync + 'static) -> io::Result<Self> {
        let tell = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            give_back();
            stop();
            tell(panic);
        }));
        let whole = Self(());
        whole.take_again()?;
        Ok(whole)
    }

    /// Gives the terminal back and stops this job, as Ctrl-Z does to one that has not taken it. It
    /// returns when the job goes on, or at once where nobody could let it go on.
    pub(crate) fn suspend(&self) -> io::Result<()> {
        give_back();
        kill_current_process_group(Signal::TSTP)?;
        self.take_again()
    }

    /// Takes the terminal from whoever had it while this job was stopped. Nothing is left of what
    /// was drawn.
    #[expect(clippy::unused_self, reason = "only who has the terminal may do it")]
    pub(crate) fn take_again(&self) -> io::Result<()> {
        // It may be another mode that the terminal has now than the one that it was given.
        disable_raw_mode()?;
        enable_raw_mode()?;
        execute!(io::stdout(), EnterAlternateScreen, Hide)
    }
}

impl Drop for WholeTerminal {
    fn drop(&mut self) {
        give_back();
    }
}

/// As good as it goes: there may be no terminal any more. The second time there is nothing to do,
/// and what was printed since the first stays.
fn give_back() {
    if is_raw_mode_enabled().unwrap_or(true) {
        drop(execute!(io::stdout(), Show, LeaveAlternateScreen));
        drop(disable_raw_mode());
    }
}

/// What the terminal tells.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Input {
    Key(KeyEvent),
    /// It has so many columns and rows now.
    Resize(u16, u16),
    /// There is no terminal any more.
    Gone,
}

/// Passes on what the terminal tells, from a thread that ends with the process, or after it has
/// told that the terminal is gone.
pub(crate) fn listen<E: Send + 'static>(events: Sender<E>, event: fn(Input) -> Option<E>) {
    thread::spawn(move || {
        loop {
            let input = match event::read() {
                Ok(Event::Key(key)) => Input::Key(key),
                Ok(Event::Resize(columns, rows)) => Input::Resize(columns, rows),
                Ok(Event::Paste(_) | Event::Mouse(_) | Event::FocusGained | Event::FocusLost) => {
                    continue;
                }
                Err(_) => Input::Gone,
            };
            let sent = event(input).map_or(Ok(()), |event| events.send(event));
            if sent.is_err() || matches!(input, Input::Gone) {
                return;
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use std::{env, process::Command};

    use super::*;

    /// Set where this test is on a terminal.
    const ON_TERMINAL: &str = "DOZE_TEST_ON_TERMINAL";

    #[test]
    fn a_panic_gives_the_terminal_back_before_it_is_told() {
        if env::var_os(ON_TERMINAL).is_some() {
            let _whole = WholeTerminal::take(|| ()).unwrap();
            panic!("the picture is torn");
        }
        let me = env::current_exe().unwrap();
        let name = "terminal::tests::a_panic_gives_the_terminal_back_before_it_is_told";
        let line = format!("'{}' --exact {name} --nocapture", me.display());
        let mut script = Command::new("/usr/bin/script");
        script.args(["--quiet", "--command", &line, "/dev/null"]);
        let said = script.env(ON_TERMINAL, "1").output().unwrap().stdout;
        let said = String::from_utf8(said).unwrap();
        let (_, taken) = said.split_once("\x1b[?1049h\x1b[?25l").unwrap();
        let (_, given_back) = taken.split_once("\x1b[?25h\x1b[?1049l").unwrap();
        assert!(given_back.contains("the picture is torn\r\n"), "{said:?}");
        assert!(
            !given_back.contains("\x1b["),
            "it is given back once: {said:?}"
        );
    }
}
