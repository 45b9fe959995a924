//! What the dashboard does to the terminal. Must not know what is drawn.

use std::io::{self, Stdout};

use crossterm::{clipboard::CopyToClipboard, execute};
use ratatui::{Frame, Terminal, backend::CrosstermBackend};

use super::DashError;
use crate::terminal::WholeTerminal;

/// The terminal, as long as it is the dashboard's.
pub(super) struct Screen {
    terminal: Terminal<CrosstermBackend<Stdout>>,
    _whole: WholeTerminal,
}

impl Screen {
    /// Takes the terminal, as [`WholeTerminal::take`] does.
    pub(super) fn open(stop: impl Fn() + Send + Sync + 'static) -> io::Result<Self> {
        let whole = WholeTerminal::take(stop)?;
        Ok(Self {
            terminal: Terminal::new(CrosstermBackend::new(io::stdout()))?,
            _whole: whole,
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
