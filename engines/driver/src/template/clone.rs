//! A folder with all that is in it, once more. Must not know what it is for.

use std::{
    fs::{self, DirBuilder, File},
    io,
    os::unix::fs::{DirBuilderExt, symlink},
    thread,
};

use camino::{Utf8Path, Utf8PathBuf};

/// What could not be cloned, and why.
type Failed = (Utf8PathBuf, io::Error);

/// A file or folder, and where its clone belongs.
type Pair = (Utf8PathBuf, Utf8PathBuf);

/// What is left to do when all folders are there.
#[derive(Default)]
struct Rest {
    files: Vec<Pair>,
    /// They get their modes at the end, which may be such that nothing can be made in them.
    folders: Vec<Pair>,
}

/// A thread is worth its start if it has so many files to clone.
const FILES: usize = 128;

/// Clones what is in `from` into `to`, an empty folder, which gets the mode of `from`.
pub(super) fn folder(from: &Utf8Path, to: &Utf8Path) -> Result<(), Failed> {
    let mut rest = Rest::default();
    descend(from, to, &mut rest)?;
    copy(&rest.files, to)?;
    rest.folders.iter().try_for_each(set_mode)
}

fn copy(files: &[Pair], to: &Utf8Path) -> Result<(), Failed> {
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let share = files.len().div_ceil(threads).max(FILES);
    thread::scope(|scope| {
        // All of them are started before the first one is waited for.
        let started: Vec<_> = files
            .chunks(share)
            .map(|files| scope.spawn(|| files.iter().try_for_each(file)))
            .collect();
        started.into_iter().try_for_each(|thread| {
            let lost = || (to.to_owned(), io::Error::other("a thread was lost"));
            thread.join().unwrap_or_else(|_| Err(lost()))
        })
    })
}

/// Makes the folders and the links, and lists the files.
fn descend(from: &Utf8Path, to: &Utf8Path, rest: &mut Rest) -> Result<(), Failed> {
    let failed = |error| (from.to_owned(), error);
    for entry in from.read_dir_utf8().map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        let failed = |error| (from.to_owned(), error);
        let kind = entry.file_type().map_err(failed)?;
        if kind.is_dir() {
            DirBuilder::new().mode(0o700).create(&to).map_err(failed)?;
            descend(from, &to, rest)?;
        } else if kind.is_symlink() {
            let target = from.read_link_utf8().map_err(failed)?;
            symlink(target, &to).map_err(failed)?;
        } else if kind.is_file() {
            rest.files.push((from.to_owned(), to));
        } else {
            return Err(failed(io::ErrorKind::InvalidInput.into()));
        }
    }
    rest.folders.push((from.to_owned(), to.to_owned()));
    Ok(())
}

fn set_mode((from, to): &Pair) -> Result<(), Failed> {
    let set = || fs::set_permissions(to, fs::metadata(from)?.permissions());
    set().map_err(|error| (to.clone(), error))
}

/// By `copy_file_range(2)` on Linux, for which a file system that can share blocks shares them, and by
/// fclonefileat(2) on macOS.
fn file((from, to): &Pair) -> Result<(), Failed> {
    fs::copy(from, to).map_err(|error| (from.clone(), error))?;
    Ok(())
}

/// Waits until all that was written is on the disk: by one call for the whole file system, for a
/// call for each file takes many times as long.
#[cfg(target_os = "linux")]
pub(super) fn to_disk(folder: &Utf8Path) -> io::Result<()> {
    Ok(rustix::fs::syncfs(File::open(folder)?)?)
}

/// There is no such call; the folder itself is what can be waited for.
#[cfg(not(target_os = "linux"))]
pub(super) fn to_disk(folder: &Utf8Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::{io::Write, os::unix::fs::PermissionsExt};

    use super::*;

    fn put(path: Utf8PathBuf, text: &str) -> io::Result<()> {
        File::create(path)?.write_all(text.as_bytes())
    }

    #[test]
    fn a_clone_has_the_same_files_links_and_modes_and_shares_none_of_them() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| Utf8PathBuf::from_path_buf(folder.path().join(name)).unwrap();
        let (from, to) = (path("from"), path("to"));
        fs::create_dir_all(from.join("a/empty")).unwrap();
        let count = 3 * FILES + 1;
        for number in 0..count {
            put(from.join(format!("a/{number}")), &number.to_string()).unwrap();
        }
        symlink("../nowhere", from.join("link")).unwrap();
        let mode = |path: &Utf8Path, mode| {
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        };
        mode(&from.join("a/7"), 0o640);
        mode(&from.join("a/empty"), 0o500);
        mode(&from, 0o750);
        fs::create_dir(&to).unwrap();
        super::folder(&from, &to).unwrap();

        put(to.join("a/8"), "other").unwrap();
        for number in 0..count {
            let text = fs::read_to_string(from.join(format!("a/{number}"))).unwrap();
            assert_eq!(text, number.to_string());
        }
        assert_eq!(fs::read_to_string(to.join("a/384")).unwrap(), "384");
        assert_eq!(to.join("a").read_dir().unwrap().count(), count + 1);
        assert_eq!(to.join("link").read_link_utf8().unwrap(), "../nowhere");
        let modes = ["a/7", "a/empty", ""]
            .map(|name| fs::metadata(to.join(name)).unwrap().permissions().mode() & 0o777);
        assert_eq!(modes, [0o640, 0o500, 0o750]);
    }

    #[test]
    fn what_cannot_be_cloned_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| Utf8PathBuf::from_path_buf(folder.path().join(name)).unwrap();
        fs::create_dir(path("from")).unwrap();
        fs::create_dir(path("to")).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(path("from/socket")).unwrap();
        let (at, _) = super::folder(&path("from"), &path("to")).unwrap_err();
        assert_eq!(at, path("from/socket"));
    }
}
