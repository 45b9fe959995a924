//! Which release to take: the newest that fits, the same whoever asks.
//!
//! Must not know what is pinned or stored; sees one index and does no I/O.

use std::{cmp::Reverse, collections::BTreeMap, iter};

use doze_contract::{EngineName, Version, protocol::PROTOCOL};

use crate::{
    Artefact, Index, Kind, Package, Triple,
    index::{Channel, EngineRelease, ModuleRelease, Releases},
};

mod error;

pub use error::SelectError;

/// A release and its archive for the target.
#[derive(Debug, Clone, PartialEq)]
pub struct Choice<'a, R> {
    /// What it is.
    pub package: Package,
    /// Its entry in the index.
    pub release: &'a R,
    /// The archive.
    pub artefact: Artefact,
}

/// The newest version that is what `doze.toml` asks for, and that the driver knows: where `11` is
/// asked for, a driver that knows `11.4` and `11.8` must not be given `11.9`.
pub fn engine<'a>(
    index: &'a Index,
    name: &EngineName,
    declared: &Version,
    majors: &[Version],
    triple: &Triple,
) -> Result<Choice<'a, EngineRelease>, SelectError> {
    let fitting = declared_as(index, name, declared)?;
    let known = |c: &Candidate<'_, _>| majors.iter().any(|major| c.package.version.provides(major));
    let known = fitting.keep(known).map_err(|best| SelectError::Driver {
        namespace: index.namespace.clone(),
        name: name.clone(),
        declared: declared.clone(),
        newest: best.package.version,
        majors: majors.to_vec(),
    })?;
    usable(index, known, triple)
}

/// The newest driver that speaks our protocol and knows every declared version.
pub fn module<'a>(
    index: &'a Index,
    name: &EngineName,
    declared: &[Version],
    triple: &Triple,
) -> Result<Choice<'a, ModuleRelease>, SelectError> {
    let all = Candidates::of(index, Kind::Module, name, &index.modules)?;
    let protocols: Vec<_> = all.iter().map(|c| c.release.protocol).collect();
    let speaking = all
        .keep(|c| c.release.protocol == PROTOCOL)
        .map_err(|_| wrong_protocol(index, name, &protocols))?;
    let knowing = speaking.keep(|c| missing(declared, &c.release.majors).is_empty());
    let knowing = knowing.map_err(|best| SelectError::Majors {
        namespace: index.namespace.clone(),
        name: name.clone(),
        missing: missing(declared, &best.release.majors),
        best: best.package.version,
        majors: best.release.majors.clone(),
    })?;
    usable(index, knowing, triple)
}

/// The archive of exactly this release, as `doze.lock` pins it.
pub fn exact(index: &Index, package: &Package, triple: &Triple) -> Result<Artefact, SelectError> {
    let artefacts = index.artefacts(package).ok_or_else(|| SelectError::Gone {
        namespace: index.namespace.clone(),
        package: package.clone(),
    })?;
    let artefact = artefacts
        .get(triple)
        .ok_or_else(|| no_target(index, package, triple, artefacts))?;
    match index.revoked(&artefact.sha256) {
        None => Ok(*artefact),
        Some(reason) => Err(SelectError::Revoked {
            package: package.clone(),
            reason: reason.to_owned(),
        }),
    }
}

/// A release that may be the one.
struct Candidate<'a, R> {
    package: Package,
    release: &'a R,
}

/// What both kinds of releases have.
trait Release {
    fn channel(&self) -> Channel;
    fn artefacts(&self) -> &BTreeMap<Triple, Artefact>;
}

impl Release for EngineRelease {
    fn channel(&self) -> Channel {
        self.channel
    }

    fn artefacts(&self) -> &BTreeMap<Triple, Artefact> {
        &self.artefacts
    }
}

impl Release for ModuleRelease {
    fn channel(&self) -> Channel {
        self.channel
    }

    fn artefacts(&self) -> &BTreeMap<Triple, Artefact> {
        &self.artefacts
    }
}

/// Never empty, the best first: stable before preview, then the newest.
struct Candidates<'a, R> {
    best: Candidate<'a, R>,
    others: Vec<Candidate<'a, R>>,
}

impl<'a, R: Release> Candidates<'a, R> {
    /// All releases of a name, or that there is none.
    fn of(
        index: &Index,
        kind: Kind,
        name: &EngineName,
        releases: &'a Releases<R>,
    ) -> Result<Self, SelectError> {
        let versions = releases.get(name).into_iter().flatten();
        let mut all: Vec<_> = versions
            .map(|(version, release)| Candidate {
                package: Package {
                    kind,
                    name: name.clone(),
                    version: version.clone(),
                },
                release,
            })
            .collect();
        all.sort_by_key(|c| Reverse((c.release.channel(), c.package.version.clone())));
        let mut all = all.into_iter();
        let best = all.next().ok_or_else(|| SelectError::Unknown {
            namespace: index.namespace.clone(),
            kind,
            name: name.clone(),
        })?;
        Ok(Self {
            best,
            others: all.collect(),
        })
    }

    fn iter(&self) -> impl Iterator<Item = &Candidate<'a, R>> {
        iter::once(&self.best).chain(&self.others)
    }

    /// Those that fit, or the best of all if none does.
    fn keep(self, fits: impl Fn(&Candidate<'a, R>) -> bool) -> Result<Self, Candidate<'a, R>> {
        let Self { best, others } = self;
        let mut others = others.into_iter().filter(&fits);
        let first = if fits(&best) {
            Ok(best)
        } else {
            others.next().ok_or(best)
        };
        Ok(Self {
            best: first?,
            others: others.collect(),
        })
    }
}

fn declared_as<'a>(
    index: &'a Index,
    name: &EngineName,
    declared: &Version,
) -> Result<Candidates<'a, EngineRelease>, SelectError> {
    let all = Candidates::of(index, Kind::Engine, name, &index.engines)?;
    let fitting = all.keep(|c| c.package.version.provides(declared));
    fitting.map_err(|best| SelectError::Version {
        namespace: index.namespace.clone(),
        name: name.clone(),
        declared: declared.clone(),
        newest: best.package.version,
    })
}

/// The best one that there is an archive of and that was not revoked.
fn usable<'a, R: Release>(
    index: &Index,
    candidates: Candidates<'a, R>,
    triple: &Triple,
) -> Result<Choice<'a, R>, SelectError> {
    let built = candidates
        .keep(|c| c.release.artefacts().contains_key(triple))
        .map_err(|best| no_target(index, &best.package, triple, best.release.artefacts()))?;
    let Candidate { package, release } = built
        .keep(|c| exact(index, &c.package, triple).is_ok())
        .map_or_else(|best| best, |good| good.best);
    let artefact = exact(index, &package, triple)?;
    Ok(Choice {
        package,
        release,
        artefact,
    })
}

fn no_target(
    index: &Index,
    package: &Package,
    triple: &Triple,
    artefacts: &BTreeMap<Triple, Artefact>,
) -> SelectError {
    SelectError::Target {
        namespace: index.namespace.clone(),
        package: Box::new(package.clone()),
        triple: triple.clone(),
        there: artefacts.keys().cloned().collect(),
    }
}

/// None of these protocols is ours.
fn wrong_protocol(index: &Index, name: &EngineName, protocols: &[u32]) -> SelectError {
    let namespace = index.namespace.clone();
    let name = name.clone();
    let older = protocols.iter().filter(|protocol| **protocol < PROTOCOL);
    match (older.max(), protocols.iter().min()) {
        (Some(newest), _) => SelectError::DriverTooOld {
            namespace,
            name,
            newest: *newest,
        },
        (None, oldest) => SelectError::DozeTooOld {
            namespace,
            name,
            oldest: oldest.copied().unwrap_or_default(),
        },
    }
}

/// The declared versions that none of the majors covers.
fn missing(declared: &[Version], majors: &[Version]) -> Vec<Version> {
    let covered = |version: &&Version| !majors.iter().any(|major| version.is_related(major));
    declared.iter().filter(covered).cloned().collect()
}

#[cfg(test)]
mod tests;
