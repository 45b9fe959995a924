//! Whether a connection may be served: who is on the other side, and whom the plan lets in.
//!
//! Decides for one accepted connection, before a byte of it is read. Must not know what becomes
//! of it.

use std::{fs, io, net::IpAddr};

use doze_contract::plan::OpenTo;
use rustix::process::geteuid;

use crate::{
    diag::{self, Owner},
    stream::Stream,
};

/// The uid that stands for every user without a number in a user namespace
/// (`user_namespaces(7)`, `/proc/sys/kernel/overflowuid`).
const NOBODY: u32 = 65534;

/// What is to be done with a connection.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Serve it.
    Allowed,
    /// Tell it the reason, which is for people, and close it.
    Refused { reason: String },
}

/// Who is on the other side.
#[derive(Debug, PartialEq, Eq)]
enum Peer {
    /// A socket on this machine.
    Local(Owner),
    /// An address beyond loopback: a socket of another machine, or nobody can tell.
    Remote(IpAddr),
}

/// Judges an accepted connection. Takes some microseconds and never waits.
pub(crate) fn judge(open_to: OpenTo, stream: &Stream) -> Verdict {
    if open_to == OpenTo::All {
        return Verdict::Allowed;
    }
    let me = geteuid().as_raw();
    let hides_some = me == NOBODY && !knows_everybody();
    match refusal(me, hides_some, who(stream)) {
        None => Verdict::Allowed,
        Some(why) => Verdict::Refused {
            reason: format!("{why}; open_to = \"all\" in doze.toml lets everybody in"),
        },
    }
}

/// Why a connection is not served, if it is not. `hides_some`: our own number is also that of
/// others, whom this process cannot tell apart.
fn refusal(me: u32, hides_some: bool, peer: io::Result<Peer>) -> Option<String> {
    let unknown = "whose connection this is cannot be told";
    match peer {
        Ok(Peer::Local(Owner::User(uid))) if uid == me && hides_some => Some(unknown.into()),
        Ok(Peer::Local(Owner::User(uid))) if uid == me || uid == 0 => None,
        Ok(Peer::Local(Owner::User(_))) => Some(format!("the connection is not from user {me}")),
        Ok(Peer::Local(Owner::Unknown)) => diag::TELLS_OWNERS.then(|| unknown.into()),
        Ok(Peer::Remote(address)) => Some(format!(
            "{address} is beyond this machine's loopback, so {unknown}"
        )),
        Err(error) => Some(format!("{unknown}: {error}")),
    }
}

fn who(stream: &Stream) -> io::Result<Peer> {
    match stream {
        // Who connected; it stays so even if the socket is handed on (unix(7), SO_PEERCRED).
        Stream::Unix(stream) => Ok(Peer::Local(Owner::User(stream.peer_cred()?.uid()))),
        Stream::Tcp(stream) => {
            let peer = stream.peer_addr()?;
            let address = peer.ip().to_canonical();
            if !address.is_loopback() {
                return Ok(Peer::Remote(address));
            }
            let owner = diag::owner_of_tcp_peer(stream.local_addr()?, peer)?;
            // As long as this connection stands, the port on the other side is nobody else's.
            stream.peer_addr()?;
            Ok(Peer::Local(owner))
        }
    }
}

/// Whether each user has a number here, so that [`NOBODY`] is one of them.
fn knows_everybody() -> bool {
    let map = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    map.split_whitespace().eq(["0", "0", "4294967295"])
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use std::{
        net::{Ipv4Addr, TcpListener},
        os::unix::net::UnixListener,
        time::Duration,
    };

    use rustix::net::sockopt::set_socket_linger;
    use tokio::net::{TcpStream, UnixStream};

    use super::*;

    fn local(uid: u32) -> Peer {
        Peer::Local(Owner::User(uid))
    }

    #[test]
    fn the_user_and_root_are_served() {
        assert_eq!(refusal(1000, false, Ok(local(1000))), None);
        assert_eq!(refusal(1000, false, Ok(local(0))), None);
        assert_eq!(refusal(0, false, Ok(local(0))), None);
    }

    #[test]
    fn everybody_else_is_told_why_not() {
        for (peer, why) in [
            (Ok(local(1001)), "the connection is not from user 1000"),
            (Ok(local(NOBODY)), "the connection is not from user 1000"),
            (
                Ok(Peer::Local(Owner::Unknown)),
                "whose connection this is cannot be told",
            ),
            (
                Ok(Peer::Remote(Ipv4Addr::new(192, 168, 1, 7).into())),
                "192.168.1.7 is beyond this machine's loopback, so whose connection this is \
                 cannot be told",
            ),
            (
                Err(io::ErrorKind::Unsupported.into()),
                "whose connection this is cannot be told: unsupported",
            ),
        ] {
            assert_eq!(refusal(1000, false, peer).as_deref(), Some(why));
        }
        assert_ne!(refusal(0, false, Ok(local(1000))), None);
    }

    #[test]
    fn a_number_that_stands_for_many_is_nobodys() {
        assert_eq!(refusal(NOBODY, false, Ok(local(NOBODY))), None);
        assert_ne!(refusal(NOBODY, true, Ok(local(NOBODY))), None);
        assert_eq!(refusal(NOBODY, true, Ok(local(0))), None);
    }

    /// A TCP connection, as its client has it and as it is accepted.
    async fn pair() -> (TcpStream, TcpListener) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        (TcpStream::connect(address).await.unwrap(), listener)
    }

    fn accept(listener: &TcpListener) -> Stream {
        let (stream, _) = listener.accept().unwrap();
        stream.set_nonblocking(true).unwrap();
        Stream::Tcp(TcpStream::from_std(stream).unwrap())
    }

    #[tokio::test]
    async fn a_client_of_this_process_is_served() {
        let (_client, listener) = pair().await;
        let accepted = accept(&listener);
        assert_eq!(judge(OpenTo::User, &accepted), Verdict::Allowed);

        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let listener = UnixListener::bind(&path).unwrap();
        let _client = UnixStream::connect(&path).await.unwrap();
        let (stream, _) = listener.accept().unwrap();
        stream.set_nonblocking(true).unwrap();
        let accepted = Stream::Unix(UnixStream::from_std(stream).unwrap());
        assert_eq!(judge(OpenTo::User, &accepted), Verdict::Allowed);
    }

    #[tokio::test]
    async fn a_client_that_is_gone_is_served_only_where_everybody_is() {
        let (client, listener) = pair().await;
        drop(client);
        let accepted = accept(&listener);
        let reason = "whose connection this is cannot be told; \
                      open_to = \"all\" in doze.toml lets everybody in";
        assert_eq!(
            judge(OpenTo::User, &accepted),
            Verdict::Refused {
                reason: reason.into()
            }
        );
        assert_eq!(judge(OpenTo::All, &accepted), Verdict::Allowed);
    }

    /// A connection that was reset, and behind it one from the same port, as far as it is not
    /// taken meanwhile by somebody who runs at the same time.
    async fn reset_and_again(tries: usize) -> (TcpStream, TcpListener) {
        let mut last = None;
        for _ in 0..tries {
            let (client, listener) = pair().await;
            let port = client.local_addr().unwrap();
            set_socket_linger(&client, Some(Duration::ZERO)).unwrap();
            drop(client);
            let again = tokio::net::TcpSocket::new_v4().unwrap();
            match again.bind(port) {
                Ok(()) => {
                    let to = listener.local_addr().unwrap();
                    return (again.connect(to).await.unwrap(), listener);
                }
                Err(error) => last = Some(error),
            }
        }
        panic!("no port could be used again: {last:?}");
    }

    /// Its port may be somebody else's by now.
    #[tokio::test]
    async fn a_connection_that_was_reset_is_refused_whoever_has_its_port() {
        let (_again, listener) = reset_and_again(8).await;
        let (reset, next) = (accept(&listener), accept(&listener));
        assert_ne!(judge(OpenTo::User, &reset), Verdict::Allowed);
        assert_eq!(judge(OpenTo::User, &next), Verdict::Allowed);
    }
}
