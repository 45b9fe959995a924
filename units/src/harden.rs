//! What the processes of an instance may not do.
//!
//! Owns the choice of settings and what it rests on. Every setting costs time at every wake, so
//! one stands here only if it takes something away from an unprivileged process, and if an
//! unprivileged manager can enforce it (systemd.exec(5)). Must not know the rest of the service.

use camino::Utf8Path;

use crate::{
    escape::{self, EscapeError},
    unit::repeated,
};

/// How far a service is hardened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// What works everywhere: filters on system calls. Adds about 1 ms to a wake.
    Seccomp,
    /// Besides, a view of the file system and of the users that leaves out what the instance does
    /// not need. Takes unprivileged user namespaces, without which the service fails with status
    /// 217 or 226. Adds 2 to 3 ms more.
    Full,
}

/// What the choice depends on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Needs<'a> {
    pub(crate) profile: Profile,
    /// The engine writes machine code at run time.
    pub(crate) generates_code: bool,
    /// The engine is started through unshare(1).
    pub(crate) user_namespaces: bool,
    /// The folders to write to.
    pub(crate) writable: &'a [&'a Utf8Path],
    /// Some path that is needed lies in a folder for temporary files.
    pub(crate) uses_tmp: bool,
}

/// The folders that `PrivateTmp=` replaces.
const TMP: [&str; 2] = ["/tmp", "/var/tmp"];

/// Whether `PrivateTmp=` would hide this path.
pub(crate) fn is_in_tmp(path: &Utf8Path) -> bool {
    TMP.iter().any(|tmp| path.starts_with(tmp))
}

/// The settings, to stand in `[Service]`.
pub(crate) fn settings(needs: &Needs<'_>) -> Result<String, EscapeError> {
    Ok(match needs.profile {
        Profile::Seccomp => seccomp(needs),
        Profile::Full => namespaces(needs)? + &seccomp(needs),
    })
}

/// Left out, for an unprivileged process that cannot gain privileges may not do it anyway:
/// `ProtectKernel*=`, `ProtectClock=`, `ProtectHostname=`.
fn namespaces(needs: &Needs<'_>) -> Result<String, EscapeError> {
    // The dash: one that is not there is no reason to fail. Who needs it says so better.
    let folders = needs.writable.iter();
    let writable = repeated(
        "ReadWritePaths",
        folders.map(|path| escape::item(&format!("-{path}"))),
    )?;
    // Where it cannot be private, it has to stay writable.
    let tmp = if needs.uses_tmp {
        format!("ReadWritePaths={}\n", TMP.join(" "))
    } else {
        "PrivateTmp=yes\n".into()
    };
    Ok(format!(
        "
# The file system is read-only but for the folders of the instance. PrivateUsers= comes first:
# an older user manager ignores the others without it.
PrivateUsers=yes
ProtectSystem=strict
ProtectHome=read-only
{writable}{tmp}PrivateDevices=yes
CapabilityBoundingSet=
"
    ))
}

/// Left out: `RestrictSUIDSGID=` and `RestrictRealtime=`, which take nothing from a process
/// without privileges, and an allow list such as `@system-service`, which is compiled at every
/// start for 4 to 5 ms. Without `SystemCallArchitectures=` each filter is compiled three times.
fn seccomp(needs: &Needs<'_>) -> String {
    let mut text = String::from(
        "
# No way to more privileges, and no system calls that only attackers of the kernel or of other
# processes need.
NoNewPrivileges=yes
SystemCallArchitectures=native
SystemCallFilter=~@debug bpf process_vm_readv process_vm_writev userfaultfd
SystemCallErrorNumber=EPERM
# The activator asks the kernel over AF_NETLINK whose connection it has accepted.
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
LockPersonality=yes
",
    );
    text += if needs.user_namespaces {
        "# RestrictNamespaces= is not set: the engine is started through unshare(1).\n"
    } else {
        "RestrictNamespaces=yes\n"
    };
    text += if needs.generates_code {
        "# MemoryDenyWriteExecute= is not set: the engine compiles at run time.\n"
    } else {
        "MemoryDenyWriteExecute=yes\n"
    };
    text
}
