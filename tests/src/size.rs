//! How large a test runs: small every day, large where there is an hour for it.
//!
//! Must not know: what is counted.

/// Whether the run is the large one: the nextest profile `large`, which `tests/run` asks for.
pub fn is_large() -> bool {
    std::env::var_os("NEXTEST_PROFILE").is_some_and(|profile| profile == "large")
}

/// The first every day, the second in the large run.
pub fn pick<T>(small: T, large: T) -> T {
    if is_large() { large } else { small }
}
