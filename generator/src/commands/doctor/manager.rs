//! The user manager: whether there is one, and one that is new enough.
//!
//! Must not know any project.

use doze_contract::error::chain;

use crate::{
    dirs::{Dirs, Init},
    doctor::Row,
    manager::{self, Manager},
};

/// The oldest systemd that the units are written for.
const OLDEST: u32 = 252;

/// What is to be said of the manager, and the connection to it.
pub(super) fn rows(dirs: &Dirs) -> (Vec<Row>, Option<Box<dyn Manager>>) {
    let row = |row| (vec![row], None);
    match manager::connect(dirs) {
        Ok(Some(manager)) => match manager.version() {
            Ok(version) if manager.init() == Init::Launchd => {
                let found = Row::ok("manager", format!("launchd, {version}"));
                (vec![found], Some(manager))
            }
            Ok(version) => (vec![of_version(&version)], Some(manager)),
            Err(error) => row(Row::fail("manager", chain(&error))),
        },
        Ok(None) => row(Row::warn(
            "manager",
            format!(
                "no {} answers here: addresses are held only while `doze up` runs",
                dirs.init.manager()
            ),
        )
        .fix("doze up --foreground")),
        Err(error) => {
            let found = Row::fail("manager", chain(&error));
            row(found.fix("sudo apt-get install dbus-user-session"))
        }
    }
}

/// `252.38-1~deb12u1`: the first number counts.
fn of_version(version: &str) -> Row {
    let digits: String = version.chars().take_while(char::is_ascii_digit).collect();
    match digits.parse::<u32>() {
        Ok(number) if number < OLDEST => Row::fail(
            "manager",
            format!("systemd {version} is older than {OLDEST}, which the units are written for"),
        )
        .fix("doze up --foreground"),
        _ => Row::ok("manager", format!("systemd {version}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::State;

    #[test]
    fn an_old_manager_is_told_by_its_first_number() {
        for (version, state) in [
            ("252.38-1~deb12u1", State::Ok),
            ("257", State::Ok),
            ("v262~rc1", State::Ok),
            ("249.11-0ubuntu3", State::Fail),
        ] {
            assert_eq!(of_version(version).state, state, "{version}");
        }
    }
}
