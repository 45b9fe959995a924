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

use crate::{handover::Handover, sockets::bind_private};

/// Where the engine listens, and what it has to be given for that.
#[derive(Debug, Default)]
pub(crate) struct Upstream {
    /// Where.
    pub(crate) places: Places,
    /// The names and the values of variables that tell the members the ports.
    pub(crate) variables: Vec<(String, String)>,
    /// The sockets that listen already, for the last member.
    pub(crate) sockets: Vec<OwnedFd>,
}

/// Where the engine listens.
#[derive(Debug, Clone, Default)]
pub(crate) struct Places {
    /// For its clients; absent if it listens nowhere.
    pub(crate) engine: Option<Endpoint>,
    /// For those of each side endpoint.
    pub(crate) side: Vec<Endpoint>,
}

impl Upstream {
    /// Chooses what the plan leaves open.
    pub(crate) fn choose(body: &Body, handover: Option<&Handover>) -> io::Result<Self> {
        let mut upstream = Self::default();
        upstream.places.engine.clone_from(&body.upstream);
        if let Some(chosen) = &body.chosen {
            let (listener, place) = free_port()?;
            upstream.places.engine = Some(place.clone());
            match chosen {
                Chosen::Port(variable) => upstream.tell(variable, &place),
                Chosen::Socket => upstream.sockets.push(listener.into()),
            }
        }
        // All are bound before one is let go, so that no two are the same.
        let mut bound = Vec::new();
        for side in &body.side {
            let (listener, place) = free_port()?;
            bound.push(listener);
            upstream.tell(&side.variable, &place);
            upstream.places.side.push(place);
        }
        if let (true, Some(Endpoint::Unix(path))) = (body.takes_sockets, &body.upstream) {
            upstream.sockets.push(bind_private(path)?.into());
            if let Some(handover) = handover {
                handover.give(&mut upstream.sockets)?;
            }
        }
        Ok(upstream)
    }

    fn tell(&mut self, variable: &str, place: &Endpoint) {
        if let Endpoint::Tcp(address) = place {
            let port = address.port().to_string();
            self.variables.push((String::from(variable), port));
        }
    }
}

fn free_port() -> io::Result<(TcpListener, Endpoint)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    Ok((listener, Endpoint::Tcp(address)))
}
