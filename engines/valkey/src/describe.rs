//! What the driver says of Valkey. It must not know any instance.

use doze_driver::About;

use crate::block::KEYS;

/// The name of a unix socket.
pub(crate) const SOCKET_NAME: &str = "valkey.sock";

pub(crate) const ABOUT: About = About {
    engine: "valkey",
    driver: env!("CARGO_PKG_VERSION"),
    majors: &["6", "7", "8", "9"],
    keys: KEYS,
    example: "cache",
    default_port: Some(6379),
    socket_name: SOCKET_NAME,
    refuses_root: false,
    servers: &["valkey-server", "redis-server"],
    needs: &[],
    folders: &[
        "/usr/local/bin",
        "/usr/bin",
        "/opt/homebrew/bin",
        "/opt/homebrew/opt/valkey@*/bin",
    ],
    packages: &["valkey-server", "redis-server"],
    attributes: &[],
};
