//! The picture of the selected instance.

use std::{collections::VecDeque, time::Duration};

use doze_contract::duration;
use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    text::{Line, Span},
    widgets::{Paragraph, Sparkline, Wrap},
};

use super::{
    pane,
    style::{self, Tone, of},
};
use crate::dash::{
    model::{History, Model},
    sample::{glyph, without_password},
};
use crate::{
    look,
    output::{bytes, percent},
};

/// The width of what values are called, and of those that have a curve.
const LABEL: u16 = 11;
const VALUE: u16 = 10;

/// The height of a curve at most.
const CURVE: u16 = 4;

/// A row of the card.
struct Row<'a> {
    label: &'static str,
    value: Line<'a>,
    /// Its past, the newest first, and the smallest value that is drawn as high as it goes.
    curve: Option<(&'a VecDeque<u64>, u64)>,
    height: u16,
}

impl<'a> Row<'a> {
    fn new(label: &'static str, value: impl Into<Line<'a>>) -> Self {
        Self {
            label,
            value: value.into(),
            curve: None,
            height: 1,
        }
    }
}

pub(super) fn draw(model: &Model, frame: &mut Frame<'_>, area: Rect) {
    let Some(instance) = model.instance() else {
        pane(model, frame, area, "no instance", false);
        return;
    };
    let version = instance.version.iter().map(|version| format!(" {version}"));
    let engine = &instance.engine;
    let title = format!("{}: {engine}{}", instance.name, version.collect::<String>());
    let inner = pane(model, frame, area, &title, false);
    let mut rows = rows(model, instance, inner.width.saturating_sub(LABEL));
    let high: u16 = rows.iter().map(|row| row.height).sum();
    let curves = rows.iter_mut().filter(|row| row.curve.is_some());
    for row in curves {
        row.height = (1 + inner.height.saturating_sub(high) / 3).min(CURVE);
    }
    let mut rest = inner;
    for row in &rows {
        let [place, below] =
            Layout::vertical([Constraint::Length(row.height), Constraint::Fill(1)]).areas(rest);
        show(model, row, frame, place);
        rest = below;
    }
}

fn show(model: &Model, row: &Row<'_>, frame: &mut Frame<'_>, place: Rect) {
    let [label, value] =
        Layout::horizontal([Constraint::Length(LABEL), Constraint::Fill(1)]).areas(place);
    let faint = of(Tone::Faint, model.colour);
    frame.render_widget(Span::styled(format!(" {}", row.label), faint), label);
    let Some((past, least)) = row.curve else {
        let text = Paragraph::new(row.value.clone());
        frame.render_widget(text.wrap(Wrap { trim: true }), value);
        return;
    };
    let [value, curve] =
        Layout::horizontal([Constraint::Length(VALUE), Constraint::Fill(1)]).areas(value);
    frame.render_widget(row.value.clone(), value);
    let wide = usize::from(curve.width);
    let most = past.iter().take(wide).max().copied().unwrap_or(0);
    // The newest stands at the right.
    let line = Sparkline::default()
        .data(past.iter().take(wide))
        .direction(ratatui::widgets::RenderDirection::RightToLeft)
        .max(most.max(least))
        .style(of(Tone::Good, model.colour));
    frame.render_widget(line, curve);
}

/// The most important ones first, for the last do not fit a small screen.
fn rows<'a>(model: &'a Model, instance: &'a look::Row, wide: u16) -> Vec<Row<'a>> {
    let tone = of(style::tone(instance.state), model.colour);
    let mut rows = vec![Row::new(
        "state",
        Span::styled(
            format!("{} {}", glyph(instance.state), instance.state),
            tone,
        ),
    )];
    if let Some(error) = &instance.error {
        let bad = of(Tone::Bad, model.colour);
        let mut row = Row::new("error", Line::styled(error.as_str(), bad));
        let lines = row.value.width().div_ceil(usize::from(wide.max(1)));
        row.height = u16::try_from(lines).unwrap_or(u16::MAX).clamp(1, 3);
        rows.push(row);
    }
    if let Some(url) = &instance.url {
        rows.push(Row::new("url", without_password(url)));
    }
    let places = instance.places();
    if !places.is_empty() {
        rows.push(Row::new("endpoint", places));
    }
    let history = model.history.get(&instance.name);
    rows.push(curve(
        "clients",
        instance.connections.to_string(),
        history.map(|history| (&history.clients, 4)),
    ));
    let dash = || "-".to_owned();
    rows.push(curve(
        "memory",
        instance.memory_bytes.map_or_else(dash, bytes),
        history.map(|history: &History| (&history.memory, 1024 * 1024)),
    ));
    rows.push(curve(
        "cpu",
        instance.cpu_percent.map_or_else(dash, percent),
        history.map(|history| (&history.cpu, 100)),
    ));
    rows.push(Row::new("sleeps in", sleeps_in(instance)));
    rows.push(Row::new("holds", instance.holds.to_string()));
    rows.push(Row::new("up", up(instance)));
    rows.push(Row::new("data", instance.data.as_str()));
    rows
}

fn curve<'a>(
    label: &'static str,
    value: String,
    past: Option<(&'a VecDeque<u64>, u64)>,
) -> Row<'a> {
    Row {
        curve: past,
        ..Row::new(label, value)
    }
}

fn sleeps_in(instance: &look::Row) -> String {
    match instance.sleeps_in_ms {
        Some(left) => duration::show(Duration::from_millis(left)),
        None if instance.is_awake() => "not as long as it is needed".into(),
        None => "-".into(),
    }
}

fn up(instance: &look::Row) -> String {
    // Below that nobody can read it.
    let seconds = |up: Duration| Duration::from_secs(up.as_secs().max(1));
    let up = instance.up.map(|up| duration::show(seconds(up)));
    let boot = instance
        .boot_ms
        .map(|boot| format!("ready after {boot} ms"));
    match (up, boot) {
        (Some(up), Some(boot)) => format!("{up}, {boot}"),
        (Some(only), None) | (None, Some(only)) => only,
        (None, None) => "-".into(),
    }
}
