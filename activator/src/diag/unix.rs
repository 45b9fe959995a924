//! Which unix sockets there are: the structures of `linux/unix_diag.h`, and what they mean.

use std::{os::unix::ffi::OsStrExt, path::Path};

use super::message::{self, Which, attribute, u32_at};

const AF_UNIX: u8 = 1;

/// States, as bits of a set.
const ESTABLISHED: u32 = 1 << 1;
const LISTEN: u32 = 1 << 10;

/// What to tell besides: `UDIAG_SHOW_NAME` and `UDIAG_SHOW_RQLEN`.
const SHOW_NAME: u32 = 1;
const SHOW_QUEUE: u32 = 0x10;

/// The attributes with it: `UNIX_DIAG_NAME` and `UNIX_DIAG_RQLEN`.
const NAME: u16 = 0;
const QUEUE: u16 = 4;

/// The length of `struct unix_diag_msg`; attributes follow it.
const SOCKET: usize = 16;

/// The question for all sockets that listen.
pub(super) fn listening() -> Vec<u8> {
    request(LISTEN, SHOW_NAME | SHOW_QUEUE)
}

/// The question for all sockets that are connected, those that wait to be accepted excepted:
/// the kernel does not list what no process has yet.
pub(super) fn established() -> Vec<u8> {
    request(ESTABLISHED, SHOW_NAME)
}

/// How many connections wait to be accepted by this socket, if it listens at the path.
pub(super) fn waiting(body: &[u8], path: &Path) -> Option<usize> {
    is_called(body, path)
        .then(|| attribute(body.get(SOCKET..)?, QUEUE))
        .flatten()
        .and_then(|queue| usize::try_from(u32_at(queue, 0)?).ok())
}

/// Whether the socket was bound to the path, or accepted by one that was: it has the same name.
pub(super) fn is_called(body: &[u8], path: &Path) -> bool {
    let name = body
        .get(SOCKET..)
        .and_then(|attributes| attribute(attributes, NAME));
    // unix(7): the length of a path may include its final NUL.
    name.map(|name| name.strip_suffix(&[0]).unwrap_or(name)) == Some(path.as_os_str().as_bytes())
}

/// A `struct unix_diag_req`.
fn request(states: u32, show: u32) -> Vec<u8> {
    let mut body = vec![AF_UNIX, 0, 0, 0];
    body.extend(states.to_ne_bytes());
    // Any inode.
    body.extend([0; 4]);
    body.extend(show.to_ne_bytes());
    body.extend([0xff; 8]);
    message::request(Which::All, &body)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diag::message::tests::encoded;

    fn told(attributes: &[Vec<u8>]) -> Vec<u8> {
        [vec![0; SOCKET], attributes.concat()].concat()
    }

    #[test]
    fn a_name_is_compared_as_a_whole() {
        for name in [&b"/run/a.sock\0"[..], b"/run/a.sock"] {
            let body = told(&[encoded(NAME, name)]);
            assert!(is_called(&body, Path::new("/run/a.sock")));
            assert!(!is_called(&body, Path::new("/run/a.soc")));
            assert!(!is_called(&body, Path::new("/run/a.sock2")));
        }
        assert!(!is_called(&told(&[]), Path::new("")));
    }

    #[test]
    fn the_queue_is_told_by_the_listener_of_that_name() {
        let queue = [3_u32, 128].map(u32::to_ne_bytes).concat();
        let body = told(&[encoded(NAME, b"/a\0"), encoded(QUEUE, &queue)]);
        assert_eq!(waiting(&body, Path::new("/a")), Some(3));
        assert_eq!(waiting(&body, Path::new("/b")), None);
        assert_eq!(
            waiting(&told(&[encoded(NAME, b"/a\0")]), Path::new("/a")),
            None
        );
    }
}
