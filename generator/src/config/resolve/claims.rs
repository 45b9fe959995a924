//! Who claims which address, and what to do when two claim one.

use std::{
    collections::{BTreeMap, HashMap},
    net::SocketAddr,
};

use camino::Utf8PathBuf;
use doze_contract::{Endpoint, InstanceName};

use crate::{
    config::{
        File,
        block::{Block, Listen},
    },
    diagnostic::{Code, Diagnostic, Span},
};

/// Who claims which address.
#[derive(Default)]
pub(super) struct Claims {
    tcp: BTreeMap<u16, Vec<(SocketAddr, InstanceName, Span)>>,
    /// Paths are compared part by part, which a sorted map does often.
    unix: HashMap<Utf8PathBuf, (InstanceName, Span)>,
}

impl Claims {
    pub(super) fn add(
        &mut self,
        file: &File,
        block: &Block,
        endpoints: &[(Endpoint, Span)],
        problems: &mut Vec<Diagnostic>,
    ) {
        for (endpoint, span) in endpoints {
            if let Some((first, first_span)) = self.clash(endpoint) {
                let message = format!("{endpoint} is claimed twice");
                let found = Diagnostic::new(Code::Conflict, span.clone(), message)
                    .label(format!("claimed by `{}`", block.name))
                    .see(first_span.clone(), format!("claimed by `{first}`"))
                    .maybe_hint(self.way_out(file, block, endpoint));
                problems.push(found);
            }
            let claim = (block.name.clone(), span.clone());
            match endpoint {
                Endpoint::Tcp(address) => {
                    let port = self.tcp.entry(address.port()).or_default();
                    port.push((*address, claim.0, claim.1));
                }
                Endpoint::Unix(path) => {
                    self.unix.entry(path.clone()).or_insert(claim);
                }
            }
        }
    }

    /// Who claims an endpoint that cannot be bound besides this one.
    fn clash(&self, endpoint: &Endpoint) -> Option<(&InstanceName, &Span)> {
        match endpoint {
            Endpoint::Tcp(a) => {
                let both = |b: &SocketAddr| {
                    a.ip() == b.ip() || a.ip().is_unspecified() || b.ip().is_unspecified()
                };
                let claims = self.tcp.get(&a.port())?;
                let found = claims.iter().find(|(b, ..)| both(b))?;
                Some((&found.1, &found.2))
            }
            Endpoint::Unix(path) => self.unix.get(path).map(|(name, span)| (name, span)),
        }
    }

    fn way_out(&self, file: &File, block: &Block, taken: &Endpoint) -> Option<String> {
        let Endpoint::Tcp(address) = taken else {
            return None;
        };
        if block.stamp.index.is_some() {
            let port = address.port();
            return Some(format!(
                "let every one have its own: port = \"${{{port} + count.index}}\""
            ));
        }
        // The next port that no block of the project claims.
        let claimed = |port: u16| {
            let mut listens = file.blocks.iter().flat_map(|block| &block.listens);
            let there = |listen: &Listen| match listen {
                Listen::At(Endpoint::Tcp(address)) => address.port() == port,
                Listen::At(Endpoint::Unix(_)) | Listen::DefaultUnix => false,
            };
            self.tcp.contains_key(&port) || listens.any(|listen| there(&listen.value))
        };
        let free = (address.port()..=u16::MAX)
            .skip(1)
            .find(|port| !claimed(*port))?;
        Some(format!("port {free} is not claimed by anyone here"))
    }
}
