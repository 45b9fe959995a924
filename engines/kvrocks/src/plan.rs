//! From a checked block to what an activator does. Pure.

use std::{collections::BTreeMap, time::Duration};

use camino::Utf8Path;
use doze_contract::{
    Bytes, Endpoint,
    plan::{Body, ConfigFile, Connection, Hello, Member, OpenTo, Readiness, Signal, Start, Stop},
    protocol::{PlanCall, Toolchain},
};
use doze_driver::{PlanError, plan, resp};
use serde_json::json;

use crate::{block::Block, config, describe::SOCKET_NAME, listen::LISTEN};

/// The name of the configuration file in the `run` folder.
const CONFIG: &str = "kvrocks.conf";

/// After a crash the write-ahead log is read.
const READY_WITHIN: Duration = Duration::from_mins(5);

/// A server that is asked to stop in its first moments may hang for ever. Killing it costs
/// nothing: all that it has written is in its log.
const STOP_WITHIN: Duration = Duration::from_secs(5);

pub(crate) fn body(call: &PlanCall, driver: &Utf8Path) -> Result<Body, PlanError> {
    let block: Block = plan::block(call)?;
    let endpoint = plan::endpoint(call)?;
    let toolchain = plan::toolchain(call)?;
    let password = block.password.as_deref();
    // AUTH of this server takes no name.
    let user = password.map(|password| ("", password));
    let config = call.run.join(CONFIG);
    let socket = call.run.join(SOCKET_NAME);
    Ok(Body {
        provision: plan::provision("kvrocks", &json!({}))?,
        converge: None,
        files: vec![ConfigFile {
            path: config.clone(),
            text: config::text(&block, &call.run, &socket, &call.data),
        }],
        members: vec![server(call, toolchain, &config, driver)],
        upstream: Some(plan::upstream(call, SOCKET_NAME)?),
        chosen: None,
        side: Vec::new(),
        takes_sockets: takes_sockets(call),
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
        // Scripts are compiled by LuaJIT.
        generates_code: true,
    })
}

/// Whether the server takes a socket and accepts clients on it itself: where nobody has to look at
/// who they are, and there is no other of its kind, for it takes one.
fn takes_sockets(call: &PlanCall) -> bool {
    let endpoints = call.endpoints.iter();
    let tcp = endpoints.filter(|endpoint| matches!(endpoint, Endpoint::Tcp(_)));
    call.open_to == OpenTo::All && tcp.count() == 1
}

fn server(call: &PlanCall, toolchain: &Toolchain, config: &Utf8Path, driver: &Utf8Path) -> Member {
    let words = [toolchain.server.as_str(), "-c", config.as_str()];
    let through = [driver.as_str(), LISTEN];
    let through = through.into_iter().filter(|_| takes_sockets(call));
    Member {
        name: "kvrocks".to_owned(),
        argv: through.chain(words).map(str::to_owned).collect(),
        env: BTreeMap::new(),
        own: None,
        cwd: call.data.clone(),
        pid_file: None,
        ready: Readiness::Hello,
        ready_within: READY_WITHIN,
        stop: Stop {
            // SHUTDOWN does the same as the signal.
            say: None,
            signal: Signal::Term,
            within: STOP_WITHIN,
        },
    }
}
