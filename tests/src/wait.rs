//! Waiting for a state that sends no event: the only place where a test sleeps.
//!
//! Must not know: what is waited for.

use std::time::{Duration, Instant};

/// Time between two looks.
const PAUSE: Duration = Duration::from_millis(5);

/// Looks again and again until `probe` succeeds, and returns what it found.
///
/// # Panics
/// After `bound`, naming `what` and the state that the last look reported.
#[track_caller]
pub fn wait_until<T>(what: &str, bound: Duration, probe: impl FnMut() -> Result<T, String>) -> T {
    match poll(bound, probe) {
        Ok(found) => found,
        Err(state) => panic!("waited {bound:?} for {what}; last state: {state}"),
    }
}

/// As [`wait_until`], but hands the last state back where a panic would do harm.
pub(crate) fn poll<T>(
    bound: Duration,
    mut probe: impl FnMut() -> Result<T, String>,
) -> Result<T, String> {
    let deadline = Instant::now() + bound;
    loop {
        match probe() {
            Ok(found) => return Ok(found),
            Err(state) if Instant::now() >= deadline => return Err(state),
            Err(_) => pause(),
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the pause between two looks, bounded by `poll`"
)]
fn pause() {
    std::thread::sleep(PAUSE);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_found_value_is_returned() {
        let mut looks = 0;
        let found = wait_until("the third look", Duration::from_secs(5), || {
            looks += 1;
            if looks == 3 {
                Ok(looks)
            } else {
                Err(format!("look {looks}"))
            }
        });
        assert_eq!(found, 3);
    }

    #[test]
    fn a_bound_that_passes_reports_the_last_state() {
        let state = poll(Duration::ZERO, || Err::<(), _>("still closed".to_owned()));
        assert_eq!(state, Err("still closed".to_owned()));
    }
}
