//! What the driver says of Postgres. It must not know any instance.

use doze_driver::About;

use crate::block::KEYS;

/// The port that clients expect, and the number in the name of a unix socket.
pub(crate) const PORT: u16 = 5432;

/// The name of a unix socket; libpq is given the folder and adds it by itself.
pub(crate) const SOCKET_NAME: &str = ".s.PGSQL.5432";

pub(crate) const ABOUT: About = About {
    engine: "postgres",
    driver: env!("CARGO_PKG_VERSION"),
    majors: &["14", "15", "16", "17", "18"],
    keys: KEYS,
    example: "app",
    default_port: Some(PORT),
    socket_name: SOCKET_NAME,
    refuses_root: true,
    servers: &["postgres"],
    needs: &["initdb"],
    folders: &[
        "/usr/lib/postgresql/*/bin",
        "/usr/pgsql-*/bin",
        "/usr/local/pgsql/bin",
        "/usr/local/bin",
        "/usr/bin",
        "/opt/homebrew/opt/postgresql@*/bin",
        "/usr/local/opt/postgresql@*/bin",
    ],
    packages: &["postgresql"],
    attributes: &[
        ("user", "the role of the URL: `owner`, else `postgres`"),
        ("password", "its password; empty if it has none"),
        ("database", "the database of the URL"),
        (
            "ca",
            "the file with the certificate that the server's can be checked by; empty without `tls`",
        ),
    ],
};
