//! A web server on the loopback that answers as its test wants, by https with an authority of its
//! own.
//!
//! Must not know what is asked for.

use std::{
    fs::File,
    io::{self, BufRead as _, BufReader, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use camino::{Utf8Path, Utf8PathBuf};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::{
    ServerConfig, ServerConnection, StreamOwned,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};

/// What a client wants.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    /// The first byte, if it wants the rest of a file.
    pub(crate) from: Option<usize>,
}

/// Writes an answer, byte by byte as it likes; an error of it is that of the client.
pub(crate) type Handler = dyn Fn(&Request, &mut dyn Write) -> io::Result<()> + Send + Sync;

pub(crate) struct Server {
    /// `https://127.0.0.1:PORT`.
    pub(crate) url: String,
    /// The file with the authority to know it by.
    pub(crate) authority: Utf8PathBuf,
    requests: Arc<Mutex<Vec<Request>>>,
    ending: Arc<AtomicBool>,
    accepting: Option<JoinHandle<()>>,
}

impl Server {
    /// Serves; the file of its authority is put into `dir`.
    pub(crate) fn new(
        dir: &Utf8Path,
        handler: impl Fn(&Request, &mut dyn Write) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        let authority = dir.join("authority.pem");
        let config = config(&authority);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("https://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let ending = Arc::new(AtomicBool::new(false));
        let handler: Arc<Handler> = Arc::new(handler);
        let accepting = thread::spawn({
            let (requests, ending) = (Arc::clone(&requests), Arc::clone(&ending));
            move || {
                let mut clients = Vec::new();
                for stream in listener.incoming() {
                    if ending.load(Ordering::SeqCst) {
                        break;
                    }
                    let (config, handler) = (Arc::clone(&config), Arc::clone(&handler));
                    let requests = Arc::clone(&requests);
                    clients.push(thread::spawn(move || {
                        // A client may go whenever it likes.
                        drop(serve(stream.unwrap(), config, &*handler, &requests));
                    }));
                }
                for client in clients {
                    client.join().unwrap();
                }
            }
        });
        Self {
            url,
            authority,
            requests,
            ending,
            accepting: Some(accepting),
        }
    }

    /// What was asked for so far.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.ending.store(true, Ordering::SeqCst);
        let address = self.url.trim_start_matches("https://");
        drop(TcpStream::connect(address));
        if let Some(accepting) = self.accepting.take() {
            drop(accepting.join());
        }
    }
}

fn serve(
    stream: TcpStream,
    config: Arc<ServerConfig>,
    handler: &Handler,
    requests: &Mutex<Vec<Request>>,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let patience = Some(Duration::from_secs(20));
    stream.set_read_timeout(patience)?;
    stream.set_write_timeout(patience)?;
    let connection = ServerConnection::new(config).map_err(io::Error::other)?;
    let mut stream = StreamOwned::new(connection, stream);
    let request = read(&mut stream)?;
    requests.lock().unwrap().push(request.clone());
    handler(&request, &mut stream)?;
    stream.conn.send_close_notify();
    stream.flush()
}

fn read(stream: &mut impl io::Read) -> io::Result<Request> {
    let lines = BufReader::new(stream).lines();
    let mut from = None;
    for line in lines {
        let line = line?.to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(range) = line.strip_prefix("range: bytes=") {
            from = range.trim_end_matches('-').parse().ok();
        }
    }
    Ok(Request { from })
}

/// The head of an answer; `size` is that of its body.
pub(crate) fn head(out: &mut dyn Write, status: &str, size: u64, more: &str) -> io::Result<()> {
    write!(
        out,
        "HTTP/1.1 {status}\r\nContent-Length: {size}\r\nConnection: close\r\n{more}\r\n"
    )?;
    out.flush()
}

/// Answers as an honest server does.
pub(crate) fn give(out: &mut dyn Write, bytes: &[u8], request: &Request) -> io::Result<()> {
    let size = bytes.len();
    match request.from {
        Some(from) if from < size => {
            let range = format!("Content-Range: bytes {from}-{}/{size}\r\n", size - 1);
            let rest = &bytes[from..];
            head(out, "206 Partial Content", rest.len() as u64, &range)?;
            out.write_all(rest)
        }
        _ => {
            head(out, "200 OK", size as u64, "")?;
            out.write_all(bytes)
        }
    }
}

/// A server's certificate, and the file of the authority that has signed it.
fn config(authority: &Utf8Path) -> Arc<ServerConfig> {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root = params.self_signed(&key).unwrap();
    let mut file = File::create(authority).unwrap();
    file.write_all(root.pem().as_bytes()).unwrap();
    let issuer = Issuer::new(params, key);
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    let leaf = params.signed_by(&key, &issuer).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], key)
        .unwrap();
    Arc::new(config)
}
