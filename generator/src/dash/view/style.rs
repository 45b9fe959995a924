//! What things look like, with colour and without (<https://no-color.org>).

use ratatui::style::{Color, Modifier, Style};

/// What a text is to its reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tone {
    Plain,
    Strong,
    Faint,
    Good,
    Passing,
    Resting,
    Bad,
}

/// The style of a tone.
pub(super) fn of(tone: Tone, colour: bool) -> Style {
    let painted = |with: Color| {
        if colour {
            Style::new().fg(with)
        } else {
            Style::new()
        }
    };
    match tone {
        Tone::Plain => Style::new(),
        Tone::Strong => Style::new().add_modifier(Modifier::BOLD),
        Tone::Faint => Style::new().add_modifier(Modifier::DIM),
        Tone::Good => painted(Color::Green),
        Tone::Passing => painted(Color::Yellow),
        Tone::Resting => painted(Color::Cyan),
        Tone::Bad => painted(Color::Red).add_modifier(Modifier::BOLD),
    }
}

/// The tone of a state.
pub(super) fn tone(state: &str) -> Tone {
    match state {
        "running" | "serving" | "idling" => Tone::Good,
        "booting" | "draining" => Tone::Passing,
        "asleep" => Tone::Resting,
        "not up" | "disabled" | "ended" => Tone::Faint,
        _ => Tone::Bad,
    }
}

pub(super) fn title(colour: bool) -> Style {
    of(Tone::Strong, colour).add_modifier(Modifier::REVERSED)
}

pub(super) fn selected() -> Style {
    Style::new().add_modifier(Modifier::REVERSED)
}
