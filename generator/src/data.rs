//! Data directories, as far as their end is concerned: how large they are, and removing them.
//!
//! What goes is first renamed to a hidden name, so that no engine ever opens the half of it.
//! Symbolic links are removed and not followed. Must not know what is in the data.

use std::{fs, io, os::unix::fs::MetadataExt};

use camino::{Utf8Path, Utf8PathBuf};

use crate::fsx;

/// What a file, or a folder with all that is in it, takes on the disk, in bytes. What goes
/// meanwhile does not count.
pub(crate) fn size(path: &Utf8Path) -> io::Result<u64> {
    let (mut bytes, mut open) = (0, vec![path.as_std_path().to_owned()]);
    while let Some(path) = open.pop() {
        let Some(found) = fsx::missing_is_none(fs::symlink_metadata(&path))? else {
            continue;
        };
        // st_blocks of stat(2) counts 512 bytes.
        bytes += found.blocks() * 512;
        if found.is_dir() {
            for entry in fsx::missing_is_none(fs::read_dir(&path))?
                .into_iter()
                .flatten()
            {
                open.push(entry?.path());
            }
        }
    }
    Ok(bytes)
}

/// Takes a directory out of its place, whole and at once. Whoever has its file lock may do that.
/// Returns what [`remove`] has to remove; nothing if it is not there.
pub(crate) fn set_aside(path: &Utf8Path) -> io::Result<Option<Utf8PathBuf>> {
    let aside = aside(path);
    // What an earlier command was killed over.
    remove(&aside)?;
    let renamed = fsx::missing_is_none(fs::rename(path, &aside))?;
    Ok(renamed.map(|()| aside))
}

/// Removes what commands that were killed have set aside among the data in a folder. Whoever has
/// the lock of the project may do that.
pub(crate) fn sweep(folder: &Utf8Path) -> io::Result<()> {
    let entries = fsx::missing_is_none(folder.read_dir_utf8())?;
    for entry in entries.into_iter().flatten() {
        let entry = entry?;
        if is_aside(entry.file_name()) {
            remove(entry.path())?;
        }
    }
    Ok(())
}

/// Removes a file, a link, or a folder with all that is in it. That it is not there is as good.
pub(crate) fn remove(path: &Utf8Path) -> io::Result<()> {
    let Some(found) = fsx::missing_is_none(fs::symlink_metadata(path))? else {
        return Ok(());
    };
    let removed = if found.is_dir() {
        fs::remove_dir_all(path)
    } else {
        fs::remove_file(path)
    };
    fsx::missing_is_none(removed).map(drop)
}

/// Where a directory goes on its way out.
fn aside(path: &Utf8Path) -> Utf8PathBuf {
    let name = path.file_name().unwrap_or_default();
    path.with_file_name(format!(".{name}.gone"))
}

fn is_aside(name: &str) -> bool {
    name.starts_with('.') && Utf8Path::new(name).extension() == Some("gone")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn what_is_removed_goes_at_once_and_no_link_is_followed() {
        let root = tempfile::tempdir().unwrap();
        let root = Utf8Path::from_path(root.path()).unwrap();
        let (precious, data) = (root.join("precious"), root.join("data/app"));
        for folder in [&precious, &data, &root.join("data/.app.gone/old")] {
            fs::create_dir_all(folder).unwrap();
        }
        fs::File::create(precious.join("file")).unwrap();
        symlink(&precious, data.join("link")).unwrap();
        symlink(&precious, root.join("data/moved")).unwrap();
        symlink(root.join("data"), data.join("circle")).unwrap();
        size(&data).unwrap();

        let aside = set_aside(&data).unwrap().unwrap();
        assert!(!data.try_exists().unwrap());
        assert!(
            !aside.join("old").try_exists().unwrap(),
            "that was another one"
        );
        remove(&aside).unwrap();
        set_aside(&root.join("data/moved")).unwrap().unwrap();
        sweep(&root.join("data")).unwrap();
        assert_eq!(fs::read_dir(root.join("data")).unwrap().count(), 0);
        assert!(precious.join("file").is_file());
        assert_eq!(set_aside(&data).unwrap(), None);
        remove(&data).unwrap();
    }

    #[test]
    fn the_size_is_that_of_everything_below() {
        let root = tempfile::tempdir().unwrap();
        let root = Utf8Path::from_path(root.path()).unwrap();
        let empty = size(root).unwrap();
        fs::create_dir(root.join("deep")).unwrap();
        fs::copy("/proc/self/exe", root.join("deep/file")).unwrap();
        let length = fs::metadata("/proc/self/exe").unwrap().len();
        assert!(size(root).unwrap() >= empty + length);
        assert_eq!(size(&root.join("nothing")).unwrap(), 0);
    }
}
