//! A picture of the state. Must not know how the state changes.

mod card;
mod style;

use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    text::{Line, Span, Text},
    widgets::{Block, Clear, Paragraph, Wrap},
};

use self::style::{Tone, of};
use super::{
    layout::{self, SMALLEST},
    model::{Focus, HELP, Mode, Model},
    sample::glyph,
};
use crate::look;

/// The keys that the footer names.
const KEYS: &str = "? help  q quit  ↑↓ move  ↵ wake  s sleep  R restart  y copy  l log  / filter";

/// Draws the whole screen.
pub(super) fn draw(model: &Model, frame: &mut Frame<'_>) {
    let screen = frame.area();
    let Some(areas) = layout::areas(screen, model.mode == Mode::FullLog) else {
        let (width, height) = SMALLEST;
        let text = format!(
            "This terminal has {} columns and {} rows; the dashboard needs {width} and {height}. \
             q leaves.",
            screen.width, screen.height
        );
        frame.render_widget(Paragraph::new(text).wrap(Wrap { trim: true }), screen);
        return;
    };
    header(model, frame, areas.header);
    if model.mode != Mode::FullLog {
        list(model, frame, areas.list);
        card::draw(model, frame, areas.card);
    }
    log(model, frame, areas.log);
    footer(model, frame, areas.footer);
    if model.mode == Mode::Help {
        help(model, frame, screen);
    }
}

fn header(model: &Model, frame: &mut Frame<'_>, area: Rect) {
    let colour = model.colour;
    let (about, is_bad) = match (&model.sample, model.silent) {
        (_, Some(silent)) => (
            format!("nothing was heard for {} s", silent.as_secs()),
            true,
        ),
        (None, None) => ("looking …".into(), false),
        (Some(sample), None) => match &sample.trouble {
            Some(trouble) => (trouble.clone(), true),
            None => sample.holder(model.lost),
        },
    };
    let instances = model.sample.iter().flat_map(|sample| &sample.instances);
    let awake = instances.clone().filter(|found| found.is_awake());
    let tone = if is_bad { Tone::Bad } else { Tone::Faint };
    let count = instances.clone().count();
    let line = Line::from(vec![
        Span::styled(format!(" {} ", model.project), style::title(colour)),
        Span::raw(format!("  {} of {count} awake  ", awake.count())),
        Span::styled(about, of(tone, colour)),
    ]);
    frame.render_widget(line, area);
}

/// A row of the list.
enum Row<'a> {
    Engine(&'a str),
    Instance(&'a look::Row),
}

fn list(model: &Model, frame: &mut Frame<'_>, area: Rect) {
    let title = match (model.filter.as_str(), &model.mode) {
        ("", Mode::Browse | Mode::Confirm(_) | Mode::Help | Mode::FullLog) => "instances".into(),
        (filter, _) => format!("instances: {filter}"),
    };
    let inner = pane(model, frame, area, &title, model.focus == Focus::List);
    let mut rows = Vec::new();
    for instance in model.visible() {
        let known = rows.iter().rev().find_map(|row| match row {
            Row::Engine(engine) => Some(*engine),
            Row::Instance(_) => None,
        });
        if known != Some(instance.engine.as_str()) {
            rows.push(Row::Engine(&instance.engine));
        }
        rows.push(Row::Instance(instance));
    }
    if rows.is_empty() && model.sample.is_some() {
        let text = if model.filter.is_empty() {
            "doze.toml declares none"
        } else {
            "none; esc shows all"
        };
        frame.render_widget(text, inner);
    }
    let is_selected = |row: &Row<'_>| match row {
        Row::Engine(_) => false,
        Row::Instance(instance) => Some(&instance.name) == model.selected.as_ref(),
    };
    let height = usize::from(inner.height);
    let at = rows.iter().position(is_selected).unwrap_or(0);
    let first = at
        .saturating_sub(height / 2)
        .min(rows.len().saturating_sub(height));
    for (line, row) in inner.rows().zip(rows.iter().skip(first)) {
        match row {
            Row::Engine(engine) => {
                frame.render_widget(Span::styled(*engine, of(Tone::Faint, model.colour)), line);
            }
            Row::Instance(instance) => {
                entry(model, instance, is_selected(row), frame, line);
            }
        }
    }
}

fn entry(model: &Model, instance: &look::Row, selected: bool, frame: &mut Frame<'_>, area: Rect) {
    let tone = of(style::tone(instance.state), model.colour);
    let state = Span::styled(instance.state, tone);
    let wide = u16::try_from(state.width()).unwrap_or(area.width);
    // The name may be of any length and any width.
    let [left, _, right] = Layout::horizontal([
        Constraint::Fill(1),
        Constraint::Length(1),
        Constraint::Length(wide),
    ])
    .areas(area);
    let name = Line::from(vec![
        Span::styled(format!(" {} ", glyph(instance.state)), tone),
        Span::raw(instance.name.as_str()),
    ]);
    frame.render_widget(name, left);
    frame.render_widget(state, right);
    if selected {
        frame.buffer_mut().set_style(area, style::selected());
    }
}

fn log(model: &Model, frame: &mut Frame<'_>, area: Rect) {
    let title = match (&model.selected, model.log_up) {
        (None, _) => "log".into(),
        (Some(name), 0) => format!("log of {name}"),
        (Some(name), up) => format!("log of {name}, {up} lines up"),
    };
    let focused = model.focus == Focus::Log || model.mode == Mode::FullLog;
    let inner = pane(model, frame, area, &title, focused);
    let height = usize::from(inner.height);
    let end = model.log.len().saturating_sub(model.log_up);
    let start = end.saturating_sub(height);
    let lines = model.log.iter().skip(start).take(height);
    let text: Text<'_> = lines.map(|line| Line::raw(line.as_str())).collect();
    frame.render_widget(text, inner);
}

fn footer(model: &Model, frame: &mut Frame<'_>, area: Rect) {
    let colour = model.colour;
    let line = match (&model.mode, &model.notice) {
        (Mode::Filter, _) => Line::from(vec![
            Span::raw(format!(" /{}", model.filter)),
            Span::styled("▏", of(Tone::Strong, colour)),
            Span::styled("  enter keeps it, esc shows all", of(Tone::Faint, colour)),
        ]),
        (Mode::Confirm(name), _) => {
            let clients = model.instance().map_or(0, |instance| instance.connections);
            let cut = match clients {
                0 => String::new(),
                1 => " A client is cut off.".into(),
                more => format!(" {more} clients are cut off."),
            };
            let text = format!(" Restart `{name}`?{cut} y does, any other key does not.");
            Line::styled(text, of(Tone::Strong, colour))
        }
        (_, Some(notice)) => {
            let tone = if notice.is_bad {
                Tone::Bad
            } else {
                Tone::Plain
            };
            Line::styled(format!(" {}", notice.text), of(tone, colour))
        }
        (_, None) => Line::styled(format!(" {KEYS}"), of(Tone::Faint, colour)),
    };
    frame.render_widget(line, area);
}

fn help(model: &Model, frame: &mut Frame<'_>, screen: Rect) {
    let height = u16::try_from(HELP.len()).unwrap_or(screen.height);
    let area = screen.centered(
        Constraint::Length(SMALLEST.0),
        Constraint::Length(height.saturating_add(2)),
    );
    frame.render_widget(Clear, area);
    let inner = pane(model, frame, area, "keys", true);
    let line = |(keys, meaning): (&'static str, &'static str)| {
        Line::from(vec![
            Span::styled(format!(" {keys:<11}"), of(Tone::Strong, model.colour)),
            Span::raw(meaning),
        ])
    };
    let text: Text<'_> = HELP.into_iter().map(line).collect();
    frame.render_widget(text, inner);
}

/// A border with a title; what is inside it.
fn pane(model: &Model, frame: &mut Frame<'_>, area: Rect, title: &str, focused: bool) -> Rect {
    let tone = if focused { Tone::Strong } else { Tone::Faint };
    let block = Block::bordered()
        .border_style(of(tone, model.colour))
        .title(format!(" {title} "));
    let inner = block.inner(area);
    frame.render_widget(block, area);
    inner
}

#[cfg(test)]
#[path = "view/tests.rs"]
mod tests;
