//! What the driver says of Valkey. It must not know any instance.

use doze_contract::{
    Version,
    protocol::{Description, ToolchainSearch},
};
use doze_driver::block::schema;

use crate::block::KEYS;

/// The name of a unix socket.
pub(crate) const SOCKET_NAME: &str = "valkey.sock";

pub(crate) fn description() -> Description {
    let words = |words: &[&str]| words.iter().map(ToString::to_string).collect();
    Description {
        engine: engine(),
        driver: env!("CARGO_PKG_VERSION").to_owned(),
        majors: (6..=9).map(Version::from).collect(),
        schema: schema(KEYS),
        example: example(),
        default_port: 6379,
        socket_name: SOCKET_NAME.to_owned(),
        refuses_root: false,
        toolchain: ToolchainSearch {
            servers: words(&["valkey-server", "redis-server"]),
            needs: Vec::new(),
            folders: words(&[
                "/usr/local/bin",
                "/usr/bin",
                "/opt/homebrew/bin",
                "/opt/homebrew/opt/valkey@*/bin",
            ]),
            packages: words(&["valkey-server", "redis-server"]),
        },
    }
}

#[expect(
    clippy::expect_used,
    reason = "the name is a constant, and a test describes"
)]
fn engine() -> doze_contract::EngineName {
    doze_contract::EngineName::new("valkey").expect("the name of the engine is a name")
}

#[expect(
    clippy::expect_used,
    reason = "the name is a constant, and a test describes"
)]
fn example() -> doze_contract::InstanceName {
    doze_contract::InstanceName::new("cache").expect("the name of the example is a name")
}
