//! The tasks of this process.
//!
//! They go through here, boxed, so that what tokio makes for each kind of future it makes once: that
//! is a kilobyte. Must not know what a task does.

use tokio::task::JoinHandle;

/// Runs `work` beside everything else, within a runtime.
pub(crate) fn spawn(work: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
    let work: Box<dyn Future<Output = ()> + Send> = Box::new(work);
    tokio::spawn(Box::into_pin(work))
}

/// A task that ends when this is dropped.
#[derive(Debug)]
pub(crate) struct AbortOnDrop(pub(crate) JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}
