//! The pipe that relays splice through: there is none, for macOS has no splice(2). Everything is
//! copied.

use std::{
    io,
    task::{Context, Poll},
};

use crate::stream::Stream;

/// There is none.
#[derive(Debug)]
pub(super) enum Pipe {}

impl Pipe {
    pub(super) fn take() -> Option<Self> {
        None
    }

    pub(super) fn give_back(self) {
        match self {}
    }

    pub(super) fn poll_fill(
        &self,
        _from: &Stream,
        _count: usize,
        _cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        match *self {}
    }

    pub(super) fn poll_drain(
        &self,
        _to: &Stream,
        _count: usize,
        _cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        match *self {}
    }
}
