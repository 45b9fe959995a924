//! No client is ever lost to sleep: crowds that come just when the instance goes to sleep, while
//! it stops, and while it wakes.
#![expect(clippy::print_stdout, reason = "the counts are the result")]

use std::time::{Duration, Instant};

use doze_contract::Endpoint;
use doze_contract::launchd::THROTTLE;
use doze_tests::crowd::Crowd;
use doze_tests::exchange::Exchange;
use doze_tests::in_every_mode;
use doze_tests::project::{Mode, Project};
use doze_tests::size::pick;

in_every_mode!(
    nobody_is_lost_to_the_sleep_of_a_valkey,
    nobody_is_lost_to_the_sleep_of_a_valkey_on_unix,
);

/// With launchd nothing sleeps so soon.
mod others {
    use super::{
        nobody_is_lost_to_a_sleep_after_a_millisecond, nobody_is_lost_to_the_sleep_of_a_postgres,
        nobody_is_lost_to_the_sleep_of_a_postgres_on_unix,
    };

    doze_tests::without_launchd!(
        nobody_is_lost_to_the_sleep_of_a_postgres,
        nobody_is_lost_to_the_sleep_of_a_postgres_on_unix,
        nobody_is_lost_to_a_sleep_after_a_millisecond,
    );
}

/// Clients at a time.
const THREADS: usize = 8;

fn nobody_is_lost_to_the_sleep_of_a_valkey(mode: Mode) {
    hammer(
        mode,
        "cache",
        "tcp",
        20,
        pick(2_000, 100_000),
        pick(20, 400),
    );
}

fn nobody_is_lost_to_the_sleep_of_a_valkey_on_unix(mode: Mode) {
    hammer(
        mode,
        "cache",
        "unix",
        20,
        pick(2_000, 100_000),
        pick(20, 400),
    );
}

fn nobody_is_lost_to_the_sleep_of_a_postgres(mode: Mode) {
    hammer(mode, "app", "tcp", 20, pick(160, 2_000), pick(16, 400));
}

fn nobody_is_lost_to_the_sleep_of_a_postgres_on_unix(mode: Mode) {
    hammer(mode, "app", "unix", 20, pick(160, 2_000), pick(16, 400));
}

fn nobody_is_lost_to_a_sleep_after_a_millisecond(mode: Mode) {
    hammer(mode, "cache", "both", 1, pick(1_000, 20_000), pick(20, 400));
}

/// Sends a crowd to the endpoints of an instance that sleeps after so many milliseconds, and
/// wants each of them answered, and a sleep before every other wave at least.
fn hammer(mode: Mode, instance: &str, on: &str, idle: u64, connections: usize, waves: usize) {
    let Some(mut project) = Project::new(mode, &format!("{idle}ms")) else {
        return;
    };
    let (app, cache) = (project.app, project.cache);
    let listen = |port: u16| match on {
        "tcp" => format!("listen = [\"127.0.0.1:{port}\"]"),
        "unix" => "listen = [\"unix\"]".to_owned(),
        _ => format!("listen = [\"127.0.0.1:{port}\", \"unix\"]"),
    };
    let toml = project.toml(&format!("{idle}ms"));
    let toml = toml
        .replace(&format!("port = {app}"), &listen(app))
        .replace(&format!("port = {cache}"), &listen(cache));
    project.declare(&toml);
    project.up();
    let plan = project.plan(instance);
    let unix = |endpoint: &Endpoint| matches!(endpoint, Endpoint::Unix(_));
    assert_eq!(plan.endpoints.iter().any(unix), on != "tcp");
    assert_eq!(plan.endpoints.iter().all(unix), on == "unix");
    project.run(&["wake", instance]);
    project.wait_asleep();
    // An activator of launchd stays for its throttle, so that a wave takes seconds.
    let (idle_timeout, waves, connections) = if mode == Mode::Launchd {
        (THROTTLE, pick(4, 16), pick(400, 4_000))
    } else {
        (Duration::from_millis(idle), waves, connections)
    };

    let crowd = Crowd {
        exchange: Exchange::of(&plan),
        endpoints: plan.endpoints,
        connections,
        waves,
        threads: THREADS,
        idle_timeout,
        // A client that is with the engine itself is noticed when the timeout is over, which then
        // begins again.
        stop: Duration::from_millis(if on == "tcp" { 60 } else { 120 + idle }),
        seed: connections as u64,
    };
    let (before, begun) = (project.wakes(instance), Instant::now());
    let tally = crowd.come();
    let took = begun.elapsed();
    project.wait_asleep();
    let cycles = project.wakes(instance) - before;
    println!("{mode:?}, {instance}, {on}: {cycles} cycles in {took:.1?}; {tally}");
    assert!(tally.lost.is_empty(), "{tally}");
    assert_eq!(tally.all(), connections);
    assert!(cycles >= waves / 2, "only {cycles} cycles in {waves} waves");
}
