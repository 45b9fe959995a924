//! The matrix: who is killed, when, and by which signal.
//!
//! A moment is not hoped for but held: at a gate of the engine's programs, or by SIGSTOP.

use std::fmt;
use std::process::Child;
use std::time::{Duration, Instant};

use doze_tests::in_every_mode;
use doze_tests::project::{Mode, output, succeed};
use doze_tests::random::Random;
use doze_tests::size::{is_large, pick};
use doze_tests::{process, wait_until};
use rustix::process::Signal;

use crate::gates::Gate;
use crate::stage::{BOUND, Stage, Waiting, toml};

in_every_mode!(
    a_postgres_survives_whatever_is_killed,
    a_valkey_survives_whatever_is_killed,
    a_stop_in_the_moment_of_a_failed_boot_ends,
    what_a_killed_engine_leaves_behind_keeps_nobody_waiting,
);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Victim {
    Activator,
    Engine,
    Driver,
    /// The `doze` command that is at work.
    Doze,
    /// The init system: the user manager, or the listener in the foreground.
    Init,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Moment {
    Provisioning,
    Booting,
    /// The engine is ready, and its structure is not made yet.
    Converging,
    Serving,
    Idling,
    /// On the way to sleep, with a client.
    Draining,
    /// The init system is stopping the service.
    Stopping,
    /// `doze up` asks the drivers.
    GoingUp,
}

use Moment::{Booting, Converging, Draining, GoingUp, Idling, Provisioning, Serving, Stopping};
use Victim::{Activator, Doze, Driver, Engine, Init};

/// Those that make the data directory anew come first: what is acknowledged later has to stay.
const CELLS: [(Victim, Moment); 24] = [
    (Driver, Provisioning),
    (Activator, Provisioning),
    (Doze, Provisioning),
    (Init, Provisioning),
    (Activator, Booting),
    (Engine, Booting),
    (Doze, Booting),
    (Init, Booting),
    (Driver, Converging),
    (Activator, Converging),
    (Engine, Converging),
    (Doze, Converging),
    (Init, Converging),
    (Activator, Serving),
    (Engine, Serving),
    (Init, Serving),
    (Activator, Idling),
    (Engine, Idling),
    (Init, Idling),
    (Activator, Draining),
    (Engine, Draining),
    (Init, Draining),
    (Activator, Stopping),
    (Engine, Stopping),
];

fn a_postgres_survives_whatever_is_killed(mode: Mode) {
    let Some(mut stage) = Stage::new(mode, "app") else {
        return;
    };
    matrix(&mut stage, |_, _| true);

    stage.sleep();
    let cluster = stage.plan().paths.data.join("pgdata");
    let checksums = stage.project.postgres_program("pg_checksums");
    let said =
        succeed(
            stage
                .project
                .world
                .command(checksums)
                .args(["--check", "-D", cluster.as_str()]),
        );
    assert!(said.contains("Bad checksums:  0"), "{said}");
    println!("{mode:?}: {}", said.replace('\n', "; "));
    assert_eq!(
        stage.project.logged("app", "lock file \"postmaster.pid\""),
        0,
        "the data was opened twice"
    );
}

/// Its data directory is made by the driver alone, in no time that could be held, and there is
/// nothing in it to converge.
fn a_valkey_survives_whatever_is_killed(mode: Mode) {
    let Some(mut stage) = Stage::new(mode, "cache") else {
        return;
    };
    matrix(&mut stage, |_, moment| {
        !matches!(moment, Provisioning | Converging)
    });
}

/// The signal of a stop and the end of the engine can arrive together: systemd sends its signal
/// to both.
fn a_stop_in_the_moment_of_a_failed_boot_ends(mode: Mode) {
    let Some(mut stage) = Stage::new(mode, "cache") else {
        return;
    };
    let mut random = Random::new(5);
    // launchd lets a second pass from one start to the next.
    let large = if mode == Mode::Launchd { 20 } else { 200 };
    for _ in 0..pick(8, large) {
        let held = reach(&mut stage, Engine, Booting);
        let activator = stage.found("the activator", || stage.activator());
        let engine = stage.found("the engine", || stage.engine());
        stage.signal(&engine, Signal::KILL);
        let until = Instant::now() + random.within(Duration::from_micros(1500));
        while Instant::now() < until {
            std::hint::spin_loop();
        }
        stage.signal(&activator, Signal::TERM);
        stage.gates.open(Gate::Boot);
        wait_until(
            "the activator to leave",
            Duration::from_secs(5),
            || match stage.find(|process| process.pid == activator.pid) {
                None => Ok(()),
                Some(process) => Err(process.to_string()),
            },
        );
        drop(held.client.expect("it waits").end());
    }
    stage.write();
    stage.check();
}

/// A child of the engine that is in no group of ours holds the instance lock, and the cgroup.
fn what_a_killed_engine_leaves_behind_keeps_nobody_waiting(mode: Mode) {
    let Some(mut stage) = Stage::new(mode, "cache") else {
        return;
    };
    stage.gates.with_child(&stage.project.world, true);
    stage.write();
    stage.gates.with_child(&stage.project.world, false);
    let child = stage.found("the child", || {
        stage.find(|process| process.command == "sleep 600")
    });
    let engine = stage.engine().expect("it serves");
    stage.signal(&engine, Signal::KILL);
    let killed = Instant::now();
    stage.write();
    let took = killed.elapsed();
    stage.signal(&child, Signal::KILL);
    assert!(took < Duration::from_secs(5), "served after {took:.1?}");
}

fn matrix(stage: &mut Stage, has: impl Fn(Victim, Moment) -> bool) {
    if stage.mode.has_manager() {
        // From here on the project comes back with the manager.
        stage.project.run(&["up"]);
    }
    let mut cells = 0;
    let mut protected = false;
    for (victim, moment) in CELLS {
        let is_out = match stage.mode {
            Mode::Systemd => false,
            Mode::Foreground => moment == Stopping,
            // Of a Mac it is the first process.
            Mode::Launchd => victim == Init,
        };
        if !has(victim, moment) || is_out {
            continue;
        }
        // A new manager takes its time, and finds the same whenever the old one went.
        let again = (victim, stage.mode) == (Init, Mode::Systemd) && moment != Serving;
        if again && !is_large() {
            continue;
        }
        if moment != Provisioning && !protected && stage.instance == "app" {
            protect(stage);
            protected = true;
        }
        for signal in pick(&[Signal::KILL][..], &[Signal::KILL, Signal::TERM]) {
            cell(stage, victim, moment, *signal);
            cells += 1;
        }
    }
    if stage.mode.has_manager() {
        for signal in [Signal::KILL, Signal::TERM] {
            cell(stage, Doze, GoingUp, signal);
            cells += 1;
        }
        interrupted_ups(stage);
    }
    println!("{:?}, {}: {cells} cells", stage.mode, stage.instance);
}

/// From here on every page has a checksum.
fn protect(stage: &Stage) {
    stage.sleep();
    let cluster = stage.plan().paths.data.join("pgdata");
    let checksums = stage.project.postgres_program("pg_checksums");
    succeed(
        stage
            .project
            .world
            .command(checksums)
            .args(["--enable", "-D", cluster.as_str()]),
    );
}

/// What is in the middle of something, and has to be let go on.
#[derive(Default)]
struct Held {
    gate: Option<Gate>,
    engine_stopped: bool,
    client: Option<Waiting>,
    session: Option<doze_tests::client::Client>,
    command: Option<Child>,
}

fn cell(stage: &mut Stage, victim: Victim, moment: Moment, signal: Signal) {
    let name = Name(victim, moment, signal);
    println!("{:?}, {}: {name} …", stage.mode, stage.instance);
    let held = reach(stage, victim, moment);
    let before = stage.engine();
    let mut killed = None;
    let target = match victim {
        Activator => stage.activator(),
        Engine => stage.engine(),
        Driver => stage.driver(),
        Doze => stage.find(|process| {
            let verb = if moment == GoingUp { " up" } else { " wake " };
            process.command.contains("doze")
                && process.command.contains(verb)
                && !process.command.contains("activator")
        }),
        Init => None,
    };
    match (victim, stage.mode) {
        (Init, Mode::Systemd) => stage.project.world.restart_manager(signal),
        (Init, Mode::Foreground) => stage.project.signal_listener(signal),
        _ => {
            let target = target.unwrap_or_else(|| {
                panic!(
                    "{name}: not there\n{}",
                    process::list(&stage.project.processes())
                )
            });
            stage.signal(&target, signal);
            killed = Some(target);
        }
    }
    if let Some(gate) = held.gate {
        stage.gates.open(gate);
    }
    if let (true, Some(engine)) = (held.engine_stopped, &before) {
        stage.signal(engine, Signal::CONT);
    }
    if let Some(mut command) = held.command {
        wait_until("the command to end", BOUND, || match command.try_wait() {
            Ok(Some(_)) => Ok(()),
            other => Err(format!("{other:?}")),
        });
    }
    // A Postgres that is told to terminate waits for its sessions.
    drop(held.session);
    if let Some(killed) = killed {
        // Until then it may still answer.
        wait_until("the victim to end", BOUND, || {
            match stage.find(|process| process.pid == killed.pid) {
                None => Ok(()),
                Some(process) => Err(process.to_string()),
            }
        });
    }
    if let Some(client) = held.client {
        // Told anything at all; whoever was served leaves now.
        drop(client.end());
    }
    if (victim, stage.mode) == (Init, Mode::Foreground) {
        stage.project.wait_for_listener();
        stage.project.wait_asleep();
        stage.project.up();
    }
    let tries = stage.write();
    stage.check();
    println!(
        "{:?}, {}: {name}: answered at try {tries}",
        stage.mode, stage.instance
    );
}

/// Brings the instance to the moment and keeps it there.
fn reach(stage: &mut Stage, victim: Victim, moment: Moment) -> Held {
    let mut held = Held::default();
    match moment {
        Provisioning | Booting => {
            let gate = if moment == Booting {
                stage.sleep();
                Gate::Boot
            } else {
                stage.forget();
                Gate::Provision
            };
            stage.close(gate);
            held.gate = Some(gate);
            if victim == Doze {
                held.command = Some(stage.background(&["wake", stage.instance]));
            } else {
                held.client = Some(stage.client());
            }
            let at = if moment == Booting {
                "-server"
            } else {
                "/initdb"
            };
            let at = if moment == Booting && stage.instance == "app" {
                "/postgres -D"
            } else {
                at
            };
            stage.found("the gate to be reached", || {
                stage.find(|process| {
                    process.command.starts_with("/bin/sh") && process.command.contains(at)
                })
            });
        }
        Converging => {
            stage.unconverge();
            stage.close(Gate::Converge);
            held.gate = Some(Gate::Converge);
            if victim == Doze {
                held.command = Some(stage.background(&["wake", stage.instance]));
            } else {
                held.client = Some(stage.client());
            }
            stage.found("the gate to be reached", || stage.driver());
        }
        Serving => held.session = Some(stage.client().served()),
        Idling => {
            drop(stage.client().served());
            stage.wait_for("idling");
        }
        Draining | Stopping => {
            held.session = Some(stage.client().served());
            stage.wait_for("serving");
            let engine = stage.found("the engine", || stage.engine());
            stage.signal(&engine, Signal::STOP);
            held.engine_stopped = true;
            if moment == Draining {
                held.command = Some(stage.background(&["sleep", stage.instance]));
            } else {
                let world = &stage.project.world;
                if stage.mode == Mode::Launchd {
                    let domain = world.launchd_domain();
                    let job = format!("{domain}/doze.shop.{}", stage.instance);
                    world.run(&["launchctl", "kill", "SIGTERM", &job]);
                } else {
                    let service = format!("doze-shop-{}.service", stage.instance);
                    world.run(&["systemctl", "--user", "stop", "--no-block", &service]);
                }
            }
            stage.wait_for("draining");
        }
        GoingUp => {
            stage.close(Gate::Version);
            held.gate = Some(Gate::Version);
            held.command = Some(stage.background(&["up"]));
            stage.found("the gate to be reached", || {
                stage.find(|process| {
                    process.command.starts_with("/bin/sh") && process.command.ends_with("--version")
                })
            });
        }
    }
    held
}

/// A `doze up` with changes, killed wherever it is; the next one mends whatever was left.
fn interrupted_ups(stage: &mut Stage) {
    let mut random = Random::new(3);
    let mut ended = 0;
    for round in 0..pick(3, 40) {
        stage.project.declare(&toml(&stage.project, 30 + round));
        let mut up = stage.background(&["up"]);
        let doze = stage.found("doze up", || {
            stage.find(|process| {
                process.command.ends_with("/doze up") || process.command.ends_with("doze up")
            })
        });
        let until = Instant::now() + random.within(Duration::from_millis(pick(60, 150)));
        wait_until("the moment to kill", BOUND, || {
            if Instant::now() >= until {
                Ok(())
            } else {
                Err(String::new())
            }
        });
        stage.signal(&doze, Signal::KILL);
        ended += u32::from(up.wait().expect("our child").success());
        let again = output(&mut stage.project.doze(&["up"]));
        assert!(
            again.status.success(),
            "after a killed `doze up`: {}",
            String::from_utf8_lossy(&again.stderr)
        );
        assert_eq!(
            stage.project.run(&["up"]),
            "",
            "a third one has nothing to do"
        );
        stage.write();
        stage.check();
    }
    println!(
        "killed `doze up`s: {}, of them {ended} were over",
        pick(3, 40)
    );
}

struct Name(Victim, Moment, Signal);

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let signal = if self.2 == Signal::KILL {
            "SIGKILL"
        } else {
            "SIGTERM"
        };
        write!(f, "{signal} to {:?} while {:?}", self.0, self.1)
    }
}
