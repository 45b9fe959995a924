//! When an instance that starts with the project is started again: what the settings of systemd say
//! (`doze-units`), for init systems that count no starts. Must not know how it is started.

use std::time::Duration;

use crate::{
    exit::ActivatorExit,
    plan::{Restart, RestartPolicy, Start},
};

/// One that ran so long begins to count anew.
const SETTLED: Duration = Duration::from_mins(1);

/// The starts of one instance.
#[derive(Debug, Clone)]
pub struct Restarts {
    /// Nothing for one that its clients start.
    restart: Option<Restart>,
    tries: u32,
}

impl Restarts {
    /// Of one that was never started.
    pub fn new(start: &Start) -> Self {
        let restart = match start {
            Start::OnDemand => None,
            Start::WithProject(restart) => Some(restart.clone()),
        };
        Self { restart, tries: 0 }
    }

    /// With so many retries behind it, as [`Self::tries`] told.
    #[must_use]
    pub fn resumed(self, tries: u32) -> Self {
        Self { tries, ..self }
    }

    /// Whether any end leads to another start; nothing of one that its clients start.
    pub fn is_ever(&self) -> Option<bool> {
        let restart = self.restart.as_ref()?;
        Some(restart.policy != RestartPolicy::No && restart.max_retries > 0)
    }

    /// How many retries there were in a row.
    pub fn tries(&self) -> u32 {
        self.tries
    }

    /// How long to wait before the first start, if nobody has to connect for that.
    pub fn first(&self) -> Option<Duration> {
        self.restart.as_ref().map(|_| Duration::ZERO)
    }

    /// How long to wait before the next start, if there is to be one: after an activator that ran
    /// so long and left with this status, or was killed.
    pub fn next(&mut self, status: Option<i32>, ran: Duration) -> Option<Duration> {
        let restart = self.restart.as_ref()?;
        let is = |exit: ActivatorExit| status == Some(exit as i32);
        let again = match restart.policy {
            _ if is(ActivatorExit::Done) || is(ActivatorExit::Permanent) => false,
            RestartPolicy::No => false,
            RestartPolicy::OnFailure => !is(ActivatorExit::Ended),
            RestartPolicy::Always => true,
        };
        if ran >= SETTLED || !again {
            self.tries = 0;
        }
        if !again || self.tries >= restart.max_retries {
            return None;
        }
        self.tries += 1;
        Some(restart.backoff)
    }

    /// Somebody wants it, so that what comes now is no retry.
    pub fn count_anew(&mut self) {
        self.tries = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DONE: Option<i32> = Some(ActivatorExit::Done as i32);
    const FAILED: Option<i32> = Some(ActivatorExit::EngineFailed as i32);
    const ENDED: Option<i32> = Some(ActivatorExit::Ended as i32);
    const PERMANENT: Option<i32> = Some(ActivatorExit::Permanent as i32);
    const BACKOFF: Duration = Duration::from_secs(2);

    fn restarts(policy: RestartPolicy, max_retries: u32) -> Restarts {
        Restarts::new(&Start::WithProject(Restart {
            policy,
            backoff: BACKOFF,
            max_retries,
        }))
    }

    #[test]
    fn a_policy_says_after_which_ends_there_is_another_start() {
        use RestartPolicy::{Always, No, OnFailure};
        for (policy, status, again) in [
            (No, FAILED, false),
            (No, ENDED, false),
            (No, None, false),
            (OnFailure, FAILED, true),
            (OnFailure, None, true),
            (OnFailure, ENDED, false),
            (OnFailure, DONE, false),
            (OnFailure, PERMANENT, false),
            (Always, FAILED, true),
            (Always, None, true),
            (Always, ENDED, true),
            (Always, DONE, false),
            (Always, PERMANENT, false),
        ] {
            let next = restarts(policy, 1).next(status, Duration::ZERO);
            assert_eq!(next, again.then_some(BACKOFF), "{policy:?} {status:?}");
        }
    }

    #[test]
    fn the_retries_are_counted_until_one_has_run_for_a_minute() {
        let mut starts = restarts(RestartPolicy::OnFailure, 2);
        let mut fails = |seconds| starts.next(FAILED, Duration::from_secs(seconds)).is_some();
        assert_eq!([fails(0), fails(59), fails(59)], [true, true, false]);
        assert_eq!([fails(60), fails(0), fails(0)], [true, true, false]);
    }

    #[test]
    fn a_stop_that_was_asked_for_begins_to_count_anew() {
        let mut starts = restarts(RestartPolicy::OnFailure, 1);
        assert!(starts.next(FAILED, Duration::ZERO).is_some());
        assert!(starts.next(DONE, Duration::ZERO).is_none());
        assert!(starts.next(FAILED, Duration::ZERO).is_some());
    }

    #[test]
    fn a_start_that_somebody_wants_is_no_retry() {
        let mut starts = restarts(RestartPolicy::OnFailure, 1);
        let fails = |starts: &mut Restarts| starts.next(FAILED, Duration::ZERO).is_some();
        assert_eq!([fails(&mut starts), fails(&mut starts)], [true, false]);
        starts.count_anew();
        assert_eq!([fails(&mut starts), fails(&mut starts)], [true, false]);
    }

    #[test]
    fn one_that_its_clients_start_is_never_started_by_itself() {
        let mut starts = Restarts::new(&Start::OnDemand);
        assert_eq!(starts.first(), None);
        assert_eq!(starts.next(FAILED, Duration::ZERO), None);
    }
}
