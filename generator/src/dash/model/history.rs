//! What an instance used during the last minutes. Must not know how it is drawn.

use std::collections::VecDeque;

use crate::look::Row;

/// More than the widest card shows.
const LENGTH: usize = 150;

/// A value for each sample, the newest first.
#[derive(Debug, Default)]
pub(in crate::dash) struct History {
    /// Bytes.
    pub(in crate::dash) memory: VecDeque<u64>,
    /// Tenths of a percent.
    pub(in crate::dash) cpu: VecDeque<u64>,
    pub(in crate::dash) clients: VecDeque<u64>,
}

impl History {
    /// Adds what was just seen.
    pub(super) fn add(&mut self, instance: &Row) {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a share of time is small, and none is negative"
        )]
        let cpu = (instance.cpu_percent.unwrap_or(0.0) * 10.0).round() as u64;
        push(&mut self.memory, instance.memory_bytes.unwrap_or(0));
        push(&mut self.cpu, cpu);
        push(&mut self.clients, instance.connections as u64);
    }
}

fn push(values: &mut VecDeque<u64>, value: u64) {
    values.push_front(value);
    values.truncate(LENGTH);
}
