//! Days of one instance, on a clock of their own: clients come by day and nobody by night, boots
//! fail, engines die, activators are killed. Whoever comes is answered soon, an instance that
//! nobody wants sleeps soon, and the night begins with nothing left over.

use proptest::test_runner::{RngAlgorithm, TestRng};

use super::{world::World, *};

/// A moment or a length of time, in milliseconds.
type Time = u64;

const SECOND: Time = 1000;
const MINUTE: Time = 60 * SECOND;
const HOUR: Time = 60 * MINUTE;

/// Nobody comes any more.
const EVENING: Time = 16 * HOUR;
const DAY: Time = 24 * HOUR;

const IDLE_TIMEOUT: Time = 5 * MINUTE;

/// The end of one engine and its last bytes, and the boot of the next: the most that a client waits.
const SOON: Time = 6 * SECOND;

/// What happens at some moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Due {
    /// Somebody comes: a client, a hold, one who says nothing.
    Comes(Event),
    /// Somebody else acts on whatever runs then.
    Asked(Event),
    /// SIGKILL to whatever runs then.
    Killed,
    /// The activator that runs now sees something; gone with it.
    Sees(Event),
}

struct Day {
    now: Time,
    random: TestRng,
    /// The activator that runs.
    world: Option<World>,
    agenda: Vec<(Time, Due)>,
    /// Who came, and when, and was not accepted yet.
    backlog: Vec<(Time, Event)>,
    /// When the clients came who wait for an answer.
    waiting: Vec<Time>,
    /// Since when nobody is there.
    quiet: Option<Time>,
    activations: usize,
    answers: usize,
}

impl Day {
    fn new(seed: [u8; 32]) -> Self {
        let mut day = Self {
            now: 0,
            random: TestRng::from_seed(RngAlgorithm::ChaCha, &seed),
            world: None,
            agenda: Vec::new(),
            backlog: Vec::new(),
            waiting: Vec::new(),
            quiet: None,
            activations: 0,
            answers: 0,
        };
        for due in [
            Due::Comes(Event::Client),
            Due::Comes(Event::HoldBegan),
            Due::Comes(Event::Aside),
            Due::Asked(Event::Term),
            Due::Killed,
        ] {
            day.agenda.push((0, due));
        }
        day
    }

    fn within(&mut self, least: Time, most: Time) -> Time {
        self.random.random_range(least..=most.max(least))
    }

    /// A length that is often far less than the most.
    fn up_to(&mut self, most: Time) -> Time {
        let most = most >> self.within(0, 16);
        self.within(1, most)
    }

    fn one_in(&mut self, count: Time) -> bool {
        self.within(1, count) == 1
    }

    fn passes(mut self) -> Result<Self, String> {
        while let Some(first) = (0..self.agenda.len()).min_by_key(|at| self.agenda[*at].0) {
            let (moment, due) = self.agenda.swap_remove(first);
            self.now = moment;
            match due {
                Due::Comes(event) => self.backlog.push((moment, event)),
                Due::Asked(event) | Due::Sees(event) => self.sees(event)?,
                Due::Killed => self.ends(),
            }
            let every = match due {
                Due::Comes(Event::Client) => MINUTE,
                Due::Comes(_) => 20 * MINUTE,
                Due::Asked(_) | Due::Killed => HOUR,
                Due::Sees(_) => DAY,
            };
            if every < DAY && moment < EVENING {
                let next = moment + self.up_to(every);
                self.agenda.push((next, due));
            }
            self.accept()?;
            self.plan_ahead();
            self.check(due)?;
        }
        Ok(self)
    }

    fn sees(&mut self, event: Event) -> Result<(), String> {
        let Some(world) = &mut self.world else {
            return Ok(());
        };
        if event == Event::Direct {
            self.quiet = None;
        }
        if world.can(event) {
            world.happens(event)?;
        }
        Ok(())
    }

    /// What a process has goes with it.
    fn ends(&mut self) {
        self.world = None;
        self.waiting.clear();
        self.agenda.retain(|(_, due)| !matches!(due, Due::Sees(_)));
    }

    /// Who came is let in, by a new activator if there is none.
    fn accept(&mut self) -> Result<(), String> {
        loop {
            if let Some(world) = &self.world
                && matches!(world.state, State::Done(_))
            {
                self.ends();
            }
            if self.world.is_none() && !self.backlog.is_empty() {
                self.world = Some(World::new(step));
                self.activations += 1;
                self.sees(Event::Start)?;
            }
            let Some(world) = &mut self.world else {
                return Ok(());
            };
            if !world.accepting || self.backlog.is_empty() {
                return Ok(());
            }
            let (came, event) = self.backlog.remove(0);
            world.happens(event)?;
            if event == Event::Client {
                self.waiting.push(came);
            }
        }
    }

    /// Everything that the world owes gets its moment, and nothing else has one.
    fn plan_ahead(&mut self) {
        let Some(world) = &self.world else {
            return;
        };
        let one = usize::from;
        for (of_kind, owed) in [
            (
                &[Event::Ready, Event::BootFailed][..],
                one(world.booting && !world.stopping),
            ),
            (
                &[Event::EngineExit, Event::EngineEnded],
                one(world.ready && !world.stopping),
            ),
            (&[Event::Stopped], one(world.stopping)),
            (&[Event::Looked, Event::Direct], one(world.looking)),
            (&[Event::Tick], one(world.armed.is_some())),
            (&[Event::Closed], world.relayed),
            (&[Event::HoldEnded], world.holds),
            (&[Event::Left, Event::Spoke], world.aside),
        ] {
            let is = |due: &Due| matches!(due, Due::Sees(event) if of_kind.contains(event));
            let mut planned = self.agenda.iter().filter(|(_, due)| is(due)).count();
            while planned < owed {
                let event = of_kind[usize::from(of_kind.len() > 1 && self.one_in(10))];
                let after = self.takes(event);
                self.agenda.push((self.now + after, Due::Sees(event)));
                planned += 1;
            }
            while planned > owed {
                let last = self.agenda.iter().rposition(|(_, due)| is(due));
                self.agenda.swap_remove(last.unwrap());
                planned -= 1;
            }
        }
    }

    fn takes(&mut self, event: Event) -> Time {
        match event {
            Event::Ready | Event::BootFailed => self.within(20, 400),
            Event::Stopped => self.within(5, 2 * SECOND),
            Event::Looked | Event::Direct => 1,
            Event::EngineExit | Event::EngineEnded => self.within(1, 4 * HOUR),
            Event::Tick => match self.world.as_ref().and_then(|world| world.armed) {
                Some(Timer::Idle) => IDLE_TIMEOUT,
                Some(Timer::Linger) => 0,
                Some(Timer::Settle) => 20,
                Some(Timer::CoolDown) => SECOND,
                Some(Timer::Flush) | None => 2 * SECOND,
            },
            Event::Closed | Event::HoldEnded | Event::Left | Event::Spoke => self.up_to(HOUR),
            // Nothing of the activator's own making.
            Event::Start | Event::Client | Event::Aside | Event::HoldBegan | Event::Term => 0,
        }
    }

    fn check(&mut self, due: Due) -> Result<(), String> {
        let now = self.now;
        let place = move |what| Err(format!("{what} at {now} ms on {due:?}"));
        let Some(world) = &self.world else {
            return Ok(());
        };
        if world.queued == 0 {
            self.answers += self.waiting.len();
            for came in self.waiting.drain(..) {
                if now - came > SOON {
                    return place("a client has waited for long");
                }
            }
        }
        if world.queued + world.relayed + world.holds + world.aside + self.backlog.len() > 0 {
            self.quiet = None;
        } else if now - *self.quiet.get_or_insert(now) > IDLE_TIMEOUT + SOON {
            return place("nobody is there, and it is awake");
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(config(10))]

    #[test]
    fn a_day_ends_with_nothing_left_over(seed: [u8; 32]) {
        let day = Day::new(seed).passes().map_err(TestCaseError::fail)?;
        prop_assert!(day.world.is_none(), "awake at {} ms", day.now);
        prop_assert!(day.now < DAY, "slept only at {} ms", day.now);
        prop_assert!(day.backlog.is_empty() && day.waiting.is_empty());
        prop_assert!(day.activations > 10 && day.answers > 1000, "a dull day");
    }
}
