//! The one bounded wait of the checks. It must not know what is waited for.

use std::time::{Duration, Instant};

/// Asks `state` every few milliseconds until it gives a value; after `bound`, what it said last is
/// the error. A last resort, for what sends no event.
pub fn until<T>(
    bound: Duration,
    mut state: impl FnMut() -> Result<T, String>,
) -> Result<T, String> {
    let start = Instant::now();
    loop {
        match state() {
            Ok(value) => return Ok(value),
            Err(last) if start.elapsed() >= bound => {
                return Err(format!("not within {bound:?}; at last: {last}"));
            }
            Err(_) => pause(),
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the pause of the one bounded poll"
)]
fn pause() {
    std::thread::sleep(Duration::from_millis(2));
}
