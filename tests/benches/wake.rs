//! Benchmark `wake`: connect → first reply of a sleeping instance, against its floor.
//!
//! The floor is what nobody can do without: the init system's activation of the smallest service
//! there is, plus the start of the bare engine with the same flags on the same data. Everything
//! is measured anew in every round, in turns, because a shared machine is never twice the same.
//! Times are printed and never asserted. `-- mariadb temporal` measures these engines alone.
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a benchmark prints its result, and a surprise ends it"
)]

#[path = "support/bare.rs"]
mod bare;
#[path = "support/lineup.rs"]
mod lineup;
#[path = "support/machine.rs"]
mod machine;
#[path = "support/recipe.rs"]
mod recipe;
#[path = "support/samples.rs"]
mod samples;
#[path = "support/shop.rs"]
mod shop;
#[path = "support/unit.rs"]
mod unit;

use std::env;
use std::path::Path;
use std::time::Duration;

use crate::samples::Samples;
use crate::shop::{Activation, Shop, Subject};

const ROUNDS: usize = 20;

/// The ratio to stay below.
const AIM: f64 = 1.15;

/// What is measured in a round.
#[derive(Clone, Copy)]
enum Candidate {
    Echo,
    Bare,
    Hardened,
    Unhardened,
    Recipe,
}

/// The order of a round. What was measured before has an effect on what is measured next, so in
/// ten rounds everything follows everything else equally often (a Williams design for five).
fn order(round: usize) -> [Candidate; 5] {
    use Candidate::{Bare, Echo, Hardened, Recipe, Unhardened};
    let all = [Echo, Bare, Hardened, Unhardened, Recipe];
    let mut places = [0, 1, 4, 2, 3].map(|place| (place + round) % all.len());
    if round / all.len() % 2 == 1 {
        places.reverse();
    }
    places.map(|place| all.get(place).copied().unwrap_or(Echo))
}

fn main() {
    let words: Vec<String> = env::args().skip(1).collect();
    // The benchmark runs itself as a user of the world to start the bare engine.
    if let [word, plan] = words.as_slice()
        && word == "--bare"
    {
        let took = bare::start(&shop::read(Path::new(plan)));
        println!("{}", took.as_nanos());
        return;
    }
    let kinds: Vec<String> = words
        .into_iter()
        .filter(|word| !word.starts_with("--"))
        .collect();
    if let Some(shop) = Shop::new(&kinds) {
        benchmark(&shop);
    }
}

fn benchmark(shop: &Shop) {
    println!("wake: connect -> first reply, {ROUNDS} rounds in turns");
    println!("at the start: {}", machine::line());
    let mut results: Vec<Times> = shop.engines.iter().map(|_| Times::default()).collect();
    for round in 0..=ROUNDS {
        for (subject, times) in shop.engines.iter().zip(&mut results) {
            times.measure(shop, subject, round);
            if round == 0 {
                // That was for warming up.
                *times = Times::default();
            }
        }
    }
    for (subject, times) in shop.engines.iter().zip(&results) {
        times.report(subject);
    }
    println!("\nat the end: {}", machine::line());
}

/// What the rounds have measured of one engine.
#[derive(Default)]
struct Times {
    echo: Activations,
    bare: Samples,
    hardened: Wakes,
    unhardened: Wakes,
    recipe: Activations,
}

#[derive(Default)]
struct Activations {
    whole: Samples,
    started: Samples,
}

#[derive(Default)]
struct Wakes {
    activation: Activations,
    boot: Samples,
    /// Before and after the boot: confinement, exec, the client's own connection to the engine.
    rest: Samples,
}

impl Times {
    /// Measures everything once.
    fn measure(&mut self, shop: &Shop, subject: &Subject, round: usize) {
        for candidate in order(round) {
            shop.settle();
            match candidate {
                Candidate::Echo => self.echo.add(&shop.echo()),
                Candidate::Bare => self.bare.add(shop.bare(subject)),
                Candidate::Hardened => self.hardened.add(&shop.wake(&subject.hardened)),
                Candidate::Recipe => {
                    if let Some(activation) = shop.recipe(subject) {
                        self.recipe.add(&activation);
                    }
                }
                Candidate::Unhardened => self.unhardened.add(&shop.wake(&subject.unhardened)),
            }
        }
    }

    fn report(&self, subject: &Subject) {
        let entry = &subject.entry;
        let title = format!("{} {}{}, ms", entry.kind, entry.version(), entry.how);
        println!("\n{title:<48}{:>8}{:>8}", "median", "p95");
        let floor = self.echo.whole.plus(&self.bare);
        self.echo.report("echo service, by the init system");
        line("bare engine, same flags", &self.bare);
        line("floor: both", &floor);
        self.hardened.report("doze");
        self.unhardened.report("doze without confinement");
        if subject.recipe.is_some() {
            self.recipe.report("socket-proxyd and a loop that waits");
        }
        let ratio = self.hardened.activation.whole.median() / floor.median();
        let verdict = if ratio <= AIM { "met" } else { "not met" };
        println!("  doze / floor: {ratio:.2}; aim at most {AIM}: {verdict}");
        let [bare, doze] = [&self.bare, &self.hardened.activation.whole];
        println!(
            "  doze / bare engine: {:.2} of the median, {:.2} of the p95",
            doze.median() / bare.median(),
            doze.p95() / bare.p95()
        );
        let own = |of: &Activations| of.whole.minus(&of.started).median();
        println!(
            "  without what the init system takes for a process: {:.2}",
            own(&self.hardened.activation) / (own(&self.echo) + self.bare.median())
        );
    }
}

impl Activations {
    fn add(&mut self, activation: &Activation) {
        self.whole.add(activation.whole);
        self.started.add(activation.started);
    }

    fn report(&self, what: &str) {
        line(what, &self.whole);
        line("  connect -> process made", &self.started);
    }
}

impl Wakes {
    fn add(&mut self, (activation, boot): &(Activation, Duration)) {
        self.activation.add(activation);
        self.boot.add(*boot);
        let known = activation.started + *boot;
        self.rest.add(activation.whole.saturating_sub(known));
    }

    fn report(&self, what: &str) {
        self.activation.report(what);
        line("  activator's start -> engine ready", &self.boot);
        line("  rest: confinement, exec, splice", &self.rest);
    }
}

fn line(what: &str, samples: &Samples) {
    let (median, p95) = (samples.median(), samples.p95());
    println!("  {what:<46}{median:>8.2}{p95:>8.2}");
}
