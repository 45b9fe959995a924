//! What the dashboard does to the terminal. Must not know what is drawn.

use std::io::{self, Stdout};

use crossterm::{clipboard::CopyToClipboard, execute};
use ratatui::{
    Frame, Terminal,
    backend::CrosstermBackend,
    layout::{Position, Rect},
};

use super::DashError;
use crate::terminal::WholeTerminal;

/// The terminal, as long as it is the dashboard's.
pub(super) struct Screen {
    terminal: Terminal<CrosstermBackend<Stdout>>,
    whole: WholeTerminal,
}

impl Screen {
    /// Takes the terminal, as [`WholeTerminal::take`] does.
    pub(super) fn open(stop: impl Fn() + Send + Sync + 'static) -> io::Result<Self> {
        let whole = WholeTerminal::take(stop)?;
        Ok(Self {
            terminal: Terminal::new(CrosstermBackend::new(io::stdout()))?,
            whole,
        })
    }

    /// Its width and height.
    pub(super) fn size(&self) -> Result<(u16, u16), DashError> {
        let size = self.terminal.size().map_err(DashError::Terminal)?;
        Ok((size.width, size.height))
    }

    /// Leaves the terminal to others until this job goes on, as [`WholeTerminal::suspend`] does.
    pub(super) fn suspend(&mut self) -> Result<(), DashError> {
        self.whole.suspend().map_err(DashError::Terminal)?;
        self.forget()
    }

    /// Takes the terminal from those who had it while this job was stopped.
    pub(super) fn take_again(&mut self) -> Result<(), DashError> {
        self.whole.take_again().map_err(DashError::Terminal)?;
        self.forget()
    }

    /// The next picture is drawn as a whole.
    fn forget(&mut self) -> Result<(), DashError> {
        // `Terminal::clear` would ask for the cursor's place, and the answer come among the keys.
        let size = self.terminal.size().map_err(DashError::Terminal)?;
        let area = Rect::from((Position::ORIGIN, size));
        self.terminal.resize(area).map_err(DashError::Terminal)
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
