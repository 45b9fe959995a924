//! The gate before a listening TCP socket that the engine accepts on.
//!
//! Closed, nobody new gets in: the kernel drops the first segment of a connection, and the client
//! sends it again, at first after a second (RFC 6298). So it takes that long and is not refused.
//! Whoever is further than that gets in. It is a filter on the socket (socket(7),
//! `SO_ATTACH_FILTER`), so it is the same for everybody who has the socket, and outlives this
//! process. A connection may inherit the filter from the socket that it came to, which does it no
//! harm: an established one has no first segments.
//!
//! Kernels of late 2026 let nobody put a filter on a TCP socket who has not `CAP_NET_ADMIN`
//! (capabilities(7)). There is no gate there, and so no engine may have the sockets.

use std::{io, os::fd::AsFd, sync::LazyLock};

use socket2::{Domain, SockFilter, SockRef, Socket, Type};

/// Drops a segment with SYN, in classic BPF. A filter of a TCP socket sees the segment from its
/// header on; the flags are its 14th byte (RFC 9293, section 3.1).
const NO_NEWCOMERS: [SockFilter; 4] = [
    // BPF_LD | BPF_B | BPF_ABS
    SockFilter::new(0x30, 0, 0, 13),
    // BPF_JMP | BPF_JSET | BPF_K: to the next one if it is there, else to the last one.
    SockFilter::new(0x45, 0, 1, 0x02),
    // BPF_RET | BPF_K: nothing of it, or all.
    SockFilter::new(0x06, 0, 0, 0),
    SockFilter::new(0x06, 0, 0, u32::MAX),
];

/// Whether this process can close one, which it asks with a socket that nobody has.
pub(crate) fn is_there() -> bool {
    static IS_THERE: LazyLock<bool> = LazyLock::new(|| {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None);
        socket.and_then(close).is_ok()
    });
    *IS_THERE
}

/// Closes it; that it was is no error.
pub(crate) fn close(socket: impl AsFd) -> io::Result<()> {
    SockRef::from(&socket).attach_filter(&NO_NEWCOMERS)
}

/// Opens it; that it was is no error.
pub(crate) fn open(socket: impl AsFd) {
    // There is no other error than that there is no filter.
    SockRef::from(&socket).detach_filter().ok();
}

#[cfg(test)]
mod tests {
    use std::{
        io::{ErrorKind, Read, Write},
        net::{TcpListener, TcpStream},
        time::Duration,
    };

    use rustix::io::Errno;

    use super::*;

    /// Begins to connect, and does not wait.
    fn knock(listener: &TcpListener) -> TcpStream {
        let address = listener.local_addr().unwrap();
        let domain = Domain::for_address(address);
        let socket = Socket::new(domain, Type::STREAM, None).unwrap();
        socket.set_nonblocking(true).unwrap();
        let begun = socket.connect(&address.into()).unwrap_err();
        assert_eq!(Errno::from_io_error(&begun), Some(Errno::INPROGRESS));
        socket.into()
    }

    #[test]
    fn nobody_gets_in_who_came_late_and_nobody_is_refused() {
        if !is_there() {
            return doze_tests::skip::unshown("this kernel has no gate for this user");
        }
        for bound in ["127.0.0.1:0", "[::1]:0"] {
            let listener = TcpListener::bind(bound).unwrap();
            let mut early = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            close(&listener).unwrap();
            close(&listener).unwrap();
            let late = knock(&listener);
            assert_eq!(late.take_error().unwrap().map(|error| error.kind()), None);

            // The one that was there is served.
            let (mut accepted, _) = listener.accept().unwrap();
            early.write_all(b"hello").unwrap();
            let mut heard = [0; 5];
            accepted.read_exact(&mut heard).unwrap();
            listener.set_nonblocking(true).unwrap();
            let nobody = listener.accept().map(drop).map_err(|error| error.kind());
            assert_eq!(nobody, Err(ErrorKind::WouldBlock));

            open(&listener);
            open(&listener);
            listener.set_nonblocking(false).unwrap();
            let (mut accepted, _) = listener.accept().unwrap();
            accepted.write_all(b"hello").unwrap();
            late.set_nonblocking(false).unwrap();
            late.set_read_timeout(Some(Duration::from_secs(30)))
                .unwrap();
            (&late).read_exact(&mut heard).unwrap();
        }
    }
}
