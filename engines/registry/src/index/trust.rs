//! Whether an index is to be believed.
//!
//! Must not know where an index comes from, nor what time it is.

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use super::{Index, seconds};
use crate::{
    Namespace, PublicKey,
    envelope::{self, EnvelopeError, Handover},
};

/// How far the publisher's clock may be ahead of ours.
const AHEAD: Duration = Duration::from_hours(24);

/// What is known of a publisher before its index is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trust {
    /// Nothing: whatever key is there will be pinned.
    FirstUse,
    /// What `doze.lock` says.
    Pinned {
        /// The key.
        key: PublicKey,
        /// The highest counter that was seen.
        counter: u64,
    },
}

/// An index that is to be believed. Only [`verify`] makes one.
#[derive(Debug, Clone, PartialEq)]
pub struct Verified {
    index: Index,
    key: PublicKey,
}

impl Verified {
    /// What the publisher says.
    pub fn index(&self) -> &Index {
        &self.index
    }

    /// What the publisher says.
    pub fn into_index(self) -> Index {
        self.index
    }

    /// The key to pin.
    pub fn key(&self) -> PublicKey {
        self.key
    }

    /// The counter to pin.
    pub fn counter(&self) -> u64 {
        self.index.counter
    }
}

/// Why an index is not to be believed.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// It is not signed as it has to be.
    #[error(transparent)]
    Envelope(#[from] EnvelopeError),
    /// It is signed and yet cannot be read.
    #[error("the index is signed, but this doze does not understand it; tell its publisher")]
    Payload(#[source] serde_json::Error),
    /// The key is another one than was pinned, and that one did not hand over to it.
    #[error(
        "the index of `{namespace}` is signed by key {found}, but doze.lock pins {pinned}, which \
         did not hand over to it; if the publisher confirms the new key by another way, remove \
         [registry.{namespace}] from doze.lock and run `doze lock upgrade`"
    )]
    KeyChanged {
        /// The publisher.
        namespace: Namespace,
        /// The key in `doze.lock`.
        pinned: PublicKey,
        /// The key of the index.
        found: PublicKey,
    },
    /// The publisher took the key back, or one that the way from the pinned key leads over.
    #[error(
        "the publisher of `{namespace}` revoked key {key}: {reason}; ask it for its key by another \
         way, then remove [registry.{namespace}] from doze.lock and run `doze lock upgrade`"
    )]
    KeyRevoked {
        /// The publisher.
        namespace: Namespace,
        /// The key.
        key: PublicKey,
        /// What the publisher says.
        reason: String,
    },
    /// The index is older than one that was seen.
    #[error(
        "the registry serves an old index of `{namespace}`, number {found}; doze.lock has seen \
         number {pinned}; use another mirror, or wait until this one has caught up"
    )]
    RolledBack {
        /// The publisher.
        namespace: Namespace,
        /// The counter in `doze.lock`.
        pinned: u64,
        /// The counter of the index.
        found: u64,
    },
    /// Nobody renewed the index, or newer ones are withheld.
    #[error(
        "the index of `{namespace}` expired {} ago, so news of its releases may be \
         withheld; use another mirror, or ask the publisher to run `doze registry renew`", Days(*days)
    )]
    Expired {
        /// The publisher.
        namespace: Namespace,
        /// For how long, in days begun.
        days: u64,
    },
    /// The clock of this machine is wrong, and so cannot tell whether the index is expired.
    #[error(
        "the index of `{namespace}` was signed {} in the future; set the clock of this machine",
        Days(*days)
    )]
    Early {
        /// The publisher.
        namespace: Namespace,
        /// How far ahead, in days begun.
        days: u64,
    },
}

/// Believes an index, or says why not. Its counter and key are what to pin next.
pub fn verify(
    bytes: &[u8],
    namespace: &Namespace,
    trust: &Trust,
    now: SystemTime,
) -> Result<Verified, IndexError> {
    let Authentic { index, key, chain } = authenticate(bytes, namespace)?;
    check_keys(&index, key, &chain, trust)?;
    check_counter(&index, trust)?;
    check_time(&index, now)?;
    Ok(Verified { index, key })
}

/// An index with right signatures, by a key that nobody has judged.
#[derive(Debug)]
pub(crate) struct Authentic {
    pub(crate) index: Index,
    pub(crate) key: PublicKey,
    pub(crate) chain: Vec<Handover>,
}

/// Checks what can be checked without knowing whom to trust and what time it is.
pub(crate) fn authenticate(bytes: &[u8], asked: &Namespace) -> Result<Authentic, IndexError> {
    let opened = envelope::open(bytes, asked)?;
    Ok(Authentic {
        index: Index::parse(opened.payload, asked)?,
        key: opened.key,
        chain: opened.chain,
    })
}

/// From the pinned key on, every key has handed over to the next and none is revoked: who stole
/// a key may have signed both a hand-over and the words that revoke it.
fn check_keys(
    index: &Index,
    key: PublicKey,
    chain: &[Handover],
    trust: &Trust,
) -> Result<(), IndexError> {
    let keys: Vec<_> = chain.iter().map(|old| old.key).chain([key]).collect();
    let pinned = match trust {
        Trust::FirstUse => key,
        Trust::Pinned { key: pinned, .. } => *pinned,
    };
    let known = keys.iter().skip_while(|key| **key != pinned);
    let mut known = known.peekable();
    if known.peek().is_none() {
        return Err(IndexError::KeyChanged {
            namespace: index.namespace.clone(),
            pinned,
            found: key,
        });
    }
    for key in known {
        if let Some(reason) = index.revoked_keys.get(key) {
            return Err(IndexError::KeyRevoked {
                namespace: index.namespace.clone(),
                key: *key,
                reason: reason.clone(),
            });
        }
    }
    Ok(())
}

fn check_counter(index: &Index, trust: &Trust) -> Result<(), IndexError> {
    match trust {
        Trust::Pinned { counter, .. } if index.counter < *counter => Err(IndexError::RolledBack {
            namespace: index.namespace.clone(),
            pinned: *counter,
            found: index.counter,
        }),
        Trust::Pinned { .. } | Trust::FirstUse => Ok(()),
    }
}

fn check_time(index: &Index, now: SystemTime) -> Result<(), IndexError> {
    let days = |seconds: u64| seconds / 86_400 + 1;
    let namespace = || index.namespace.clone();
    let now = seconds(now);
    if index.issued > now.saturating_add(AHEAD.as_secs()) {
        let days = days(index.issued - now);
        return Err(IndexError::Early {
            namespace: namespace(),
            days,
        });
    }
    if now >= index.expires {
        let days = days(now - index.expires);
        return Err(IndexError::Expired {
            namespace: namespace(),
            days,
        });
    }
    Ok(())
}

/// A number of days as a sentence has it.
struct Days(u64);

impl fmt::Display for Days {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} day{}", self.0, if self.0 == 1 { "" } else { "s" })
    }
}
