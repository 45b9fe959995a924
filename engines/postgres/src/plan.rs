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
    block::Block,
    config,
    describe::{PORT, SOCKET_NAME},
    provision::Facts,
    structure::{Structure, owner},
};

/// The name of the configuration file in the `run` folder.
pub(crate) const CONFIG: &str = "postgresql.conf";

/// The server's own directory in the data directory.
pub(crate) const CLUSTER: &str = "pgdata";

/// The superuser.
pub(crate) const SUPERUSER: &str = "postgres";

/// Crash recovery may have to read a gigabyte of WAL from a slow disk.
const READY_WITHIN: Duration = Duration::from_mins(5);

const STOP_WITHIN: Duration = Duration::from_secs(30);

/// Large extensions take seconds to be created.
const CONVERGE_WITHIN: Duration = Duration::from_mins(1);

pub(crate) fn body(call: &PlanCall) -> Result<Body, PlanError> {
    let block: Block = plan::block(call)?;
    let toolchain = plan::toolchain(call)?;
    let major = toolchain.version.major();
    let owner = owner(&block);
    let structure = Structure::new(call.instance.as_str(), &block);
    let with_password = structure.roles.iter();
    let with_password = with_password.filter(|(_, role)| role.password.is_some());
    let password = structure.roles.get(owner);
    let password = password.and_then(|role| Some(role.password.as_ref()?.0.as_str()));
    let endpoint = plan::endpoint(call)?;
    let facts = Facts {
        major,
        owner: owner.to_owned(),
        database: call.instance.to_string(),
    };
    let file = |name: &str, text| ConfigFile {
        path: call.run.join(name),
        text,
    };
    Ok(Body {
        provision: plan::provision(facts.fingerprint(), &facts)?,
        converge: Some(plan::converge(&structure, CONVERGE_WITHIN)?),
        files: vec![
            file(CONFIG, config::text(major, &block)),
            file(
                "pg_hba.conf",
                config::hba(major, with_password.map(|(name, _)| name.as_str())),
            ),
        ],
        members: vec![server(call, toolchain)],
        upstream: Some(plan::upstream(call, SOCKET_NAME)?),
        chosen: None,
        side: Vec::new(),
        takes_sockets: false,
        hello: Some(hello()),
        start: Start::OnDemand,
        connection: Connection {
            variable: Some("DATABASE_URL".to_owned()),
            url: Some(client_url(
                endpoint,
                owner,
                password,
                call.instance.as_str(),
            )),
            attributes: [
                ("user", owner),
                ("password", password.unwrap_or_default()),
                ("database", call.instance.as_str()),
            ]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
            client: Some(psql(endpoint, owner, password, call.instance.as_str())),
        },
        clients_speak_first: true,
        generates_code: config::compiles_queries(&block),
    })
}

/// What must not be changed stands on the command line: there it wins over every file and over
/// ALTER SYSTEM.
fn server(call: &PlanCall, toolchain: &Toolchain) -> Member {
    let cluster = call.data.join(CLUSTER);
    let pid_file = cluster.join("postmaster.pid");
    let mut argv = vec![
        toolchain.server.to_string(),
        "-D".to_owned(),
        cluster.to_string(),
    ];
    for (name, value) in [
        ("config_file", call.run.join(CONFIG).to_string()),
        ("hba_file", call.run.join("pg_hba.conf").to_string()),
        ("listen_addresses", String::new()),
        ("port", PORT.to_string()),
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

/// The environment of every program of Postgres. The path is for `COPY … FROM PROGRAM` and for
/// `archive_command`; the messages are in English, so that they can be looked up.
pub(crate) fn environment() -> BTreeMap<String, String> {
    [("PATH", "/usr/local/bin:/usr/bin:/bin"), ("LC_ALL", "C")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
}

/// A comma would divide a list, and a space at its ends be lost.
fn list_of_one(path: &Utf8Path) -> String {
    format!("\"{}\"", path.as_str().replace('"', "\"\""))
}

/// The start of a connection as the superuser (chapter 55.7 of the manual). Authentication comes
/// after everything that can refuse a client.
fn hello() -> Hello {
    Hello {
        // The length comes first, then the number of the protocol: 3.0.
        send: Bytes::from(b"\0\0\0\x29\0\x03\0\0user\0postgres\0database\0postgres\0\0"),
        // AuthenticationOk.
        ready: Bytes::from(b"R\0\0\0\x08\0\0\0\0"),
        // SQLSTATE of an ErrorResponse: cannot connect now.
        busy: vec![Bytes::from(b"C57P03\0")],
    }
}

/// The password is left out of the URL, which everybody can read in the process table.
fn psql(endpoint: &Endpoint, owner: &str, password: Option<&str>, database: &str) -> Client {
    let password = password.map(|text| ("PGPASSWORD".to_owned(), text.to_owned()));
    Client {
        programs: vec!["psql".to_owned()],
        args: vec![client_url(endpoint, owner, None, database)],
        env: password.into_iter().collect(),
    }
}

fn client_url(endpoint: &Endpoint, owner: &str, password: Option<&str>, database: &str) -> String {
    let mut user = url::encode(owner);
    if let Some(password) = password {
        user.push(':');
        user.push_str(&url::encode(password));
    }
    let database = url::encode(database);
    match endpoint {
        Endpoint::Tcp(address) => {
            format!("postgresql://{user}@{address}/{database}?sslmode=disable")
        }
        Endpoint::Unix(path) => {
            let folder = path.parent().unwrap_or(path);
            format!(
                "postgresql://{user}@/{database}?host={}",
                url::encode(folder.as_str())
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_client_has_its_password_by_the_environment_alone() {
        let endpoint = "127.0.0.1:5432".parse().unwrap();
        let client = psql(&endpoint, "app", Some("s3cret"), "app");
        assert_eq!(
            client.args,
            ["postgresql://app@127.0.0.1:5432/app?sslmode=disable"]
        );
        assert_eq!(client.env["PGPASSWORD"], "s3cret");
        assert!(psql(&endpoint, "app", None, "app").env.is_empty());
    }

    #[test]
    fn a_url_survives_every_name() {
        let of = |endpoint: &str, password| {
            client_url(&endpoint.parse().unwrap(), "a@b%", password, "it's/x")
        };
        let url = |endpoint| of(endpoint, None);
        assert_eq!(
            url("[::1]:5432"),
            "postgresql://a%40b%25@[::1]:5432/it%27s%2Fx?sslmode=disable"
        );
        assert_eq!(
            url("unix:/run/a b/.s.PGSQL.5432"),
            "postgresql://a%40b%25@/it%27s%2Fx?host=%2Frun%2Fa%20b"
        );
        assert_eq!(
            of("127.0.0.1:5432", Some("p:/@\n%")),
            "postgresql://a%40b%25:p%3A%2F%40%0A%25@127.0.0.1:5432/it%27s%2Fx?sslmode=disable"
        );
    }

    #[test]
    fn the_hello_tells_its_own_length() {
        let send = hello().send.0;
        assert_eq!(usize::from(send[3]), send.len());
    }
}
