//! The model: every key, and what comes from outside.

use crossterm::event::{KeyCode, KeyModifiers};

use super::*;

fn name(text: &str) -> InstanceName {
    InstanceName::new(text).unwrap()
}

fn sample(instances: Vec<Row>) -> Sample {
    Sample {
        held_by: HeldBy::Systemd,
        manager: Manager::Fine,
        trouble: None,
        instances,
    }
}

/// The state with three instances.
fn three() -> Model {
    let model = Model::new("shop".into(), false, (80, 24));
    let mut app = Row::example("app", "postgres", "asleep");
    app.url = Some("postgres://app:secret@127.0.0.1/app".into());
    let all = vec![
        app,
        Row::example("logs", "postgres", "serving"),
        Row::example("cache", "valkey", "asleep"),
    ];
    let (model, commands) = update(model, Event::Sample(sample(all)));
    assert_eq!(commands, [Command::Watch(name("app"))]);
    model
}

fn press(model: Model, code: KeyCode) -> (Model, Vec<Command>) {
    update(model, Event::Key(KeyEvent::new(code, KeyModifiers::NONE)))
}

/// After some keys; what was to be done with the last of them.
fn typed(mut model: Model, keys: &str) -> (Model, Vec<Command>) {
    let mut last = Vec::new();
    for key in keys.chars() {
        (model, last) = press(model, KeyCode::Char(key));
    }
    (model, last)
}

fn selected(model: &Model) -> &str {
    model.selected.as_ref().map_or("", InstanceName::as_str)
}

fn notice(model: &Model) -> (&str, bool) {
    let notice = model.notice.as_ref();
    notice.map_or(("", false), |notice| (&notice.text, notice.is_bad))
}

#[test]
fn the_selection_moves_and_stops_at_both_ends() {
    let mut model = three();
    for (code, expected) in [
        (KeyCode::Char('j'), "logs"),
        (KeyCode::Down, "cache"),
        (KeyCode::Down, "cache"),
        (KeyCode::Char('k'), "logs"),
        (KeyCode::Up, "app"),
        (KeyCode::Up, "app"),
        (KeyCode::Char('G'), "cache"),
        (KeyCode::Char('g'), "app"),
        (KeyCode::End, "cache"),
        (KeyCode::Home, "app"),
        (KeyCode::PageDown, "cache"),
        (KeyCode::PageUp, "app"),
    ] {
        (model, _) = press(model, code);
        assert_eq!(selected(&model), expected, "after {code:?}");
    }
}

#[test]
fn another_selection_follows_another_log() {
    let (mut model, _) = update(three(), Event::Log(name("app"), vec!["of app".into()]));
    assert_eq!(model.log, ["of app"]);
    let commands;
    (model, commands) = typed(model, "j");
    assert_eq!(commands, [Command::Watch(name("logs"))]);
    assert!(model.log.is_empty());
    // It was on its way already.
    (model, _) = update(model, Event::Log(name("app"), vec!["of app".into()]));
    assert!(model.log.is_empty());
}

#[test]
fn a_filter_selects_among_what_it_lets_through_and_escape_ends_it() {
    let (model, commands) = typed(three(), "/Cach");
    assert_eq!(selected(&model), "cache");
    assert_eq!(commands, [], "it is followed since the first letter");
    let (model, _) = press(model, KeyCode::Enter);
    assert_eq!(model.mode, Mode::Browse);
    assert_eq!(model.visible().count(), 1);
    let (model, _) = press(model, KeyCode::Esc);
    assert_eq!(model.visible().count(), 3);
    let (model, _) = typed(model, "/serving");
    assert_eq!(selected(&model), "logs");
    let (model, _) = typed(model, "q");
    assert_eq!((selected(&model), model.visible().count()), ("", 0));
    let (model, _) = press(model, KeyCode::Backspace);
    assert_eq!(selected(&model), "logs");
    let (model, _) = press(model, KeyCode::Esc);
    assert_eq!((model.visible().count(), &model.mode), (3, &Mode::Browse));
}

#[test]
fn keys_act_on_the_selected_instance_and_only_once_at_a_time() {
    let app = name("app");
    let (model, commands) = press(three(), KeyCode::Enter);
    assert_eq!(commands, [Command::Act(Verb::Wake, app.clone())]);
    assert_eq!(notice(&model), ("waking `app` …", false));
    let (model, commands) = typed(model, "w");
    assert_eq!(commands, []);
    let (model, commands) = typed(model, "s");
    assert_eq!(commands, [Command::Act(Verb::Sleep, app.clone())]);
    let done = |verb, result| Event::Done {
        verb,
        name: app.clone(),
        result,
    };
    let (model, commands) = update(model, done(Verb::Wake, Ok(())));
    assert_eq!(commands, [Command::Look]);
    assert_eq!(notice(&model), ("`app` is ready", false));
    let (model, commands) = typed(model, "w");
    assert_eq!(commands, [Command::Act(Verb::Wake, app.clone())]);
    let (model, _) = update(model, done(Verb::Wake, Err("no disk".into())));
    assert_eq!(notice(&model), ("no disk", true));
    let (model, _) = update(model, done(Verb::Sleep, Ok(())));
    assert_eq!(notice(&model), ("`app` is asleep", false));
}

#[test]
fn a_restart_is_done_after_a_yes_only() {
    let (model, commands) = typed(three(), "R");
    assert_eq!(commands, []);
    let (model, commands) = typed(model, "n");
    assert_eq!((commands, notice(&model).0), (vec![], "`app` goes on"));
    let (_, commands) = typed(model, "Ry");
    assert_eq!(commands, [Command::Act(Verb::Restart, name("app"))]);
}

#[test]
fn the_url_is_copied_with_its_password_and_told_without() {
    let (model, commands) = typed(three(), "y");
    let url = "postgres://app:secret@127.0.0.1/app".to_owned();
    assert_eq!(commands, [Command::Copy(url)]);
    assert!(!notice(&model).0.contains("secret"), "{:?}", model.notice);
    let (model, commands) = typed(model, "jy");
    assert_eq!((commands, notice(&model).1), (vec![], true));
}

#[test]
fn a_log_is_scrolled_within_its_ends_and_stays_where_it_is_read() {
    let lines = |count: usize| (0..count).map(|line| line.to_string()).collect();
    let (mut model, _) = update(three(), Event::Log(name("app"), lines(100)));
    (model, _) = press(model, KeyCode::Tab);
    assert_eq!(model.focus, Focus::Log);
    let most = model.log_most_up();
    assert_eq!(most, 100 - 6);
    for (code, up) in [
        (KeyCode::Down, 0),
        (KeyCode::Up, 1),
        (KeyCode::PageUp, 11),
        (KeyCode::Char('g'), most),
        (KeyCode::Up, most),
        (KeyCode::PageDown, most - 10),
    ] {
        (model, _) = press(model, code);
        assert_eq!(model.log_up, up, "after {code:?}");
    }
    (model, _) = update(model, Event::Log(name("app"), lines(103)));
    assert_eq!(model.log_up, most - 7, "the same lines are seen");
    assert_eq!(selected(&model), "app");
    (model, _) = typed(model, "lg");
    assert_eq!((&model.mode, model.log_up), (&Mode::FullLog, 103 - 20));
    (model, _) = press(model, KeyCode::Esc);
    assert_eq!(model.mode, Mode::Browse);
    (model, _) = typed(model, "G");
    assert_eq!(model.log_up, 0);
    (model, _) = update(model, Event::Log(name("app"), Vec::new()));
    (model, _) = update(model, Event::Resize(1, 1));
    (model, _) = typed(model, "gkj");
    assert_eq!(model.log_up, 0);
}

#[test]
fn whatever_closes_the_help_does_nothing_else() {
    let (model, _) = typed(three(), "?");
    assert_eq!(model.mode, Mode::Help);
    let (model, commands) = typed(model, "q");
    assert_eq!((&model.mode, commands), (&Mode::Browse, vec![]));
}

#[test]
fn control_z_leaves_the_terminal_to_the_shell_and_changes_nothing() {
    let control_z = KeyEvent::new(KeyCode::Char('z'), KeyModifiers::CONTROL);
    for before in ["", "/", "R", "?", "l"] {
        let (model, _) = typed(three(), before);
        let mode = model.mode.clone();
        let (model, commands) = update(model, Event::Key(control_z));
        assert_eq!(commands, [Command::Suspend], "after {before:?}");
        let (model, commands) = update(model, Event::Resume);
        assert_eq!((model.mode, commands), (mode, vec![Command::TakeAgain]));
    }
}

#[test]
fn everything_that_means_the_end_is_the_end() {
    let control_c = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
    for before in ["", "/", "R", "?", "l"] {
        let (model, _) = typed(three(), before);
        let (_, commands) = update(model, Event::Key(control_c));
        assert_eq!(commands, [Command::Quit], "after {before:?}");
    }
    assert_eq!(typed(three(), "q").1, [Command::Quit]);
    assert_eq!(typed(three(), "lq").1, [Command::Quit]);
    assert_eq!(update(three(), Event::Stop).1, [Command::Quit]);
    assert_eq!(typed(three(), "r").1, [Command::Look]);
}

#[test]
fn a_holder_that_is_gone_is_told_until_it_is_back() {
    let told = |model: &Model| model.sample.as_ref().unwrap().holder(model.lost);
    let mut gone = sample(Vec::new());
    gone.held_by = HeldBy::Nobody;
    gone.manager = Manager::Absent;
    let (model, _) = update(three(), Event::Sample(gone.clone()));
    let (model, _) = update(model, Event::Sample(gone));
    assert_eq!(told(&model).0, "the user manager is gone; waiting for it");
    assert_eq!(selected(&model), "", "there is nothing any more");
    let (model, _) = update(model, Event::Sample(sample(Vec::new())));
    assert_eq!(told(&model), ("held by systemd".into(), false));
}

#[test]
fn keys_are_harmless_where_there_is_no_instance() {
    let model = Model::new("shop".into(), false, (80, 24));
    let (model, commands) = typed(model, "jkgGwsRyl");
    assert_eq!((commands, &model.mode), (vec![], &Mode::Browse));
    let (_, commands) = press(model, KeyCode::Enter);
    assert_eq!(commands, []);
}
