//! Which names an archive may use.
//!
//! Must not know what stands under them, nor touch a file.

use camino::{Utf8Component, Utf8Path, Utf8PathBuf};

use crate::files;

/// The most bytes of a path in an archive. With that of the store it stays below what the system
/// takes (`PATH_MAX`).
pub(super) const LENGTH: usize = 1024;

/// What is wrong with a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// Its bytes are no text.
    #[error("a name has to be UTF-8")]
    NotText,
    /// It begins at the root of the system.
    #[error("a name must not begin with /")]
    Absolute,
    /// It leads upwards.
    #[error("a name must not contain ..")]
    Upwards,
    /// Its characters would write something else on a terminal.
    #[error("a name must not contain control characters")]
    Control,
    /// It names nothing.
    #[error("a name must not be empty")]
    Empty,
    /// It is too long.
    #[error("a name has at most {LENGTH} bytes")]
    TooLong,
    /// It is that of the list of files.
    #[error("a name must not be {}, which doze writes itself", files::NAME)]
    Reserved,
}

/// The path that an entry names, without what does not matter in it. That of the directory itself
/// is empty.
pub(super) fn clean(name: &[u8]) -> Result<Utf8PathBuf, PathError> {
    if name.len() > LENGTH {
        return Err(PathError::TooLong);
    }
    let name = std::str::from_utf8(name).map_err(|_| PathError::NotText)?;
    if name.is_empty() {
        return Err(PathError::Empty);
    }
    if name.contains(char::is_control) {
        return Err(PathError::Control);
    }
    let mut path = Utf8PathBuf::new();
    for component in Utf8Path::new(name).components() {
        match component {
            Utf8Component::Normal(word) => path.push(word),
            Utf8Component::CurDir => {}
            Utf8Component::ParentDir => return Err(PathError::Upwards),
            Utf8Component::RootDir | Utf8Component::Prefix(_) => return Err(PathError::Absolute),
        }
    }
    if path == files::NAME {
        return Err(PathError::Reserved);
    }
    Ok(path)
}

/// Whether a symbolic link stays inside, whatever else there is: it goes up at its beginning only,
/// and not above the top. Then each step below leads down, or through another link that stays
/// inside.
pub(super) fn stays_inside(link: &Utf8Path, target: &str) -> bool {
    let above = link.components().count().saturating_sub(1);
    let mut up = 0;
    let mut down = false;
    for component in Utf8Path::new(target).components() {
        match component {
            Utf8Component::ParentDir if down => return false,
            Utf8Component::ParentDir => up += 1,
            Utf8Component::Normal(_) => down = true,
            Utf8Component::CurDir => {}
            Utf8Component::RootDir | Utf8Component::Prefix(_) => return false,
        }
    }
    let fits = target.len() <= LENGTH && !target.contains(char::is_control);
    fits && up <= above && (down || up > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stays_below_the_top() {
        for (name, path) in [
            ("bin/postgres", "bin/postgres"),
            ("./bin//x/", "bin/x"),
            ("./", ""),
            ("bin/.doze-files", "bin/.doze-files"),
            ("a b/ü..", "a b/ü.."),
        ] {
            assert_eq!(clean(name.as_bytes()), Ok(path.into()), "{name}");
        }
        let long = "x/".repeat(LENGTH);
        for (name, error) in [
            (&b""[..], PathError::Empty),
            (b"/etc/passwd", PathError::Absolute),
            (b"../x", PathError::Upwards),
            (b"a/../b", PathError::Upwards),
            (b"a/..", PathError::Upwards),
            (b"a\xff", PathError::NotText),
            (b"a\nb", PathError::Control),
            (b"a\0b", PathError::Control),
            (b"./.doze-files", PathError::Reserved),
            (long.as_bytes(), PathError::TooLong),
        ] {
            assert_eq!(clean(name), Err(error));
        }
    }

    #[test]
    fn a_link_stays_inside() {
        for (link, target) in [
            ("lib/libpq.so", "libpq.so.5"),
            ("bin/psql", "../lib/wrapper"),
            ("a/b/c", "../.."),
            ("a/b/c", "./x/./y"),
        ] {
            assert!(stays_inside(link.into(), target), "{link} -> {target}");
        }
        for (link, target) in [
            ("x", "/etc/passwd"),
            ("x", ".."),
            ("a/x", "../../etc"),
            // Where `d/up` is a link to `../..`, this is outside.
            ("z", "d/up/.."),
            ("x", ""),
            ("x", "."),
            ("x", "a\nb"),
        ] {
            assert!(!stays_inside(link.into(), target), "{link} -> {target}");
        }
    }
}
