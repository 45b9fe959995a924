//! Where the engine listens in this boot: where the plan says, or where this process chooses.
//!
//! A choice is made anew for each boot, so that a port which somebody else has taken meanwhile
//! costs no more than one. Must not know what listens there.

use std::{
    io,
    net::{Ipv4Addr, TcpListener},
    os::fd::OwnedFd,
};

use doze_contract::{
    Endpoint,
    plan::{Body, Chosen},
};

/// Where the engine listens, and what it has to be given for that.
#[derive(Debug, Default)]
pub(crate) struct Upstream {
    /// Where; absent if it listens nowhere.
    pub(crate) endpoint: Option<Endpoint>,
    /// The name and the value of a variable that tells the members the port.
    pub(crate) variable: Option<(String, String)>,
    /// The socket that listens there already, for the last member.
    pub(crate) socket: Option<OwnedFd>,
}

impl Upstream {
    /// Chooses what the plan leaves open.
    pub(crate) fn choose(body: &Body) -> io::Result<Self> {
        let Some(chosen) = &body.chosen else {
            return Ok(Self {
                endpoint: body.upstream.clone(),
                ..Self::default()
            });
        };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let (variable, socket) = match chosen {
            Chosen::Port(name) => (Some((name.clone(), address.port().to_string())), None),
            Chosen::Socket => (None, Some(listener.into())),
        };
        Ok(Self {
            endpoint: Some(Endpoint::Tcp(address)),
            variable,
            socket,
        })
    }
}
