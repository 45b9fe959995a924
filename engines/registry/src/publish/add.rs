//! Adding to an index: what is in it stays as it is.
//!
//! Must not know files.

use std::collections::{BTreeMap, btree_map::Entry};

use super::archive::Content;
use crate::{
    Artefact, Digest, Index, Package, Triple,
    index::{EngineRelease, ModuleRelease},
};

/// Why an archive cannot be added.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddError {
    /// Another archive has that name.
    #[error(
        "{package} for {target} is published with digest {digest}, and what is published never \
         changes; give this one a new version"
    )]
    Published {
        /// The package.
        package: Box<Package>,
        /// What it was built for.
        target: Triple,
        /// The digest of what is published.
        digest: Digest,
    },
    /// The release says something else of itself for another target.
    #[error("{package} is published with another {field}; give this one a new version")]
    Differs {
        /// The package.
        package: Box<Package>,
        /// What is different.
        field: &'static str,
    },
    /// The archive was revoked.
    #[error("this archive of {package} was revoked: {reason}")]
    Revoked {
        /// The package.
        package: Box<Package>,
        /// Why.
        reason: String,
    },
}

/// Adds an archive, and says whether it was not in the index.
pub(super) fn add(
    index: &mut Index,
    content: &Content,
    artefact: Artefact,
) -> Result<bool, AddError> {
    let manifest = &content.manifest;
    let package = || Box::new(manifest.package.clone());
    if let Some(reason) = index.revoked(&artefact.sha256) {
        return Err(AddError::Revoked {
            package: package(),
            reason: reason.to_owned(),
        });
    }
    let name = manifest.package.name.clone();
    let version = manifest.package.version.clone();
    let same = |field, same: bool| {
        let package = package();
        if same {
            Ok(())
        } else {
            Err(AddError::Differs { package, field })
        }
    };
    let (origin, artefacts) = if let Some(driver) = &manifest.driver {
        let releases = index.modules.entry(name).or_default();
        let release = releases.entry(version).or_insert_with(|| ModuleRelease {
            channel: manifest.channel,
            origin: manifest.origin.clone(),
            licence: manifest.licence.clone(),
            protocol: driver.protocol,
            majors: driver.majors.clone(),
            description: content.description.clone(),
            artefacts: BTreeMap::new(),
        });
        same("channel", release.channel == manifest.channel)?;
        same("licence", release.licence == manifest.licence)?;
        same("protocol", release.protocol == driver.protocol)?;
        same("list of majors", release.majors == driver.majors)?;
        same("description", release.description == content.description)?;
        (&mut release.origin, &mut release.artefacts)
    } else {
        let releases = index.engines.entry(name).or_default();
        let release = releases.entry(version).or_insert_with(|| EngineRelease {
            channel: manifest.channel,
            origin: manifest.origin.clone(),
            licence: manifest.licence.clone(),
            artefacts: BTreeMap::new(),
        });
        same("channel", release.channel == manifest.channel)?;
        same("licence", release.licence == manifest.licence)?;
        (&mut release.origin, &mut release.artefacts)
    };
    match artefacts.entry(manifest.target.clone()) {
        Entry::Occupied(there) if *there.get() == artefact => Ok(false),
        Entry::Occupied(there) => Err(AddError::Published {
            package: package(),
            target: manifest.target.clone(),
            digest: there.get().sha256,
        }),
        Entry::Vacant(place) => {
            place.insert(artefact);
            // Archives for several targets may be made of several things.
            if !origin.contains(&manifest.origin) {
                origin.push('\n');
                origin.push_str(&manifest.origin);
            }
            Ok(true)
        }
    }
}
