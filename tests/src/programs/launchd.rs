//! What a world with launchd needs besides, built for Linux: the library by which a job gets its
//! sockets, a job that does nothing else, and an activator that is linked to the library.
//!
//! Must not know: worlds.

use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{self, Command};
use std::sync::OnceLock;

use super::{BUILT, beside_the_test, cargo, profile, target, workspace};

/// The library; programs that are linked to it look for it in their own folder.
pub const LIBRARY: &str = "liblaunch.so";

/// The job, see `tests/launchd/probe.c`.
pub const PROBE: &str = "probe";

/// The folder with [`LIBRARY`] and [`PROBE`].
pub fn folder() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let folder = target().join("launchd");
        fs::create_dir_all(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        compile("launch.c", &folder, LIBRARY, |cc| {
            cc.args(["-shared", "-fPIC"]);
        });
        compile("probe.c", &folder, PROBE, |cc| {
            cc.arg("-L").arg(&folder);
            cc.args(["-llaunch", "-Wl,-rpath,$ORIGIN"]);
        });
        folder
    })
}

/// The activator that gets its sockets from the library.
pub fn activator() -> &'static Path {
    static ACTIVATOR: OnceLock<PathBuf> = OnceLock::new();
    ACTIVATOR.get_or_init(|| {
        let library = folder();
        let name = beside_the_test();
        let name = name.file_name().unwrap_or_default();
        let built = library.join(name).join("doze-activator");
        if env::var_os(BUILT).is_none() || !built.is_file() {
            build_activator(library);
        }
        built
    })
}

/// Compiles a file of `tests/launchd`, if that has changed since. Tests that run at the same time
/// may do so at the same time: whoever is last to rename wins, and all have the same.
fn compile(source: &str, folder: &Path, name: &str, arguments: impl FnOnce(&mut Command)) {
    let source = workspace().join("tests/launchd").join(source);
    let built = folder.join(name);
    if is_newer(&built, &source).unwrap_or(false) {
        return;
    }
    let fresh = folder.join(format!("{name}.{}", process::id()));
    let mut cc = Command::new("cc");
    cc.args(["-std=gnu17", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror"])
        .arg("-o")
        .arg(&fresh)
        .arg(&source);
    arguments(&mut cc);
    succeed(&mut cc);
    fs::rename(&fresh, &built).unwrap_or_else(|error| panic!("{}: {error}", built.display()));
}

fn is_newer(built: &Path, source: &Path) -> io::Result<bool> {
    Ok(fs::metadata(built)?.modified()? > fs::metadata(source)?.modified()?)
}

/// Into a folder of its own: it has another feature, and the same name.
fn build_activator(library: &Path) {
    let mut cargo = cargo();
    cargo
        .args(["rustc", "--quiet", "--package", "doze-activator"])
        .args(["--bin", "doze-activator", "--features", "launchd"])
        .args(["--profile", profile(&beside_the_test())])
        .arg("--target-dir")
        .arg(library)
        .args(["--", "-L"])
        .arg(library)
        // After all that needs it.
        .args(["-C", "link-arg=-llaunch"])
        .args(["-C", "link-arg=-Wl,-rpath,$ORIGIN"]);
    succeed(&mut cargo);
}

fn succeed(command: &mut Command) {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(
        output.status.success(),
        "{command:?}: {}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `tests/run` runs this before all others: it takes longer than a test may.
    #[test]
    fn everything_for_launchd_is_built() {
        for path in [
            folder().join(LIBRARY),
            folder().join(PROBE),
            activator().into(),
        ] {
            assert!(path.is_file(), "{}", path.display());
        }
    }
}
