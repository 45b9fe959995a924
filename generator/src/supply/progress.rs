//! Downloads as they are shown: bars on a terminal, else a line for each beginning and end.

use std::{
    collections::BTreeMap,
    io::{self, IsTerminal},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use doze_registry::{Package, progress::Progress};
use indicatif::{DecimalBytes, MultiProgress, ProgressBar, ProgressStyle};

use crate::output::complain;

const STYLE: &str = "{msg:32!} {bar:24} {decimal_bytes:>10} of {decimal_total_bytes:<10} {decimal_bytes_per_sec:>12}";

/// Shows downloads on standard error, and breaks them off when it is told to.
#[derive(Debug)]
pub(super) struct Shown {
    /// Where there is a terminal.
    bars: Option<MultiProgress>,
    on_their_way: Mutex<BTreeMap<Package, Download>>,
    is_cancelled: AtomicBool,
}

#[derive(Debug)]
struct Download {
    bytes: u64,
    got: u64,
    bar: Option<ProgressBar>,
}

impl Shown {
    pub(super) fn new() -> Self {
        Self {
            bars: io::stderr().is_terminal().then(MultiProgress::new),
            on_their_way: Mutex::default(),
            is_cancelled: AtomicBool::new(false),
        }
    }

    /// Breaks off what is on its way.
    pub(super) fn cancel(&self) {
        self.is_cancelled.store(true, Ordering::SeqCst);
    }

    /// What is on its way, and nobody else's.
    pub(super) fn on_their_way(&self) -> Vec<Package> {
        self.locked().keys().cloned().collect()
    }

    fn bar(&self, package: &Package, bytes: u64) -> Option<ProgressBar> {
        let all = self.bars.as_ref()?;
        let style = ProgressStyle::with_template(STYLE);
        let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = ProgressBar::new(bytes).with_style(style);
        let bar = all.add(bar.with_message(package.to_string()));
        // Nothing may come for long.
        bar.tick();
        Some(bar)
    }

    fn locked(&self) -> MutexGuard<'_, BTreeMap<Package, Download>> {
        let locked = self.on_their_way.lock();
        locked.unwrap_or_else(PoisonError::into_inner)
    }
}

impl Progress for Shown {
    fn began(&self, package: &Package, bytes: u64) {
        let bar = self.bar(package, bytes);
        if bar.is_none() {
            complain(format_args!(
                "downloading {package}, {}\n",
                DecimalBytes(bytes)
            ));
        }
        let download = Download { bytes, got: 0, bar };
        self.locked().insert(package.clone(), download);
    }

    fn advanced(&self, package: &Package, bytes: u64) {
        if let Some(download) = self.locked().get_mut(package) {
            download.got += bytes;
            if let Some(bar) = &download.bar {
                bar.inc(bytes);
            }
        }
    }

    fn ended(&self, package: &Package) {
        let Some(Download { bytes, got, bar }) = self.locked().remove(package) else {
            return;
        };
        match bar {
            Some(bar) => bar.finish_and_clear(),
            None if got < bytes => complain(format_args!(
                "{package} has not come: {} of {}\n",
                DecimalBytes(got),
                DecimalBytes(bytes)
            )),
            None => complain(format_args!("{package} is here, {}\n", DecimalBytes(bytes))),
        }
    }

    fn is_cancelled(&self) -> bool {
        self.is_cancelled.load(Ordering::SeqCst)
    }
}
