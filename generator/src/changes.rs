//! What has to change, so that what runs is what is declared. `doze plan` shows it, `doze up` and
//! `doze apply` do it.
//!
//! Pure but for the record of [`Applied`]. Must not know how anything is found out or carried out.

mod applied;
mod decide;
mod show;

use camino::Utf8PathBuf;
use doze_contract::{
    EngineName, InstanceName, ProjectName,
    protocol::{Change, Kept},
};
use serde::Serialize;

pub(crate) use self::{
    applied::Applied,
    decide::{Decision, Facts, InstanceChange, decide},
    show::{crowd, statements},
};

/// All that `doze apply` would do. Its JSON form is `doze plan --json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Changes {
    pub(crate) project: ProjectName,
    pub(crate) files: Vec<FileChange>,
    pub(crate) units: Vec<UnitChange>,
    pub(crate) restarts: Vec<Restart>,
    pub(crate) structure: Vec<Structure>,
    pub(crate) kept: Vec<Left>,
    pub(crate) data: Vec<Data>,
}

/// A file that is written or removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct FileChange {
    pub(crate) action: FileAction,
    pub(crate) path: Utf8PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum FileAction {
    Add,
    Change,
    Remove,
}

/// A unit whose addresses are held, moved or given back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct UnitChange {
    pub(crate) action: UnitAction,
    pub(crate) unit: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum UnitAction {
    Start,
    /// Stopped, and started with other settings.
    Restart,
    Stop,
    /// Started at the next login from now on.
    Enable,
}

/// An awake engine that is stopped. The next client wakes it, if it is still declared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Restart {
    pub(crate) instance: InstanceName,
    pub(crate) reason: Reason,
    pub(crate) clients: usize,
    pub(crate) holds: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Reason {
    /// Its settings changed.
    Settings,
    /// Its addresses changed.
    Address,
    /// It is no longer declared.
    Removed,
}

/// The structure inside an engine that is not as declared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Structure {
    pub(crate) instance: InstanceName,
    pub(crate) engine: EngineName,
    /// What the driver would do to the live engine; nothing if that has to be awake to be asked.
    pub(crate) changes: Option<Vec<Change>>,
    /// Whether it also takes back what is no longer declared.
    #[serde(skip)]
    pub(crate) prune: bool,
    /// Whether its data was made for what is declared now.
    #[serde(skip)]
    pub(crate) is_stamped: bool,
}

/// Something inside an engine that is not as declared and stays so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Left {
    pub(crate) instance: InstanceName,
    #[serde(flatten)]
    pub(crate) kept: Kept,
}

/// A data directory that no declared instance owns.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Data {
    pub(crate) action: DataAction,
    pub(crate) path: Utf8PathBuf,
    /// What it takes on the disk.
    pub(crate) bytes: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum DataAction {
    /// It stays; nobody asked for its end.
    Keep,
    Remove,
}

impl Changes {
    /// Whether there is nothing to do. What stays is nothing to do.
    pub(crate) fn is_empty(&self) -> bool {
        self.files.is_empty()
            && self.units.is_empty()
            && self.restarts.is_empty()
            && self.structure.is_empty()
            && self.removed().next().is_none()
    }

    /// Whether anything is known to be other than declared. To wake an engine in order to ask it is
    /// something to do, and no difference.
    pub(crate) fn differs(&self) -> bool {
        let is_known = |of: &Structure| of.changes.is_some() || !of.is_stamped;
        let known = self.structure.iter().filter(|of| is_known(of)).cloned();
        let certain = Self {
            structure: known.collect(),
            ..self.clone()
        };
        !certain.is_empty()
    }

    /// The data that is removed.
    pub(crate) fn removed(&self) -> impl Iterator<Item = &Data> {
        let of = |data: &&Data| data.action == DataAction::Remove;
        self.data.iter().filter(of)
    }

    /// Whether somebody who agreed to this has agreed to `later`, too: it does the same, or stops
    /// or alters less, for what was awake may have fallen asleep meanwhile.
    pub(crate) fn covers(&self, later: &Self) -> bool {
        let removed = |of: &Self| of.removed().map(|data| data.path.clone()).collect();
        let removed: [Vec<_>; 2] = [removed(self), removed(later)];
        let stops = |restart: &Restart| {
            let mut ours = self.restarts.iter();
            ours.any(|ours| (&ours.instance, ours.reason) == (&restart.instance, restart.reason))
        };
        let alters = |structure: &Structure| {
            let mut ours = self.structure.iter();
            let ours = ours.find(|ours| ours.instance == structure.instance);
            ours.is_some_and(|ours| structure.changes.is_none() || ours == structure)
        };
        let [ours, theirs] = removed;
        self.files == later.files
            && self.units == later.units
            && ours == theirs
            && later.restarts.iter().all(stops)
            && later.structure.iter().all(alters)
    }
}

#[cfg(test)]
mod tests {
    use doze_contract::protocol::Action;

    use super::*;

    fn name(name: &str) -> InstanceName {
        InstanceName::new(name).unwrap()
    }

    fn restart(instance: &str, clients: usize) -> Restart {
        Restart {
            instance: name(instance),
            reason: Reason::Settings,
            clients,
            holds: 0,
        }
    }

    fn structure(instance: &str, statements: Option<&[&str]>) -> Structure {
        let change = |statement: &&str| Change {
            action: Action::Create,
            object: "role r".into(),
            statement: (*statement).into(),
        };
        Structure {
            instance: name(instance),
            engine: EngineName::new("postgres").unwrap(),
            changes: statements.map(|statements| statements.iter().map(change).collect()),
            prune: false,
            is_stamped: false,
        }
    }

    pub(super) fn nothing() -> Changes {
        Changes {
            project: ProjectName::new("shop").unwrap(),
            files: Vec::new(),
            units: Vec::new(),
            restarts: Vec::new(),
            structure: Vec::new(),
            kept: Vec::new(),
            data: Vec::new(),
        }
    }

    fn data(action: DataAction) -> Data {
        Data {
            action,
            path: "/data/old".into(),
            bytes: 1,
        }
    }

    /// Otherwise a removed instance would be planned for ever.
    #[test]
    fn data_that_stays_is_no_change() {
        let mut changes = nothing();
        changes.data.push(data(DataAction::Keep));
        assert!(changes.is_empty());
        changes.data.push(data(DataAction::Remove));
        assert!(!changes.is_empty());
    }

    /// Otherwise a check would fail for as long as somebody sleeps.
    #[test]
    fn a_sleep_is_no_difference() {
        let mut changes = nothing();
        changes.structure = vec![structure("app", None)];
        assert!(changes.differs(), "its data was made for something else");
        for found in &mut changes.structure {
            found.prune = true;
            found.is_stamped = true;
        }
        assert!(!changes.differs());
        assert!(!changes.is_empty(), "there is somebody to wake");
        changes
            .structure
            .push(structure("other", Some(&["DROP ROLE r"])));
        assert!(changes.differs());
    }

    #[test]
    fn whoever_agrees_to_a_plan_agrees_to_less_but_not_to_more() {
        let mut shown = nothing();
        shown.restarts = vec![restart("app", 3)];
        shown.structure = vec![structure("app", Some(&["CREATE ROLE r"]))];

        let fewer_clients = Changes {
            restarts: vec![restart("app", 1)],
            ..shown.clone()
        };
        assert!(shown.covers(&fewer_clients));
        let asleep = Changes {
            restarts: Vec::new(),
            structure: vec![structure("app", None)],
            ..shown.clone()
        };
        assert!(shown.covers(&asleep));

        let another = Changes {
            restarts: vec![restart("app", 3), restart("cache", 0)],
            ..shown.clone()
        };
        assert!(!shown.covers(&another));
        let other_statement = Changes {
            structure: vec![structure("app", Some(&["DROP ROLE r"]))],
            ..shown.clone()
        };
        assert!(!shown.covers(&other_statement));
        let removes = Changes {
            data: vec![data(DataAction::Remove)],
            ..shown.clone()
        };
        assert!(!shown.covers(&removes));
        let known_now = structure("app", Some(&["CREATE ROLE r"]));
        let awake = Changes {
            structure: vec![known_now],
            ..asleep.clone()
        };
        assert!(!asleep.covers(&awake), "nobody saw the statements");
    }

    #[test]
    fn what_is_dropped_inside_an_engine_is_not_dropped_unasked() {
        let mut changes = nothing();
        changes.structure = vec![structure("app", Some(&["CREATE ROLE r"]))];
        assert_eq!(changes.harm(), [""; 0]);
        for found in &mut changes.structure {
            found.prune = true;
            for change in found.changes.iter_mut().flatten() {
                change.action = Action::Drop;
            }
        }
        assert_eq!(changes.harm(), ["drop role r of app"]);
        // Who sleeps cannot be asked what that would be.
        for found in &mut changes.structure {
            found.changes = None;
        }
        assert_eq!(changes.harm(), ["drop what app no longer declares"]);
    }
}
