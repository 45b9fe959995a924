//! How clients of RESP store a text and ask for it, for the tests of the drivers that speak it. It
//! must not know which engine is behind it.

use std::process::Command;

use doze_contract::Plan;

use crate::conformance::{
    Client, Practice,
    practice::{python, shell},
};

/// redis-cli or valkey-cli, and redis-py.
pub fn practice() -> Practice {
    let command_line = Client {
        name: "the command line client",
        ask: cli,
    };
    Practice {
        clients: vec![Ok(command_line), Client::in_python("redis", redis_py)],
        drift: None,
    }
}

/// By the URL; but of one with a password and no user these programs make a user without a name.
fn cli(plan: &Plan, store: Option<&str>) -> Command {
    let mut command = shell(plan).unwrap_or_else(|| Command::new("redis-cli"));
    let url = plan.body.connection.url.as_deref().unwrap_or_default();
    if !url.contains("://:") {
        command = Command::new(command.get_program());
        command.env_clear().args(["--no-auth-warning", "-u", url]);
    }
    command.arg("-e");
    match store {
        Some(text) => command.args(["SET", "stored", text]),
        None => command.args(["GET", "stored"]),
    };
    command
}

fn redis_py(plan: &Plan, store: Option<&str>) -> Command {
    const SCRIPT: &str = "\
import redis, sys
server = redis.from_url(sys.argv[1])
if sys.argv[2:]: server.set('stored', sys.argv[2])
else: print(server.get('stored').decode())
";
    python(SCRIPT, plan, store)
}
