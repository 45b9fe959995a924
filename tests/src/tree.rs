//! Directories as values: read, compared with a golden one in both directions, linked.
//!
//! Must not know: what the files mean.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

/// Set to anything, it makes [`Tree::assert_golden`] rewrite the golden tree instead.
pub const BLESS: &str = "DOZE_BLESS";

/// The files and symbolic links of a directory, by relative path. Empty directories do not count.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tree(BTreeMap<PathBuf, Entry>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Entry {
    File(Vec<u8>),
    Link(PathBuf),
}

impl Tree {
    /// Reads a directory; one that is missing is an empty tree.
    pub fn read(dir: &Path) -> Self {
        let mut tree = Self::default();
        tree.add(dir, Path::new(""))
            .unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
        tree
    }

    /// The same tree with a text replaced in every file and link: what differs from one world to
    /// the next, such as its directory, has a fixed name in a golden tree.
    #[must_use]
    pub fn replacing(mut self, from: &str, to: &str) -> Self {
        for entry in self.0.values_mut() {
            *entry = match entry {
                Entry::File(bytes) => match std::str::from_utf8(bytes) {
                    Ok(text) => Entry::File(text.replace(from, to).into_bytes()),
                    Err(_) => continue,
                },
                Entry::Link(target) => {
                    Entry::Link(target.to_string_lossy().replace(from, to).into())
                }
            };
        }
        self
    }

    /// Compares with the golden tree in `golden`, in both directions; with [`BLESS`] in the
    /// environment it makes that the golden tree.
    ///
    /// # Panics
    /// With each file that is missing, too much, or different.
    #[track_caller]
    pub fn assert_golden(&self, golden: &Path) {
        if std::env::var_os(BLESS).is_some() {
            self.bless(golden)
                .unwrap_or_else(|error| panic!("{}: {error}", golden.display()));
        }
        let differences = self.differences(&Self::read(golden));
        assert!(
            differences.is_empty(),
            "{} differs ({BLESS}=1 accepts this as the new one):\n{differences}",
            golden.display()
        );
    }

    /// What changes from `golden` to this tree, a file a paragraph; empty if nothing does.
    fn differences(&self, golden: &Self) -> String {
        let paths: BTreeSet<&PathBuf> = self.0.keys().chain(golden.0.keys()).collect();
        let mut text = String::new();
        for path in paths {
            let path_shown = path.display();
            let written = match (golden.0.get(path), self.0.get(path)) {
                (Some(old), Some(new)) if old == new => Ok(()),
                (None, _) => writeln!(text, "too much: {path_shown}"),
                (_, None) => writeln!(text, "missing: {path_shown}"),
                (Some(old), Some(new)) => {
                    writeln!(
                        text,
                        "different: {path_shown}\n{}",
                        first_difference(old, new)
                    )
                }
            };
            written.expect("a string takes text");
        }
        text
    }

    fn add(&mut self, root: &Path, below: &Path) -> io::Result<()> {
        let entries = match fs::read_dir(root.join(below)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            other => other?,
        };
        for entry in entries {
            let entry = entry?;
            let path = below.join(entry.file_name());
            let kind = entry.file_type()?;
            if kind.is_dir() {
                self.add(root, &path)?;
            } else if kind.is_symlink() {
                self.0
                    .insert(path, Entry::Link(fs::read_link(entry.path())?));
            } else {
                self.0.insert(path, Entry::File(fs::read(entry.path())?));
            }
        }
        Ok(())
    }

    fn bless(&self, golden: &Path) -> io::Result<()> {
        match fs::remove_dir_all(golden) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        for (path, entry) in &self.0 {
            let path = golden.join(path);
            fs::create_dir_all(path.parent().unwrap_or(golden))?;
            match entry {
                #[expect(clippy::disallowed_methods, reason = "git has the previous content")]
                Entry::File(bytes) => fs::write(path, bytes)?,
                Entry::Link(target) => symlink(target, path)?,
            }
        }
        Ok(())
    }
}

/// The first line that differs, old and new.
fn first_difference(old: &Entry, new: &Entry) -> String {
    let text = |entry: &Entry| match entry {
        Entry::File(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        Entry::Link(target) => format!("-> {}", target.display()),
    };
    let (old, new) = (text(old), text(new));
    let (mut old, mut new) = (old.split_inclusive('\n'), new.split_inclusive('\n'));
    let mut number = 0;
    loop {
        number += 1;
        match (old.next(), new.next()) {
            (a, b) if a == b && a.is_some() => {}
            (a, b) => {
                let shown =
                    |line: Option<&str>| line.map_or("end".to_owned(), |l| format!("{l:?}"));
                return format!("  line {number}\n  - {}\n  + {}", shown(a), shown(b));
            }
        }
    }
}

/// Gives a program a second name that anybody may run: a hard link if it already is public and on
/// the same file system, else a copy.
pub(crate) fn link_or_copy(from: &Path, to: &Path) {
    let place = || {
        let mode = fs::metadata(from)?.permissions().mode();
        if mode & 0o004 == 0 || fs::hard_link(from, to).is_err() {
            fs::copy(from, to)?;
            fs::set_permissions(to, fs::Permissions::from_mode(mode | (mode & 0o500) >> 6))?;
        }
        io::Result::Ok(())
    };
    place().unwrap_or_else(|error| panic!("{} -> {}: {error}", from.display(), to.display()));
}

/// As [`link_or_copy`], for a directory and all below it.
pub(crate) fn link_or_copy_all(from: &Path, to: &Path) {
    let place = || {
        fs::create_dir_all(to)?;
        for entry in fs::read_dir(from)? {
            let entry = entry?;
            let (path, copy) = (entry.path(), to.join(entry.file_name()));
            let kind = entry.file_type()?;
            if kind.is_dir() {
                link_or_copy_all(&path, &copy);
            } else if kind.is_symlink() {
                symlink(fs::read_link(&path)?, &copy)?;
            } else {
                link_or_copy(&path, &copy);
            }
        }
        io::Result::Ok(())
    };
    place().unwrap_or_else(|error| panic!("{} -> {}: {error}", from.display(), to.display()));
}

/// Whether everybody may enter a directory and all that lead to it.
pub fn is_public(dir: &Path) -> bool {
    dir.ancestors().all(|dir| {
        fs::metadata(dir).is_ok_and(|metadata| metadata.permissions().mode() & 0o001 != 0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(files: &[(&str, &str)]) -> Tree {
        let entry = |(path, text): &(&str, &str)| {
            (PathBuf::from(path), Entry::File(text.as_bytes().to_vec()))
        };
        Tree(files.iter().map(entry).collect())
    }

    #[test]
    fn a_tree_is_compared_in_both_directions() {
        let golden = tree(&[("a", "1\n2\n"), ("b", "x"), ("same", "s")]);
        let actual = tree(&[("a", "1\n3\n"), ("c", "y"), ("same", "s")]);
        let expected =
            "different: a\n  line 2\n  - \"2\\n\"\n  + \"3\\n\"\nmissing: b\ntoo much: c\n";
        assert_eq!(actual.differences(&golden), expected);
        assert_eq!(golden.differences(&golden.clone()), "");
    }

    #[test]
    fn what_was_blessed_reads_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let golden = dir.path().join("golden");
        let mut blessed = tree(&[("a/b", "text"), ("c", "")]);
        blessed.0.insert("link".into(), Entry::Link("a/b".into()));
        tree(&[("old", "")]).bless(&golden).unwrap();
        blessed.bless(&golden).unwrap();
        assert_eq!(Tree::read(&golden), blessed);
    }

    #[test]
    fn a_missing_directory_is_an_empty_tree() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Tree::read(&dir.path().join("none")), Tree::default());
    }

    #[test]
    fn what_differs_between_worlds_can_be_given_a_fixed_name() {
        let tree = tree(&[("unit", "ExecStart=/tmp/dz-1/bin/x")]).replacing("/tmp/dz-1", "WORLD");
        assert_eq!(tree, self::tree(&[("unit", "ExecStart=WORLD/bin/x")]));
    }
}
