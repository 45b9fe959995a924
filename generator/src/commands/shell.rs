//! `doze shell NAME`: the client of an engine, connected to an instance.
//!
//! Which client that is, and how it is told where to connect, is the driver's knowledge and stands
//! in the plan. The first word of the client wakes the instance, as that of any other.

use std::{env, ffi::OsStr, os::unix::process::CommandExt, process::Command};

use camino::{Utf8Path, Utf8PathBuf};
use doze_contract::{Plan, exit::Exit, plan::Client};
use rustix::fs::{Access, access};

use super::{Context, status, wake};
use crate::{failure::Failure, supply::Reach};

/// Becomes the client; returns only if that fails.
pub(super) fn run(context: &Context, name: &str, words: &[String]) -> Result<(), Failure> {
    let plan = plan(context, name)?;
    let Some(client) = &plan.body.connection.client else {
        let url = plan.body.connection.url.as_ref();
        return Err(Failure::Plain {
            message: format!("the driver of {} names no client", plan.engine),
            hint: url.map(|_| format!("`doze url {name}` prints the address")),
            exit: Exit::Failed,
        });
    };
    if !is_socket(&plan.paths.wake_socket) {
        return Err(wake::not_up(name));
    }
    let path = env::var_os("PATH").unwrap_or_default();
    let Some(program) = find(&client.programs, toolchain(&plan), &path) else {
        return Err(missing(client));
    };
    rustix::process::umask(context.umask);
    let mut command = Command::new(&program);
    command.args(&client.args).args(words).envs(&client.env);
    Err(Failure::io(format!("run {program}"))(command.exec()))
}

/// What is installed, for that is what runs; if nothing is, or it was written before clients stood
/// in plans, what would be.
fn plan(context: &Context, name: &str) -> Result<Plan, Failure> {
    let (project, instance) = context.instance(name)?;
    let installed = status::plan(context, &project, &instance)?;
    match installed.filter(|plan| plan.body.connection.client.is_some()) {
        Some(plan) => Ok(plan),
        None => context.compile(Reach::Pinned)?.plan(name).cloned(),
    }
}

fn is_socket(path: &Utf8Path) -> bool {
    path.symlink_metadata().is_ok()
}

/// The folder of the engine's own programs.
fn toolchain(plan: &Plan) -> Option<&Utf8Path> {
    plan.body.members.last()?.program()?.parent()
}

/// The best of the programs that is there: beside the server, where it has the same version, or in
/// one of the folders of PATH.
fn find(programs: &[String], toolchain: Option<&Utf8Path>, path: &OsStr) -> Option<Utf8PathBuf> {
    let folders = env::split_paths(path).filter_map(|path| Utf8PathBuf::from_path_buf(path).ok());
    let folders: Vec<_> = toolchain
        .map(ToOwned::to_owned)
        .into_iter()
        .chain(folders)
        .filter(|folder| folder.is_absolute())
        .collect();
    let mut places = programs.iter().flat_map(|program| {
        let places = folders.iter().map(move |folder| folder.join(program));
        places.collect::<Vec<_>>()
    });
    places.find(|place| place.is_file() && access(place.as_std_path(), Access::EXEC_OK).is_ok())
}

fn missing(client: &Client) -> Failure {
    let names = client.programs.join(" or ");
    Failure::Plain {
        message: format!("there is no {names}, neither beside the engine nor in PATH"),
        hint: Some(format!("install the package that has {names}")),
        exit: Exit::Failed,
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt};

    use super::*;

    #[test]
    fn the_best_name_wins_and_the_engines_own_folder_comes_first() {
        let root = tempfile::tempdir().unwrap();
        let root = Utf8Path::from_path(root.path()).unwrap();
        let add = |place: &str, mode| {
            let place = root.join(place);
            fs::create_dir_all(place.parent().unwrap()).unwrap();
            let file = fs::File::create(&place).unwrap();
            file.set_permissions(fs::Permissions::from_mode(mode))
                .unwrap();
        };
        let names = ["best", "second"].map(str::to_owned);
        let own = root.join("own");
        let path = env::join_paths(["relative".into(), root.join("a"), root.join("b")]).unwrap();
        let found = || find(&names, Some(&own), &path).map(|found| found.to_string());
        let expect = |place: &str| Some(root.join(place).to_string());
        assert_eq!(found(), None);
        add("own/second", 0o755);
        assert_eq!(found(), expect("own/second"));
        add("a/best", 0o644);
        assert_eq!(found(), expect("own/second"));
        add("b/best", 0o755);
        assert_eq!(found(), expect("b/best"));
        add("own/best", 0o755);
        assert_eq!(found(), expect("own/best"));
    }
}
