//! `doze store`: what was unpacked on this machine, whether it is still what was verified, and
//! what nobody needs any more.

use std::{collections::BTreeSet, fs};

use camino::{Utf8Path, Utf8PathBuf};
use doze_contract::{Plan, exit::Exit};
use doze_registry::{
    Kind, Package, Store, Triple,
    lock::FileLock,
    pins::{Archives, Pins, Source},
};

use super::Context;
use crate::{
    dirs::SOURCE,
    failure::Failure,
    fsx::missing_is_none,
    output::{complain, print, print_lines},
    registered::{self, Registration},
    supply::{LOCK_NAME, SupplyError},
};

/// Says what is not as it was.
pub(super) fn verify(context: &Context) -> Result<(), Failure> {
    let faults = context.store().verify().map_err(SupplyError::from)?;
    for fault in &faults {
        complain(format_args!("error: {fault}\n"));
    }
    if faults.is_empty() {
        print(format_args!(
            "everything is as it was when it was verified\n"
        ))
        .map_err(Failure::io("print"))
    } else {
        complain(format_args!(
            "help: remove it; `doze up` downloads it again\n"
        ));
        Err(Failure::Told(Exit::Trust))
    }
}

/// Removes what no project refers to, neither by a plan nor by its `doze.lock`.
pub(super) fn gc(context: &Context) -> Result<(), Failure> {
    let store = context.store();
    let projects = context.dirs.home.join("projects");
    let mut keep = BTreeSet::new();
    for project in folders(&projects).map_err(Failure::io(format!("list {projects}")))? {
        let plans = project.join("plans");
        for plan in folders(&plans).map_err(Failure::io(format!("list {plans}")))? {
            if plan.file_name() == Some(SOURCE) {
                let source =
                    fs::read_to_string(&plan).map_err(Failure::io(format!("read {plan}")))?;
                keep.extend(pinned(&store, Utf8Path::new(source.trim_end()))?);
            } else {
                keep.extend(planned(context, &plan)?);
            }
        }
    }
    // The plans of those that are registered are there only while their user manager is.
    let files = registered::all(&context.dirs).map_err(Failure::io("list registered projects"))?;
    for file in files {
        let registration =
            Registration::read(&file).map_err(Failure::io(format!("read {file}")))?;
        keep.extend(pinned(&store, &registration.source)?);
    }
    let mut removed = store.gc(&keep).map_err(SupplyError::from)?;
    removed.extend(templates(&context.dirs.templates())?);
    let lines: Vec<_> = removed
        .iter()
        .map(|path| format!("removed {path}"))
        .collect();
    print_lines(&lines).map_err(Failure::io("print"))
}

/// Removes the templates, which are made anew where they are needed, and what is left of those that
/// were not finished; but none that somebody is at.
fn templates(folder: &Utf8Path) -> Result<Vec<Utf8PathBuf>, Failure> {
    let mut removed = Vec::new();
    for path in folders(folder).map_err(Failure::io(format!("list {folder}")))? {
        let name = path.file_name().unwrap_or_default();
        let unfinished = name.strip_prefix('.').map(|rest| rest.strip_suffix(".new"));
        let Some(key) = unfinished.unwrap_or(Some(name)) else {
            // The locks.
            continue;
        };
        let Some(_lock) = FileLock::attempt(&folder.join(".locks").join(key))? else {
            continue;
        };
        // Half a template is never at the place of a whole one.
        let aside = folder.join(format!(".{key}.new"));
        let remove = || {
            if path != aside {
                missing_is_none(fs::remove_dir_all(&aside))?;
                fs::rename(&path, &aside)?;
            }
            fs::remove_dir_all(&aside)
        };
        missing_is_none(remove()).map_err(Failure::io(format!("remove {path}")))?;
        removed.push(path);
    }
    Ok(removed)
}

/// What is in a folder; nothing if there is none.
fn folders(path: &Utf8Path) -> std::io::Result<Vec<Utf8PathBuf>> {
    match path.read_dir_utf8() {
        Ok(entries) => entries.map(|entry| Ok(entry?.into_path())).collect(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// The trees that a plan runs programs of. One that cannot be read keeps everything: who knows
/// what it needs.
fn planned(context: &Context, path: &Utf8Path) -> Result<Vec<Utf8PathBuf>, Failure> {
    let text = fs::read(path).map_err(Failure::io(format!("read {path}")))?;
    let plan: Plan = serde_json::from_slice(&text).map_err(|error| {
        Failure::plain(format!(
            "cannot read {path}, so nothing is removed: {error}"
        ))
    })?;
    let members = plan.body.members.iter();
    let programs = members.filter_map(|member| member.program().map(Utf8Path::to_owned));
    let store = context.dirs.store();
    let tree = |program: Utf8PathBuf| {
        let below = program.strip_prefix(&store).ok()?;
        let tree: Utf8PathBuf = below.components().take(3).collect();
        Some(store.join(tree))
    };
    Ok(programs.chain([plan.driver]).filter_map(tree).collect())
}

/// The trees that the lock beside a project's file names.
fn pinned(store: &Store, file: &Utf8Path) -> Result<Vec<Utf8PathBuf>, Failure> {
    let lock = file.parent().unwrap_or(file).join(LOCK_NAME);
    let Some(pins) = Pins::read(&lock).map_err(SupplyError::from)? else {
        return Ok(Vec::new());
    };
    let triple = Triple::host();
    let tree = |kind, name: &_, version: &_, archives: &Archives| {
        let package = Package {
            kind,
            name: Clone::clone(name),
            version: Clone::clone(version),
        };
        store.find(&package, archives.sha256.get(&triple)?)
    };
    let engines = pins.engines.iter().flat_map(|(name, pins)| {
        pins.values().filter_map(move |pin| match &pin.source {
            Source::Registry(archives) => tree(Kind::Engine, name, &pin.version, archives),
            Source::System => None,
        })
    });
    let modules = pins.modules.iter();
    let modules =
        modules.filter_map(|(name, pin)| tree(Kind::Module, name, &pin.version, &pin.archives));
    Ok(engines.chain(modules).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_go_unless_somebody_is_at_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| Utf8PathBuf::from_path_buf(folder.path().join(name)).unwrap();
        for name in ["one/base", "two", ".two.new/half", ".three.new", "used"] {
            fs::create_dir_all(path(name)).unwrap();
        }
        let used = FileLock::attempt(&path(".locks/used")).unwrap();
        let mut removed = templates(&path("")).unwrap();
        removed.sort();
        // What was left of the second one may have been found first, or have gone with it.
        removed.retain(|removed| *removed != path(".two.new"));
        assert_eq!(removed, [".three.new", "one", "two"].map(path));
        assert_eq!(templates(&path("")).unwrap(), [""; 0]);
        let left: BTreeSet<_> = folders(&path("")).unwrap().into_iter().collect();
        assert_eq!(left, [".locks", "used"].map(path).into());
        drop(used);
        assert_eq!(templates(&path("")).unwrap(), [path("used")]);
        assert_eq!(templates(&path("nowhere")).unwrap(), [""; 0]);
    }
}
