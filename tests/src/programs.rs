//! The programs of this workspace, as built beside the running test.
//!
//! Must not know: worlds.
//!
//! Cargo builds for an integration test only the programs of its own package, so they are built
//! here, once per test process; cargo's own file lock makes others wait. `tests/run` has built
//! them before and says so by [`BUILT`], which saves the look.

pub mod launchd;

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// Set by whoever has already built the programs into the target directory of the tests.
pub const BUILT: &str = "DOZE_TESTS_BUILT";

/// What [`folder`] holds: what ships, and the echo service that is the floor of benchmark `wake`.
pub const NAMES: [&str; 10] = [
    "doze",
    "doze-activator",
    "doze-driver-ferret",
    "doze-driver-kvrocks",
    "doze-driver-mariadb",
    "doze-driver-postgres",
    "doze-driver-process",
    "doze-driver-temporal",
    "doze-driver-valkey",
    "echo-activated",
];

/// The folder with the programs, built as the running test was (debug or release).
///
/// It may lie where only the developer can read; a world has its own copy.
pub fn folder() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let folder = beside_the_test();
        if env::var_os(BUILT).is_none() {
            build(&folder);
        }
        folder
    })
}

/// The directory that cargo builds into.
pub fn target() -> PathBuf {
    parent(&beside_the_test()).to_path_buf()
}

/// The root of the workspace.
pub fn workspace() -> &'static Path {
    parent(Path::new(env!("CARGO_MANIFEST_DIR")))
}

/// The cargo that runs the tests, else the one of the `PATH`.
pub fn cargo() -> Command {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(workspace());
    cargo
}

/// `target/PROFILE` of the running `target/PROFILE/deps/TEST`.
fn beside_the_test() -> PathBuf {
    let test = env::current_exe().expect("a test knows its own path");
    let folder = parent(&test);
    if folder.ends_with("deps") {
        parent(folder).to_path_buf()
    } else {
        folder.to_path_buf()
    }
}

fn build(folder: &Path) {
    let mut cargo = cargo();
    cargo.args([
        "build",
        "--quiet",
        "--workspace",
        "--bins",
        "--profile",
        profile(folder),
    ]);
    cargo.arg("--target-dir").arg(parent(folder));
    let built = cargo
        .output()
        .unwrap_or_else(|error| panic!("{cargo:?}: {error}"));
    assert!(
        built.status.success(),
        "the programs under test do not build: {cargo:?}\n{}",
        String::from_utf8_lossy(&built.stderr)
    );
}

/// The profile of cargo whose programs are in this folder.
fn profile(folder: &Path) -> &str {
    match folder.file_name().and_then(|name| name.to_str()) {
        Some("debug") | None => "dev",
        Some(other) => other,
    }
}

fn parent(path: &Path) -> &Path {
    path.parent()
        .unwrap_or_else(|| panic!("{} has no parent", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_program_is_built() {
        for name in NAMES {
            let path = folder().join(name);
            assert!(path.is_file(), "{}", path.display());
        }
    }
}
