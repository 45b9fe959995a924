//! What a program is run in: its environment, its folder, and the words in front of its own.
//!
//! Must not know what the program is for.

use std::{env, ffi::OsString, process::Command};

use camino::Utf8PathBuf;
use doze_contract::{
    Plan,
    launchd::ENVIRONMENT,
    plan::{Member, UMASK},
};
use rustix::fs::{Mode, RawMode};

use crate::{
    env_file::{self, EnvFileError},
    launchd,
};

/// What the init system and the listener tell the activator alone.
pub(crate) const PRIVATE: [&str; 18] = [
    ENVIRONMENT,
    UMASK,
    "INVOCATION_ID",
    "JOURNAL_STREAM",
    "LISTEN_FDNAMES",
    "LISTEN_FDS",
    "LISTEN_PID",
    "LISTEN_PIDFDID",
    "MAINPID",
    "MAINPIDFDID",
    "MANAGERPID",
    "MANAGERPIDFDID",
    "NOTIFY_SOCKET",
    "SYSTEMD_EXEC_PID",
    "WATCHDOG_PID",
    "WATCHDOG_USEC",
    "XPC_FLAGS",
    "XPC_SERVICE_NAME",
];

/// The umask of a user who has not said another.
const USUAL_UMASK: RawMode = 0o022;

/// Of two with the same name the later one counts.
type Variables = Vec<(OsString, OsString)>;

/// What a member and the commands beside it are run in.
#[derive(Debug)]
pub(crate) struct Surroundings {
    launcher: Vec<String>,
    variables: Variables,
    cwd: Utf8PathBuf,
    /// Files are created with this mask, if not with that of the activator.
    pub(crate) umask: Option<Mode>,
}

impl Surroundings {
    /// Those of one member. `chosen` are variables that every member is told besides. The files
    /// that the environment comes from are read here.
    pub(crate) fn of(
        plan: &Plan,
        member: &Member,
        chosen: &[(String, String)],
    ) -> Result<Self, EnvFileError> {
        let mut inherited: Variables = env::vars_os().collect();
        if let (Some(_), Some(path)) = (&member.own, launchd::environment()) {
            inherited.extend(
                env_file::read(&path)?
                    .into_iter()
                    .map(|(n, v)| (n.into(), v.into())),
            );
        }
        let told = inherited.iter().rev().find(|(name, _)| name == UMASK);
        let told = told.and_then(|(_, umask)| umask.to_str()).map(String::from);
        Ok(Self {
            launcher: plan.launcher.clone(),
            umask: member.own.as_ref().map(|_| users_umask(told)),
            variables: variables(member, chosen, inherited.into_iter())?,
            cwd: member.cwd.clone(),
        })
    }

    /// A command in them; nothing if there are no words.
    pub(crate) fn command(&self, argv: &[String]) -> Option<Command> {
        let mut words = self.launcher.iter().chain(argv);
        let mut command = Command::new(words.next()?);
        command
            .args(words)
            .env_clear()
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .current_dir(&self.cwd);
        Some(command)
    }
}

/// The umask of the shell that the project was started from.
fn users_umask(told: Option<String>) -> Mode {
    let told = told.and_then(|told| RawMode::from_str_radix(&told, 8).ok());
    Mode::from_raw_mode(told.unwrap_or(USUAL_UMASK) & 0o777)
}

/// The layers of an environment, the strongest last.
fn variables(
    member: &Member,
    chosen: &[(String, String)],
    inherited: impl Iterator<Item = (OsString, OsString)>,
) -> Result<Variables, EnvFileError> {
    let owned = |(name, value): (&String, &String)| (name.into(), value.into());
    let mut variables = Variables::new();
    if let Some(own) = &member.own {
        let is_private = |name: &OsString| PRIVATE.iter().any(|private| name == private);
        variables.extend(inherited.filter(|(name, _)| !is_private(name)));
        variables.extend(own.variables.iter().map(owned));
        for path in &own.env_files {
            let file = env_file::read(path)?;
            variables.extend(file.iter().map(|(name, value)| owned((name, value))));
        }
    }
    variables.extend(chosen.iter().map(|(name, value)| owned((name, value))));
    variables.extend(member.env.iter().map(owned));
    Ok(variables)
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, fs::File, io::Write, time::Duration};

    use doze_contract::plan::{Own, Readiness, Signal, Stop};

    use super::*;

    fn pairs(list: &[(&str, &str)]) -> BTreeMap<String, String> {
        let owned = |(name, value): &(&str, &str)| (String::from(*name), String::from(*value));
        list.iter().map(owned).collect()
    }

    fn member(own: Option<Own>) -> Member {
        Member {
            name: String::from("web"),
            argv: vec![String::from("/bin/true")],
            env: pairs(&[("A", "env")]),
            own,
            cwd: Utf8PathBuf::from("/"),
            pid_file: None,
            ready: Readiness::Hello,
            ready_within: Duration::ZERO,
            stop: Stop {
                say: None,
                signal: Signal::Term,
                within: Duration::ZERO,
            },
        }
    }

    fn layered(member: &Member) -> BTreeMap<String, String> {
        let chosen = [(String::from("B"), String::from("chosen"))];
        let mut inherited = pairs(&[("A", "own"), ("B", "own"), ("C", "own"), ("D", "own")]);
        inherited.extend(pairs(&[("E", "own")]));
        inherited.extend(PRIVATE.map(|name| (name.into(), String::from("private"))));
        let inherited = inherited
            .into_iter()
            .map(|(name, value)| (name.into(), value.into()));
        let variables = variables(member, &chosen, inherited).unwrap();
        let text = |word: OsString| word.into_string().unwrap();
        let texts = variables
            .into_iter()
            .map(|(name, value)| (text(name), text(value)));
        texts.collect()
    }

    #[test]
    fn an_engine_has_its_own_environment_and_what_was_chosen() {
        let expected = pairs(&[("A", "env"), ("B", "chosen")]);
        assert_eq!(layered(&member(None)), expected);
    }

    #[test]
    fn each_layer_of_a_program_of_the_users_own_stands_above_the_one_before() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| Utf8PathBuf::from_path_buf(folder.path().join(name)).unwrap();
        let put = |name, text: &str| {
            let mut file = File::create(path(name)).unwrap();
            file.write_all(text.as_bytes()).unwrap();
        };
        put("first", "A=first\nB=first\nC=first\nD=first\n");
        put("second", "A=second\nB=second\nC=second\n");
        let own = Own {
            env_files: vec![path("first"), path("second")],
            variables: pairs(&[("A", "run"), ("B", "run"), ("C", "run"), ("D", "run")]),
            ..Own::default()
        };
        let expected = pairs(&[
            ("A", "env"),
            ("B", "chosen"),
            ("C", "second"),
            ("D", "first"),
            ("E", "own"),
        ]);
        assert_eq!(layered(&member(Some(own))), expected);
    }
}
