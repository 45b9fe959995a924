//! From a checked block to what an activator does. Pure.

use std::{collections::BTreeMap, time::Duration};

use camino::{Utf8Path, Utf8PathBuf};
use doze_contract::{
    Bytes, Endpoint,
    plan::{
        Body, Client, ConfigFile, Connection, Hello, Member, OpenTo, Provision, Readiness, Signal,
        Start, Stop,
    },
    protocol::{PlanCall, Toolchain},
};
use doze_driver::{PlanError, plan, url};

use crate::{
    block::Block,
    config,
    describe::SOCKET_NAME,
    listen::LISTEN,
    provision::{DATADIR, Facts, TMPDIR},
    structure::{Structure, owner},
};

/// The name of the option file in the `run` folder.
const CONFIG: &str = "mariadb.cnf";

/// Crash recovery may have to read a lot from a slow disk.
const READY_WITHIN: Duration = Duration::from_mins(5);

/// So may it have to write at a stop.
const STOP_WITHIN: Duration = Duration::from_mins(1);

/// Each statement takes milliseconds, unless it waits for a table that a client has locked.
const CONVERGE_WITHIN: Duration = Duration::from_mins(1);

pub(crate) fn body(call: &PlanCall, driver: &Utf8Path) -> Result<Body, PlanError> {
    let block: Block = plan::block(call)?;
    let toolchain = plan::toolchain(call)?;
    let endpoint = plan::endpoint(call)?;
    let instance = call.instance.as_str();
    let structure = Structure::new(instance, &block);
    let user = owner(instance, &block);
    let password = structure.users.get(user);
    let password = password.and_then(|user| Some(user.password.as_ref()?.0.as_str()));
    let login = Login {
        user,
        password,
        database: instance,
        tls: config::has_tls(&block),
    };
    let facts = Facts {
        version: toolchain.version.clone(),
    };
    let takes_sockets = takes_sockets(call);
    Ok(Body {
        provision: Provision {
            replenishes: true,
            ..plan::provision(facts.fingerprint(), &facts)?
        },
        converge: Some(plan::converge(&structure, CONVERGE_WITHIN)?),
        files: vec![ConfigFile {
            path: call.run.join(CONFIG),
            text: config::text(&block),
        }],
        members: vec![server(call, toolchain, driver, takes_sockets)],
        upstream: Some(plan::upstream(call, SOCKET_NAME)?),
        chosen: None,
        side: Vec::new(),
        takes_sockets,
        hello: Some(hello()),
        start: Start::OnDemand,
        connection: Connection {
            variable: Some("DATABASE_URL".to_owned()),
            url: Some(login.url(endpoint)),
            attributes: [
                ("user", user),
                ("password", password.unwrap_or_default()),
                ("database", instance),
            ]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
            client: Some(login.client(endpoint)),
        },
        clients_speak_first: false,
        generates_code: false,
    })
}

/// The server accepts TCP clients itself where nobody has to look at who they are.
fn takes_sockets(call: &PlanCall) -> bool {
    let is_tcp = |endpoint: &Endpoint| matches!(endpoint, Endpoint::Tcp(_));
    call.open_to == OpenTo::All && call.endpoints.iter().any(is_tcp)
}

/// What must not be changed stands on the command line: there it wins over the option file.
fn server(
    call: &PlanCall,
    toolchain: &Toolchain,
    driver: &Utf8Path,
    takes_sockets: bool,
) -> Member {
    let public = call.endpoints.iter().find_map(|endpoint| match endpoint {
        Endpoint::Unix(path) => Some(path.as_str()),
        Endpoint::Tcp(_) => None,
    });
    let mut argv = Vec::new();
    if !takes_sockets {
        let upstream = call.run.join(SOCKET_NAME);
        argv.extend([driver.as_str(), LISTEN, upstream.as_str()].map(str::to_owned));
    }
    argv.push(toolchain.server.to_string());
    // It is read only as the first option.
    argv.push(format!("--defaults-file={}", call.run.join(CONFIG)));
    argv.push(format!("--basedir={}", basedir(&toolchain.server)));
    argv.push(format!("--datadir={}", call.data.join(DATADIR)));
    argv.push(format!("--tmpdir={}", call.data.join(TMPDIR)));
    argv.push(format!("--pid-file={}", call.run.join("mariadb.pid")));
    // Its sockets are handed to it; this is what clients of TCP hear that would rather go on over
    // a unix socket. The upstream is none of theirs: doze would not see them there, and sleep.
    argv.push(format!("--socket={}", public.unwrap_or_default()));
    if !takes_sockets {
        argv.push("--skip-networking".to_owned());
    }
    // No waiting for a name server, and `localhost` is the unix socket alone.
    argv.push("--skip-name-resolve".to_owned());
    Member {
        name: "mariadbd".to_owned(),
        argv,
        env: environment(),
        own: None,
        cwd: call.data.clone(),
        pid_file: None,
        ready: Readiness::Hello,
        ready_within: READY_WITHIN,
        stop: Stop {
            say: None,
            signal: Signal::Term,
            within: STOP_WITHIN,
        },
    }
}

/// The folder that the server finds its messages and plugins below, as it was laid out when it was
/// built.
pub(crate) fn basedir(server: &Utf8Path) -> Utf8PathBuf {
    let folder = server.parent().and_then(Utf8Path::parent);
    folder.unwrap_or_else(|| Utf8Path::new("/")).to_owned()
}

/// The environment of the server.
pub(crate) fn environment() -> BTreeMap<String, String> {
    [("PATH", "/usr/local/bin:/usr/bin:/bin"), ("LC_ALL", "C")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
}

/// The server speaks first. Its greeting ends with the plugin that it proposes; no error has that.
fn hello() -> Hello {
    Hello {
        send: Bytes::from(""),
        ready: Bytes::from("mysql_native_password\0"),
        busy: Vec::new(),
    }
}

/// What a client has to know.
struct Login<'a> {
    user: &'a str,
    password: Option<&'a str>,
    database: &'a str,
    tls: bool,
}

impl Login<'_> {
    fn url(&self, endpoint: &Endpoint) -> String {
        let mut user = url::encode(self.user);
        if let Some(password) = self.password {
            user.push(':');
            user.push_str(&url::encode(password));
        }
        let database = url::encode(self.database);
        match endpoint {
            Endpoint::Tcp(address) => format!("mysql://{user}@{address}/{database}"),
            Endpoint::Unix(path) => {
                let path = url::encode(path.as_str());
                format!("mysql://{user}@localhost/{database}?socket={path}")
            }
        }
    }

    /// The password is left out of the arguments, which everybody can read in the process table.
    fn client(&self, endpoint: &Endpoint) -> Client {
        let mut args = match endpoint {
            Endpoint::Tcp(address) => vec![
                "--protocol=tcp".to_owned(),
                format!("--host={}", address.ip()),
                format!("--port={}", address.port()),
            ],
            Endpoint::Unix(path) => vec![format!("--socket={path}")],
        };
        // What it is by default is up to files of the machine, and names go by it as well.
        args.push("--default-character-set=utf8mb4".to_owned());
        args.push(format!("--user={}", self.user));
        args.push(format!("--database={}", self.database));
        if !self.tls {
            // A newer client insists on it.
            args.push("--skip-ssl".to_owned());
        }
        let password = self.password;
        let password = password.map(|text| ("MYSQL_PWD".to_owned(), text.to_owned()));
        Client {
            programs: ["mariadb", "mysql"].map(str::to_owned).into(),
            args,
            env: password.into_iter().collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use doze_contract::{InstanceName, ProjectName, Version};
    use doze_driver::block;
    use serde_json::{Value, json};

    use super::*;
    use crate::block::KEYS;

    fn login(password: Option<&'static str>) -> Login<'static> {
        Login {
            user: "a@b%",
            password,
            database: "it's/x",
            tls: false,
        }
    }

    fn planned(block: &Value, endpoints: &[&str], open_to: OpenTo) -> Body {
        let call = PlanCall {
            project: ProjectName::new("shop").unwrap(),
            instance: InstanceName::new("app").unwrap(),
            block: block::check(KEYS, block.as_object().unwrap()).block,
            toolchain: Some(Toolchain {
                folder: "/opt/m/bin".into(),
                server: "/opt/m/bin/mariadbd".into(),
                version: Version::new("11.4.9").unwrap(),
            }),
            folder: "/home/ada/shop".into(),
            endpoints: endpoints.iter().map(|text| text.parse().unwrap()).collect(),
            open_to,
            data: "/data".into(),
            run: "/run/r".into(),
        };
        body(&call, "/driver".into()).unwrap()
    }

    #[test]
    fn the_client_has_its_password_by_the_environment_alone() {
        let endpoint = "[::1]:3306".parse().unwrap();
        let client = login(Some("s3cret")).client(&endpoint);
        assert_eq!(
            client.args,
            [
                "--protocol=tcp",
                "--host=::1",
                "--port=3306",
                "--default-character-set=utf8mb4",
                "--user=a@b%",
                "--database=it's/x",
                "--skip-ssl"
            ]
        );
        assert_eq!(client.env["MYSQL_PWD"], "s3cret");
        assert!(login(None).client(&endpoint).env.is_empty());
    }

    #[test]
    fn a_url_survives_every_name() {
        let of = |endpoint: &str, password| login(password).url(&endpoint.parse().unwrap());
        assert_eq!(
            of("127.0.0.1:3306", Some("p:/@\n%")),
            "mysql://a%40b%25:p%3A%2F%40%0A%25@127.0.0.1:3306/it%27s%2Fx"
        );
        assert_eq!(
            of("unix:/run/a b/m.sock", None),
            "mysql://a%40b%25@localhost/it%27s%2Fx?socket=%2Frun%2Fa%20b%2Fm.sock"
        );
    }

    #[test]
    fn the_server_accepts_tcp_itself_only_where_everybody_may_come() {
        let endpoints = ["127.0.0.1:3306", "unix:/public.sock"];
        let spliced = planned(&json!({}), &endpoints, OpenTo::User);
        assert!(!spliced.takes_sockets);
        let argv = &spliced.members[0].argv;
        assert_eq!(
            argv[..4],
            [
                "/driver",
                "listen",
                "/run/r/mariadb.sock",
                "/opt/m/bin/mariadbd"
            ]
        );
        assert!(argv.contains(&"--skip-networking".to_owned()));
        assert!(argv.contains(&"--socket=/public.sock".to_owned()));

        let open = planned(&json!({}), &endpoints, OpenTo::All);
        assert!(open.takes_sockets);
        let argv = &open.members[0].argv;
        assert_eq!(argv[0], "/opt/m/bin/mariadbd");
        assert!(!argv.contains(&"--skip-networking".to_owned()));
        assert!(!planned(&json!({}), &endpoints[1..], OpenTo::All).takes_sockets);
    }
}
