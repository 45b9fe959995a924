//! What the driver says of MariaDB. It must not know any instance.

use doze_driver::About;

use crate::block::KEYS;

/// The name of the server's socket.
pub(crate) const SOCKET_NAME: &str = "mariadb.sock";

pub(crate) const ABOUT: About = About {
    engine: "mariadb",
    driver: env!("CARGO_PKG_VERSION"),
    majors: &["10.11", "11.4", "11.8"],
    keys: KEYS,
    example: "db",
    default_port: Some(3306),
    socket_name: SOCKET_NAME,
    refuses_root: true,
    servers: &["mariadbd"],
    needs: &[],
    folders: &[
        "/usr/sbin",
        "/usr/libexec",
        "/usr/local/mysql/bin",
        "/usr/local/sbin",
        "/usr/local/bin",
        "/usr/bin",
        "/opt/homebrew/opt/mariadb*/bin",
        "/usr/local/opt/mariadb*/bin",
    ],
    packages: &["mariadb-server-core", "mariadb-server"],
    attributes: &[
        (
            "user",
            "the user of the URL: `owner`, else called like the instance",
        ),
        ("password", "its password; empty if it has none"),
        ("database", "the database of the URL"),
    ],
};
