//! What a download tells whoever shows it.
//!
//! Must not know how it is shown.

use crate::Package;

/// Is told how far the archives are; several may come at once, each from a thread of its own.
pub trait Progress: Sync {
    /// An archive is on its way; it has so many bytes.
    fn began(&self, package: &Package, bytes: u64);

    /// So many more of its bytes are there, counting those of an earlier attempt.
    fn advanced(&self, package: &Package, bytes: u64);

    /// The archive is on its way no longer, whether or not it has arrived.
    fn ended(&self, package: &Package);

    /// Whether to break it off, so that nothing is left of it. Asked whenever it has advanced.
    fn is_cancelled(&self) -> bool {
        false
    }
}

/// Shows nothing.
#[derive(Debug, Clone, Copy)]
pub struct Silent;

impl Progress for Silent {
    fn began(&self, _: &Package, _: u64) {}
    fn advanced(&self, _: &Package, _: u64) {}
    fn ended(&self, _: &Package) {}
}
