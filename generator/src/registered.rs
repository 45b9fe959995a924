//! The projects that the user has registered, for the generator to make their units
//! (systemd.generator(7)).
//!
//! Owns their files below the configuration folder, and where generated files stand. Must not know
//! what a project is compiled to.

use std::{collections::BTreeMap, env, fs, io};

use camino::{Utf8Path, Utf8PathBuf};
use doze_contract::ProjectName;
use rustix::{
    fs::{CWD, RenameFlags, renameat_with},
    io::Errno,
};
use serde::{Deserialize, Serialize};

use crate::{config::Inputs, dirs::Dirs, fsx};

/// The head of every registration.
const HEAD: &str = "# Written by `doze up --register`, removed by `doze down --unregister`.\n";

/// What the generator is told of a project.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Registration {
    /// The absolute path of the `doze.toml`.
    pub(crate) source: Utf8PathBuf,
    /// What the environment of the user says and that of the user manager may not.
    #[serde(default)]
    pub(crate) environment: BTreeMap<String, String>,
}

impl Registration {
    /// The registration of this file, as doze is called now.
    pub(crate) fn now(source: &Utf8Path, inputs: &Inputs) -> Self {
        let variables = env::vars_os().filter_map(|(name, value)| {
            let (name, value) = (name.into_string().ok()?, value.into_string().ok()?);
            let counts = name.starts_with("DOZE_") || name == "XDG_DATA_HOME";
            counts.then_some((name, value))
        });
        let given = inputs.variables.iter();
        let given = given.map(|(name, value)| (format!("DOZE_VAR_{name}"), value.clone()));
        let profile = inputs.profile.iter();
        let profile = profile.map(|name| ("DOZE_PROFILE".to_owned(), name.clone()));
        Self {
            source: source.to_owned(),
            environment: variables.chain(given).chain(profile).collect(),
        }
    }

    /// Reads a registration.
    pub(crate) fn read(path: &Utf8Path) -> io::Result<Self> {
        let text = fs::read_to_string(path)?;
        toml::from_str(&text).map_err(io::Error::other)
    }
}

/// The files of all registrations, in order of their names.
pub(crate) fn all(dirs: &Dirs) -> io::Result<Vec<Utf8PathBuf>> {
    let folder = folder(dirs);
    let Some(entries) = fsx::missing_is_none(folder.read_dir_utf8())? else {
        return Ok(Vec::new());
    };
    let mut files = entries
        .map(|entry| Ok(entry?.into_path()))
        .collect::<io::Result<Vec<_>>>()?;
    files.retain(|file| file.extension() == Some("toml"));
    files.sort();
    Ok(files)
}

/// The file by which a `doze.toml` is registered. What cannot be read registers nothing; the
/// generator tells of it.
pub(crate) fn find(dirs: &Dirs, source: &Utf8Path) -> Option<Utf8PathBuf> {
    let is_it = |file: &Utf8PathBuf| {
        Registration::read(file).is_ok_and(|registration| registration.source == source)
    };
    all(dirs).unwrap_or_default().into_iter().find(is_it)
}

/// Registers a project, or again as doze is called now.
pub(crate) fn write(
    dirs: &Dirs,
    project: &ProjectName,
    source: &Utf8Path,
    inputs: &Inputs,
) -> io::Result<()> {
    let registration = Registration::now(source, inputs);
    let text = toml::to_string_pretty(&registration).map_err(io::Error::other)?;
    // A variable may hold a secret.
    fsx::replace(&file(dirs, project), &(HEAD.to_owned() + &text), 0o600)
}

/// Takes a registration back.
pub(crate) fn remove(file: &Utf8Path) -> io::Result<()> {
    fsx::missing_is_none(fs::remove_file(file)).map(drop)
}

/// Where the user manager has its generators write: they come after the user's own units, so a unit
/// of the same name there hides the generated one.
pub(crate) fn units(dirs: &Dirs) -> Utf8PathBuf {
    let runtime = dirs.runtime.parent().unwrap_or(Utf8Path::new("/"));
    runtime.join("systemd/generator")
}

/// The folder of a project's generated plans. The manager removes it before it calls its
/// generators, and takes no client meanwhile.
pub(crate) fn plans(units: &Utf8Path, project: &ProjectName) -> Utf8PathBuf {
    units.join("doze").join(project.as_str())
}

/// Makes the folder of the project's plans lead to the generated ones, so that all finds them where
/// they always were. The plans in its place are removed, which nobody reads any more.
pub(crate) fn link_plans(dirs: &Dirs, project: &ProjectName) -> io::Result<()> {
    let (link, target) = (dirs.plans(project), plans(&units(dirs), project));
    if fsx::missing_is_none(fs::read_link(&link))
        .is_ok_and(|leads| leads.as_deref() == Some(target.as_std_path()))
    {
        return Ok(());
    }
    let aside = dirs.project(project).join(".doze-plans");
    fsx::make_folder(&dirs.project(project))?;
    remove_any(&aside)?;
    std::os::unix::fs::symlink(&target, &aside)?;
    match renameat_with(
        CWD,
        aside.as_std_path(),
        CWD,
        link.as_std_path(),
        RenameFlags::EXCHANGE,
    ) {
        Ok(()) => remove_any(&aside),
        Err(Errno::NOENT) => fs::rename(&aside, &link),
        // Not every file system can exchange two names.
        Err(_) => {
            remove_any(&link)?;
            fs::rename(&aside, &link)
        }
    }
}

/// Makes room for plans that are not generated.
pub(crate) fn unlink_plans(dirs: &Dirs, project: &ProjectName) -> io::Result<()> {
    let link = dirs.plans(project);
    match fs::symlink_metadata(&link) {
        Ok(found) if found.is_symlink() => fs::remove_file(&link),
        Ok(_) => Ok(()),
        Err(error) => fsx::missing_is_none(Err(error)).map(|_: Option<()>| ()),
    }
}

fn remove_any(path: &Utf8Path) -> io::Result<()> {
    let removed = match fsx::missing_is_none(fs::symlink_metadata(path))? {
        Some(found) if found.is_dir() => fs::remove_dir_all(path),
        Some(_) => fs::remove_file(path),
        None => Ok(()),
    };
    fsx::missing_is_none(removed).map(drop)
}

fn folder(dirs: &Dirs) -> Utf8PathBuf {
    dirs.config.join("projects")
}

fn file(dirs: &Dirs, project: &ProjectName) -> Utf8PathBuf {
    folder(dirs).join(format!("{project}.toml"))
}
