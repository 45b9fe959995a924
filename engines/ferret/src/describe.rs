//! What the driver says of FerretDB. It must not know any instance.

use doze_driver::{About, USUAL_FOLDERS};

use crate::block::KEYS;

/// The name of a unix socket; clients tell one from a host by its end.
pub(crate) const SOCKET_NAME: &str = "mongodb-27017.sock";

pub(crate) const ABOUT: About = About {
    engine: "ferret",
    driver: env!("CARGO_PKG_VERSION"),
    majors: &["2"],
    keys: KEYS,
    example: "docs",
    default_port: Some(27017),
    socket_name: SOCKET_NAME,
    // Its Postgres does.
    refuses_root: true,
    servers: &["ferretdb"],
    needs: &["initdb", "postgres"],
    folders: USUAL_FOLDERS,
    packages: &[],
    attributes: &[
        (
            "user",
            "the user of the URL: the one that is called as the instance, else the first by name; \
             empty if none is declared",
        ),
        ("password", "its password; empty if there is no user"),
    ],
};
