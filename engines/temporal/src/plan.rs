//! From a checked block to what an activator does. Pure.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::Duration,
};

use doze_contract::{
    Endpoint,
    plan::{
        Body, Chosen, Client, Connection, Member, Readiness, SideEndpoint, Signal, Start, Stop,
    },
    protocol::{PlanCall, Toolchain},
};
use doze_driver::{PlanError, plan, url};
use serde_json::json;

use crate::{block::Block, diff::Structure, hello};

/// The variable that clients read.
const ADDRESS: &str = "TEMPORAL_ADDRESS";

/// The file of the database, in the data directory.
const DATABASE: &str = "temporal.db";

/// The shell makes way for the server when it has told it its ports.
const SERVE: &str = r#"exec "$0" "$@" --port "$PORT""#;
const SERVE_WITH_PAGE: &str = r#"exec "$0" "$@" --port "$PORT" --ui-port "$UI_PORT""#;
const PORT: &str = "PORT";
const UI_PORT: &str = "UI_PORT";

/// A big database takes a while.
const READY_WITHIN: Duration = Duration::from_mins(2);

/// A killed process is gone at once, unless the machine is in trouble.
const STOP_WITHIN: Duration = Duration::from_secs(10);

/// Each namespace takes some milliseconds.
const CONVERGE_WITHIN: Duration = Duration::from_mins(1);

pub(crate) fn body(call: &PlanCall) -> Result<Body, PlanError> {
    let block: Block = plan::block(call)?;
    let endpoint = plan::endpoint(call)?;
    let toolchain = plan::toolchain(call)?;
    let page = page(call, block.ui_port);
    let ui = page.map(|address| format!("http://{address}"));
    Ok(Body {
        provision: plan::provision("temporal", &json!({}))?,
        converge: Some(plan::converge(
            &Structure::from(&block.namespace),
            CONVERGE_WITHIN,
        )?),
        files: Vec::new(),
        members: vec![server(call, toolchain, &block)],
        upstream: None,
        chosen: Some(Chosen::Port(PORT.to_owned())),
        side: page.into_iter().map(side).collect(),
        takes_sockets: false,
        hello: Some(hello::hello()),
        connection: Connection {
            variable: Some(ADDRESS.to_owned()),
            url: Some(address(endpoint)),
            attributes: BTreeMap::from([("ui".to_owned(), ui.unwrap_or_default())]),
            client: Some(cli(endpoint)),
        },
        start: Start::OnDemand,
        clients_speak_first: true,
        generates_code: false,
    })
}

fn server(call: &PlanCall, toolchain: &Toolchain, block: &Block) -> Member {
    let has_page = block.ui_port != 0;
    let script = if has_page { SERVE_WITH_PAGE } else { SERVE };
    let words = ["/bin/sh", "-c", script, toolchain.server.as_str()];
    Member {
        name: "temporal".to_owned(),
        argv: words
            .map(str::to_owned)
            .into_iter()
            .chain(arguments(block))
            .collect(),
        env: BTreeMap::from([
            // It looks there for settings of the command line tool, which are not its own.
            ("HOME".to_owned(), call.run.to_string()),
            ("TEMPORAL_VERSION_CHECK_DISABLED".to_owned(), "1".to_owned()),
        ]),
        own: None,
        // The name of the database is part of a URL to it, and this path may be anything.
        cwd: call.data.clone(),
        pid_file: None,
        ready: Readiness::Hello,
        ready_within: READY_WITHIN,
        stop: Stop {
            say: None,
            // What it has told anybody is in the database, and it does not even close that in the
            // second or two that it takes to stop by itself.
            signal: Signal::Kill,
            within: STOP_WITHIN,
        },
    }
}

fn arguments(block: &Block) -> Vec<String> {
    let synchronous = if block.durable { "full" } else { "normal" };
    let mut words = vec![
        "server".to_owned(),
        "start-dev".to_owned(),
        "--ip=127.0.0.1".to_owned(),
        format!("--db-filename={DATABASE}"),
        "--sqlite-pragma=journal_mode=wal".to_owned(),
        format!("--sqlite-pragma=synchronous={synchronous}"),
        format!("--log-level={}", block.log_level),
    ];
    if block.ui_port == 0 {
        words.push("--headless".to_owned());
    }
    for (name, value) in &block.dynamic_config {
        // The value is JSON.
        words.push(format!("--dynamic-config-value={name}={value}"));
    }
    words
}

/// Where the page is: on the address that workers connect to.
fn page(call: &PlanCall, port: u16) -> Option<SocketAddr> {
    let mut tcp = call.endpoints.iter().filter_map(|endpoint| match endpoint {
        Endpoint::Tcp(address) => Some(address.ip()),
        Endpoint::Unix(_) => None,
    });
    let host = tcp.next().unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
    (port != 0).then(|| SocketAddr::new(host, port))
}

fn side(page: SocketAddr) -> SideEndpoint {
    SideEndpoint {
        name: "ui".to_owned(),
        endpoint: Endpoint::Tcp(page),
        variable: UI_PORT.to_owned(),
    }
}

/// The address as Temporal's clients read it, without a scheme; those in Go know the one for a
/// unix socket.
fn address(endpoint: &Endpoint) -> String {
    match endpoint {
        Endpoint::Tcp(address) => address.to_string(),
        Endpoint::Unix(path) => format!("unix://{}", url::encode_path(path.as_str())),
    }
}

/// The server's program is also the command line tool.
fn cli(endpoint: &Endpoint) -> Client {
    Client {
        programs: vec!["temporal".to_owned()],
        args: Vec::new(),
        env: BTreeMap::from([(ADDRESS.to_owned(), address(endpoint))]),
    }
}

#[cfg(test)]
mod tests {
    use doze_contract::{InstanceName, ProjectName, Version, plan::OpenTo};
    use doze_driver::block::check;
    use serde_json::Value;

    use super::*;
    use crate::block::KEYS;

    fn planned(declared: &Value, endpoint: &str) -> Body {
        let checked = check(KEYS, declared.as_object().unwrap());
        assert_eq!(checked.problems, []);
        let call = PlanCall {
            project: ProjectName::new("shop").unwrap(),
            instance: InstanceName::new("workflows").unwrap(),
            block: checked.block,
            toolchain: Some(Toolchain {
                folder: "/bin".into(),
                server: "/opt/it's/temporal".into(),
                version: Version::new("1.9.1").unwrap(),
            }),
            folder: "/home/ada/shop".into(),
            endpoints: vec![endpoint.parse().unwrap()],
            open_to: OpenTo::User,
            data: "/data".into(),
            run: "/run".into(),
        };
        body(&call).unwrap()
    }

    #[test]
    fn the_program_is_an_argument_of_the_shell_and_told_its_port() {
        let body = planned(&json!({}), "127.0.0.1:7233");
        let member = &body.members[0];
        assert_eq!(member.argv[..3], ["/bin/sh", "-c", SERVE]);
        assert_eq!(member.program().unwrap(), "/opt/it's/temporal");
        assert!(member.argv.contains(&"--headless".to_owned()));
        assert_eq!(body.chosen, Some(Chosen::Port("PORT".to_owned())));
        assert_eq!(body.side, []);
        assert_eq!(body.connection.attributes["ui"], "");
    }

    #[test]
    fn the_page_is_an_endpoint_of_its_own_on_the_same_address() {
        let body = planned(&json!({ "ui_port": 8233 }), "[::1]:7233");
        let [side] = body.side.as_slice() else {
            panic!("{:?}", body.side);
        };
        assert_eq!(side.endpoint, "[::1]:8233".parse().unwrap());
        assert_eq!((&*side.name, &*side.variable), ("ui", "UI_PORT"));
        assert_eq!(body.connection.attributes["ui"], "http://[::1]:8233");
        let argv = &body.members[0].argv;
        assert_eq!(argv[2], SERVE_WITH_PAGE);
        assert!(!argv.contains(&"--headless".to_owned()));
    }

    #[test]
    fn a_dynamic_setting_is_json() {
        let settings = json!({ "a.b": "it's 5s", "c": 3, "d": true });
        let body = planned(&json!({ "dynamic_config": settings }), "127.0.0.1:7233");
        let argv = &body.members[0].argv;
        for word in [r#"a.b="it's 5s""#, "c=3", "d=true"] {
            let word = format!("--dynamic-config-value={word}");
            assert!(argv.contains(&word), "{word} in {argv:?}");
        }
    }

    #[test]
    fn an_address_has_no_scheme_unless_it_is_a_path() {
        let url = |endpoint| planned(&json!({}), endpoint).connection.url.unwrap();
        assert_eq!(url("127.0.0.1:7233"), "127.0.0.1:7233");
        assert_eq!(url("unix:/run/a b.sock"), "unix:///run/a%20b.sock");
    }
}
