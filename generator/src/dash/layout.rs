//! Where things are on a screen of some size. Must not know what stands there.

use ratatui::layout::{Constraint, Layout, Rect};

/// The smallest width and height that everything has a place in.
pub(super) const SMALLEST: (u16, u16) = (60, 16);

/// The parts of the screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Areas {
    pub(super) header: Rect,
    pub(super) list: Rect,
    pub(super) card: Rect,
    pub(super) log: Rect,
    pub(super) footer: Rect,
}

/// The parts; nothing if the screen is too small for them. A full log takes the place of the list
/// and the card.
pub(super) fn areas(screen: Rect, full_log: bool) -> Option<Areas> {
    if screen.width < SMALLEST.0 || screen.height < SMALLEST.1 {
        return None;
    }
    let [header, body, footer] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Fill(1),
        Constraint::Length(1),
    ])
    .areas(screen);
    let above = match body.height {
        _ if full_log => 0,
        // The card has this many lines.
        low @ ..28 => low.saturating_sub(5).min(14),
        high => high / 2,
    };
    let [above, log] =
        Layout::vertical([Constraint::Length(above), Constraint::Fill(1)]).areas(body);
    let left = (screen.width * 2 / 5).clamp(24, 44);
    let [list, card] =
        Layout::horizontal([Constraint::Length(left), Constraint::Fill(1)]).areas(above);
    Some(Areas {
        header,
        list,
        card,
        log,
        footer,
    })
}

impl Areas {
    /// How many lines of the log are seen.
    pub(super) fn log_lines(&self) -> usize {
        usize::from(self.log.height.saturating_sub(2))
    }
}
