//! Who owns a TCP socket, and who is connected to one: the structures of `linux/inet_diag.h`, and
//! what they mean.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::message::{self, Which, array_at, u32_at};

/// Address families and protocol, as socket(2) numbers them.
const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;
const IPPROTO_TCP: u8 = 6;

/// The states in which a connection exists on this side: `ESTABLISHED`, `FIN_WAIT1`,
/// `FIN_WAIT2`, `CLOSE_WAIT`, `LAST_ACK`, `CLOSING`. Not one that is only being made, or listens.
const CONNECTED: [u8; 6] = [1, 4, 5, 8, 9, 11];

/// Those in which somebody is on the other side, or is about to be, whether the connection was
/// accepted or not: `ESTABLISHED`, `SYN_RECV`, `CLOSE_WAIT`. In the other ones this side has ended
/// its words: there is somebody as long as a process has the socket.
const OCCUPIED: [u8; 3] = [1, 3, 8];

/// Where the fields of `struct inet_diag_msg` begin.
const STATE: usize = 1;
const UID: usize = 64;
const INODE: usize = 68;

/// Who owns a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Owner {
    /// This user, as this process sees users (`user_namespaces(7)`).
    User(u32),
    /// It cannot be told.
    Unknown,
}

/// The question for the socket at the other end of a connection. For the kernel that end is the
/// source. `None` for two addresses that no connection has.
pub(super) fn request(local: SocketAddr, peer: SocketAddr) -> Option<Vec<u8>> {
    let (local, peer) = (canonical(local), canonical(peer));
    let family = match (local, peer) {
        (SocketAddr::V4(_), SocketAddr::V4(_)) => AF_INET,
        (SocketAddr::V6(_), SocketAddr::V6(_)) => AF_INET6,
        (SocketAddr::V4(_), SocketAddr::V6(_)) | (SocketAddr::V6(_), SocketAddr::V4(_)) => {
            return None;
        }
    };
    // The kernel ignores the states when it is asked for one socket.
    let body = asked(family, u32::MAX, [peer, local]);
    Some(message::request(Which::One, &body))
}

/// The question for all connections of a port, seen from this side.
pub(super) fn connections(local: SocketAddr) -> Vec<u8> {
    let (family, any) = match local {
        SocketAddr::V4(_) => (AF_INET, IpAddr::from(Ipv4Addr::UNSPECIFIED)),
        SocketAddr::V6(_) => (AF_INET6, IpAddr::from(Ipv6Addr::UNSPECIFIED)),
    };
    let states = CONNECTED.iter().chain(&OCCUPIED);
    let states = states.fold(0, |states, state| states | 1 << state);
    // In a list the kernel goes by the ports alone, of which 0 is any.
    message::request(Which::All, &asked(family, states, [local, (any, 0).into()]))
}

/// Whether the socket that the kernel tells of is the connection of somebody to this address.
pub(super) fn is_somebody_at(body: &[u8], local: SocketAddr) -> bool {
    let local = canonical(local);
    let told = || {
        let (here, _) = ends(body)?;
        let is_here = if local.ip().is_unspecified() {
            here.port() == local.port()
        } else {
            here == local
        };
        let is_open = OCCUPIED.contains(body.get(STATE)?) || u32_at(body, INODE)? != 0;
        Some(is_here && is_open)
    };
    told() == Some(true)
}

/// A `struct inet_diag_req_v2`: source and destination.
fn asked(family: u8, states: u32, ends: [SocketAddr; 2]) -> Vec<u8> {
    let mut body = vec![family, IPPROTO_TCP, 0, 0];
    body.extend(states.to_ne_bytes());
    body.extend(ends.map(|end| end.port().to_be_bytes()).concat());
    body.extend(ends.map(|end| padded(end.ip())).concat());
    // Any interface, and INET_DIAG_NOCOOKIE.
    body.extend([0; 4]);
    body.extend([0xff; 8]);
    body
}

/// The owner that an answer to [`request`] tells. Where there is no such connection the kernel
/// tells of a socket that listens on the port, so the addresses count, and the state. No inode
/// means that no process has the socket any more: uid 0 is then not root, it is nobody's.
pub(super) fn owner(body: &[u8], local: SocketAddr, peer: SocketAddr) -> Owner {
    let told = || {
        let is_peer = ends(body)? == (canonical(peer), canonical(local));
        let is_connected = CONNECTED.contains(body.get(STATE)?);
        let has_owner = u32_at(body, INODE)? != 0;
        (is_peer && is_connected && has_owner).then_some(u32_at(body, UID)?)
    };
    told().map_or(Owner::Unknown, Owner::User)
}

/// Source and destination of a `struct inet_diag_msg`.
fn ends(body: &[u8]) -> Option<(SocketAddr, SocketAddr)> {
    let address = |at| match *body.first()? {
        AF_INET => Some(IpAddr::from(Ipv4Addr::from(array_at::<4>(body, at)?))),
        AF_INET6 => Some(IpAddr::from(Ipv6Addr::from(array_at::<16>(body, at)?))),
        _ => None,
    };
    let port = |at| array_at(body, at).map(u16::from_be_bytes);
    let source = SocketAddr::new(address(8)?, port(4)?);
    let destination = SocketAddr::new(address(24)?, port(6)?);
    Some((canonical(source), canonical(destination)))
}

/// Without what only some sockets say of themselves: IPv4 as IPv6, scope, flow.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// An address in the sixteen bytes that there are for it.
fn padded(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(address) => {
            let [a, b, c, d] = address.octets();
            [a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
        }
        IpAddr::V6(address) => address.octets(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCAL: &str = "127.0.0.1:6379";
    const PEER: &str = "127.0.0.1:40000";

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    /// A `struct inet_diag_msg` as the kernel writes it.
    struct Told {
        family: u8,
        state: u8,
        source: &'static str,
        destination: &'static str,
        uid: u32,
        inode: u32,
    }

    impl Told {
        fn owner(&self) -> Owner {
            owner(&self.body(), address(LOCAL), address(PEER))
        }

        fn body(&self) -> Vec<u8> {
            let ends = [self.source, self.destination].map(address);
            let ip = |end: SocketAddr| match (self.family, end.ip()) {
                (AF_INET6, IpAddr::V4(address)) => address.to_ipv6_mapped().into(),
                (_, address) => address,
            };
            let mut body = vec![self.family, self.state, 0, 0];
            body.extend(ends.map(|end| end.port().to_be_bytes()).concat());
            body.extend(ends.map(|end| padded(ip(end))).concat());
            body.extend([0; 12 + 12]);
            body.extend(self.uid.to_ne_bytes());
            body.extend(self.inode.to_ne_bytes());
            body
        }
    }

    const CLIENT: Told = Told {
        family: AF_INET,
        state: 1,
        source: PEER,
        destination: LOCAL,
        uid: 1000,
        inode: 7,
    };

    #[test]
    fn a_connected_socket_has_the_owner_that_the_kernel_tells() {
        assert_eq!(CLIENT.owner(), Owner::User(1000));
        let root = Told { uid: 0, ..CLIENT };
        assert_eq!(root.owner(), Owner::User(0));
        let mapped = Told {
            family: AF_INET6,
            ..CLIENT
        };
        assert_eq!(mapped.owner(), Owner::User(1000));
        let half_closed = Told { state: 5, ..CLIENT };
        assert_eq!(half_closed.owner(), Owner::User(1000));
    }

    #[test]
    fn a_socket_that_no_process_has_is_not_roots() {
        let orphan = Told {
            uid: 0,
            inode: 0,
            ..CLIENT
        };
        assert_eq!(orphan.owner(), Owner::Unknown);
        let waits = Told { state: 6, ..CLIENT };
        assert_eq!(waits.owner(), Owner::Unknown);
    }

    #[test]
    fn another_socket_of_that_port_says_nothing() {
        let listens = Told {
            state: 10,
            destination: "0.0.0.0:0",
            ..CLIENT
        };
        assert_eq!(listens.owner(), Owner::Unknown);
        let elsewhere = Told {
            destination: "127.0.0.1:6380",
            ..CLIENT
        };
        assert_eq!(elsewhere.owner(), Owner::Unknown);
        // Somebody uses the port again, and is not connected yet.
        let connects = Told { state: 2, ..CLIENT };
        assert_eq!(connects.owner(), Owner::Unknown);
    }

    #[test]
    fn somebody_is_there_until_this_side_has_closed() {
        let (local, any) = (address(PEER), address("0.0.0.0:40000"));
        for (state, inode, there) in [
            (1, 7, true),
            // It waits to be accepted.
            (1, 0, true),
            (3, 0, true),
            (8, 0, true),
            // The server has ended its words, and listens on; or has closed.
            (5, 7, true),
            (5, 0, false),
            (9, 0, false),
        ] {
            let body = Told {
                state,
                inode,
                ..CLIENT
            }
            .body();
            assert_eq!(is_somebody_at(&body, local), there, "{state} {inode}");
            assert_eq!(is_somebody_at(&body, any), there, "{state} {inode}");
            for other in ["127.0.0.2:40000", LOCAL, "0.0.0.0:6379"] {
                assert!(!is_somebody_at(&body, address(other)), "{other}");
            }
        }
        assert!(!is_somebody_at(&[AF_INET, 1, 0], local));
    }

    #[test]
    fn an_answer_that_is_cut_says_nothing() {
        assert_eq!(
            owner(&[AF_INET, 1, 0], address(LOCAL), address(PEER)),
            Owner::Unknown
        );
    }

    #[test]
    fn the_other_end_is_the_source_of_the_question() {
        let bytes = request(address(LOCAL), address(PEER)).unwrap();
        assert_eq!(bytes.len(), 16 + 56);
        assert_eq!(bytes[16], AF_INET);
        assert_eq!(bytes[24..28], [0x9c, 0x40, 0x18, 0xeb]);
        let mapped = request(address("[::ffff:127.0.0.1]:6379"), address(PEER));
        assert_eq!(mapped, Some(bytes));
        assert_eq!(request(address("[::1]:6379"), address(PEER)), None);
    }
}
