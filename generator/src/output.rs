//! What goes to the terminal, and how it looks there.

use std::{
    env,
    fmt::{self, Display},
    io::{self, IsTerminal, Write},
};

use rustix::termios::{Winsize, tcgetwinsize};
use serde::Serialize;

/// Colours, on a terminal that wants them (<https://no-color.org>).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Paint(bool);

impl Paint {
    /// For standard output.
    pub(crate) fn stdout() -> Self {
        Self(wanted(&io::stdout()))
    }

    /// For standard error.
    pub(crate) fn stderr() -> Self {
        Self(wanted(&io::stderr()))
    }

    /// Without colours.
    #[cfg(test)]
    pub(crate) fn none() -> Self {
        Self(false)
    }

    /// Whether there is colour at all.
    pub(crate) fn is_on(self) -> bool {
        self.0
    }

    pub(crate) fn bold(self, text: impl Display) -> String {
        self.style("1", text)
    }

    pub(crate) fn dim(self, text: impl Display) -> String {
        self.style("2", text)
    }

    pub(crate) fn red(self, text: impl Display) -> String {
        self.style("31", text)
    }

    pub(crate) fn yellow(self, text: impl Display) -> String {
        self.style("33", text)
    }

    pub(crate) fn style(self, code: &str, text: impl Display) -> String {
        if self.0 {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_string()
        }
    }
}

fn wanted(stream: &impl IsTerminal) -> bool {
    let no_color = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    stream.is_terminal() && !no_color && !is_dumb()
}

/// Whether the terminal has nothing but lines that scroll.
pub(crate) fn is_dumb() -> bool {
    env::var_os("TERM").is_some_and(|term| term == "dumb")
}

/// How wide the terminal at standard output is, in columns; nothing if there is none.
pub(crate) fn columns() -> Option<usize> {
    size().map(|size| size.ws_col.into())
}

/// How high it is, in rows.
pub(crate) fn rows() -> Option<usize> {
    size().map(|size| size.ws_row.into())
}

fn size() -> Option<Winsize> {
    // One that does not know says 0.
    let size = tcgetwinsize(io::stdout()).ok();
    size.filter(|size| size.ws_col > 0 && size.ws_row > 0)
}

/// Prints to standard output.
pub(crate) fn print(text: fmt::Arguments<'_>) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_fmt(text)?;
    stdout.flush()
}

/// Prints lines to standard output.
pub(crate) fn print_lines(lines: &[String]) -> io::Result<()> {
    let text: String = lines.iter().flat_map(|line| [line, "\n"]).collect();
    print(format_args!("{text}"))
}

/// Prints a value as JSON to standard output.
pub(crate) fn print_json(value: &impl Serialize) -> io::Result<()> {
    let text = serde_json::to_string_pretty(value)?;
    print(format_args!("{text}\n"))
}

/// Prints to standard error. If that is gone there is nobody to tell.
pub(crate) fn complain(text: fmt::Arguments<'_>) {
    drop(io::stderr().lock().write_fmt(text));
}

/// A text of somebody else as it may stand on a terminal: control characters would move the cursor,
/// or worse. Line breaks stay.
pub(crate) fn harmless(text: &str) -> String {
    let shown = |c: char| {
        if c.is_control() && c != '\n' {
            char::REPLACEMENT_CHARACTER
        } else {
            c
        }
    };
    text.chars().map(shown).collect()
}

/// Three digits at most, in the units of free(1).
pub(crate) fn bytes(bytes: u64) -> String {
    let mebibytes = u32::try_from(bytes / (1024 * 1024 / 10)).unwrap_or(u32::MAX);
    let mebibytes = f64::from(mebibytes) / 10.0;
    match mebibytes {
        ..9.95 => format!("{mebibytes:.1} MiB"),
        ..999.5 => format!("{mebibytes:.0} MiB"),
        _ => format!("{:.1} GiB", mebibytes / 1024.0),
    }
}

/// Two digits at least.
pub(crate) fn percent(percent: f64) -> String {
    if percent < 9.95 {
        format!("{percent:.1}%")
    } else {
        format!("{percent:.0}%")
    }
}

/// Columns that are as wide as their widest cell, two blanks apart. The first row is the head.
pub(crate) fn table(
    rows: &[Vec<String>],
    paint: Paint,
    colour: impl Fn(&str) -> Option<&'static str>,
) -> Vec<String> {
    let width = |text: &String| text.chars().count();
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns)
        .map(|column| {
            rows.iter()
                .filter_map(|row| row.get(column))
                .map(width)
                .max()
                .unwrap_or(0)
        })
        .collect();
    let line = |(number, row): (usize, &Vec<String>)| {
        let cell = |(cell, wide): (&String, &usize)| {
            let painted = match colour(cell) {
                _ if number == 0 => paint.dim(cell),
                Some(code) => paint.style(code, cell),
                None => cell.clone(),
            };
            painted + &" ".repeat(wide - width(cell) + 2)
        };
        let cells: String = row.iter().zip(&widths).map(cell).collect();
        cells.trim_end().to_owned()
    };
    rows.iter().enumerate().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_say_does_not_move_the_cursor() {
        assert_eq!(
            harmless("stolen\x1b[2J\r\u{9b}1A\nü"),
            "stolen\u{fffd}[2J\u{fffd}\u{fffd}1A\nü"
        );
    }
}
