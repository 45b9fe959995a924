//! The terminal while the dashboard has it, and how it is given back: by every return, and by a
//! panic. Must not know what is drawn.

use std::{
    io::{self, Stdout},
    panic,
    sync::mpsc::Sender,
};

use crossterm::{
    clipboard::CopyToClipboard,
    cursor::Show,
    execute,
    terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode},
};
use ratatui::{Frame, Terminal, backend::CrosstermBackend};

use super::{DashError, model::Event};

/// The alternate screen of the terminal, in raw mode. The terminal is as it was when this is
/// dropped.
pub(super) struct Screen {
    terminal: Terminal<CrosstermBackend<Stdout>>,
    _restore: Restore,
}

/// Gives the terminal back.
struct Restore;

impl Drop for Restore {
    fn drop(&mut self) {
        restore();
    }
}

impl Screen {
    /// Takes the terminal. A panic in whatever thread gives it back before it is told, and is an
    /// [`Event::Stop`] where it does not end the process.
    pub(super) fn open(events: Sender<Event>) -> io::Result<Self> {
        let tell = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            restore();
            drop(events.send(Event::Stop));
            tell(panic);
        }));
        let restore = Restore;
        enable_raw_mode()?;
        execute!(io::stdout(), EnterAlternateScreen)?;
        Ok(Self {
            terminal: Terminal::new(CrosstermBackend::new(io::stdout()))?,
            _restore: restore,
        })
    }

    /// Its width and height.
    pub(super) fn size(&self) -> Result<(u16, u16), DashError> {
        let size = self.terminal.size().map_err(DashError::Terminal)?;
        Ok((size.width, size.height))
    }

    pub(super) fn draw(&mut self, view: impl FnOnce(&mut Frame<'_>)) -> Result<(), DashError> {
        let drawn = self.terminal.draw(view);
        drawn.map(drop).map_err(DashError::Terminal)
    }

    /// Asks the terminal to put a text into the clipboard (OSC 52); it does not say whether it did.
    #[expect(
        clippy::unused_self,
        reason = "only who has the screen may write to it"
    )]
    pub(super) fn copy(&mut self, text: &str) -> Result<(), DashError> {
        execute!(io::stdout(), CopyToClipboard::to_clipboard_from(text))
            .map_err(DashError::Terminal)
    }
}

/// As good as it goes: there may be no terminal any more.
fn restore() {
    drop(disable_raw_mode());
    drop(execute!(io::stdout(), LeaveAlternateScreen, Show));
}
