//! From what is needed to what is in the store.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    thread,
};

use camino::Utf8PathBuf;
use doze_registry::{Artefact, Package, mirror::Mirror, select, store::StoreError};

use super::{Need, Reach, Supply, SupplyError, progress::Shown};

/// Downloads at a time.
const DOWNLOADS: usize = 4;

/// A download.
struct Job<'a> {
    need: &'a Need,
    mirror: Mirror,
    artefact: Artefact,
}

impl Supply {
    /// The folders of what is in the store, after a download of what is not if that is allowed.
    pub(super) fn stored(
        &mut self,
        needs: &[&Need],
    ) -> Result<BTreeMap<Package, Utf8PathBuf>, SupplyError> {
        let mut stored = BTreeMap::new();
        let mut jobs: BTreeMap<&Package, Job<'_>> = BTreeMap::new();
        for need in needs {
            match self.store.find(&need.package, &need.digest) {
                Some(folder) => drop(stored.insert(need.package.clone(), folder)),
                None if self.reach == Reach::Pinned => {}
                None => drop(jobs.insert(&need.package, self.job(need)?)),
            }
        }
        for (package, folder) in self.fetch(jobs.into_values().collect()) {
            stored.insert(package, folder?);
        }
        Ok(stored)
    }

    /// The pinned digest is the one that counts; the index tells the size, and whether it may be
    /// used at all.
    fn job<'a>(&mut self, need: &'a Need) -> Result<Job<'a>, SupplyError> {
        let Need {
            namespace,
            package,
            digest,
        } = need;
        let triple = self.triple.clone();
        let mirror = self.mirror(namespace)?;
        let index = self.index(namespace)?;
        let artefact = select::exact(index, package, &triple)?;
        if artefact.sha256 != *digest {
            return Err(SupplyError::Changed {
                namespace: namespace.clone(),
                package: Box::new(package.clone()),
                found: artefact.sha256,
                pinned: *digest,
            });
        }
        Ok(Job {
            need,
            mirror,
            artefact,
        })
    }

    /// Downloads several at a time.
    fn fetch(&self, jobs: Vec<Job<'_>>) -> Vec<(Package, Result<Utf8PathBuf, StoreError>)> {
        let shown = Shown::new();
        let threads = DOWNLOADS.min(jobs.len());
        let queue = Mutex::new(jobs.into_iter());
        let take = || queue.lock().unwrap_or_else(PoisonError::into_inner).next();
        let work = || {
            let mut done = Vec::new();
            while let Some(Job {
                need,
                mirror,
                artefact,
            }) = take()
            {
                let Need {
                    namespace, package, ..
                } = need;
                let store = &self.store;
                let fetched =
                    store.fetch(&mirror, namespace, package, &self.triple, &artefact, &shown);
                done.push((package.clone(), fetched));
            }
            done
        };
        thread::scope(|scope| {
            let threads: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
            let results = threads.into_iter().map(thread::ScopedJoinHandle::join);
            results.flatten().flatten().collect()
        })
    }
}
