//! From what is needed to what is in the store.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError, mpsc},
    thread,
    time::Duration,
};

use camino::Utf8PathBuf;
use doze_registry::{Artefact, Package, Progress, mirror::Mirror, select, store::StoreError};

use super::{Need, Reach, Supply, SupplyError, progress::Shown};
use crate::interrupt::Watch;

/// Downloads at a time.
const DOWNLOADS: usize = 4;

/// How long Ctrl-C waits for downloads to be broken off; one whose server is silent does not hear
/// of it.
const FAREWELL: Duration = Duration::from_secs(1);

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

    /// Downloads several at a time. After Ctrl-C it does not return, and nothing is left of them.
    fn fetch(&self, jobs: Vec<Job<'_>>) -> Vec<(Package, Result<Utf8PathBuf, StoreError>)> {
        if jobs.is_empty() {
            return Vec::new();
        }
        let shown = Arc::new(Shown::new());
        let (working, ended) = mpsc::channel::<()>();
        let _watch = Watch::new(self.clean_up(&jobs, &shown, ended));
        let threads = DOWNLOADS.min(jobs.len());
        let queue = Mutex::new(jobs.into_iter());
        let take = || {
            let mut queue = queue.lock().unwrap_or_else(PoisonError::into_inner);
            queue.next().filter(|_| !shown.is_cancelled())
        };
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
                let fetched = store.fetch(
                    &mirror,
                    namespace,
                    package,
                    &self.triple,
                    &artefact,
                    &*shown,
                );
                done.push((package.clone(), fetched));
            }
            done
        };
        let done = thread::scope(|scope| {
            let threads: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
            let results = threads.into_iter().map(thread::ScopedJoinHandle::join);
            results.flatten().flatten().collect()
        });
        drop(working);
        while shown.is_cancelled() {
            thread::park();
        }
        done
    }

    /// What Ctrl-C does: it breaks the downloads off, and removes what there is of them.
    fn clean_up(
        &self,
        jobs: &[Job<'_>],
        shown: &Arc<Shown>,
        ended: mpsc::Receiver<()>,
    ) -> impl FnOnce() + Send + 'static {
        let (store, shown) = (self.store.clone(), Arc::clone(shown));
        let digests = jobs
            .iter()
            .map(|job| (job.need.package.clone(), job.need.digest));
        let digests: BTreeMap<_, _> = digests.collect();
        move || {
            shown.cancel();
            ended.recv_timeout(FAREWELL).unwrap_or_default();
            for package in shown.on_their_way() {
                if let Some(digest) = digests.get(&package) {
                    store.abandon(digest);
                }
            }
        }
    }
}
