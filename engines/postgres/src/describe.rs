//! What the driver says of Postgres. It must not know any instance.

use doze_contract::{
    Version,
    protocol::{Description, ToolchainSearch},
};
use doze_driver::block::schema;

use crate::block::KEYS;

/// The port that clients expect, and the number in the name of a unix socket.
pub(crate) const PORT: u16 = 5432;

/// The name of a unix socket; libpq is given the folder and adds it by itself.
pub(crate) const SOCKET_NAME: &str = ".s.PGSQL.5432";

pub(crate) fn description() -> Description {
    let words = |words: &[&str]| words.iter().map(ToString::to_string).collect();
    Description {
        engine: engine(),
        driver: env!("CARGO_PKG_VERSION").to_owned(),
        majors: (14..=18).map(Version::from).collect(),
        schema: schema(KEYS),
        example: example(),
        default_port: PORT,
        socket_name: SOCKET_NAME.to_owned(),
        refuses_root: true,
        toolchain: ToolchainSearch {
            servers: words(&["postgres"]),
            needs: words(&["initdb"]),
            folders: words(&[
                "/usr/lib/postgresql/*/bin",
                "/usr/pgsql-*/bin",
                "/usr/local/pgsql/bin",
                "/usr/local/bin",
                "/usr/bin",
                "/opt/homebrew/opt/postgresql@*/bin",
                "/usr/local/opt/postgresql@*/bin",
            ]),
            packages: words(&["postgresql"]),
        },
    }
}

#[expect(
    clippy::expect_used,
    reason = "the name is a constant, and a test describes"
)]
fn engine() -> doze_contract::EngineName {
    doze_contract::EngineName::new("postgres").expect("the name of the engine is a name")
}

#[expect(
    clippy::expect_used,
    reason = "the name is a constant, and a test describes"
)]
fn example() -> doze_contract::InstanceName {
    doze_contract::InstanceName::new("app").expect("the name of the example is a name")
}
