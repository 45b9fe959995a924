//! `doze registry verify`: what every user of a registry relies on, checked for all of it.

use std::time::SystemTime;

use doze_registry::{
    Kind, Mirror, Namespace, Package, Store,
    index::{self, Index, Trust},
    progress::Silent,
};

use crate::{failure::Failure, output::print, supply::SupplyError};

/// Believes the key that is there, as a first use does; fetches, checks and unpacks every archive.
pub(super) fn run(namespace: &Namespace, url: &str) -> Result<(), Failure> {
    let unreachable = |source| SupplyError::Mirror {
        namespace: namespace.clone(),
        source,
    };
    let mirror = Mirror::new(url).map_err(unreachable)?;
    let bytes = mirror.index(namespace).map_err(unreachable)?;
    let verified = index::verify(&bytes, namespace, &Trust::FirstUse, SystemTime::now());
    let verified = verified.map_err(|source| SupplyError::Index {
        namespace: namespace.clone(),
        source,
    })?;
    let folder = tempfile::tempdir().map_err(Failure::io("make a folder for the archives"))?;
    let root = camino::Utf8Path::from_path(folder.path())
        .ok_or_else(|| Failure::plain("the folder for temporary files is not UTF-8"))?;
    let mut archives = 0;
    for package in packages(verified.index()) {
        for (triple, artefact) in verified.index().artefacts(&package).into_iter().flatten() {
            let store = Store::new(&root.join(triple.to_string()));
            let fetched = store.fetch(&mirror, namespace, &package, triple, artefact, &Silent);
            let tree = fetched.map_err(SupplyError::from)?;
            store.discard(&tree).map_err(SupplyError::from)?;
            archives += 1;
        }
    }
    print(format_args!(
        "index {} of {namespace}, signed by {}: right, and so are its archives ({archives})\n",
        verified.counter(),
        verified.key(),
    ))
    .map_err(Failure::io("print"))
}

fn packages(index: &Index) -> Vec<Package> {
    let of = |kind, name: &doze_contract::EngineName, version: &doze_contract::Version| Package {
        kind,
        name: name.clone(),
        version: version.clone(),
    };
    let engines = index.engines.iter();
    let engines =
        engines.flat_map(|(name, all)| all.keys().map(move |v| of(Kind::Engine, name, v)));
    let modules = index.modules.iter();
    let modules =
        modules.flat_map(|(name, all)| all.keys().map(move |v| of(Kind::Module, name, v)));
    engines.chain(modules).collect()
}
