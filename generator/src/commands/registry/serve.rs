//! `doze registry serve`: the pages of a registry in a browser, on this machine alone. It is for a
//! look, not for users: they want https.

use std::{
    fs::{self, File},
    io::{self, BufRead, BufReader, Read, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    thread,
    time::Duration,
};

use camino::{Utf8Path, Utf8PathBuf};
use percent_encoding::percent_decode_str;

use crate::{failure::Failure, output::print};

/// The longest request in bytes, and how long one may take.
const REQUEST: u64 = 8 * 1024;
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) fn run(folder: &Utf8Path, port: u16) -> Result<(), Failure> {
    if !folder.join("catalogue.json").is_file() {
        return Err(Failure::plain(format!("{folder} is no registry")));
    }
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
        .map_err(Failure::io(format!("listen on port {port}")))?;
    let address = listener.local_addr().map_err(Failure::io("listen"))?;
    print(format_args!(
        "http://{address}/ shows {folder}; Ctrl-C ends it\n"
    ))
    .map_err(Failure::io("print"))?;
    for client in listener.incoming().flatten() {
        let folder = folder.to_owned();
        thread::spawn(move || {
            // A browser that goes away is none of our business.
            drop(answer(&folder, &client));
        });
    }
    Ok(())
}

/// One request of HTTP/1.1 (RFC 9112), after which the connection ends.
fn answer(folder: &Utf8Path, mut client: &TcpStream) -> io::Result<()> {
    client.set_read_timeout(Some(PATIENCE))?;
    client.set_write_timeout(Some(PATIENCE))?;
    let mut lines = BufReader::new(client).take(REQUEST);
    let mut request = String::new();
    lines.read_line(&mut request)?;
    let mut header = String::new();
    while lines.read_line(&mut header)? > 2 {
        header.clear();
    }
    let mut words = request.split_whitespace();
    let (method, target) = (words.next(), words.next().unwrap_or("/"));
    let Some(file) = found(folder, target).filter(|_| method == Some("GET")) else {
        let text = "There is no such file here.\n";
        return write!(
            client,
            "{}{text}",
            head("404 Not Found", "text/plain", text.len() as u64)
        );
    };
    let kind = match file.extension() {
        Some("html") => "text/html; charset=utf-8",
        Some("json") => "application/json",
        _ => "application/octet-stream",
    };
    let mut file = File::open(file)?;
    client.write_all(head("200 OK", kind, file.metadata()?.len()).as_bytes())?;
    io::copy(&mut file, &mut client)?;
    Ok(())
}

fn head(status: &str, kind: &str, length: u64) -> String {
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\
         Connection: close\r\n\r\n"
    )
}

/// The regular file below the folder that a request asks for.
fn found(folder: &Utf8Path, target: &str) -> Option<Utf8PathBuf> {
    let path = target.split(['?', '#']).next()?;
    let path = percent_decode_str(path).decode_utf8().ok()?;
    let mut file = folder.to_owned();
    for word in path.split('/').filter(|word| !word.is_empty()) {
        if word.starts_with('.') || word.contains('\0') {
            return None;
        }
        file.push(word);
        if fs::symlink_metadata(&file).ok()?.is_symlink() {
            return None;
        }
    }
    if file.is_dir() {
        file.push("index.html");
    }
    file.is_file().then_some(file)
}
