//! What keys do. Must not know how what they do is done.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a key that is none of these does nothing"
)]

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use doze_contract::InstanceName;

use super::{Command, Focus, Mode, Model, Verb};

/// How far a page key goes.
const PAGE: usize = 10;

/// The keys of browsing with their meanings, for the help.
pub(in crate::dash) const HELP: [(&str, &str); 14] = [
    ("↑ ↓  j k", "move"),
    ("g G", "to the first, to the last"),
    ("tab", "from the list to the log, and back"),
    ("/", "only what has it in its name, engine, state"),
    ("esc", "show all again"),
    ("enter  w", "wake"),
    ("s", "put to sleep"),
    ("R", "restart"),
    ("y", "copy the URL"),
    ("l", "the log on the whole screen, and back"),
    ("r", "look again now, and read doze.toml again"),
    ("?", "this"),
    ("q  ctrl-c", "leave; ctrl-z leaves until `fg`"),
    ("", "A password is copied, but not shown."),
];

/// A step of a selection or of a log.
#[derive(Debug, Clone, Copy)]
enum Step {
    Up(usize),
    Down(usize),
    First,
    Last,
}

pub(super) fn press(model: &mut Model, key: KeyEvent) -> Vec<Command> {
    if key.modifiers.contains(KeyModifiers::CONTROL) {
        match key.code {
            KeyCode::Char('c') => return vec![Command::Quit],
            KeyCode::Char('z') => return vec![Command::Suspend],
            _ => {}
        }
    }
    model.notice = None;
    match model.mode.clone() {
        Mode::Filter => filter(model, key.code),
        Mode::Confirm(name) => {
            model.mode = Mode::Browse;
            if key.code == KeyCode::Char('y') {
                return model.act(Verb::Restart, name);
            }
            model.say(format!("`{name}` goes on"), false);
            Vec::new()
        }
        // Whatever it is, it closes the help.
        Mode::Help => {
            model.mode = Mode::Browse;
            Vec::new()
        }
        Mode::FullLog if matches!(key.code, KeyCode::Char('l') | KeyCode::Esc) => {
            model.mode = Mode::Browse;
            model.log_up = model.log_up.min(model.log_most_up());
            Vec::new()
        }
        Mode::FullLog | Mode::Browse => browse(model, key),
    }
}

fn browse(model: &mut Model, key: KeyEvent) -> Vec<Command> {
    if !(key.modifiers - KeyModifiers::SHIFT).is_empty() {
        return Vec::new();
    }
    if let Some(step) = step(key.code) {
        return if model.focus == Focus::Log || model.mode == Mode::FullLog {
            scroll(model, step);
            Vec::new()
        } else {
            go(model, step)
        };
    }
    let KeyCode::Char(key) = key.code else {
        return match key.code {
            KeyCode::Esc => {
                model.filter.clear();
                model.reselect()
            }
            KeyCode::Tab | KeyCode::BackTab => {
                model.focus = match model.focus {
                    Focus::List => Focus::Log,
                    Focus::Log => Focus::List,
                };
                Vec::new()
            }
            KeyCode::Enter => on_selected(model, 'w'),
            _ => Vec::new(),
        };
    };
    match key {
        'q' => vec![Command::Quit],
        'r' => vec![Command::Look],
        '?' => {
            model.mode = Mode::Help;
            Vec::new()
        }
        '/' => {
            model.mode = Mode::Filter;
            model.focus = Focus::List;
            Vec::new()
        }
        other => on_selected(model, other),
    }
}

/// The keys that are about one instance.
fn on_selected(model: &mut Model, key: char) -> Vec<Command> {
    let Some(name) = model.selected.clone() else {
        return Vec::new();
    };
    match key {
        'w' => model.act(Verb::Wake, name),
        's' => model.act(Verb::Sleep, name),
        'R' => {
            model.mode = Mode::Confirm(name);
            Vec::new()
        }
        'l' => {
            model.mode = Mode::FullLog;
            Vec::new()
        }
        'y' => copy(model, &name),
        _ => Vec::new(),
    }
}

fn copy(model: &mut Model, name: &InstanceName) -> Vec<Command> {
    let url = model.instance().and_then(|instance| instance.url.clone());
    let Some(url) = url else {
        model.say(format!("`{name}` has no URL"), true);
        return Vec::new();
    };
    let told = format!("the URL of `{name}` is in the clipboard, if the terminal has OSC 52");
    model.say(told, false);
    vec![Command::Copy(url)]
}

fn filter(model: &mut Model, key: KeyCode) -> Vec<Command> {
    match key {
        KeyCode::Esc => {
            model.filter.clear();
            model.mode = Mode::Browse;
        }
        KeyCode::Enter => model.mode = Mode::Browse,
        KeyCode::Backspace => drop(model.filter.pop()),
        KeyCode::Char(c) => model.filter.push(c),
        KeyCode::Up => return go(model, Step::Up(1)),
        KeyCode::Down => return go(model, Step::Down(1)),
        _ => {}
    }
    model.reselect()
}

fn step(key: KeyCode) -> Option<Step> {
    match key {
        KeyCode::Up | KeyCode::Char('k') => Some(Step::Up(1)),
        KeyCode::Down | KeyCode::Char('j') => Some(Step::Down(1)),
        KeyCode::PageUp => Some(Step::Up(PAGE)),
        KeyCode::PageDown => Some(Step::Down(PAGE)),
        KeyCode::Home | KeyCode::Char('g') => Some(Step::First),
        KeyCode::End | KeyCode::Char('G') => Some(Step::Last),
        _ => None,
    }
}

fn go(model: &mut Model, step: Step) -> Vec<Command> {
    let names: Vec<_> = model.visible().map(|found| found.name.clone()).collect();
    let is_selected = |name: &InstanceName| Some(name) == model.selected.as_ref();
    let at = names.iter().position(is_selected).unwrap_or(0);
    let last = names.len().saturating_sub(1);
    let to = match step {
        Step::Up(by) => at.saturating_sub(by),
        Step::Down(by) => at.saturating_add(by).min(last),
        Step::First => 0,
        Step::Last => last,
    };
    model.select(names.into_iter().nth(to))
}

fn scroll(model: &mut Model, step: Step) {
    let most = model.log_most_up();
    model.log_up = match step {
        Step::Up(by) => model.log_up.saturating_add(by).min(most),
        Step::Down(by) => model.log_up.saturating_sub(by),
        Step::First => most,
        Step::Last => 0,
    };
}
