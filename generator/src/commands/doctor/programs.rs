//! The programs that a project runs: drivers, the engines' own, and the store.
//!
//! Must not know what runs.

use std::{collections::BTreeMap, env};

use camino::Utf8PathBuf;
use doze_contract::{EngineName, error::chain};
use doze_registry::{
    Kind, Package, Triple,
    pins::{Archives, Pins, Source},
};

use super::super::Context;
use crate::{
    config::File,
    doctor::{Row, or_ok, quoted},
    drivers::Drivers,
    failure::Failure,
    supply::{LOCK_NAME, SupplyError},
    toolchain::{self, Toolchains},
};

/// Whether every driver of the project starts and speaks the protocol.
pub(super) fn drivers(drivers: &Drivers, file: &File) -> Vec<Row> {
    let (mut found, mut well) = (Vec::new(), Vec::new());
    for engine in engines(file).keys() {
        match drivers.describe(engine) {
            Ok(Some(description)) => well.push(format!("{engine} {}", description.driver)),
            // Registries may have it; else the project itself says what is missing.
            Ok(None) => {}
            Err(error) => {
                let row = Row::fail("drivers", chain(&error));
                let variable = format!("DOZE_{}_DRIVER", engine.as_str().to_ascii_uppercase());
                found.push(if env::var_os(&variable).is_some() {
                    row.fix(format!("unset {variable}"))
                } else {
                    row
                });
            }
        }
    }
    or_ok(found, "drivers", well.join(", "))
}

/// Whether the engines' programs are there that the registries do not provide.
pub(super) fn toolchains(drivers: &Drivers, file: &File) -> Vec<Row> {
    let toolchains = Toolchains::default();
    let (mut found, mut well) = (Vec::new(), Vec::new());
    for (engine, versions) in engines(file) {
        let Ok(Some(description)) = drivers.describe(&engine) else {
            continue;
        };
        let search = &description.toolchain;
        if versions.is_empty() || search.servers.is_empty() {
            continue;
        }
        let all = toolchains.of(&engine, search);
        let named = toolchain::named(&engine);
        for version in versions {
            let fits = all.iter().find(|found| found.version.provides(version));
            if let Some(fits) = fits {
                well.push(format!("{engine} {} in {}", fits.version, fits.folder));
            } else if let Some(folder) = &named {
                let variable = toolchain::variable(&engine);
                let detail = format!("{variable} names {folder}, which has no {engine} {version}");
                found.push(Row::fail("engines", detail).fix(format!("unset {variable}")));
            } else if file.registries.is_empty() {
                let detail = format!("{engine} {version} is not installed, and no registry named");
                found.push(if let Some(package) = search.packages.first() {
                    Row::fail("engines", detail).fix(format!("sudo apt-get install {package}"))
                } else {
                    let variable = toolchain::variable(&engine);
                    let detail =
                        format!("{detail}; {variable} may name the folder of its programs");
                    Row::fail("engines", detail)
                });
            }
        }
    }
    or_ok(found, "engines", well.join(", "))
}

/// What is not as it should be in the store; what a project pins has to be there.
pub(super) fn store(context: &Context, file: Option<&File>) -> Vec<Row> {
    super::rows_of("store", looked_at(context, file))
}

fn looked_at(context: &Context, file: Option<&File>) -> Result<Vec<Row>, Failure> {
    let pinned = match file {
        Some(file) => pinned(file)?,
        None => Vec::new(),
    };
    let store = context.store();
    let triple = Triple::host();
    let (mut found, mut ours) = (Vec::<Row>::new(), Vec::<Utf8PathBuf>::new());
    for (package, archives) in &pinned {
        let Some(digest) = archives.sha256.get(&triple) else {
            continue;
        };
        match store.find(package, digest) {
            Some(tree) => ours.push(tree),
            None => found.push(
                Row::fail("store", format!("{package} is pinned and not in the store"))
                    .fix("doze up"),
            ),
        }
    }
    let mut damaged = BTreeMap::new();
    for fault in store.glance().map_err(SupplyError::from)? {
        let text = fault.to_string();
        damaged.entry(fault.tree).or_insert(text);
    }
    for (tree, text) in damaged {
        let again = if ours.contains(&tree) {
            " && doze up"
        } else {
            ""
        };
        let fix = format!("rm -rf {}{again}", quoted(&tree));
        found.push(Row::fail("store", text).fix(fix));
    }
    let well = format!(
        "{} of this project's pins are in it, and nothing of it is missing",
        ours.len()
    );
    Ok(or_ok(found, "store", well))
}

/// What `doze.lock` has of registries.
fn pinned(file: &File) -> Result<Vec<(Package, Archives)>, Failure> {
    let lock = file.path.with_file_name(LOCK_NAME);
    let pins = Pins::read(&lock)
        .map_err(SupplyError::from)?
        .unwrap_or_default();
    let mut pinned = Vec::new();
    for (name, pins) in pins.engines {
        for pin in pins.into_values() {
            if let Source::Registry(archives) = pin.source {
                let (kind, name, version) = (Kind::Engine, name.clone(), pin.version);
                pinned.push((
                    Package {
                        kind,
                        name,
                        version,
                    },
                    archives,
                ));
            }
        }
    }
    for (name, pin) in pins.modules {
        let (kind, version) = (Kind::Module, pin.version);
        pinned.push((
            Package {
                kind,
                name,
                version,
            },
            pin.archives,
        ));
    }
    Ok(pinned)
}

/// The engines of the enabled instances, with the versions that these ask for.
fn engines(file: &File) -> BTreeMap<EngineName, Vec<&doze_contract::Version>> {
    let mut engines = BTreeMap::<_, Vec<_>>::new();
    for block in file.blocks.iter().filter(|block| block.enabled) {
        let versions = engines.entry(block.engine.clone()).or_default();
        versions.extend(
            block
                .declared()
                .filter(|version| !versions.contains(version)),
        );
    }
    engines
}
