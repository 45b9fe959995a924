//! The least that a sender has to send, so that nobody can keep us waiting for ever.
//!
//! Must not know how the bytes are sent.

use std::{
    fmt,
    io::{self, Read},
    thread,
    time::{Duration, Instant},
};

use crate::{
    pipe::{Pipe, pipe},
    stream::StreamError,
};

/// How much has to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// Bytes that have to come within a stretch.
    pub least: u64,
    /// Its length. Time in which nobody waits for bytes does not count.
    pub stretch: Duration,
}

impl Default for Pace {
    /// 16 KiB in 30 seconds: slower than any network that a download could be meant for.
    fn default() -> Self {
        Self {
            least: 16 * 1024,
            stretch: Duration::from_secs(30),
        }
    }
}

/// Passes on what comes fast enough. A thread of its own reads, for the many layers below may each
/// go on waiting as long as a single byte comes now and then.
pub struct Watched {
    pipe: Pipe,
    pace: Pace,
    came: u64,
    waited: Duration,
    stop: Option<Box<dyn FnOnce() + Send>>,
}

impl Watched {
    /// Watches `inner`; `stop` makes a blocked read of it return.
    pub fn new(
        mut inner: impl Read + Send + 'static,
        pace: Pace,
        stop: impl FnOnce() + Send + 'static,
    ) -> Self {
        let (feeder, pipe) = pipe();
        thread::spawn(move || {
            let result = feeder.feed(&mut inner);
            feeder.finish(result);
        });
        Self {
            pipe,
            pace,
            came: 0,
            waited: Duration::ZERO,
            stop: Some(Box::new(stop)),
        }
    }

    /// Waits for bytes, and looks at the clock after every stretch.
    fn wait(&mut self) -> io::Result<()> {
        let Pace { least, stretch } = self.pace;
        loop {
            let begun = Instant::now();
            let ready = self.pipe.ready(stretch.saturating_sub(self.waited))?;
            self.waited += begun.elapsed();
            if self.waited >= stretch {
                match self.came {
                    0 if !ready => return Err(StreamError::Stalled(self.pace).into()),
                    came if came < least => return Err(StreamError::TooSlow(self.pace).into()),
                    _ => {}
                }
                (self.came, self.waited) = (0, Duration::ZERO);
            }
            if ready {
                return Ok(());
            }
        }
    }
}

impl Read for Watched {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.wait()?;
        let count = self.pipe.read(buffer)?;
        self.came += count as u64;
        Ok(count)
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            stop();
        }
    }
}

impl fmt::Debug for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watched")
            .field("pace", &self.pace)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::{io::Write as _, os::unix::net::UnixStream};

    use super::*;

    const QUICK: Pace = Pace {
        least: 100,
        stretch: Duration::from_millis(100),
    };

    fn watched() -> (UnixStream, Watched) {
        let (sender, receiver) = UnixStream::pair().unwrap();
        let stop = receiver.try_clone().unwrap();
        let stop = move || drop(stop.shutdown(std::net::Shutdown::Both));
        (sender, Watched::new(receiver, QUICK, stop))
    }

    fn end(watched: &mut Watched) -> Result<usize, StreamError> {
        let result = watched.read_to_end(&mut Vec::new());
        result.map_err(|error| StreamError::within(error).unwrap())
    }

    #[test]
    fn a_sender_that_stops_is_left() {
        let (mut sender, mut watched) = watched();
        sender.write_all(&[0; 5000]).unwrap();
        let error = end(&mut watched).unwrap_err();
        assert!(matches!(error, StreamError::Stalled(_)), "{error}");
        drop(watched);
        sender.write_all(&[0; 5000]).unwrap_err();
    }

    #[test]
    fn a_sender_that_drips_is_left() {
        let (mut sender, mut watched) = watched();
        let clock = sender.try_clone().unwrap();
        clock
            .set_read_timeout(Some(Duration::from_millis(10)))
            .unwrap();
        thread::scope(|scope| {
            scope.spawn(move || {
                // A read of what never comes is the pause between two drops.
                while sender.write_all(b"x").is_ok() {
                    drop((&clock).read(&mut [0]));
                }
            });
            let error = end(&mut watched).unwrap_err();
            assert!(matches!(error, StreamError::TooSlow(_)), "{error}");
            drop(watched);
        });
    }

    #[test]
    fn a_sender_may_end_at_once() {
        let (sender, mut watched) = watched();
        drop(sender);
        assert_eq!(end(&mut watched).unwrap(), 0);
    }
}
