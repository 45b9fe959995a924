//! What this kernel says of real sockets.

use std::{
    fs,
    io::{self, Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    os::unix::{
        net::{UnixListener, UnixStream},
        process::CommandExt,
    },
    process::{Command, Stdio},
};

use rustix::{net::sockopt::set_socket_linger, process::getuid};

use super::*;

/// The owner of the peer of an accepted connection.
fn owner(accepted: &(TcpStream, SocketAddr)) -> Owner {
    let (stream, peer) = accepted;
    owner_of_tcp_peer(stream.local_addr().unwrap(), *peer).unwrap()
}

fn me() -> Owner {
    Owner::User(getuid().as_raw())
}

/// A listener and a connection to it that is not accepted yet.
fn waiting(bound: &str, host: &str) -> (TcpListener, TcpStream) {
    let listener = TcpListener::bind((bound, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let client = TcpStream::connect((host, port)).unwrap();
    (listener, client)
}

#[test]
fn a_client_of_ours_is_ours_whatever_the_family() {
    for (bound, host) in [
        ("127.0.0.1", "127.0.0.1"),
        ("::1", "::1"),
        ("::", "127.0.0.1"),
        ("::", "::1"),
        ("127.0.0.1", "::ffff:127.0.0.1"),
    ] {
        let (listener, _client) = waiting(bound, host);
        assert_eq!(owner(&listener.accept().unwrap()), me(), "{bound} {host}");
    }
}

#[test]
fn a_client_that_has_closed_its_sending_side_is_still_somebodys() {
    let (listener, client) = waiting("127.0.0.1", "127.0.0.1");
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(owner(&listener.accept().unwrap()), me());
}

#[test]
fn a_client_that_sends_and_closes_at_once_is_not_root() {
    let (listener, mut client) = waiting("127.0.0.1", "127.0.0.1");
    client.write_all(b"FLUSHALL\r\n").unwrap();
    drop(client);
    assert_eq!(owner(&listener.accept().unwrap()), Owner::Unknown);
}

#[test]
fn a_reset_connection_has_no_owner_and_no_listener_stands_in_for_it() {
    let (listener, client) = waiting("127.0.0.1", "127.0.0.1");
    let address = client.local_addr().unwrap();
    set_socket_linger(&client, Some(std::time::Duration::ZERO)).unwrap();
    drop(client);
    let _other = TcpListener::bind(address).unwrap();
    let accepted = listener.accept().unwrap();
    assert_eq!(owner(&accepted), Owner::Unknown);
    // So whoever asks sees that the connection is over.
    let gone = accepted.0.peer_addr().unwrap_err();
    assert_eq!(gone.kind(), io::ErrorKind::NotConnected);
}

#[test]
fn a_client_of_another_user_is_theirs() {
    if !getuid().is_root() {
        println!("SKIPPED: only root can start a client of another user");
        return;
    }
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut client = Command::new("bash")
        .args(["-c", &format!("exec 3<>/dev/tcp/127.0.0.1/{port}; cat")])
        .uid(4242)
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let accepted = listener.accept().unwrap();
    assert_eq!(owner(&accepted), Owner::User(4242));
    drop(client.stdin.take());
    assert!(client.wait().unwrap().success());
    assert_eq!(owner(&accepted), Owner::Unknown);
}

#[test]
fn tcp_clients_are_counted_until_the_engine_has_closed_them() {
    for (bound, host) in [
        ("127.0.0.1", "127.0.0.1"),
        ("::1", "::1"),
        ("0.0.0.0", "127.0.0.1"),
        ("::", "127.0.0.1"),
    ] {
        let (listener, client) = waiting(bound, host);
        let count = || tcp_connections(listener.local_addr().unwrap()).unwrap();
        assert_eq!(count(), 1, "{bound}");
        let port = listener.local_addr().unwrap().port();
        let other = TcpStream::connect((host, port)).unwrap();
        let (accepted, _) = listener.accept().unwrap();
        assert_eq!(count(), 2, "{bound}");
        drop((client, other));
        assert_eq!(count(), 2, "{bound}: the engine has not seen it");
        drop(accepted);
        drop(listener.accept().unwrap());
        assert_eq!(count(), 0, "{bound}");
    }
}

/// A unix socket that listens, in a folder of its own.
struct Unix {
    folder: tempfile::TempDir,
    listener: UnixListener,
}

impl Unix {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(folder.path().join("bound")).unwrap();
        Self { folder, listener }
    }

    fn connect(&self) -> UnixStream {
        UnixStream::connect(self.folder.path().join("bound")).unwrap()
    }

    fn accept(&self) -> UnixStream {
        self.listener.accept().unwrap().0
    }

    fn count(&self) -> usize {
        unix_connections(&self.folder.path().join("bound")).unwrap()
    }
}

#[test]
fn connections_are_counted_from_the_connect_on() {
    let engine = Unix::new();
    assert_eq!(engine.count(), 0);
    let _clients = [(); 5].map(|()| engine.connect());
    assert_eq!(engine.count(), 5);
    let _accepted = [(); 3].map(|()| engine.accept());
    assert_eq!(engine.count(), 5);
    let _rest = [(); 2].map(|()| engine.accept());
    assert_eq!(engine.count(), 5);
}

#[test]
fn a_connection_counts_until_the_engine_has_closed_it() {
    let engine = Unix::new();
    let client = engine.connect();
    let accepted = engine.accept();
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(engine.count(), 1);
    drop(client);
    assert_eq!(engine.count(), 1);
    drop(accepted);
    assert_eq!(engine.count(), 0);
}

#[test]
fn a_connection_that_the_engine_closed_does_not_count() {
    let engine = Unix::new();
    let mut client = engine.connect();
    drop(engine.accept());
    assert_eq!(engine.count(), 0);
    assert_eq!(client.read(&mut [0]).unwrap(), 0);
}

#[test]
fn a_client_that_left_before_it_was_accepted_counts_until_the_engine_has_seen_it() {
    let engine = Unix::new();
    drop(engine.connect());
    assert_eq!(engine.count(), 1);
    drop(engine.accept());
    assert_eq!(engine.count(), 0);
}

#[test]
fn other_names_of_the_file_lead_to_the_same_count() {
    let engine = Unix::new();
    let path = |name| engine.folder.path().join(name);
    fs::hard_link(path("bound"), path("public")).unwrap();
    fs::rename(path("bound"), path("moved")).unwrap();
    let _one = UnixStream::connect(path("public")).unwrap();
    let _two = UnixStream::connect(path("moved")).unwrap();
    let _accepted = engine.accept();
    assert_eq!(engine.count(), 2);
    // The kernel knows the name that was bound and no other.
    for name in ["public", "moved"] {
        let error = unix_connections(&path(name)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }
}

#[test]
fn where_nobody_listens_there_is_no_number() {
    let Unix { folder, listener } = Unix::new();
    drop(listener);
    let error = unix_connections(&folder.path().join("bound")).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::NotFound);
}

#[test]
fn a_list_of_many_sockets_is_read_to_its_end() {
    let engine = Unix::new();
    let clients: Vec<_> = (0..100).map(|_| engine.connect()).collect();
    let accepted: Vec<_> = (0..100).map(|_| engine.accept()).collect();
    // More than one part holds.
    let others: Vec<_> = (0..400).map(|_| UnixStream::pair().unwrap()).collect();
    assert_eq!(engine.count(), 100);
    assert_eq!(
        (clients.len(), accepted.len(), others.len()),
        (100, 100, 400)
    );
}
