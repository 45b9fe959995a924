//! Pictures of states, at several sizes.

use std::time::Duration;

use doze_contract::InstanceName;
use ratatui::{Terminal, backend::TestBackend, style::Color};

use super::*;
use crate::dash::{
    model::{Event, update},
    sample::{Manager, Sample},
};
use crate::look::HeldBy;

fn name(text: &str) -> InstanceName {
    InstanceName::new(text).unwrap()
}

fn instance(engine: &str, name: &str, state: &'static str) -> look::Row {
    look::Row {
        endpoints: vec!["127.0.0.1:5432".parse().unwrap()],
        url: Some(format!("postgres://{name}:secret@127.0.0.1:5432/{name}")),
        ..look::Row::example(name, engine, state)
    }
}

/// A project of which everything is known, after some samples.
fn shop(size: (u16, u16)) -> Model {
    let mut model = Model::new("shop".into(), false, size);
    for look in 0..40_u32 {
        let mut app = instance("postgres", "app", "serving");
        app.connections = 3 + look as usize % 4;
        app.holds = 1;
        app.boot_ms = Some(184);
        app.memory_bytes = Some((20 + u64::from(look)) << 20);
        app.cpu_percent = Some(f64::from(look * 7 % 50));
        app.up = Some(Duration::from_secs(3_725));
        let mut reports = instance("postgres", "reports", "idling");
        (reports.sleeps_in_ms, reports.memory_bytes) = (Some(250_000), Some(20 << 20));
        let mut broken = instance("valkey", "sessions", "failed");
        broken.memory_bytes = Some(1 << 20);
        broken.error = Some("valkey-server ended with status 1: cannot open the log".into());
        let sample = Sample {
            held_by: HeldBy::Systemd,
            manager: Manager::Fine,
            trouble: None,
            instances: vec![
                app,
                reports,
                instance("valkey", "cache", "asleep"),
                instance(
                    "valkey",
                    "日本語-キャッシュ-with-a-name-that-does-not-end",
                    "not up",
                ),
                broken,
            ],
        };
        (model, _) = update(model, Event::Sample(sample));
    }
    let lines = (0..60).map(|line| format!("12:00:{line:02} app says something, 日本語 too"));
    let (model, _) = update(model, Event::Log(name("app"), lines.collect()));
    model
}

fn typed(mut model: Model, keys: &str) -> Model {
    use crossterm::event::{KeyCode, KeyEvent};
    for key in keys.chars() {
        (model, _) = update(model, Event::Key(KeyEvent::from(KeyCode::Char(key))));
    }
    model
}

fn drawn(model: &Model) -> Terminal<TestBackend> {
    let (width, height) = model.size;
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| draw(model, frame)).unwrap();
    terminal
}

fn picture(model: &Model) -> String {
    drawn(model).backend().to_string()
}

#[test]
fn at_80_by_24() {
    insta::assert_snapshot!(picture(&shop((80, 24))));
}

#[test]
fn at_160_by_50() {
    insta::assert_snapshot!(picture(&shop((160, 50))));
}

#[test]
fn at_the_smallest_size() {
    insta::assert_snapshot!(picture(&typed(shop(SMALLEST), "G")));
}

#[test]
fn a_smaller_terminal_is_told_so() {
    let (width, height) = SMALLEST;
    for size in [(width - 1, height), (width, height - 1), (20, 10)] {
        let picture = picture(&shop(size));
        assert!(picture.contains("dashboard"), "{picture}");
    }
    for size in [(1, 1), (1, 50), (200, 1), (0, 0)] {
        drawn(&shop(size));
    }
}

#[test]
fn help_lies_over_it() {
    insta::assert_snapshot!(picture(&typed(shop((80, 24)), "?")));
}

#[test]
fn a_full_log_is_scrolled() {
    insta::assert_snapshot!(picture(&typed(shop((80, 24)), "lgjj")));
}

#[test]
fn a_filter_and_a_question_stand_at_the_foot() {
    let filtered = picture(&typed(shop((80, 24)), "/cache"));
    assert!(filtered.contains("/cache▏"), "{filtered}");
    assert!(!filtered.contains("reports"), "{filtered}");
    let asked = picture(&typed(shop((80, 24)), "R"));
    assert!(
        asked.contains("Restart `app`? 6 clients are cut off."),
        "{asked}"
    );
}

#[test]
fn no_state_shows_a_password() {
    for keys in ["", "j", "y", "l", "?", "/app", "R"] {
        let picture = picture(&typed(shop((160, 50)), keys));
        assert!(!picture.contains("secret"), "{keys}: {picture}");
    }
}

#[test]
fn before_the_first_sample_and_without_instances() {
    let empty = Model::new("shop".into(), false, (80, 24));
    assert!(picture(&empty).contains("looking …"));
    let sample = Sample {
        held_by: HeldBy::Nobody,
        manager: Manager::Broken("no".into()),
        trouble: None,
        instances: Vec::new(),
    };
    let (empty, _) = update(empty, Event::Sample(sample));
    let picture = picture(&empty);
    assert!(picture.contains("doze.toml declares none"), "{picture}");
    assert!(picture.contains("does not answer: no"), "{picture}");
}

#[test]
fn there_is_no_colour_where_none_is_wanted() {
    let has_colour = |model: &Model| {
        let terminal = drawn(model);
        let mut cells = terminal.backend().buffer().content().iter();
        cells.any(|cell| cell.fg != Color::Reset || cell.bg != Color::Reset)
    };
    let mut model = shop((80, 24));
    assert!(!has_colour(&model));
    model.colour = true;
    assert!(has_colour(&model));
}
