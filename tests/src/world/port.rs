//! Loopback ports that nobody else is given.
//!
//! Must not know: who will listen.
//!
//! The kernel picks a free port for a socket that is then kept bound, but never listens. As long
//! as it is bound the kernel gives the port to nobody who asks for any port, neither to a server
//! nor to an outgoing connection; and because it allows reuse, a server that asks for this very
//! port gets it.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::OwnedFd;

use rustix::net::sockopt::set_socket_reuseaddr;
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, getsockname, socket_with};

/// A free port and the socket that holds it.
pub(super) fn reserve() -> (u16, OwnedFd) {
    let hold = || {
        let held = socket_with(
            AddressFamily::INET,
            SocketType::STREAM,
            SocketFlags::CLOEXEC,
            None,
        )?;
        set_socket_reuseaddr(&held, true)?;
        bind(&held, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0))?;
        let address = SocketAddrV4::try_from(getsockname(&held)?)?;
        rustix::io::Result::Ok((address.port(), held))
    };
    hold().expect("the kernel has a free port")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::io::ErrorKind;
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn a_reserved_port_refuses_until_a_server_takes_it() {
        let (port, _held) = reserve();
        let address = (Ipv4Addr::LOCALHOST, port);
        let refused = TcpStream::connect(address).map_err(|error| error.kind());
        assert_eq!(refused.err(), Some(ErrorKind::ConnectionRefused));

        let server = TcpListener::bind(address).unwrap();
        TcpStream::connect(address).unwrap();
        drop(server);
        TcpListener::bind(address).unwrap();
    }

    #[test]
    fn no_reserved_port_is_given_twice() {
        let held: Vec<_> = (0..200).map(|_| reserve()).collect();
        let asked: Vec<_> = (0..200)
            .map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap())
            .collect();
        let mut ports: BTreeSet<u16> = held.iter().map(|(port, _)| *port).collect();
        ports.extend(
            asked
                .iter()
                .map(|server| server.local_addr().unwrap().port()),
        );
        assert_eq!(ports.len(), 400);
    }
}
