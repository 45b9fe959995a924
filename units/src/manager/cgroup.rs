//! What the cgroup of a unit really has, read where the kernel shows it (cgroups(7)).
//!
//! A manager accepts a limit whether or not it can set it, so its own word does not count. Only the
//! second version of cgroups is looked at: of the first, a user manager controls nothing. Must not
//! know what was asked for.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::Controller;

/// Where the kernel shows the cgroups.
pub(super) const ROOT: &str = "/sys/fs/cgroup";

/// The controllers that the manager in this cgroup can set limits with.
pub(super) fn available(root: &Path, group: &str) -> Vec<Controller> {
    let listed = fs::read_to_string(folder(root, group).join("cgroup.controllers"));
    let listed = listed.unwrap_or_default();
    let is_listed = |controller: &Controller| {
        let mut names = listed.split_ascii_whitespace();
        names.any(|name| name == controller.name())
    };
    Controller::ALL.into_iter().filter(is_listed).collect()
}

/// The controllers that hold the processes in this cgroup to some limit.
pub(super) fn in_force(root: &Path, group: &str) -> Vec<Controller> {
    let folder = folder(root, group);
    let is_limited = |controller: &Controller| {
        let file = folder.join(format!("{}.max", controller.name()));
        // `max`, or for cpu `max PERIOD`, is no limit.
        fs::read_to_string(file).is_ok_and(|limit| !limit.starts_with("max"))
    };
    Controller::ALL.into_iter().filter(is_limited).collect()
}

/// The kernel names a cgroup from the root of the hierarchy.
fn folder(root: &Path, group: &str) -> PathBuf {
    root.join(group.trim_start_matches('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "nobody else reads these files")]
    fn what_the_kernel_shows_is_what_counts() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        let service = root.join("user/app.service");
        fs::create_dir_all(&service).unwrap();
        fs::write(root.join("user/cgroup.controllers"), "cpuset cpu pids\n").unwrap();
        fs::write(service.join("memory.max"), "512000000\n").unwrap();
        fs::write(service.join("cpu.max"), "max 100000\n").unwrap();
        fs::write(service.join("pids.max"), "64\n").unwrap();

        let (cpu, memory, pids) = (Controller::Cpu, Controller::Memory, Controller::Pids);
        assert_eq!(available(root, "/user"), [cpu, pids]);
        assert_eq!(in_force(root, "/user/app.service"), [memory, pids]);
        fs::write(service.join("cpu.max"), "150000 100000\n").unwrap();
        assert_eq!(in_force(root, "/user/app.service"), [memory, cpu, pids]);

        assert_eq!(available(root, "/user/app.service"), []);
        assert_eq!(in_force(root, "/gone"), []);
    }
}
