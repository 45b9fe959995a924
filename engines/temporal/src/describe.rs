//! What the driver says of Temporal. It must not know any instance.

use doze_driver::{About, USUAL_FOLDERS};

use crate::block::KEYS;

pub(crate) const ABOUT: About = About {
    engine: "temporal",
    driver: env!("CARGO_PKG_VERSION"),
    majors: &["1"],
    keys: KEYS,
    example: "workflows",
    default_port: Some(7233),
    socket_name: "temporal.sock",
    refuses_root: false,
    servers: &["temporal"],
    needs: &[],
    folders: USUAL_FOLDERS,
    packages: &[],
    attributes: &[(
        "ui",
        "The URL of the page that shows workflows; empty without `ui_port`.",
    )],
};
