//! What the driver says of processes. It must not know any instance.

use doze_driver::About;

use crate::block::KEYS;

pub(crate) const ABOUT: About = About {
    engine: "process",
    driver: env!("CARGO_PKG_VERSION"),
    majors: &[],
    keys: KEYS,
    example: "web",
    default_port: None,
    socket_name: "http.sock",
    refuses_root: false,
    servers: &[],
    needs: &[],
    folders: &[],
    packages: &[],
    attributes: &[],
};
