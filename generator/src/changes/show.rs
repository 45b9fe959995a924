//! The changes, for people.

use doze_contract::{
    InstanceName,
    protocol::{Action, Change},
};
use indicatif::HumanBytes;

use super::{Changes, Data, DataAction, FileAction, Left, Reason, Restart, Structure, UnitAction};
use crate::output::{Paint, harmless};

impl Changes {
    /// The groups that have something in them; no line if there is nothing to do.
    pub(crate) fn lines(&self, paint: Paint) -> Vec<String> {
        let files = self.files.iter().map(|file| {
            let sign = match file.action {
                FileAction::Add => "+",
                FileAction::Change => "~",
                FileAction::Remove => "-",
            };
            format!("{sign} {}", file.path)
        });
        let units = self.units.iter().map(|unit| {
            let verb = match unit.action {
                UnitAction::Start => "start",
                UnitAction::Restart => "restart",
                UnitAction::Stop => "stop",
                UnitAction::Enable => "enable",
            };
            format!("{verb} {}", unit.unit)
        });
        let removed = self.removed().map(|data| {
            let size = HumanBytes(data.bytes);
            format!("remove {} ({size}), which no instance owns", data.path)
        });
        let groups: [(&str, Vec<String>); 5] = [
            ("files", files.collect()),
            ("units", units.collect()),
            (
                "restarts",
                self.restarts.iter().map(Restart::line).collect(),
            ),
            (
                "structure",
                self.structure.iter().flat_map(Structure::lines).collect(),
            ),
            ("data", removed.collect()),
        ];
        let mut lines = Vec::new();
        for (title, group) in groups {
            if !group.is_empty() {
                lines.push(paint.bold(title));
                lines.extend(group.into_iter().map(|line| format!("  {line}")));
            }
        }
        lines
    }

    /// What is worth knowing although nothing is done about it.
    pub(crate) fn notes(&self) -> impl Iterator<Item = String> {
        let kept = self.data.iter();
        let kept = kept.filter(|data| data.action == DataAction::Keep);
        let data = kept.map(|Data { path, bytes, .. }| {
            let size = HumanBytes(*bytes);
            format!("note: no instance owns {path} ({size}); `doze apply --prune` removes it\n")
        });
        self.kept.iter().map(Left::note).chain(data)
    }

    /// What of it somebody may miss: for the refusal to do it unasked.
    pub(crate) fn harm(&self) -> Vec<String> {
        let stops = self.restarts.iter().map(|restart| {
            let Restart { instance, .. } = restart;
            format!("stop {instance}{}", crowd(restart.clients, restart.holds))
        });
        let removes = self.removed().map(|data| format!("remove {}", data.path));
        let drops = self.structure.iter().flat_map(Structure::drops);
        stops.chain(drops).chain(removes).collect()
    }
}

impl Left {
    /// What stays, and why.
    pub(crate) fn note(&self) -> String {
        let Self { instance, kept } = self;
        let (object, reason) = (harmless(&kept.object), harmless(&kept.reason));
        format!("note: {instance}: {object} stays: {reason}\n")
    }
}

impl Restart {
    /// Of an instance of which nothing more is known.
    pub(crate) fn of_settings(instance: &InstanceName) -> Self {
        Self {
            instance: instance.clone(),
            reason: Reason::Settings,
            clients: 0,
            holds: 0,
        }
    }

    /// What happens to it, in one line.
    pub(crate) fn line(&self) -> String {
        let why = match self.reason {
            Reason::Settings => "stops for its new settings",
            Reason::Address => "stops for its new address",
            Reason::Removed => "stops, for it is no longer declared",
        };
        let crowd = crowd(self.clients, self.holds);
        format!("{}: {why}{crowd}", self.instance)
    }
}

/// Who notices: ` (3 clients, 1 hold)`; nothing if nobody is there.
pub(crate) fn crowd(clients: usize, holds: usize) -> String {
    let count = |number: usize, what: &str| match number {
        0 => None,
        1 => Some(format!("1 {what}")),
        _ => Some(format!("{number} {what}s")),
    };
    let both = [count(clients, "client"), count(holds, "hold")];
    let both: Vec<_> = both.into_iter().flatten().collect();
    if both.is_empty() {
        String::new()
    } else {
        format!(" ({})", both.join(", "))
    }
}

impl Structure {
    fn lines(&self) -> Vec<String> {
        let Self {
            instance, changes, ..
        } = self;
        match changes {
            None if self.prune => vec![format!(
                "{instance}: wakes, and what it no longer declares is dropped as far as that holds \
                 no data"
            )],
            None => vec![format!(
                "{instance}: not as declared; what has to be done is known when it wakes"
            )],
            Some(changes) if changes.is_empty() => {
                vec![format!("{instance}: declared anew, and already so")]
            }
            Some(changes) => statements(instance.as_str(), changes).collect(),
        }
    }

    /// What somebody may miss afterwards.
    fn drops(&self) -> Vec<String> {
        let instance = &self.instance;
        let dropped = |change: &&Change| change.action == Action::Drop;
        match &self.changes {
            Some(changes) => changes
                .iter()
                .filter(dropped)
                .map(|change| format!("drop {} of {instance}", harmless(&change.object)))
                .collect(),
            None if self.prune => vec![format!("drop what {instance} no longer declares")],
            None => Vec::new(),
        }
    }
}

/// One line a statement.
pub(crate) fn statements<'a>(
    instance: &'a str,
    changes: &'a [Change],
) -> impl Iterator<Item = String> + 'a {
    let line = move |change: &Change| {
        let statement = change.statement.replace('\n', " ");
        format!("{instance}: {}", harmless(&statement))
    };
    changes.iter().map(line)
}
