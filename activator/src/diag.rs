//! What the kernel says of sockets that are not ours: `sock_diag(7)`.
//!
//! Owns the exchange with the kernel: one netlink socket, one question, the answer. It is over
//! when the call returns and never waits for anything: the kernel answers while it is asked. What
//! is asked and what the answer means stands below, without I/O. Must not know what for.

mod message;
mod tcp;
mod unix;

use std::{
    io,
    net::SocketAddr,
    os::fd::{AsFd, OwnedFd},
    path::Path,
};

use rustix::{
    io::Errno,
    net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink},
    net::{recv, send, socket_with},
};

use self::message::{Message, Messages};
pub(crate) use self::tcp::Owner;

/// Whether the owner of a TCP connection can be told.
pub(crate) const TELLS_OWNERS: bool = true;

/// Whether the connections of others can be counted.
pub(crate) const COUNTS: bool = true;

/// Room for an answer about one socket; 88 bytes and a few attributes.
const ONE: usize = 1024;

/// Room for a part of a list. The kernel makes no part longer (netlink(7), `NLMSG_GOODSIZE`).
const LIST: usize = 32 * 1024;

/// Who owns the other end of a TCP connection within this network namespace, told from the
/// addresses of ours: `local` is our own, `peer` the other one's.
///
/// A socket that its process has closed, or that is gone, has no owner any more: measured with
/// Linux 6.18, a peer that closed before it was accepted is in `FIN_WAIT2` with no inode and uid
/// 0, whoever it was. A port can be used again, so the answer is about this connection only if
/// ours is still connected *afterwards*.
///
/// # Errors
/// The kernel's, such as `EAFNOSUPPORT` where netlink is not allowed.
pub(crate) fn owner_of_tcp_peer(local: SocketAddr, peer: SocketAddr) -> io::Result<Owner> {
    let Some(request) = tcp::request(local, peer) else {
        return Ok(Owner::Unknown);
    };
    let kernel = ask(&request)?;
    let mut buffer = [0; ONE];
    match Messages::new(receive(&kernel, &mut buffer)?).next() {
        Some(Message::Socket(body)) => Ok(tcp::owner(body, local, peer)),
        Some(Message::Error(Errno::NOENT)) => Ok(Owner::Unknown),
        Some(Message::Error(errno)) => Err(errno.into()),
        Some(Message::Done) | None => Err(io::ErrorKind::InvalidData.into()),
    }
}

/// How many connections a unix socket has on the listening side: those that wait to be accepted
/// and those that were, until the listening side has closed them, whatever the other side did.
///
/// `path` is the one that was given to bind(2), to the letter; renaming the file or giving it
/// another name changes nothing. The list is not made at one moment: a connection that is there
/// all the time is counted, one that is accepted meanwhile may be counted twice, one that is made
/// meanwhile may be missed.
///
/// # Errors
/// The kernel's, and `NotFound` if nobody listens there: who closed the listener may still have
/// connections that have not begun to talk, so there is no number to tell.
pub(crate) fn unix_connections(path: &Path) -> io::Result<usize> {
    // In this order, so that nobody is missed who goes from the one list to the other.
    let mut waiting = None;
    list(&unix::listening(), |body| {
        if let Some(count) = unix::waiting(body, path) {
            *waiting.get_or_insert(0) += count;
        }
    })?;
    let waiting = waiting.ok_or(io::ErrorKind::NotFound)?;
    let mut accepted = 0;
    list(&unix::established(), |body| {
        accepted += usize::from(unix::is_called(body, path));
    })?;
    Ok(waiting + accepted)
}

/// How many connections there are to a TCP socket that listens here: those that are being made,
/// those that wait to be accepted, and those that were, until the side that accepted them has
/// closed. As with [`unix_connections`], one that is made meanwhile may be missed.
///
/// # Errors
/// The kernel's.
pub(crate) fn tcp_connections(local: SocketAddr) -> io::Result<usize> {
    let mut count = 0;
    list(&tcp::connections(local), |body| {
        count += usize::from(tcp::is_somebody_at(body, local));
    })?;
    Ok(count)
}

/// Asks for a list, and hands out what is told of each socket.
fn list(request: &[u8], mut each: impl FnMut(&[u8])) -> io::Result<()> {
    let kernel = ask(request)?;
    let mut buffer = vec![0; LIST];
    loop {
        for message in Messages::new(receive(&kernel, &mut buffer)?) {
            match message {
                Message::Socket(body) => each(body),
                Message::Done => return Ok(()),
                Message::Error(errno) => return Err(errno.into()),
            }
        }
    }
}

/// Sends a request. Only the kernel can answer: others may not send to such a socket.
fn ask(request: &[u8]) -> io::Result<OwnedFd> {
    let kernel = socket_with(
        AddressFamily::NETLINK,
        SocketType::RAW,
        SocketFlags::CLOEXEC | SocketFlags::NONBLOCK,
        Some(netlink::SOCK_DIAG),
    )?;
    send(&kernel, request, SendFlags::empty())?;
    Ok(kernel)
}

/// The next part of an answer.
fn receive(kernel: impl AsFd, buffer: &mut [u8]) -> io::Result<&[u8]> {
    // With TRUNC the second number is the length before the cut.
    let (_, length) = recv(kernel, &mut *buffer, RecvFlags::TRUNC)?;
    let whole = buffer.get(..length).filter(|part| !part.is_empty());
    whole.ok_or_else(|| io::ErrorKind::InvalidData.into())
}

#[cfg(test)]
mod tests;
