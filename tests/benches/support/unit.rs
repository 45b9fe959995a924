//! What in a service of doze confines its processes. Must not know: what is measured.

/// The settings that do begin with one of these.
const HARDENING: [&str; 10] = [
    "CapabilityBoundingSet",
    "LockPersonality",
    "MemoryDenyWriteExecute",
    "NoNewPrivileges",
    "Private",
    "Protect",
    "ReadWritePaths",
    "RestrictAddressFamilies",
    "RestrictNamespaces",
    "SystemCall",
];

/// Whether this line of a unit is such a setting.
pub(crate) fn confines(line: &str) -> bool {
    HARDENING.iter().any(|key| line.starts_with(key))
}
