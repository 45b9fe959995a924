//! From a checked block to what an activator does. Pure.

use std::{collections::BTreeMap, time::Duration};

use camino::Utf8Path;
use doze_contract::{
    Bytes, Endpoint,
    plan::{
        Body, Client, ConfigFile, Connection, Hello, Member, Provision, Readiness, Signal, Start,
        Stop,
    },
    protocol::{PlanCall, Toolchain},
};
use doze_driver::{PlanError, plan, url};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    block::{Block, Database, User},
    config,
    describe::SOCKET_NAME,
    provision::Facts,
    wire,
};

/// The name of the configuration file of Postgres in the `run` folder.
const CONFIG: &str = "postgresql.conf";

/// The socket of Postgres in the `run` folder. Clients of it are given the folder, and take this port.
pub(crate) const POSTGRES_SOCKET: &str = ".s.PGSQL.5432";
const POSTGRES_PORT: u16 = 5432;

/// The folder of Postgres in the data directory.
pub(crate) const CLUSTER: &str = "postgres";

/// Whom FerretDB and doze are to Postgres, and where.
pub(crate) const SUPERUSER: &str = "postgres";

/// Crash recovery may have to read a gigabyte of WAL from a slow disk.
const READY_WITHIN: Duration = Duration::from_mins(5);

/// FerretDB has nothing to recover. Without the extension it would say for ever that it is not ready.
const FERRETDB_READY_WITHIN: Duration = Duration::from_mins(1);

const STOP_WITHIN: Duration = Duration::from_secs(30);

/// Seeds may be large.
const CONVERGE_WITHIN: Duration = Duration::from_mins(5);

/// All that is declared of the structure.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Structure {
    /// The databases; seeds have absolute paths here.
    pub(crate) database: BTreeMap<String, Database>,
    /// The users.
    pub(crate) user: BTreeMap<String, User>,
}

pub(crate) fn body(call: &PlanCall) -> Result<Body, PlanError> {
    let block: Block = plan::block(call)?;
    let toolchain = plan::toolchain(call)?;
    let endpoint = plan::endpoint(call)?;
    let structure = structure(&block, &call.folder);
    let user = login(call.instance.as_str(), &structure);
    let facts = Facts {
        version: toolchain.version.clone(),
    };
    let file = |name: &str, text| ConfigFile {
        path: call.run.join(name),
        text,
    };
    let (name, password) = user.unwrap_or_default();
    Ok(Body {
        provision: Provision {
            replenishes: true,
            ..plan::provision(facts.fingerprint(), &facts)?
        },
        converge: Some(plan::converge(&structure, CONVERGE_WITHIN)?),
        files: vec![
            file(CONFIG, config::text(block.durable, &call.run)),
            file("pg_hba.conf", config::hba()),
        ],
        members: vec![
            postgres(call, toolchain),
            ferretdb(call, toolchain, &block.settings, user.is_some()),
        ],
        upstream: Some(plan::upstream(call, SOCKET_NAME)?),
        chosen: None,
        side: Vec::new(),
        takes_sockets: false,
        hello: Some(hello()),
        start: Start::OnDemand,
        connection: Connection {
            variable: Some("MONGODB_URI".to_owned()),
            url: Some(client_url(endpoint, user)),
            attributes: [("user", name), ("password", password)]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into(),
            client: Some(mongosh(endpoint, user)),
        },
        clients_speak_first: true,
        // DocumentDB may have regular expressions compiled to machine code, by PCRE.
        generates_code: true,
    })
}

fn structure(block: &Block, folder: &Utf8Path) -> Structure {
    let mut database = block.database.clone();
    let collections = database
        .values_mut()
        .flat_map(|it| it.collection.values_mut());
    for seed in collections.filter_map(|it| it.seed.as_mut()) {
        *seed = folder.join(&*seed).into_string();
    }
    Structure {
        database,
        user: block.user.clone(),
    }
}

/// The user of the URL, with the password.
fn login<'a>(instance: &str, structure: &'a Structure) -> Option<(&'a str, &'a str)> {
    let users = &structure.user;
    let own = users.get_key_value(instance);
    let (name, user) = own.or_else(|| users.first_key_value())?;
    Some((name, &user.password))
}

/// What must not be changed stands on the command line: there it wins over every file and over
/// ALTER SYSTEM.
fn postgres(call: &PlanCall, toolchain: &Toolchain) -> Member {
    let cluster = call.data.join(CLUSTER);
    let pid_file = cluster.join("postmaster.pid");
    let mut argv = vec![
        toolchain.folder.join("postgres").into_string(),
        "-D".to_owned(),
        cluster.into_string(),
    ];
    for (name, value) in [
        ("config_file", call.run.join(CONFIG).into_string()),
        ("hba_file", call.run.join("pg_hba.conf").into_string()),
        ("listen_addresses", String::new()),
        ("port", POSTGRES_PORT.to_string()),
        ("unix_socket_directories", list_of_one(&call.run)),
        ("unix_socket_permissions", "0600".to_owned()),
    ] {
        argv.push("-c".to_owned());
        argv.push(format!("{name}={value}"));
    }
    Member {
        name: "postgres".to_owned(),
        argv,
        env: environment(),
        own: None,
        cwd: call.data.clone(),
        pid_file: Some(pid_file.clone()),
        // The socket listens before recovery is over; this line is written when it is.
        ready: Readiness::FileLine {
            path: pid_file,
            line: 8,
            text: "ready".to_owned(),
        },
        ready_within: READY_WITHIN,
        stop: Stop {
            say: None,
            // The fast shutdown: SIGTERM would wait for the clients.
            signal: Signal::Int,
            within: STOP_WITHIN,
        },
    }
}

/// The environment of every program here; the messages are in English, so that they can be looked up.
pub(crate) fn environment() -> BTreeMap<String, String> {
    [("PATH", "/usr/local/bin:/usr/bin:/bin"), ("LC_ALL", "C")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
}

/// A comma would divide a list, and a space at its ends be lost.
fn list_of_one(path: &Utf8Path) -> String {
    format!("\"{}\"", path.as_str().replace('"', "\"\""))
}

fn ferretdb(
    call: &PlanCall,
    toolchain: &Toolchain,
    settings: &Map<String, Value>,
    authenticates: bool,
) -> Member {
    let mut argv: Vec<String> = [
        // The socket has the mode that the umask leaves it.
        "/bin/sh",
        "-c",
        "umask 077 && exec \"$0\" \"$@\"",
        toolchain.server.as_str(),
        "--postgresql-url",
        &postgres_url(&call.run),
        "--listen-addr",
        "",
        "--listen-unix",
        call.run.join(SOCKET_NAME).as_str(),
        "--debug-addr",
        "",
        "--telemetry",
        "disable",
        "--state-dir",
        call.data.as_str(),
    ]
    .map(str::to_owned)
    .into();
    if !authenticates {
        argv.push("--no-auth".to_owned());
    }
    if !settings.contains_key("log-level") {
        argv.extend(["--log-level", "warn"].map(str::to_owned));
    }
    for (name, value) in settings {
        argv.push(match value {
            Value::String(text) => format!("--{name}={text}"),
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::Array(_)
            | Value::Object(_) => format!("--{name}={value}"),
        });
    }
    Member {
        name: "ferretdb".to_owned(),
        argv,
        env: environment(),
        own: None,
        cwd: call.data.clone(),
        pid_file: None,
        ready: Readiness::Hello,
        ready_within: FERRETDB_READY_WITHIN,
        stop: Stop {
            say: None,
            signal: Signal::Term,
            within: STOP_WITHIN,
        },
    }
}

fn postgres_url(run: &Utf8Path) -> String {
    format!(
        "postgres://{SUPERUSER}@/postgres?host={}",
        url::encode(run.as_str())
    )
}

/// FerretDB greets whoever comes, even if there is no database behind it. It asks the extension before it
/// answers this.
fn hello() -> Hello {
    let ok = |number: f64| Bytes([b"\x01ok\0", number.to_le_bytes().as_slice()].concat());
    Hello {
        send: Bytes(wire::command(&wire::ping())),
        ready: ok(1.0),
        busy: vec![ok(0.0)],
    }
}

/// The shell of MongoDB asks for the password itself: its arguments can be read by everybody.
fn mongosh(endpoint: &Endpoint, user: Option<(&str, &str)>) -> Client {
    let mut args = vec![client_url(endpoint, None)];
    if let Some((name, _)) = user {
        args.extend(["--username".to_owned(), name.to_owned()]);
    }
    Client {
        programs: vec!["mongosh".to_owned()],
        args,
        env: BTreeMap::new(),
    }
}

fn client_url(endpoint: &Endpoint, user: Option<(&str, &str)>) -> String {
    let user = user
        .map(|(name, password)| format!("{}:{}@", url::encode(name), url::encode(password)))
        .unwrap_or_default();
    let host = match endpoint {
        Endpoint::Tcp(address) => address.to_string(),
        Endpoint::Unix(path) => url::encode(path.as_str()),
    };
    format!("mongodb://{user}{host}/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_survives_every_name() {
        let url = |endpoint: &str, user| client_url(&endpoint.parse().unwrap(), user);
        assert_eq!(url("127.0.0.1:27017", None), "mongodb://127.0.0.1:27017/");
        assert_eq!(
            url("[::1]:27017", Some(("a@b", "p:/%ü"))),
            "mongodb://a%40b:p%3A%2F%25%C3%BC@[::1]:27017/"
        );
        assert_eq!(
            url("unix:/run/a b/mongodb-27017.sock", None),
            "mongodb://%2Frun%2Fa%20b%2Fmongodb-27017.sock/"
        );
    }

    #[test]
    fn the_shell_is_not_told_the_password() {
        let endpoint = "127.0.0.1:27017".parse().unwrap();
        let client = mongosh(&endpoint, Some(("app", "s3cret")));
        assert_eq!(
            client.args,
            ["mongodb://127.0.0.1:27017/", "--username", "app"]
        );
        assert!(client.env.is_empty());
    }

    #[test]
    fn the_url_carries_the_user_of_the_instances_name_or_the_first() {
        let structure: Structure = serde_json::from_value(serde_json::json!({
            "database": {}, "user": {
                "b": { "password": "2", "role": "r" }, "a": { "password": "1", "role": "r" } },
        }))
        .unwrap();
        assert_eq!(login("b", &structure), Some(("b", "2")));
        assert_eq!(login("other", &structure), Some(("a", "1")));
    }
}
