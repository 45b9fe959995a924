//! The state of the dashboard, and how an event changes it. No I/O and no clock.

mod history;
mod keys;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use crossterm::event::KeyEvent;
use doze_contract::InstanceName;
use ratatui::layout::Rect;

pub(super) use self::{history::History, keys::HELP};
use super::{
    layout,
    sample::{Manager, Sample},
};
use crate::look::{HeldBy, Row};

/// Something that happened.
#[derive(Debug)]
pub(super) enum Event {
    Key(KeyEvent),
    /// The terminal has this width and height now.
    Resize(u16, u16),
    Sample(Sample),
    /// The end of an instance's log.
    Log(InstanceName, Vec<String>),
    /// An action came to its end.
    Done {
        verb: Verb,
        name: InstanceName,
        result: Result<(), String>,
    },
    /// The sampler has said nothing for so long; or it has.
    Silent(Option<Duration>),
    /// This job was stopped, and goes on.
    Resume,
    /// A signal, or the end of the terminal.
    Stop,
}

/// Something to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Command {
    Act(Verb, InstanceName),
    /// Into the clipboard.
    Copy(String),
    /// Take a sample now.
    Look,
    /// Follow the log of this instance.
    Watch(InstanceName),
    /// Leave the terminal to others for a while.
    Suspend,
    /// Take it again.
    TakeAgain,
    Quit,
}

/// What can be done to an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Verb {
    Wake,
    Sleep,
    Restart,
}

impl Verb {
    fn begun(self, name: &InstanceName) -> String {
        match self {
            Self::Wake => format!("waking `{name}` …"),
            Self::Sleep => format!("putting `{name}` to sleep …"),
            Self::Restart => format!("restarting `{name}` …"),
        }
    }

    fn done(self, name: &InstanceName) -> String {
        match self {
            Self::Wake | Self::Restart => format!("`{name}` is ready"),
            Self::Sleep => format!("`{name}` is asleep"),
        }
    }
}

/// What keys mean now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Mode {
    Browse,
    /// They are the text of the filter.
    Filter,
    /// `y` restarts this instance.
    Confirm(InstanceName),
    Help,
    /// The log has the whole screen.
    FullLog,
}

/// What the arrows move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Focus {
    List,
    Log,
}

/// A line about what was just done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Notice {
    pub(super) text: String,
    pub(super) is_bad: bool,
}

/// The state.
#[derive(Debug)]
pub(super) struct Model {
    pub(super) project: String,
    pub(super) colour: bool,
    pub(super) size: (u16, u16),
    pub(super) sample: Option<Sample>,
    pub(super) history: BTreeMap<InstanceName, History>,
    pub(super) silent: Option<Duration>,
    /// Who held the sockets before nobody did.
    pub(super) lost: Option<HeldBy>,
    pub(super) selected: Option<InstanceName>,
    pub(super) filter: String,
    pub(super) mode: Mode,
    pub(super) focus: Focus,
    /// The end of the log of the selected instance.
    pub(super) log: Vec<String>,
    /// How many lines the log is scrolled up from its end.
    pub(super) log_up: usize,
    pub(super) notice: Option<Notice>,
    /// What has begun and not ended.
    busy: BTreeSet<(InstanceName, Verb)>,
}

impl Model {
    /// Before anything is known.
    pub(super) fn new(project: String, colour: bool, size: (u16, u16)) -> Self {
        Self {
            project,
            colour,
            size,
            sample: None,
            history: BTreeMap::new(),
            silent: None,
            lost: None,
            selected: None,
            filter: String::new(),
            mode: Mode::Browse,
            focus: Focus::List,
            log: Vec::new(),
            log_up: 0,
            notice: None,
            busy: BTreeSet::new(),
        }
    }

    /// The instances that the filter lets through.
    pub(super) fn visible(&self) -> impl Iterator<Item = &Row> {
        let wanted = self.filter.to_lowercase();
        let all = self.sample.iter().flat_map(|sample| &sample.instances);
        all.filter(move |instance| {
            let (name, engine) = (instance.name.as_str(), instance.engine.as_str());
            let texts = [name, engine, instance.state];
            texts
                .iter()
                .any(|text| text.to_lowercase().contains(&wanted))
        })
    }

    /// The selected instance.
    pub(super) fn instance(&self) -> Option<&Row> {
        let selected = self.selected.as_ref()?;
        let instances = &self.sample.as_ref()?.instances;
        instances.iter().find(|found| found.name == *selected)
    }

    fn say(&mut self, text: String, is_bad: bool) {
        self.notice = Some(Notice { text, is_bad });
    }

    /// Selects an instance and has its log followed.
    fn select(&mut self, name: Option<InstanceName>) -> Vec<Command> {
        if self.selected == name {
            return Vec::new();
        }
        self.selected.clone_from(&name);
        self.log = Vec::new();
        self.log_up = 0;
        name.map(Command::Watch).into_iter().collect()
    }

    /// Something visible is selected, if there is anything.
    fn reselect(&mut self) -> Vec<Command> {
        let selected = self.selected.as_ref();
        if self.visible().any(|found| Some(&found.name) == selected) {
            return Vec::new();
        }
        let first = self.visible().next().map(|first| first.name.clone());
        self.select(first)
    }

    /// How far the log can be scrolled up.
    fn log_most_up(&self) -> usize {
        let screen = Rect::new(0, 0, self.size.0, self.size.1);
        let areas = layout::areas(screen, self.mode == Mode::FullLog);
        self.log
            .len()
            .saturating_sub(areas.map_or(0, |areas| areas.log_lines()))
    }

    fn took_sample(&mut self, sample: Sample) -> Vec<Command> {
        if sample.held_by != HeldBy::Nobody {
            self.lost = None;
        } else if let Some(before) = &self.sample
            && before.held_by != HeldBy::Nobody
        {
            self.lost = Some(before.held_by);
        }
        let mut before = std::mem::take(&mut self.history);
        for instance in &sample.instances {
            let mut history = before.remove(&instance.name).unwrap_or_default();
            history.add(instance);
            self.history.insert(instance.name.clone(), history);
        }
        self.sample = Some(sample);
        self.silent = None;
        self.reselect()
    }

    fn took_log(&mut self, name: &InstanceName, lines: Vec<String>) {
        if self.selected.as_ref() != Some(name) {
            return;
        }
        // Who reads further up goes on reading there.
        if self.log_up > 0 {
            self.log_up += lines.len().saturating_sub(self.log.len());
        }
        self.log = lines;
        self.log_up = self.log_up.min(self.log_most_up());
    }

    fn act(&mut self, verb: Verb, name: InstanceName) -> Vec<Command> {
        self.say(verb.begun(&name), false);
        // Asking twice does not make it faster.
        if self.busy.insert((name.clone(), verb)) {
            vec![Command::Act(verb, name)]
        } else {
            Vec::new()
        }
    }
}

impl Sample {
    /// Who holds the sockets, in words, and whether that is bad.
    pub(super) fn holder(&self, lost: Option<HeldBy>) -> (String, bool) {
        match (self.held_by, &self.manager, lost) {
            (_, Manager::Broken(why), _) => {
                (format!("the user manager does not answer: {why}"), true)
            }
            (HeldBy::Foreground, ..) => ("up in the foreground of another terminal".into(), false),
            (HeldBy::Systemd, ..) => ("held by systemd".into(), false),
            (HeldBy::Launchd, ..) => ("held by launchd".into(), false),
            (HeldBy::Nobody, Manager::Absent, Some(HeldBy::Systemd | HeldBy::Launchd)) => {
                ("the user manager is gone; waiting for it".into(), true)
            }
            (HeldBy::Nobody, _, Some(HeldBy::Foreground)) => {
                ("the listener is gone; waiting for it".into(), true)
            }
            (HeldBy::Nobody, Manager::Absent, _) => (
                "not up, and there is no user manager: `doze up`".into(),
                true,
            ),
            (HeldBy::Nobody, Manager::Fine, _) => ("not up: `doze up`".into(), true),
        }
    }
}

/// The state after an event, and what is to be done now.
pub(super) fn update(mut model: Model, event: Event) -> (Model, Vec<Command>) {
    let commands = match event {
        Event::Key(key) => keys::press(&mut model, key),
        Event::Resize(width, height) => {
            model.size = (width, height);
            model.log_up = model.log_up.min(model.log_most_up());
            Vec::new()
        }
        Event::Sample(sample) => model.took_sample(sample),
        Event::Log(name, lines) => {
            model.took_log(&name, lines);
            Vec::new()
        }
        Event::Done { verb, name, result } => {
            match result {
                Ok(()) => model.say(verb.done(&name), false),
                Err(reason) => model.say(reason, true),
            }
            model.busy.remove(&(name, verb));
            vec![Command::Look]
        }
        Event::Silent(silent) => {
            model.silent = silent;
            Vec::new()
        }
        Event::Resume => vec![Command::TakeAgain],
        Event::Stop => vec![Command::Quit],
    };
    (model, commands)
}

#[cfg(test)]
#[path = "model/tests.rs"]
mod tests;
