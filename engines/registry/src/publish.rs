//! The publisher's side: a registry as a folder of static files, and what may be done to it.
//!
//! A change is one new index, put in place as a whole: before that moment the registry is the old
//! one, whatever happened. Archives are there before an index names them, and pages for people
//! follow. Must not know the network, nor what time it is.

use std::{
    collections::btree_map::Entry,
    fs::{self, File, TryLockError},
    io,
    time::{Duration, SystemTime},
};

use camino::{Utf8Path, Utf8PathBuf};

use crate::{
    Digest, Index, Namespace, Package, PublicKey, SecretKey, Triple,
    envelope::Handover,
    index::{Authentic, IndexError, authenticate, seconds},
    replace::{beside, keep, replace},
};

mod add;
pub mod archive;
pub mod catalogue;
mod error;
mod html;

pub use add::AddError;
pub use archive::ArchiveError;
pub use error::PublishError;

/// How long an index is to be believed, unless its publisher says otherwise.
pub const VALIDITY: Duration = Duration::from_hours(90 * 24);

/// When an index is signed, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// The time.
    pub now: SystemTime,
    /// How long the index is to be believed; [`VALIDITY`] is usual.
    pub validity: Duration,
}

/// One publisher's part of a registry, which is open for changes by this process only. After an
/// error it has to be opened anew.
#[derive(Debug)]
pub struct Registry {
    root: Utf8PathBuf,
    key: SecretKey,
    chain: Vec<Handover>,
    index: Index,
    /// The folder of the registry; its file lock goes with it.
    _lock: File,
}

/// What [`Registry::publish`] did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// The package.
    pub package: Package,
    /// What it was built for.
    pub target: Triple,
    /// The digest of its archive.
    pub digest: Digest,
    /// Whether it was not published before.
    pub new: bool,
}

impl Registry {
    /// Makes a namespace with nothing in it, and its key in a new file outside the registry.
    pub fn init(
        root: &Utf8Path,
        namespace: &Namespace,
        key_file: &Utf8Path,
        moment: Moment,
    ) -> Result<Self, PublishError> {
        let folder = root.join(namespace.as_str());
        fs::create_dir_all(&folder).map_err(failed(&folder))?;
        let lock = lock(root)?;
        let index_file = folder.join("index");
        if index_file.try_exists().map_err(failed(&index_file))? {
            return Err(PublishError::Exists(index_file));
        }
        let key = new_key(root, key_file)?;
        let mut registry = Self {
            root: root.to_owned(),
            key,
            chain: Vec::new(),
            index: Index::new(namespace.clone()),
            _lock: lock,
        };
        registry.renew(moment)?;
        Ok(registry)
    }

    /// Opens a namespace to change it. Its index may be expired.
    pub fn open(
        root: &Utf8Path,
        namespace: &Namespace,
        key_file: &Utf8Path,
    ) -> Result<Self, PublishError> {
        let folder = root.join(namespace.as_str());
        let index_file = folder.join("index");
        if !index_file.try_exists().map_err(failed(&index_file))? {
            return Err(PublishError::NoIndex(index_file));
        }
        let lock = lock(root)?;
        for folder in [root, &folder] {
            sweep(folder).map_err(failed(folder))?;
        }
        check_outside(root, key_file)?;
        let key = SecretKey::read(key_file)?;
        let authentic = read_index(root, namespace)?;
        if authentic.key != key.public() {
            return Err(PublishError::OtherKey {
                signed: authentic.key,
                given: key.public(),
            });
        }
        Ok(Self {
            root: root.to_owned(),
            key,
            chain: authentic.chain,
            index: authentic.index,
            _lock: lock,
        })
    }

    /// The key that signs.
    pub fn key(&self) -> PublicKey {
        self.key.public()
    }

    /// What is published.
    pub fn index(&self) -> &Index {
        &self.index
    }

    /// Adds an archive, as `doze registry pack` made it. What is published never changes: the same
    /// archive again is nothing to do, another one under its name is refused.
    pub fn publish(
        &mut self,
        archive: &Utf8Path,
        moment: Moment,
    ) -> Result<Published, PublishError> {
        let folder = self.folder();
        let refused = |source| PublishError::Archive {
            path: archive.to_owned(),
            source,
        };
        // What is checked, listed and kept is this copy.
        let mut copy = beside(&folder.join("index")).map_err(failed(&folder))?;
        let artefact = archive::copy(archive, copy.as_file_mut()).map_err(refused)?;
        let content = archive::read(copy.as_file_mut()).map_err(refused)?;
        let (package, target) = (&content.manifest.package, &content.manifest.target);

        let mut index = self.index.clone();
        let new = add::add(&mut index, &content, artefact)?;
        let place = folder.join(package.path(target));
        if let Some(folder) = place.parent() {
            fs::create_dir_all(folder).map_err(failed(folder))?;
        }
        keep(copy, &place).map_err(failed(&place))?;
        if new {
            self.commit(index, moment)?;
        }
        Ok(Published {
            package: package.clone(),
            target: target.clone(),
            digest: artefact.sha256,
            new,
        })
    }

    /// Signs with a new key from now on, which is written to a new file. Whoever knows the old key
    /// comes to believe the new one.
    pub fn rotate_key(
        &mut self,
        key_file: &Utf8Path,
        moment: Moment,
    ) -> Result<PublicKey, PublishError> {
        let new = new_key(&self.root, key_file)?;
        let handover = Handover::sign(&self.index.namespace, &self.key, &new.public());
        self.chain.push(handover);
        self.key = new;
        self.renew(moment)?;
        Ok(self.key())
    }

    /// Says that no archive of a release must be used any more.
    pub fn revoke(
        &mut self,
        package: &Package,
        reason: &str,
        moment: Moment,
    ) -> Result<(), PublishError> {
        let mut index = self.index.clone();
        let artefacts = self.index.artefacts(package);
        let artefacts = artefacts.ok_or_else(|| PublishError::Unknown(package.clone()))?;
        for artefact in artefacts.values() {
            index.revoked.insert(artefact.sha256, reason.to_owned());
        }
        self.commit(index, moment)
    }

    /// Says that a key before this one must not be believed any more, such as one that was stolen.
    /// Whoever pinned it has to ask the publisher for the new one.
    pub fn revoke_key(
        &mut self,
        key: &PublicKey,
        reason: &str,
        moment: Moment,
    ) -> Result<(), PublishError> {
        if *key == self.key() {
            return Err(PublishError::KeyInUse(*key));
        }
        if !self.chain.iter().any(|old| old.key == *key) {
            return Err(PublishError::UnknownKey(*key));
        }
        let mut index = self.index.clone();
        match index.revoked_keys.entry(*key) {
            Entry::Occupied(_) => return Ok(()),
            Entry::Vacant(entry) => entry.insert(reason.to_owned()),
        };
        self.commit(index, moment)
    }

    /// Signs the index anew, so that it expires later.
    pub fn renew(&mut self, moment: Moment) -> Result<(), PublishError> {
        self.commit(self.index.clone(), moment)
    }

    /// Puts a changed index in place, then the pages that tell of it.
    fn commit(&mut self, mut index: Index, moment: Moment) -> Result<(), PublishError> {
        index.counter += 1;
        index.issued = seconds(moment.now);
        index.expires = index.issued.saturating_add(moment.validity.as_secs());
        let bytes = index
            .seal(&self.chain, &self.key)
            .map_err(PublishError::Index)?;
        let path = self.folder().join("index");
        replace(&path, &bytes).map_err(failed(&path))?;
        self.index = index;
        write_pages(&self.root, &self.index, self.key())
    }

    fn folder(&self) -> Utf8PathBuf {
        self.root.join(self.index.namespace.as_str())
    }
}

/// Writes what people and search tools look at: the page of the namespace, that of the registry,
/// and its catalogue.
fn write_pages(root: &Utf8Path, index: &Index, key: PublicKey) -> Result<(), PublishError> {
    let write = |name: &Utf8Path, text: String| {
        let path = root.join(name);
        replace(&path, text.as_bytes()).map_err(failed(&path))
    };
    let page = html::namespace(index, key).to_string();
    write(
        &Utf8Path::new(index.namespace.as_str()).join("index.html"),
        page,
    )?;

    let mut all = catalogue::Catalogue::default();
    for item in root.read_dir_utf8().map_err(failed(root))? {
        let item = item.map_err(failed(root))?;
        let Ok(namespace) = Namespace::new(item.file_name()) else {
            continue;
        };
        if !item.path().join("index").is_file() {
            continue;
        }
        let Authentic { index, key, .. } = read_index(root, &namespace)?;
        all.add(&index, key);
    }
    let text = all
        .to_text()
        .map_err(IndexError::Payload)
        .map_err(PublishError::Index)?;
    write("catalogue.json".into(), text)?;
    write("index.html".into(), html::registry(&all).to_string())
}

fn read_index(root: &Utf8Path, namespace: &Namespace) -> Result<Authentic, PublishError> {
    let path = root.join(namespace.as_str()).join("index");
    let bytes = fs::read(&path).map_err(failed(&path))?;
    authenticate(&bytes, namespace).map_err(PublishError::Index)
}

fn new_key(root: &Utf8Path, file: &Utf8Path) -> Result<SecretKey, PublishError> {
    check_outside(root, file)?;
    let key = SecretKey::generate()?;
    key.write_new(file)?;
    Ok(key)
}

/// A secret key in the registry would be served to everybody.
fn check_outside(root: &Utf8Path, file: &Utf8Path) -> Result<(), PublishError> {
    let folder = match file.parent() {
        Some(folder) if !folder.as_str().is_empty() => folder,
        Some(_) | None => Utf8Path::new("."),
    };
    let folder = folder.canonicalize().map_err(failed(folder))?;
    if folder.starts_with(root.canonicalize().map_err(failed(root))?) {
        return Err(PublishError::KeyInside {
            key: file.to_owned(),
            root: root.to_owned(),
        });
    }
    Ok(())
}

/// Two changes at once would each lose the other's; the pages of the registry are everybody's.
fn lock(folder: &Utf8Path) -> Result<File, PublishError> {
    let file = File::open(folder).map_err(failed(folder))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(PublishError::Busy(folder.to_owned())),
        Err(TryLockError::Error(error)) => Err(failed(folder)(error)),
    }
}

/// Removes what a change that was killed left behind.
fn sweep(folder: &Utf8Path) -> io::Result<()> {
    for item in folder.read_dir_utf8()? {
        let item = item?;
        if item.file_name().starts_with(".doze-") {
            fs::remove_file(item.path())?;
        }
    }
    Ok(())
}

fn failed(path: &Utf8Path) -> impl FnOnce(io::Error) -> PublishError {
    let path = path.to_owned();
    |source| PublishError::File { path, source }
}

#[cfg(test)]
mod tests;
