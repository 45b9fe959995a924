//! From a checked block to what an activator does. Pure.

use std::{collections::BTreeMap, time::Duration};

use camino::{Utf8Path, Utf8PathBuf};
use doze_contract::{
    Bytes, Endpoint,
    plan::{
        Body, Chosen, Client, ConfigFile, Connection, Hello, Member, Provision, Readiness, Signal,
        Start, Stop,
    },
    protocol::{PlanCall, Toolchain},
};
use doze_driver::{PlanError, plan, url};

use crate::{
    block::Block,
    config,
    describe::{PORT, SOCKET_NAME},
    provision::Facts,
    structure::{Structure, owner},
    tls::Files,
};

/// The name of the configuration file in the `run` folder.
pub(crate) const CONFIG: &str = "postgresql.conf";

/// The server's own directory in the data directory.
pub(crate) const CLUSTER: &str = "pgdata";

/// The server has its port from this variable, unless it is told another one.
const PORT_VARIABLE: &str = "PGPORT";

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
    let structure = Structure::new(call.instance.as_str(), &block);
    let tls = block.tls.then(|| Tls::new(call, &block));
    let certified = tls.as_ref().map(|tls| tls.certified.clone());
    let facts = Facts::new(toolchain, certified.unwrap_or_default());
    let owner = owner(&block);
    let password = structure.roles.get(owner);
    let password = password.and_then(|role| Some(role.password.as_ref()?.0.as_str()));
    let account = Account {
        role: owner,
        password,
        database: call.instance.as_str(),
        authority: tls.as_ref().map(|tls| tls.files.authority.as_path()),
    };
    let endpoint = plan::endpoint(call)?;
    let file = |name: &str, text| ConfigFile {
        path: call.run.join(name),
        text,
    };
    let files = tls.as_ref().map(|tls| &tls.files);
    let hba = match tls {
        Some(_) => config::hba_tls(block.tls_required),
        None => config::hba(major, without_password(&structure, owner)),
    };
    Ok(Body {
        provision: Provision {
            replenishes: true,
            ..plan::provision(facts.fingerprint(), &facts)?
        },
        converge: Some(plan::converge(&structure, CONVERGE_WITHIN)?),
        files: vec![
            file(CONFIG, config::text(major, &block, files)),
            file("pg_hba.conf", hba),
        ],
        members: vec![server(call, toolchain, block.tls)],
        upstream: if block.tls {
            None
        } else {
            Some(plan::upstream(call, SOCKET_NAME)?)
        },
        chosen: block.tls.then(|| Chosen::Port(PORT_VARIABLE.to_owned())),
        side: Vec::new(),
        takes_sockets: false,
        hello: Some(hello(block.tls_required)),
        start: Start::OnDemand,
        connection: Connection {
            variable: Some("DATABASE_URL".to_owned()),
            url: Some(account.url(endpoint)),
            attributes: [
                ("user", owner),
                ("password", password.unwrap_or_default()),
                ("database", account.database),
                ("ca", account.authority.map_or("", Utf8Path::as_str)),
            ]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
            client: Some(account.psql(endpoint)),
        },
        clients_speak_first: true,
        generates_code: config::compiles_queries(&block),
    })
}

/// Who may log in without a password: the declared roles that have none. The superuser is one of them
/// only if it is the owner.
fn without_password<'a>(structure: &'a Structure, owner: &'a str) -> impl Iterator<Item = &'a str> {
    let roles = structure.roles.iter();
    let open = roles.filter(|(_, role)| role.login && role.password.is_none());
    let open = open.map(|(name, _)| name.as_str());
    open.chain((owner == SUPERUSER).then_some(SUPERUSER))
}

/// What a server with TLS shows its clients.
struct Tls {
    files: Files,
    /// Whom the certificate is for, if it is made by the driver.
    certified: Vec<String>,
}

impl Tls {
    fn new(call: &PlanCall, block: &Block) -> Self {
        let at = |path: &Utf8PathBuf| call.folder.join(path);
        if let (Some(certificate), Some(key)) = (&block.tls_certificate, &block.tls_key) {
            let authority = block.tls_ca.as_ref().unwrap_or(certificate);
            return Self {
                files: Files {
                    certificate: at(certificate),
                    key: at(key),
                    authority: at(authority),
                },
                certified: Vec::new(),
            };
        }
        let mut certified = Vec::new();
        for endpoint in &call.endpoints {
            if let Endpoint::Tcp(address) = endpoint {
                certified.push(address.ip().to_string());
            }
        }
        certified.extend(["localhost", "127.0.0.1", "::1"].map(str::to_owned));
        certified.sort();
        certified.dedup();
        Self {
            files: Files::of(&call.data),
            certified,
        }
    }
}

/// What must not be changed stands on the command line: there it wins over every file and over
/// ALTER SYSTEM.
///
/// With TLS the port is the one that the activator has chosen: the server takes it from the
/// environment. Its unix socket is then for the driver alone.
fn server(call: &PlanCall, toolchain: &Toolchain, tls: bool) -> Member {
    let cluster = call.data.join(CLUSTER);
    let pid_file = cluster.join("postmaster.pid");
    let mut argv = vec![
        toolchain.server.to_string(),
        "-D".to_owned(),
        cluster.to_string(),
    ];
    let (addresses, port) = if tls {
        ("127.0.0.1", None)
    } else {
        ("", Some(("port", PORT.to_string())))
    };
    for (name, value) in [
        ("config_file", call.run.join(CONFIG).to_string()),
        ("hba_file", call.run.join("pg_hba.conf").to_string()),
        ("listen_addresses", addresses.to_owned()),
        ("unix_socket_directories", list_of_one(&call.run)),
        ("unix_socket_permissions", "0600".to_owned()),
    ]
    .into_iter()
    .chain(port)
    {
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
/// after everything that can refuse a client, so a server that asks for a password is at work.
fn hello(tls_required: bool) -> Hello {
    Hello {
        // The length comes first, then the number of the protocol: 3.0.
        send: Bytes::from(b"\0\0\0\x29\0\x03\0\0user\0postgres\0database\0postgres\0\0"),
        ready: if tls_required {
            // SQLSTATE of an ErrorResponse: nobody gets in without TLS.
            Bytes::from(b"C28000\0")
        } else {
            // The begin of every Authentication…
            Bytes::from(b"R\0\0\0")
        },
        // Cannot connect now.
        busy: vec![Bytes::from(b"C57P03\0")],
    }
}

/// As whom a client comes, and to which database.
#[derive(Clone, Copy)]
struct Account<'a> {
    role: &'a str,
    password: Option<&'a str>,
    database: &'a str,
    /// What the server's certificate is checked by, if it has one.
    authority: Option<&'a Utf8Path>,
}

impl Account<'_> {
    /// The password is left out of the URL, which everybody can read in the process table.
    fn psql(self, endpoint: &Endpoint) -> Client {
        let password = self.password;
        let password = password.map(|text| ("PGPASSWORD".to_owned(), text.to_owned()));
        let password_apart = Self {
            password: None,
            ..self
        };
        Client {
            programs: vec!["psql".to_owned()],
            args: vec![password_apart.url(endpoint)],
            env: password.into_iter().collect(),
        }
    }

    fn url(self, endpoint: &Endpoint) -> String {
        let mut user = url::encode(self.role);
        if let Some(password) = self.password {
            user.push(':');
            user.push_str(&url::encode(password));
        }
        let database = url::encode(self.database);
        match endpoint {
            Endpoint::Tcp(address) => {
                let security = match self.authority {
                    Some(file) => {
                        format!("verify-full&sslrootcert={}", url::encode(file.as_str()))
                    }
                    None => "disable".to_owned(),
                };
                format!("postgresql://{user}@{address}/{database}?sslmode={security}")
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
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_client_has_its_password_by_the_environment_alone() {
        let endpoint = "127.0.0.1:5432".parse().unwrap();
        let account = |password| Account {
            role: "app",
            password,
            database: "app",
            authority: None,
        };
        let client = account(Some("s3cret")).psql(&endpoint);
        assert_eq!(
            client.args,
            ["postgresql://app@127.0.0.1:5432/app?sslmode=disable"]
        );
        assert_eq!(client.env["PGPASSWORD"], "s3cret");
        assert!(account(None).psql(&endpoint).env.is_empty());
    }

    #[test]
    fn a_url_survives_every_name() {
        let account = Account {
            role: "a@b%",
            password: None,
            database: "it's/x",
            authority: None,
        };
        let tcp = "[::1]:5432".parse().unwrap();
        let unix = "unix:/run/a b/.s.PGSQL.5432".parse().unwrap();
        assert_eq!(
            account.url(&tcp),
            "postgresql://a%40b%25@[::1]:5432/it%27s%2Fx?sslmode=disable"
        );
        assert_eq!(
            account.url(&unix),
            "postgresql://a%40b%25@/it%27s%2Fx?host=%2Frun%2Fa%20b"
        );
        let with_more = Account {
            password: Some("p:/@\n%"),
            authority: Some(Utf8Path::new("/a b/ca.crt")),
            ..account
        };
        assert_eq!(
            with_more.url(&tcp),
            "postgresql://a%40b%25:p%3A%2F%40%0A%25@[::1]:5432/it%27s%2Fx\
             ?sslmode=verify-full&sslrootcert=%2Fa%20b%2Fca.crt"
        );
    }

    #[test]
    fn the_hello_tells_its_own_length() {
        let send = hello(false).send.0;
        assert_eq!(usize::from(send[3]), send.len());
    }
}
