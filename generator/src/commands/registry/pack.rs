//! `doze registry pack`: the archive of a folder, or of a driver program.

use std::{fs, io::Write, os::unix::fs::PermissionsExt, process::Command};

use camino::{Utf8Path, Utf8PathBuf};
use doze_contract::{
    Version,
    protocol::{Description, PROTOCOL},
};
use doze_registry::{
    Artefact, Kind, Manifest, Package, Triple,
    index::Channel,
    manifest::{DESCRIPTION, Driver, FILE},
    pack::pack,
};
use tempfile::NamedTempFile;

use super::say;
use crate::{
    drivers::{self, describe_program},
    failure::Failure,
    fsx,
};

/// Packs a folder with a package.toml.
pub(super) fn folder(folder: &Utf8Path, out: &Utf8Path) -> Result<(), Failure> {
    let cannot = || Failure::io(format!("write an archive to {out}"));
    fs::create_dir_all(out).map_err(cannot())?;
    let inside = out.canonicalize_utf8().map_err(cannot())?;
    let folder_itself = folder.canonicalize_utf8();
    if folder_itself.is_ok_and(|folder| inside.starts_with(folder)) {
        return Err(Failure::plain(format!(
            "the archive would be in {folder}, which is packed; name another folder by `--out`"
        )));
    }
    let mut file = NamedTempFile::with_prefix_in(".doze-", out).map_err(cannot())?;
    let (manifest, artefact) = pack(folder, &mut file)
        .map_err(|error| Failure::plain(doze_contract::error::chain(&error)))?;
    file.flush().map_err(cannot())?;
    let name = manifest.package.path(&manifest.target);
    let path = out.join(name.file_name().unwrap_or_default());
    file.as_file()
        .set_permissions(fs::Permissions::from_mode(0o644))
        .map_err(cannot())?;
    file.persist(&path).map_err(|error| cannot()(error.error))?;
    let Artefact { size, sha256 } = artefact;
    say(&format!(
        "{path}: {} for {}, {size} bytes, sha256 {sha256}",
        manifest.package, manifest.target
    ))
}

/// Packs a driver, which says itself what it is.
pub(super) fn module(path: &Utf8Path, licence: &str, out: &Utf8Path) -> Result<(), Failure> {
    let program = if path.is_dir() {
        build(path)?
    } else {
        path.to_owned()
    };
    let description = describe_program(&program)?;
    let folder = tempfile::tempdir().map_err(Failure::io("make a folder for the archive"))?;
    let root = Utf8Path::from_path(folder.path())
        .ok_or_else(|| Failure::plain("the folder for temporary files is not UTF-8"))?;
    let manifest = manifest(&description, licence)?;
    let target = root.join(drivers::file_name(&description.engine));
    fs::copy(&program, &target).map_err(Failure::io(format!("copy {program}")))?;
    fs::set_permissions(&target, fs::Permissions::from_mode(0o755))
        .map_err(Failure::io(format!("write {target}")))?;
    let text = manifest
        .to_text()
        .map_err(|error| Failure::plain(format!("cannot write {FILE}: {error}")))?;
    let json = serde_json::to_string_pretty(&description)
        .map_err(|error| Failure::plain(format!("cannot write {DESCRIPTION}: {error}")))?;
    for (name, text) in [(FILE, text), (DESCRIPTION, json + "\n")] {
        let path = root.join(name);
        fsx::replace(&path, &text, 0o644).map_err(Failure::io(format!("write {path}")))?;
    }
    self::folder(root, out)
}

fn manifest(description: &Description, licence: &str) -> Result<Manifest, Failure> {
    let version = Version::new(&description.driver).map_err(|error| {
        Failure::plain(format!(
            "the driver's version {:?} {error}",
            description.driver
        ))
    })?;
    Ok(Manifest {
        package: Package {
            kind: Kind::Module,
            name: description.engine.clone(),
            version,
        },
        target: Triple::host(),
        channel: Channel::Stable,
        licence: licence.to_owned(),
        origin: format!("the driver {}", description.engine),
        driver: Some(Driver {
            protocol: PROTOCOL,
            majors: description.majors.clone(),
        }),
    })
}

/// Builds a crate, and finds the driver that it makes.
fn build(folder: &Utf8Path) -> Result<Utf8PathBuf, Failure> {
    let mut cargo = Command::new("cargo");
    cargo
        .args([
            "build",
            "--release",
            "--message-format=json-render-diagnostics",
        ])
        .current_dir(folder)
        .stderr(std::process::Stdio::inherit());
    let output = cargo.output().map_err(Failure::io("start cargo"))?;
    if !output.status.success() {
        return Err(Failure::plain(format!("cargo could not build {folder}")));
    }
    let messages = String::from_utf8_lossy(&output.stdout);
    let programs = messages.lines().filter_map(|line| {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        let program = Utf8PathBuf::from(message.get("executable")?.as_str()?);
        program
            .file_name()?
            .starts_with(drivers::PREFIX)
            .then_some(program)
    });
    match programs.collect::<Vec<_>>().as_slice() {
        [program] => Ok(program.clone()),
        [] => Err(Failure::plain(format!(
            "{folder} makes no program {}…",
            drivers::PREFIX
        ))),
        _ => Err(Failure::plain(format!(
            "{folder} makes several drivers; name the program of one"
        ))),
    }
}
