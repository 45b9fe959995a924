//! Waiting for a moment, if there is one.

use tokio::time::{Instant, sleep_until};

/// Waits until then, or for ever.
pub(crate) async fn until(then: Option<Instant>) {
    match then {
        Some(then) => sleep_until(then).await,
        None => std::future::pending().await,
    }
}

/// Waits until then, or not at all.
pub(crate) async fn until_past(then: Option<Instant>) {
    if let Some(then) = then {
        sleep_until(then).await;
    }
}
