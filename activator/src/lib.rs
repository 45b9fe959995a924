//! The activator: started by the init system for the first client of an instance, it boots the
//! engine, carries connections to it, and leaves after the last.
//!
//! [`machine`] decides what happens next and knows nothing else; [`run`] is the loop that feeds
//! it and does what it says. An engine is known only by its plan. There is no TLS, no D-Bus,
//! no command line parser and of HTTP a single GET here: the size of this program is latency.

pub mod machine;

mod boot;
mod carry;
mod converge;
mod depend;
mod diag;
mod direct;
mod driver;
mod engine;
mod env_file;
mod environment;
mod gate;
mod handover;
mod helper;
mod hold;
mod limits;
mod lock;
mod log;
mod message;
mod moment;
mod notify;
mod orphans;
mod peer;
mod pid_file;
mod plan;
mod process;
mod provision;
mod ready;
mod refuse;
mod relay;
mod run;
mod silence;
mod sockets;
mod stamp;
mod start;
mod status;
mod stop;
mod stream;
mod swap;
mod task;
mod upstream;
mod watched;

use std::{
    env,
    io::{self, Write},
    os::unix::net::UnixStream,
};

use camino::{Utf8Path, Utf8PathBuf};
use doze_contract::{Plan, error::chain, exit::ActivatorExit};
use rustix::process::{Signal, set_parent_process_death_signal};

use crate::swap::SwapError;

const USAGE: &str = "\
usage: doze-activator run PLAN [--die-with-parent]
       doze-activator stop STATUS_SOCKET
       doze-activator link PLAN
       doze-activator unlink PLAN

All of it is for the init system. It passes the listening sockets of one
instance to `run`, as sd_listen_fds(3) describes. `link` points the instance's
unix endpoints to the sockets that the init system holds, and has a next activation
mend what only that can, if the one before was killed; `unlink` removes them.";

/// What the command line asks for.
#[derive(Debug, PartialEq, Eq)]
enum Command {
    Run {
        plan: Utf8PathBuf,
        die_with_parent: bool,
    },
    Stop {
        status_socket: Utf8PathBuf,
    },
    Link {
        plan: Utf8PathBuf,
    },
    Unlink {
        plan: Utf8PathBuf,
    },
}

/// Does what the words of the command line say, the program's name left out.
pub fn main(words: impl IntoIterator<Item = String>) -> ActivatorExit {
    let words: Vec<String> = words.into_iter().collect();
    match command(&words) {
        Some(Command::Run {
            plan,
            die_with_parent,
        }) => run_plan(&plan, die_with_parent),
        Some(Command::Stop { status_socket }) => status::stop(&status_socket),
        Some(Command::Link { plan }) => change_paths(&plan, |plan| {
            knock(plan);
            swap::swap_out(plan)
        }),
        Some(Command::Unlink { plan }) => change_paths(&plan, swap::remove),
        None => {
            complain(USAGE);
            ActivatorExit::Permanent
        }
    }
}

fn command(words: &[String]) -> Option<Command> {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["run", plan] => Some(Command::Run {
            plan: plan.into(),
            die_with_parent: false,
        }),
        ["run", plan, "--die-with-parent"] => Some(Command::Run {
            plan: plan.into(),
            die_with_parent: true,
        }),
        ["stop", status_socket] => Some(Command::Stop {
            status_socket: status_socket.into(),
        }),
        ["link", plan] => Some(Command::Link { plan: plan.into() }),
        ["unlink", plan] => Some(Command::Unlink { plan: plan.into() }),
        _ => None,
    }
}

fn run_plan(path: &Utf8Path, die_with_parent: bool) -> ActivatorExit {
    let started = tokio::time::Instant::now();
    if die_with_parent && let Err(errno) = set_parent_process_death_signal(Some(Signal::TERM)) {
        complain(&format!("cannot follow the parent process: {errno}"));
        return ActivatorExit::Temporary;
    }
    let sockets = match sockets::inherited() {
        Ok(sockets) => sockets,
        Err(error) => {
            complain(&chain(&error));
            return ActivatorExit::Permanent;
        }
    };
    let plan = match plan::read(path) {
        Ok(plan) => plan,
        Err(error) => {
            complain(&chain(&error));
            sockets::turn_away(&sockets);
            return ActivatorExit::Permanent;
        }
    };
    let log = match log::Log::open(&plan.paths.log) {
        Ok(log) => log,
        Err(error) => {
            complain(&format!("cannot open the log {}: {error}", plan.paths.log));
            // Whoever waits would wait as long as the folder stays as it is, and never know.
            sockets::turn_away(&sockets);
            return ActivatorExit::EngineFailed;
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let ran = runtime.and_then(|runtime| runtime.block_on(run::run(plan, sockets, log, started)));
    ran.unwrap_or_else(|error| {
        complain(&format!("cannot start: {error}"));
        ActivatorExit::Temporary
    })
}

/// Does something with the public paths of an instance that has no activator running.
fn change_paths(
    plan: &Utf8Path,
    change: impl FnOnce(&Plan) -> Result<(), SwapError>,
) -> ActivatorExit {
    let plan = match plan::read(plan) {
        Ok(plan) => plan,
        Err(error) => {
            complain(&chain(&error));
            return ActivatorExit::Permanent;
        }
    };
    match change(&plan) {
        Ok(()) => ActivatorExit::Done,
        Err(error) => {
            complain(&chain(&error));
            ActivatorExit::Temporary
        }
    }
}

/// Wakes the instance if its activator was killed, which may have kept clients out of a socket that
/// only another one has: nobody else could knock there. systemd says how it ended (systemd.exec(5),
/// `SERVICE_RESULT`), and starts one by itself, but not after a stop that took too long.
fn knock(plan: &Plan) {
    let ended_well = env::var_os("SERVICE_RESULT").is_none_or(|result| result == "success");
    if handover::are_handed(plan) && !ended_well {
        // If nobody listens there is nothing to wake.
        UnixStream::connect(&plan.paths.wake_socket).ok();
    }
}

/// Says something where there is no log yet.
fn complain(text: &str) {
    writeln!(io::stderr(), "doze-activator: {text}").ok();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[&str]) -> Option<Command> {
        let words: Vec<String> = words.iter().copied().map(String::from).collect();
        command(&words)
    }

    #[test]
    fn only_its_verbs_are_understood() {
        assert_eq!(
            parse(&["run", "/p", "--die-with-parent"]),
            Some(Command::Run {
                plan: "/p".into(),
                die_with_parent: true
            })
        );
        assert_eq!(
            parse(&["stop", "/s"]),
            Some(Command::Stop {
                status_socket: "/s".into()
            })
        );
        let plan = || "/p".into();
        assert_eq!(parse(&["link", "/p"]), Some(Command::Link { plan: plan() }));
        assert_eq!(
            parse(&["unlink", "/p"]),
            Some(Command::Unlink { plan: plan() })
        );
        for words in [&[][..], &["run"], &["run", "/p", "/q"], &["halt", "/s"]] {
            assert_eq!(parse(words), None, "{words:?}");
        }
    }
}
