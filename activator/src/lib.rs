//! The activator: started by the init system for the first client of an instance, it boots the
//! engine, carries connections to it, and leaves after the last.
//!
//! [`machine`] decides what happens next and knows nothing else; [`run`] is the loop that feeds
//! it and does what it says. An engine is known only by its plan. There is no TLS, no D-Bus,
//! no command line parser and of HTTP a single GET here: the size of this program is latency.

pub mod machine;

mod boot;
mod carry;
#[cfg_attr(target_os = "macos", path = "macos/changes.rs")]
mod changes;
mod converge;
mod depend;
#[cfg_attr(target_os = "macos", path = "macos/diag.rs")]
mod diag;
mod direct;
mod driver;
mod engine;
mod env_file;
mod environment;
#[cfg_attr(target_os = "macos", path = "macos/exit.rs")]
mod exit;
#[cfg_attr(target_os = "macos", path = "macos/gate.rs")]
mod gate;
mod handover;
mod helper;
mod hold;
mod launchd;
mod limits;
mod lock;
mod log;
mod message;
mod moment;
mod notify;
#[cfg_attr(target_os = "macos", path = "macos/orphans.rs")]
mod orphans;
mod peer;
mod pid_file;
mod plan;
#[cfg_attr(target_os = "macos", path = "macos/proc.rs")]
mod proc;
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
mod survivors;
mod swap;
#[cfg_attr(target_os = "macos", path = "macos/sys.rs")]
mod sys;
mod task;
mod upstream;
mod watched;

use std::{
    env,
    io::{self, Write},
    os::unix::net::UnixStream,
    time::Duration,
};

use camino::{Utf8Path, Utf8PathBuf};
use doze_contract::{Plan, error::chain, exit::ActivatorExit, launchd::THROTTLE};

use crate::swap::SwapError;

const USAGE: &str = "\
usage: doze-activator run PLAN [--die-with-parent | --launchd]
       doze-activator stop STATUS_SOCKET
       doze-activator link PLAN
       doze-activator unlink PLAN

All of it is for the init system. It passes the listening sockets of one
instance to `run`, as sd_listen_fds(3) describes, or is asked for them by
launch_activate_socket(3). `link` points the instance's
unix endpoints to the sockets that the init system holds, and has a next activation
mend what only that can, if the one before was killed; `unlink` removes them.";

/// Who started this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Init {
    Systemd,
    /// The listener in the foreground, with which it ends.
    Listener,
    Launchd,
}

impl Init {
    /// How long this process stays at least, so that it could be started again at once.
    pub(crate) fn stays(self) -> Duration {
        match self {
            Self::Launchd => THROTTLE,
            Self::Systemd | Self::Listener => Duration::ZERO,
        }
    }

    /// The exit status after which there is to be no other start of the same.
    fn not_again(self) -> ActivatorExit {
        match self {
            Self::Launchd => ActivatorExit::Done,
            Self::Systemd | Self::Listener => ActivatorExit::Permanent,
        }
    }

    /// Whether what a killed one leaves behind is there until the next one ends it.
    pub(crate) fn leaves_survivors(self) -> bool {
        self == Self::Launchd || cfg!(target_os = "macos")
    }
}

/// What the command line asks for.
#[derive(Debug, PartialEq, Eq)]
enum Command {
    Run { plan: Utf8PathBuf, by: Init },
    Stop { status_socket: Utf8PathBuf },
    Link { plan: Utf8PathBuf },
    Unlink { plan: Utf8PathBuf },
}

/// Does what the words of the command line say, the program's name left out.
pub fn main(words: impl IntoIterator<Item = String>) -> ActivatorExit {
    let words: Vec<String> = words.into_iter().collect();
    match command(&words) {
        Some(Command::Run { plan, by }) => run_plan(&plan, by),
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
        ["run", plan, by @ ..] => Some(Command::Run {
            plan: plan.into(),
            by: match by {
                [] => Init::Systemd,
                ["--die-with-parent"] => Init::Listener,
                ["--launchd"] => Init::Launchd,
                _ => return None,
            },
        }),
        ["stop", status_socket] => Some(Command::Stop {
            status_socket: status_socket.into(),
        }),
        ["link", plan] => Some(Command::Link { plan: plan.into() }),
        ["unlink", plan] => Some(Command::Unlink { plan: plan.into() }),
        _ => None,
    }
}

fn run_plan(path: &Utf8Path, by: Init) -> ActivatorExit {
    let started = tokio::time::Instant::now();
    if by == Init::Listener
        && let Err(error) = sys::follow_parent()
    {
        complain(&format!("cannot follow the parent process: {error}"));
        return ActivatorExit::Temporary;
    }
    let sockets = match by {
        Init::Systemd | Init::Listener => sockets::inherited(),
        Init::Launchd => launchd::sockets(),
    };
    let sockets = match sockets {
        Ok(sockets) => sockets,
        Err(error) => {
            complain(&chain(&error));
            return by.not_again();
        }
    };
    let plan = match plan::read(path) {
        Ok(plan) => plan,
        Err(error) => {
            complain(&chain(&error));
            sockets::turn_away(&sockets);
            return by.not_again();
        }
    };
    // launchd appends to the log whatever is said on standard error.
    let echoes = by != Init::Launchd;
    let log = match log::Log::open(&plan.paths.log, echoes) {
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
    let run = async {
        let starts = match by {
            Init::Launchd => launchd::Starts::begin(&plan, &sockets)?,
            Init::Systemd | Init::Listener => None,
        };
        let exit = run::run(plan, sockets, log, started, by).await?;
        Ok(match starts {
            Some(starts) => starts.end(exit, started.elapsed()).await,
            None => exit,
        })
    };
    let ran = runtime.and_then(|runtime| runtime.block_on(run));
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
                by: Init::Listener
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
        for words in [
            &[][..],
            &["run"],
            &["run", "/p", "/q"],
            &["run", "/p", "--launchd", "/q"],
            &["halt", "/s"],
        ] {
            assert_eq!(parse(words), None, "{words:?}");
        }
    }
}
