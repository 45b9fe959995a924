//! Downloads as they are shown: bars on a terminal, else a line of JSON for each beginning and end.

use std::{
    collections::BTreeMap,
    io::{self, IsTerminal},
    sync::{Mutex, MutexGuard, PoisonError},
};

use doze_registry::{Package, progress::Progress};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use serde_json::json;

use crate::output::complain;

const STYLE: &str = "{msg:32!} {bar:24} {decimal_bytes:>10} of {decimal_total_bytes:<10} {decimal_bytes_per_sec:>12}";

/// Shows downloads on standard error.
#[derive(Debug)]
pub(super) enum Shown {
    Bars {
        all: MultiProgress,
        bars: Mutex<BTreeMap<Package, ProgressBar>>,
    },
    Lines,
}

impl Shown {
    pub(super) fn new() -> Self {
        if io::stderr().is_terminal() {
            Self::Bars {
                all: MultiProgress::new(),
                bars: Mutex::default(),
            }
        } else {
            Self::Lines
        }
    }
}

impl Progress for Shown {
    fn began(&self, package: &Package, bytes: u64) {
        match self {
            Self::Bars { all, bars } => {
                let style = ProgressStyle::with_template(STYLE);
                let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
                let bar = ProgressBar::new(bytes).with_style(style);
                let bar = all.add(bar.with_message(package.to_string()));
                locked(bars).insert(package.clone(), bar);
            }
            Self::Lines => line(&json!({
                "event": "download",
                "package": package.to_string(),
                "bytes": bytes,
            })),
        }
    }

    fn advanced(&self, package: &Package, bytes: u64) {
        if let Self::Bars { bars, .. } = self
            && let Some(bar) = locked(bars).get(package)
        {
            bar.inc(bytes);
        }
    }

    fn ended(&self, package: &Package) {
        match self {
            Self::Bars { bars, .. } => {
                if let Some(bar) = locked(bars).remove(package) {
                    bar.finish_and_clear();
                }
            }
            Self::Lines => line(&json!({
                "event": "downloaded",
                "package": package.to_string(),
            })),
        }
    }
}

fn line(event: &serde_json::Value) {
    complain(format_args!("{event}\n"));
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
