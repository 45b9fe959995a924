//! What the driver says of Kvrocks. It must not know any instance.

use doze_driver::{About, USUAL_FOLDERS};

use crate::block::KEYS;

/// The name of a unix socket.
pub(crate) const SOCKET_NAME: &str = "kvrocks.sock";

pub(crate) const ABOUT: About = About {
    engine: "kvrocks",
    driver: env!("CARGO_PKG_VERSION"),
    majors: &["2"],
    keys: KEYS,
    example: "store",
    default_port: Some(6666),
    socket_name: SOCKET_NAME,
    refuses_root: false,
    servers: &["kvrocks"],
    needs: &[],
    folders: USUAL_FOLDERS,
    packages: &[],
    attributes: &[],
};
