//! Attacks by the server, or by whoever is between it and the user.

use std::{
    io::{self, Write},
    sync::mpsc,
    time::Duration,
};

use doze_registry::Artefact;

use crate::{
    Attack,
    child::Job,
    server::{Request, Server, head},
    tarball::good,
    world::{World, artefact},
};

/// All of them.
pub(crate) const ATTACKS: [Attack; 11] = [
    ("transport-slow-drip", |world| ask(world, drip)),
    ("transport-endless", |world| ask(world, endless)),
    ("transport-too-long", |world| {
        ask(world, |_, out| head(out, "200 OK", 1 << 40, ""))
    }),
    ("transport-too-short", |world| {
        ask(world, |_, out| {
            head(out, "200 OK", 3, "")?;
            out.write_all(b"xyz")
        })
    }),
    ("transport-tampered", |world| {
        ask(world, |_, out| {
            head(out, "200 OK", wanted().size, "")?;
            out.write_all(&vec![0; good(SIZE).len()])
        })
    }),
    ("transport-redirect-to-http", |world| {
        let to = "Location: http://127.0.0.1:9/evil\r\n";
        ask(world, move |_, out| head(out, "302 Found", 0, to))
    }),
    ("transport-redirects", |world| {
        let to = "Location: /around\r\n";
        ask(world, move |_, out| head(out, "302 Found", 0, to))
    }),
    ("transport-page", |world| {
        let page = "Content-Type: text/html; charset=utf-8\r\n";
        ask(world, move |_, out| {
            head(out, "200 OK", 13, page)?;
            out.write_all(b"<h1>Soon</h1>")
        })
    }),
    ("transport-error", |world| {
        ask(world, |_, out| head(out, "503 Service Unavailable", 0, ""))
    }),
    ("transport-http", |world| {
        let server = Server::new(world.dir(), endless);
        let url = server.url.replace("https", "http");
        tell(world, &server, &url)
    }),
    ("transport-stranger", |world| {
        let server = Server::new(world.dir(), endless);
        // Another authority, in the file of the first.
        let other = Server::new(world.dir(), endless);
        let url = server.url.clone();
        drop(other);
        tell(world, &server, &url)
    }),
];

/// Bytes of the archive that cannot be compressed.
const SIZE: usize = 20_000;

fn wanted() -> Artefact {
    artefact(&good(SIZE))
}

/// Fetches from a server that answers like this.
fn ask(
    world: &World,
    handler: impl Fn(&Request, &mut dyn Write) -> io::Result<()> + Send + Sync + 'static,
) -> String {
    let server = Server::new(world.dir(), handler);
    tell(world, &server, &server.url.clone())
}

fn tell(world: &World, server: &Server, url: &str) -> String {
    let job = Job {
        url: url.to_owned(),
        authority: server.authority.clone(),
        store: world.store_dir(),
        name: "postgres",
        artefact: wanted(),
        stretch: 300,
        answer: world.dir().join("answer"),
    };
    let told = job.run().unwrap_err();
    let address = server.url.trim_start_matches("https://");
    let told = told.replace(address, "SERVER");
    let told = told.replace(
        &artefact(&vec![0; good(SIZE).len()]).sha256.to_string(),
        "ANOTHER",
    );
    let told = told.replace(&job.artefact.size.to_string(), "SIZE");
    world.shown(&told, &job.artefact)
}

/// A byte now and then, so that no read ever waits for long.
fn drip(_: &Request, out: &mut dyn Write) -> io::Result<()> {
    head(out, "200 OK", wanted().size, "")?;
    let (_silent, never) = mpsc::channel::<()>();
    loop {
        out.write_all(b"x")?;
        out.flush()?;
        // The pause between two bytes: nothing is ever sent here.
        assert!(never.recv_timeout(Duration::from_millis(10)).is_err());
    }
}

/// Chunks without an end (RFC 9112, 7.1).
fn endless(_: &Request, out: &mut dyn Write) -> io::Result<()> {
    out.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")?;
    loop {
        out.write_all(b"400\r\n")?;
        out.write_all(&[b'x'; 1024])?;
        out.write_all(b"\r\n")?;
    }
}
