//! `doze plan`, `doze apply`, `doze reset`, `doze destroy`: what is shown is what is done.
#![expect(
    clippy::expect_used,
    reason = "a surprise fails the test, and says what it was"
)]

mod apply;
mod destroy;
mod plan;
mod reset;
mod structure;
mod turns;

use std::process::Output;
use std::time::Duration;

use doze_tests::client::Client;
use doze_tests::exchange::Exchange;
use doze_tests::project::{Mode, Project, output};

/// How long a step may take on a busy machine.
const BOUND: Duration = Duration::from_mins(1);

/// A project under systemd that is up and stays awake once it is.
fn project() -> Option<Project> {
    let project = Project::new(Mode::Systemd, "1h")?;
    project.run(&["up"]);
    Some(project)
}

/// A client of an instance that was answered, and can ask again.
struct Guest {
    client: Client,
    exchange: Exchange,
}

impl Guest {
    fn of(project: &Project, instance: &str) -> Self {
        let plan = project.plan(instance);
        let endpoint = plan.endpoints.first().expect("an endpoint");
        let mut guest = Self {
            client: Client::connect(endpoint, BOUND).expect("somebody listens"),
            exchange: Exchange::of(&plan),
        };
        assert!(guest.is_served());
        guest
    }

    /// Whether its connection still serves it. Only for a cache: a database is greeted once.
    fn is_served(&mut self) -> bool {
        self.exchange
            .with(&mut self.client)
            .is_ok_and(|ready| ready)
    }
}

/// A doze command that ended so.
#[track_caller]
fn ended(project: &Project, arguments: &[&str], code: i32) -> Said {
    let ended = output(&mut project.doze(arguments));
    let said = Said::from(ended);
    assert_eq!(said.code, Some(code), "{arguments:?}: {said:?}");
    said
}

/// What a command said.
#[derive(Debug)]
struct Said {
    code: Option<i32>,
    out: String,
    err: String,
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self {
            code: output.status.code(),
            out: text(&output.stdout),
            err: text(&output.stderr),
        }
    }
}

/// `doze plan` has nothing to say.
#[track_caller]
fn assert_settled(project: &Project) {
    let said = ended(project, &["plan", "--check"], 0);
    assert_eq!((said.out.as_str(), said.err.as_str()), ("", ""));
}

/// The file of a project without its cache.
fn without_cache(project: &Project) -> String {
    let whole = project.toml("1h");
    let (without, _) = whole.split_once("[valkey.cache]").expect("it is declared");
    without.to_owned()
}
