//! A crowd of clients that come in waves, each wave near the moment at which the instance goes to
//! sleep after the one before, and leave in every way in which a client can.
//!
//! Must not know: who serves them, and what the test expects.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use doze_contract::Endpoint;

use crate::client::Client;
use crate::exchange::Exchange;
use crate::random::Random;

/// After so long a client is not waiting but forgotten. An engine whose activator was killed has 45 s
/// to stop, and a Postgres in the middle of a recovery takes them: it waits in vain for a process of
/// its own that it does not start any more.
const UNANSWERED: Duration = Duration::from_mins(1);

/// Who comes, and when.
#[derive(Debug, Clone)]
pub struct Crowd {
    /// Where to; the clients are spread over all of them.
    pub endpoints: Vec<Endpoint>,
    /// What they say.
    pub exchange: Exchange,
    /// Connections in all.
    pub connections: usize,
    /// Waves that they come in.
    pub waves: usize,
    /// Clients at a time.
    pub threads: usize,
    /// After which the instance sleeps.
    pub idle_timeout: Duration,
    /// How long after that the latest wave comes: until then the engine and the activator have
    /// stopped, or one of them is about to.
    pub stop: Duration,
    /// Of the random numbers.
    pub seed: u64,
}

/// What became of a crowd.
#[derive(Debug, Default)]
pub struct Tally {
    /// Clients that asked and were answered in full.
    pub answered: usize,
    /// Clients that left without waiting for an answer.
    pub left: usize,
    /// What went wrong, and how often.
    pub lost: BTreeMap<String, usize>,
}

impl Tally {
    /// Adds what became of others.
    pub fn add(&mut self, other: Self) {
        self.answered += other.answered;
        self.left += other.left;
        for (what, count) in other.lost {
            *self.lost.entry(what).or_default() += count;
        }
    }

    /// Clients in all.
    pub fn all(&self) -> usize {
        self.answered + self.left + self.lost.values().sum::<usize>()
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lost: usize = self.lost.values().sum();
        write!(
            f,
            "{} answered, {} left early, {lost} lost",
            self.answered, self.left
        )?;
        for (what, count) in &self.lost {
            write!(f, "\n{count} x {what}")?;
        }
        Ok(())
    }
}

impl Crowd {
    /// Lets them all come, and tells what became of them.
    pub fn come(&self) -> Tally {
        let barrier = Barrier::new(self.threads);
        let mut tally = Tally::default();
        thread::scope(|scope| {
            let members: Vec<_> = (0..self.threads)
                .map(|number| {
                    let barrier = &barrier;
                    scope.spawn(move || self.member(number, barrier))
                })
                .collect();
            for member in members {
                tally.add(member.join().expect("a client does not panic"));
            }
        });
        tally
    }

    fn member(&self, number: usize, barrier: &Barrier) -> Tally {
        let mut tally = Tally::default();
        // The waves are common to all, what a client does is its own.
        let mut waves = Random::new(self.seed);
        let mut own = Random::new(waves.clone().word() ^ number as u64);
        let mut came = 0;
        for wave in 1..=self.waves {
            let gap = self.idle_timeout * 3 / 4 + waves.within(self.idle_timeout / 4 + self.stop);
            barrier.wait();
            pause(gap + own.within(self.idle_timeout / 4));
            // Shares that differ by one at most.
            let share = |waves: usize| {
                let whole = self.connections * waves / self.waves;
                (whole + number) / self.threads
            };
            while came < share(wave) {
                came += 1;
                match self.client(&mut own) {
                    Ok(true) => tally.answered += 1,
                    Ok(false) => tally.left += 1,
                    Err(what) => *tally.lost.entry(what).or_default() += 1,
                }
            }
        }
        tally
    }

    /// One client. Whether it waited for its answer.
    fn client(&self, random: &mut Random) -> Result<bool, String> {
        let at = usize::try_from(random.below(self.endpoints.len() as u64)).unwrap_or_default();
        let endpoint = self.endpoints.get(at).expect("an endpoint to come to");
        let mut client =
            Client::connect(endpoint, UNANSWERED).map_err(|error| lost("connect", &error))?;
        let say = |client: &mut Client| self.exchange.say(client).map_err(|e| lost("ask", &e));
        match random.below(20) {
            0 => return Ok(false),
            1 => {
                say(&mut client)?;
                return Ok(false);
            }
            2 => {
                // Silent for about as long as it takes to sleep.
                pause(random.within(self.idle_timeout * 2));
                say(&mut client)?;
            }
            3 | 4 => {
                say(&mut client)?;
                client.close_half().map_err(|e| lost("close half", &e))?;
            }
            _ => say(&mut client)?,
        }
        match self.exchange.hear(&mut client) {
            Ok(true) => Ok(true),
            Ok(false) => Err("answered that the engine is not ready".into()),
            Err(error) => Err(lost("hear", &error)),
        }
    }
}

fn lost(what: &str, error: &io::Error) -> String {
    format!("{what}: {:?} {error}", error.kind())
}

/// The time between two clients is not a wait: nothing is expected to happen in it.
#[expect(clippy::disallowed_methods, reason = "clients come at random moments")]
fn pause(gap: Duration) {
    thread::sleep(gap);
}
