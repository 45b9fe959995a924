//! From a checked block to what an activator does. Pure.

use std::{collections::BTreeMap, time::Duration};

use camino::Utf8Path;
use doze_contract::{
    Bytes,
    plan::{Body, ConfigFile, Connection, Hello, Member, Readiness, Signal, Start, Stop},
    protocol::{PlanCall, Toolchain},
};
use doze_driver::{PlanError, plan, resp};

use crate::{
    block::{Block, Save},
    config,
    describe::SOCKET_NAME,
    provision::Facts,
};

/// The name of the configuration file in the `run` folder.
const CONFIG: &str = "valkey.conf";

/// Reading a big data set takes a while.
const READY_WITHIN: Duration = Duration::from_mins(5);

/// So does writing it.
const STOP_WITHIN: Duration = Duration::from_secs(30);

pub(crate) fn body(call: &PlanCall) -> Result<Body, PlanError> {
    let block: Block = plan::block(call)?;
    let endpoint = plan::endpoint(call)?;
    let toolchain = plan::toolchain(call)?;
    let password = block.password.as_deref();
    // The command line clients take a user that is left out for one without a name.
    let user = password.map(|password| ("default", password));
    let socket = call.run.join(SOCKET_NAME);
    let config = call.run.join(CONFIG);
    let facts = Facts {
        appendonly: block.appendonly,
        save: block.save != Save::Never,
    };
    Ok(Body {
        provision: plan::provision(facts.fingerprint(), &facts)?,
        converge: None,
        files: vec![ConfigFile {
            path: config.clone(),
            text: config::text(&block, &socket, &call.data),
        }],
        members: vec![server(call, toolchain, &config, &block)],
        upstream: Some(plan::upstream(call, SOCKET_NAME)?),
        chosen: None,
        side: Vec::new(),
        takes_sockets: false,
        hello: Some(Hello {
            send: resp::as_user(password, &["PING"]),
            ready: Bytes::from("+PONG\r\n"),
            busy: vec![Bytes::from("-LOADING ")],
        }),
        start: Start::OnDemand,
        connection: Connection {
            variable: Some("REDIS_URL".to_owned()),
            url: Some(resp::client_url(endpoint, user)),
            attributes: BTreeMap::new(),
            client: Some(resp::cli(endpoint, password)),
        },
        clients_speak_first: true,
        generates_code: false,
    })
}

fn server(call: &PlanCall, toolchain: &Toolchain, config: &Utf8Path, block: &Block) -> Member {
    let save = if block.save == Save::Never {
        "NOSAVE"
    } else {
        "SAVE"
    };
    Member {
        name: toolchain
            .server
            .file_name()
            .unwrap_or("valkey-server")
            .to_owned(),
        argv: vec![
            toolchain.server.to_string(),
            configuration(config, toolchain.version.major()),
        ],
        env: BTreeMap::new(),
        own: None,
        cwd: call.data.clone(),
        pid_file: None,
        ready: Readiness::Hello,
        ready_within: READY_WITHIN,
        stop: Stop {
            // The server looks at signals ten times a second, but at commands at once.
            say: Some(resp::as_user(
                block.password.as_deref(),
                &["SHUTDOWN", save],
            )),
            signal: Signal::Term,
            within: STOP_WITHIN,
        },
    }
}

/// How the server takes the path of its configuration: since version 7 one with any of `*?[` in it
/// is a pattern of glob(7), and what matches nothing is a server with no configuration at all.
fn configuration(path: &Utf8Path, major: u32) -> String {
    let path = path.as_str();
    if major < 7 || !path.contains(['*', '?', '[']) {
        return path.to_owned();
    }
    let mut escaped = String::with_capacity(path.len());
    for c in path.chars() {
        if matches!(c, '*' | '?' | '[' | ']' | '\\') {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_of_the_configuration_is_no_pattern() {
        let path = |path: &str, major| configuration(path.into(), major);
        assert_eq!(path(r"/run/a\b/c", 8), r"/run/a\b/c");
        assert_eq!(path(r"/run/[a]\*?/c", 8), r"/run/\[a\]\\\*\?/c");
        assert_eq!(path("/run/[a]", 6), "/run/[a]");
    }
}
