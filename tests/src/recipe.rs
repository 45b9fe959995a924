//! Trees of engines, made by the recipes of this workspace.
//!
//! Must not know: what becomes of them.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::programs;
use crate::project::succeed;
use crate::skip::{needed, skip};

/// Whether this machine can make trees that it can run; if not, that is said.
pub fn possible() -> Option<()> {
    if !cfg!(all(target_arch = "x86_64", target_os = "linux")) {
        skip("the pins that these tests know are of Linux on x86_64");
        return None;
    }
    let path = env::var_os("PATH").unwrap_or_default();
    for program in ["apt-get", "python3", "patchelf", "strip"] {
        let mut places = env::split_paths(&path).map(|folder| folder.join(program));
        needed(program, places.find(|place| place.is_file()))?;
    }
    Some(())
}

/// The recipes.
pub fn folder() -> PathBuf {
    programs::workspace().join("engines/recipes")
}

/// Builds a tree as `out`. What was fetched once is kept in `cache`.
pub fn build(cache: &Path, engine: &str, major: &str, out: &Path) {
    let mut command = Command::new("bash");
    command
        .arg(folder().join("build"))
        .arg("--cache")
        .arg(cache);
    succeed(command.args([engine, major]).arg(out));
}
