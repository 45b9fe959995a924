//! From a checked block to what an activator does. Pure.

use std::{collections::BTreeMap, time::Duration};

use camino::Utf8Path;
use doze_contract::{
    Bytes, Endpoint,
    plan::{Body, Client, ConfigFile, Connection, Hello, Member, Readiness, Signal, Start, Stop},
    protocol::{PlanCall, Toolchain},
};
use doze_driver::{PlanError, plan, url};

use crate::{
    block::{Block, Save},
    config,
    describe::SOCKET_NAME,
    provision::Facts,
    resp,
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
            url: Some(client_url(endpoint, password)),
            attributes: BTreeMap::new(),
            client: Some(cli(endpoint, password)),
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

/// The password is left out of the arguments, which everybody can read in the process table.
fn cli(endpoint: &Endpoint, password: Option<&str>) -> Client {
    let args = match endpoint {
        Endpoint::Tcp(address) => vec![
            "-h".to_owned(),
            address.ip().to_string(),
            "-p".to_owned(),
            address.port().to_string(),
        ],
        Endpoint::Unix(path) => vec!["-s".to_owned(), path.to_string()],
    };
    let password = password.map(|text| ("REDISCLI_AUTH".to_owned(), text.to_owned()));
    Client {
        programs: ["valkey-cli", "redis-cli"].map(str::to_owned).into(),
        args,
        env: password.into_iter().collect(),
    }
}

/// A URL as redis-py, go-redis and ioredis read it; the first two know the form for a unix
/// socket. The command line clients take a user that is left out for one without a name.
fn client_url(endpoint: &Endpoint, password: Option<&str>) -> String {
    let user = password
        .map(|text| format!("default:{}@", url::encode(text)))
        .unwrap_or_default();
    match endpoint {
        Endpoint::Tcp(address) => format!("redis://{user}{address}/0"),
        Endpoint::Unix(path) => format!("unix://{user}{}?db=0", url::encode_path(path.as_str())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_client_has_its_password_by_the_environment_alone() {
        let client = cli(&"[::1]:6379".parse().unwrap(), Some("s3cret"));
        assert_eq!(client.args, ["-h", "::1", "-p", "6379"]);
        assert_eq!(client.env["REDISCLI_AUTH"], "s3cret");
        let client = cli(&"unix:/run/a b/c.sock".parse().unwrap(), None);
        assert_eq!(client.args, ["-s", "/run/a b/c.sock"]);
        assert!(client.env.is_empty());
    }

    #[test]
    fn the_path_of_the_configuration_is_no_pattern() {
        let path = |path: &str, major| configuration(path.into(), major);
        assert_eq!(path(r"/run/a\b/c", 8), r"/run/a\b/c");
        assert_eq!(path(r"/run/[a]\*?/c", 8), r"/run/\[a\]\\\*\?/c");
        assert_eq!(path("/run/[a]", 6), "/run/[a]");
    }

    #[test]
    fn a_url_survives_every_password() {
        let url = |endpoint: &str, password| client_url(&endpoint.parse().unwrap(), password);
        assert_eq!(url("127.0.0.1:6379", None), "redis://127.0.0.1:6379/0");
        assert_eq!(
            url("[::1]:6379", Some("a@b/%:?#ü")),
            "redis://default:a%40b%2F%25%3A%3F%23%C3%BC@[::1]:6379/0"
        );
        assert_eq!(
            url("unix:/run/a b/valkey.sock", Some("x y")),
            "unix://default:x%20y@/run/a%20b/valkey.sock?db=0"
        );
    }
}
