//! Repeated measurements of one thing, and how they are told.
//!
//! Must not know: what is measured.

use std::time::Duration;

/// The measurements of one thing.
#[derive(Debug, Default)]
pub(crate) struct Samples(Vec<Duration>);

impl Samples {
    pub(crate) fn add(&mut self, sample: Duration) {
        self.0.push(sample);
    }

    /// The middle of the sorted samples, in milliseconds.
    pub(crate) fn median(&self) -> f64 {
        let sorted = self.sorted();
        let half = sorted.len() / 2;
        let at = |at: usize| sorted.get(at).copied().unwrap_or_default();
        let middle = if sorted.len().is_multiple_of(2) {
            f64::midpoint(at(half.saturating_sub(1)), at(half))
        } else {
            at(half)
        };
        middle * 1000.0
    }

    /// The smallest sample that 95 of 100 do not exceed, in milliseconds.
    pub(crate) fn p95(&self) -> f64 {
        let sorted = self.sorted();
        let rank = (sorted.len() * 95).div_ceil(100);
        sorted
            .get(rank.saturating_sub(1))
            .copied()
            .unwrap_or_default()
            * 1000.0
    }

    /// Both together, sample by sample.
    pub(crate) fn plus(&self, other: &Self) -> Self {
        let pairs = self.0.iter().zip(&other.0);
        Self(pairs.map(|(one, two)| *one + *two).collect())
    }

    /// The first without the second, sample by sample.
    pub(crate) fn minus(&self, other: &Self) -> Self {
        let pairs = self.0.iter().zip(&other.0);
        Self(pairs.map(|(one, two)| one.saturating_sub(*two)).collect())
    }

    fn sorted(&self) -> Vec<f64> {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        sorted.iter().map(Duration::as_secs_f64).collect()
    }
}
