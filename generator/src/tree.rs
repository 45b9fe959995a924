//! The files that a project compiles to, and the steps from what is installed to them.
//!
//! Pure but for [`Installed::read`] and [`apply`]. Must not know what stands in the files.

use std::{collections::BTreeMap, fs, io, os::unix::fs::PermissionsExt};

use camino::{Utf8Path, Utf8PathBuf};
use serde::{Deserialize, Serialize};

use crate::{dirs::Init, fsx};

/// The three folders that a project is compiled into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Area {
    /// The user's systemd units, or launchd agents; other people's files stand there, too.
    Units,
    /// The project's plans.
    Plans,
    /// `.doze` in the project, for people and their programs.
    Project,
}

/// Where the areas are.
#[derive(Debug, Clone)]
pub struct Roots {
    /// Of [`Area::Units`].
    pub units: Utf8PathBuf,
    /// Of [`Area::Plans`].
    pub plans: Utf8PathBuf,
    /// Of [`Area::Project`].
    pub project: Utf8PathBuf,
    /// Units and plans are written by doze-generator and by nobody else.
    pub generated: bool,
}

impl Roots {
    /// All areas below one folder.
    pub fn below(folder: &Utf8Path, init: Init) -> Self {
        let units = match init {
            Init::Systemd | Init::Foreground => "systemd/user",
            Init::Launchd => "LaunchAgents",
        };
        Self {
            units: folder.join(units),
            plans: folder.join("plans"),
            project: folder.join("project"),
            generated: false,
        }
    }

    /// The folder of an area.
    pub fn of(&self, area: Area) -> &Utf8Path {
        match area {
            Area::Units => &self.units,
            Area::Plans => &self.plans,
            Area::Project => &self.project,
        }
    }
}

/// The place of a file: its area and its name there.
pub type Place = (Area, String);

/// A file with its permissions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct File {
    /// The whole text.
    pub text: String,
    /// The permission bits.
    pub mode: u32,
}

/// Files by their place.
#[derive(Debug, Default)]
pub struct Tree(pub BTreeMap<Place, File>);

impl Tree {
    /// Adds a file that others may read.
    pub fn public(&mut self, area: Area, name: impl Into<String>, text: String) {
        self.0
            .insert((area, name.into()), File { text, mode: 0o644 });
    }

    /// Adds a file that may hold a secret.
    pub fn private(&mut self, area: Area, name: impl Into<String>, text: String) {
        self.0
            .insert((area, name.into()), File { text, mode: 0o600 });
    }
}

/// What stands in the folders now: every file of the tree that is there, and every other file
/// that is the project's own.
#[derive(Debug, Default)]
pub struct Installed(BTreeMap<Place, File>);

impl Installed {
    /// Reads the folders. `owns` tells by its name whether a file that the tree lacks is one that
    /// an earlier tree of the project had.
    pub fn read(roots: &Roots, tree: &Tree, owns: impl Fn(Area, &str) -> bool) -> io::Result<Self> {
        let mut found = BTreeMap::new();
        for area in [Area::Units, Area::Plans, Area::Project] {
            let Some(entries) = fsx::missing_is_none(fs::read_dir(roots.of(area)))? else {
                continue;
            };
            for entry in entries {
                let Ok(name) = entry?.file_name().into_string() else {
                    continue;
                };
                let place = (area, name);
                if !tree.0.contains_key(&place) && !owns(area, &place.1) {
                    continue;
                }
                let path = roots.of(area).join(&place.1);
                if let Some(text) = fsx::read(&path)? {
                    let mode = fs::metadata(&path)?.permissions().mode() & 0o777;
                    found.insert(place, File { text, mode });
                }
            }
        }
        Ok(Self(found))
    }
}

impl Installed {
    /// What a file says.
    pub fn text(&self, area: Area, name: &str) -> Option<&str> {
        let file = self.0.get(&(area, name.to_owned()))?;
        Some(&file.text)
    }
}

/// One difference between what is installed and the tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// A file is not there.
    Add(Place),
    /// A file has another text or mode.
    Change(Place),
    /// A file that the tree does not have any more.
    Remove(Place),
}

impl Step {
    /// The file.
    pub fn place(&self) -> &Place {
        match self {
            Self::Add(place) | Self::Change(place) | Self::Remove(place) => place,
        }
    }
}

/// The steps from what is installed to the tree; none if there is nothing to do.
pub fn converge(tree: &Tree, installed: &Installed) -> Vec<Step> {
    let wanted = tree
        .0
        .iter()
        .filter_map(|(place, file)| match installed.0.get(place) {
            None => Some(Step::Add(place.clone())),
            Some(there) if there != file => Some(Step::Change(place.clone())),
            Some(_) => None,
        });
    let stale = installed
        .0
        .keys()
        .filter(|place| !tree.0.contains_key(*place));
    wanted
        .chain(stale.map(|place| Step::Remove(place.clone())))
        .collect()
}

/// Carries one step out.
pub fn apply(tree: &Tree, roots: &Roots, step: &Step) -> io::Result<()> {
    let place = step.place();
    let path = roots.of(place.0).join(&place.1);
    match (step, tree.0.get(place)) {
        (Step::Add(_) | Step::Change(_), Some(file)) => fsx::replace(&path, &file.text, file.mode),
        (Step::Remove(_), _) => fsx::missing_is_none(fs::remove_file(&path)).map(drop),
        (Step::Add(_) | Step::Change(_), None) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(files: &[(&str, &str)]) -> Tree {
        let mut tree = Tree::default();
        for (name, text) in files {
            tree.public(Area::Units, *name, (*text).into());
        }
        tree
    }

    #[test]
    fn converging_twice_does_nothing_the_second_time() {
        let root = tempfile::tempdir().unwrap();
        let roots = Roots::below(Utf8Path::from_path(root.path()).unwrap(), Init::Systemd);
        let owns = |_: Area, name: &str| name.starts_with("doze-");
        let steps = |tree: &Tree| {
            let steps = converge(tree, &Installed::read(&roots, tree, owns).unwrap());
            for step in &steps {
                apply(tree, &roots, step).unwrap();
            }
            steps
        };
        let first = tree(&[("doze-a", "1"), ("doze-b", "1")]);
        let place = |name: &str| (Area::Units, name.to_owned());
        assert_eq!(
            steps(&first),
            [Step::Add(place("doze-a")), Step::Add(place("doze-b"))]
        );
        assert_eq!(steps(&first), []);

        fs::File::create(roots.units.join("other")).unwrap();
        let second = tree(&[("doze-b", "2")]);
        assert_eq!(
            steps(&second),
            [Step::Change(place("doze-b")), Step::Remove(place("doze-a"))]
        );
        assert_eq!(steps(&second), []);
        assert!(roots.units.join("other").is_file());

        fs::set_permissions(
            roots.units.join("doze-b"),
            fs::Permissions::from_mode(0o666),
        )
        .unwrap();
        assert_eq!(steps(&second), [Step::Change(place("doze-b"))]);
    }

    #[test]
    fn bytes_that_are_no_text_are_a_change() {
        let root = tempfile::tempdir().unwrap();
        let roots = Roots::below(Utf8Path::from_path(root.path()).unwrap(), Init::Systemd);
        let tree = tree(&[("doze-a", "1")]);
        apply(&tree, &roots, &Step::Add((Area::Units, "doze-a".into()))).unwrap();
        let mut file = fs::File::create(roots.units.join("doze-a")).unwrap();
        io::Write::write_all(&mut file, b"\xff\0").unwrap();
        let installed = Installed::read(&roots, &tree, |_, _| false).unwrap();
        let change = Step::Change((Area::Units, "doze-a".into()));
        assert_eq!(converge(&tree, &installed), [change]);
    }
}
