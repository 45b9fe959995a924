//! Whether a project comes up with the user's manager, and how it does.
//!
//! To systemd a link says so; launchd loads whatever stands in its folder. Neither has to run. Must
//! not know what the files say.

use std::{
    fs,
    io::{self, ErrorKind},
    os::unix::fs::symlink,
};

use camino::{Utf8Path, Utf8PathBuf};
use doze_contract::ProjectName;

use crate::{
    dirs::{Dirs, Init},
    fsx,
    names::Names,
};

/// Makes the target start with the user's manager, as `systemctl enable` would. Whether that is
/// new.
pub(crate) fn enable(units: &Utf8Path, target: &str) -> io::Result<bool> {
    let link = wants(units, target);
    if let Some(folder) = link.parent() {
        fsx::make_folder(folder)?;
    }
    match symlink(Utf8Path::new("..").join(target), &link) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error),
    }
}

/// Whether the project starts with the user's manager.
pub(crate) fn is_enabled(dirs: &Dirs, project: &ProjectName) -> io::Result<bool> {
    let Some(target) = Names::of(dirs.init, project).target() else {
        return Ok(true);
    };
    let link = fsx::missing_is_none(fs::symlink_metadata(wants(&dirs.units, &target)))?;
    Ok(link.is_some())
}

/// Has the project not start by itself any more.
pub(crate) fn disable(dirs: &Dirs, project: &ProjectName) -> io::Result<()> {
    let names = Names::of(dirs.init, project);
    if let Some(target) = names.target() {
        return fsx::missing_is_none(fs::remove_file(wants(&dirs.units, &target))).map(drop);
    }
    debug_assert_eq!(dirs.init, Init::Launchd, "all others have a target");
    for file in fsx::missing_is_none(dirs.units.read_dir_utf8())?
        .into_iter()
        .flatten()
    {
        let file = file?;
        if names.owns(file.file_name()) {
            fsx::missing_is_none(fs::remove_file(file.path()))?;
        }
    }
    Ok(())
}

fn wants(units: &Utf8Path, target: &str) -> Utf8PathBuf {
    units.join("default.target.wants").join(target)
}
