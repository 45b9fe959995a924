//! Where an archive is unpacked, and what must be true of it whatever the archive says.
//!
//! Must not know archives.

use std::{
    collections::BTreeSet,
    ffi::{OsStr, OsString},
    fs::{self, File, Metadata},
    os::unix::{
        ffi::OsStrExt,
        fs::{MetadataExt, PermissionsExt},
    },
    path::{Path, PathBuf},
    time::SystemTime,
};

use doze_registry::{files, unpack::Limits};

use crate::tarball::Entry;

/// A folder to unpack into, and one beside it which nobody may touch.
pub struct World(tempfile::TempDir);

impl World {
    pub fn new() -> Self {
        let world = Self(tempfile::tempdir().unwrap());
        fs::create_dir(world.root()).unwrap();
        fs::create_dir(world.outside()).unwrap();
        File::create(world.outside().join("canary")).unwrap();
        world
    }

    pub fn root(&self) -> PathBuf {
        self.0.path().join("root")
    }

    pub fn outside(&self) -> PathBuf {
        self.0.path().join("outside")
    }

    /// Everything beside the folder that is unpacked into.
    pub fn outside_of_root(&self) -> Vec<(PathBuf, u32, u64, SystemTime, String)> {
        let mut seen = Vec::new();
        for path in below(self.0.path(), &self.root()) {
            let about = fs::symlink_metadata(&path).unwrap();
            let text = fs::read_to_string(&path).unwrap_or_default();
            let changed = about.modified().unwrap();
            seen.push((path, about.mode(), about.nlink(), changed, text));
        }
        seen
    }

    /// What there is in the tree, which is within the limits and of the few kinds, whether it is
    /// complete or not.
    pub fn tame_nodes(&self, limits: &Limits) -> Vec<PathBuf> {
        let nodes = below(&self.root(), Path::new(""));
        let mut bytes = 0;
        let mut paths = Vec::new();
        for node in &nodes {
            let about = fs::symlink_metadata(node).unwrap();
            let path = node.strip_prefix(self.root()).unwrap();
            if path != Path::new(files::NAME) {
                self.assert_kind(path, &about);
                bytes += if about.is_file() { about.len() } else { 0 };
                paths.push(path.to_owned());
            }
        }
        assert!(paths.len() as u64 <= limits.entries, "{paths:?}");
        assert!(bytes <= limits.bytes, "{bytes} bytes");
        paths
    }

    fn assert_kind(&self, path: &Path, about: &Metadata) {
        let mode = about.permissions().mode() & 0o7777;
        let kind = about.file_type();
        if kind.is_symlink() {
            assert!(self.stays_inside(path), "{path:?} leads outside");
        } else if kind.is_dir() {
            assert_eq!(mode, 0o755, "{path:?}");
        } else {
            assert!(kind.is_file(), "{path:?} is {kind:?}");
            assert!(matches!(mode, 0o644 | 0o755), "{path:?} has {mode:o}");
            assert_eq!(about.nlink(), 1, "{path:?} is a hard link");
        }
    }

    /// Goes where the kernel would go (`path_resolution(7)`); what is not there yet may become
    /// a directory.
    fn stays_inside(&self, link: &Path) -> bool {
        let mut at = PathBuf::new();
        let mut left: Vec<_> = words(link);
        let mut links = 0;
        while let Some(word) = left.pop() {
            match word.as_bytes() {
                b"/" => return false,
                b"." => {}
                b".." => {
                    if !at.pop() {
                        return false;
                    }
                }
                _ => {
                    let next = at.join(&word);
                    match fs::read_link(self.root().join(&next)) {
                        Ok(target) => {
                            links += 1;
                            if links > 40 {
                                // As for the kernel, it leads nowhere.
                                return true;
                            }
                            left.extend(words(&target));
                        }
                        Err(_) => at = next,
                    }
                }
            }
        }
        true
    }

    /// The list in the tree names all that is there, once.
    pub fn assert_listed(&self, nodes: &[PathBuf]) {
        let list = fs::read_to_string(self.root().join(files::NAME)).unwrap();
        let mut lines = list.lines();
        assert!(lines.next().unwrap().starts_with("doze-files 1\t"));
        let listed: Vec<_> = lines
            .map(|line| match line.split('\t').collect::<Vec<_>>()[..] {
                ["directory", path] | ["file", _, _, path] | ["link", path, _] => path.into(),
                _ => panic!("{line:?} in the list"),
            })
            .collect();
        let once: BTreeSet<PathBuf> = listed.iter().cloned().collect();
        assert_eq!(once.len(), listed.len(), "{list}");
        assert_eq!(once, nodes.iter().cloned().collect(), "{list}");
    }

    /// A file of the archive is there, with what is in it.
    pub fn assert_holds(&self, entry: &Entry) {
        if entry.kind == b'0' {
            let name: PathBuf = Path::new(OsStr::from_bytes(&entry.name))
                .components()
                .collect();
            let found = fs::read(self.root().join(&name)).unwrap();
            assert!(found == entry.rest, "{name:?} holds something else");
        }
    }
}

/// The words of a path, the last one first.
fn words(path: &Path) -> Vec<OsString> {
    let words = path.components().rev();
    words.map(|word| word.as_os_str().to_owned()).collect()
}

/// All that is below a folder, sorted, but for one path and what is below that.
fn below(folder: &Path, but: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    let mut left = vec![folder.to_owned()];
    while let Some(folder) = left.pop() {
        for item in fs::read_dir(folder).unwrap() {
            let item = item.unwrap();
            if item.path() != but {
                all.push(item.path());
                if item.file_type().unwrap().is_dir() {
                    left.push(item.path());
                }
            }
        }
    }
    all.sort();
    all
}
