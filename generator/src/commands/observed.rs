//! What is there of a project: what every command that changes something decides by.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use doze_contract::{
    InstanceName, Plan, ProjectName,
    status::{Phase, Status},
};

use super::{Compiled, Context};
use crate::{
    awake,
    changes::{Applied, Decision, Facts, FileAction, FileChange, decide},
    compile::plan_name,
    enabled,
    failure::Failure,
    foreground, fsx,
    manager::{self, Manager, Units},
    names::Names,
    tree::{self, Area, Installed, Roots, Step},
};

/// Who holds the sockets of a project, or would.
pub(super) enum Holder {
    /// The user's own.
    Manager(Box<dyn Manager>),
    /// `doze up --foreground` in another terminal.
    Listener,
    /// There is no manager, so the command that brings the project up will.
    Nobody,
}

impl Holder {
    pub(super) fn find(context: &Context, project: &ProjectName) -> Result<Self, Failure> {
        if foreground::is_running(&context.control(project)) {
            return Ok(Self::Listener);
        }
        Ok(manager::connect(&context.dirs)?.map_or(Self::Nobody, Self::Manager))
    }

    pub(super) fn manager(&self) -> Option<&dyn Manager> {
        match self {
            Self::Manager(manager) => Some(manager.as_ref()),
            Self::Listener | Self::Nobody => None,
        }
    }
}

/// What is there of a project, by which every command that changes something decides. Reading it changes nothing and wakes nobody.
pub(super) struct Observed {
    pub(super) roots: Roots,
    installed: Installed,
    /// From the installed files to those that belong there; without units where no manager holds
    /// the sockets.
    pub(super) steps: Vec<Step>,
    /// What the manager has loaded; nothing where none holds the sockets.
    units: Option<Units>,
    enabled: bool,
    called: Names,
    pub(super) applied: Applied,
    /// The instances that are awake.
    pub(super) awake: BTreeMap<InstanceName, Status>,
    /// Those that are not to be stopped for their new plans.
    spared: BTreeSet<InstanceName>,
}

impl Observed {
    /// Looks at the files, at the manager, if one holds the sockets or is to, and at the activators.
    pub(super) fn read(
        context: &Context,
        compiled: &Compiled,
        manager: Option<&dyn Manager>,
    ) -> Result<Self, Failure> {
        let project = &compiled.project.name;
        let mut roots = context.roots(&compiled.project);
        // Whatever the manager is to do, a listener goes by plans of its own.
        roots.generated &= manager.is_some();
        let installed = compiled.installed(&roots)?;
        let mut steps = tree::converge(&compiled.tree, &installed);
        let units = manager.map(|manager| manager.units(project)).transpose()?;
        if units.is_none() {
            steps.retain(|step| step.place().0 != Area::Units);
        }
        let applied = Applied::read(&context.dirs.sockets(project), &compiled.tree)
            .map_err(Failure::io("read what was applied"))?;
        // A generated target is enabled by the generator.
        let enabled = roots.generated
            || enabled::is_enabled(&context.dirs, project)
                .map_err(Failure::io("see whether the target is enabled"))?;
        Ok(Self {
            roots,
            installed,
            steps,
            units,
            enabled,
            called: Names::of(context.dirs.init, project),
            applied,
            awake: awake(context, project)?,
            spared: BTreeSet::new(),
        })
    }

    /// Spares the engines of which nothing but the structure inside changed, for a command that
    /// makes that as declared itself.
    pub(super) fn sparing(mut self, compiled: &Compiled) -> Self {
        let plans = compiled.plans.iter();
        let spared = plans.filter(|plan| self.differs_in_structure_alone(plan));
        self.spared = spared.map(|plan| plan.instance.clone()).collect();
        self
    }

    fn differs_in_structure_alone(&self, plan: &Plan) -> bool {
        let (Some(status), Some(mut old)) = (
            self.awake.get(&plan.instance),
            self.installed_plan(&plan.instance),
        ) else {
            return false;
        };
        let runs_old = is_ready(status) && status.revision == old.revision;
        old.revision.clone_from(&plan.revision);
        old.body.converge.clone_from(&plan.body.converge);
        runs_old && old == *plan
    }

    /// The plan of an instance that is installed and can be read.
    pub(super) fn installed_plan(&self, instance: &InstanceName) -> Option<Plan> {
        let text = self.installed.text(Area::Plans, &plan_name(instance))?;
        serde_json::from_str(text).ok()
    }

    /// What has to be done to the units; nothing where no manager holds the sockets.
    pub(super) fn decide<'a>(
        &'a self,
        compiled: &'a Compiled,
        names: &'a [InstanceName],
    ) -> Option<Decision<'a>> {
        let units = self.units.as_ref()?;
        Some(decide(&Facts {
            called: &self.called,
            plans: &compiled.plans,
            names,
            steps: &self.steps,
            units,
            enabled: self.enabled,
            applied: &self.applied,
            spared: &self.spared,
        }))
    }

    /// Whether the manager knows a unit.
    pub(super) fn is_loaded(&self, unit: &str) -> bool {
        let mut units = self.units.iter();
        units.any(|units| units.contains_key(unit))
    }

    /// The installed units of what is no longer declared.
    pub(super) fn removed_units(&self) -> impl Iterator<Item = &str> {
        self.steps.iter().filter_map(|step| match step {
            Step::Remove((Area::Units, name)) => Some(name.as_str()),
            Step::Add(_) | Step::Change(_) | Step::Remove(_) => None,
        })
    }

    /// The instances whose plans are removed.
    pub(super) fn removed(&self) -> Vec<&str> {
        let plans = self.steps.iter().filter_map(|step| match step {
            Step::Remove((Area::Plans, name)) => name.strip_suffix(".json"),
            Step::Add(_) | Step::Change(_) | Step::Remove(_) => None,
        });
        plans.collect()
    }

    /// The files that are written or removed.
    pub(super) fn files(&self) -> Vec<FileChange> {
        let change = |step: &Step| {
            let (area, name) = step.place();
            FileChange {
                action: match step {
                    Step::Add(_) => FileAction::Add,
                    Step::Change(_) => FileAction::Change,
                    Step::Remove(_) => FileAction::Remove,
                },
                path: self.roots.of(*area).join(name),
            }
        };
        self.steps.iter().map(change).collect()
    }
}

/// Whether an awake engine serves.
pub(super) fn is_ready(status: &Status) -> bool {
    matches!(status.phase, Phase::Serving | Phase::Idling)
}

/// The instances of a project that are awake, declared or not. An activator that does not answer
/// is one of which nothing is known.
pub(super) fn awake(
    context: &Context,
    project: &ProjectName,
) -> Result<BTreeMap<InstanceName, Status>, Failure> {
    let folder = context.dirs.sockets(project);
    let cannot = || Failure::io(format!("read {folder}"));
    let entries = fsx::missing_is_none(fs::read_dir(&folder)).map_err(cannot())?;
    let mut awake = BTreeMap::new();
    for entry in entries.into_iter().flatten() {
        let name = entry.map_err(cannot())?.file_name().into_string();
        let Some(instance) = name.ok().and_then(|name| InstanceName::new(name).ok()) else {
            continue;
        };
        let socket = context.dirs.instance(project, &instance).status_socket;
        if let Ok(Some(status)) = awake::status(&socket) {
            awake.insert(instance, status);
        }
    }
    Ok(awake)
}
