//! The command line of the plan's driver. It must not know what a driver is asked.

use std::{env, process::Command};

use doze_contract::Plan;

/// What the init system and the listener tell the activator alone; no driver may see it.
const PRIVATE: [&str; 8] = [
    "LISTEN_FDS",
    "LISTEN_PID",
    "LISTEN_FDNAMES",
    "LISTEN_PIDFDID",
    "NOTIFY_SOCKET",
    "MAINPID",
    "WATCHDOG_USEC",
    "WATCHDOG_PID",
];

/// The driver of `plan`, behind the plan's launcher, without arguments.
pub(crate) fn command(plan: &Plan) -> Command {
    let mut words = plan.launcher.iter().map(String::as_str);
    let mut command = Command::new(words.next().unwrap_or(plan.driver.as_str()));
    if !plan.launcher.is_empty() {
        command.args(words).arg(&plan.driver);
    }
    for name in PRIVATE.iter().filter(|name| env::var_os(name).is_some()) {
        command.env_remove(name);
    }
    command
}
