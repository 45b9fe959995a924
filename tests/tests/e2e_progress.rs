//! A download shows itself, and Ctrl-C leaves nothing of it.
#![expect(
    clippy::expect_used,
    reason = "a surprise fails the test, and says what it was"
)]

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use doze_tests::project::{output, succeed};
use doze_tests::terminal::Terminal;
use doze_tests::{World, process, wait_until};
use rustix::process::Signal;

const BOUND: Duration = Duration::from_secs(30);

const MANIFEST: &str = r#"kind = "engine"
name = "valkey"
version = "8.99"
target = "x86_64-unknown-linux-gnu"
channel = "stable"
licence = "none"
origin = "a test"
"#;

/// A certificate for the loopback, which is its own authority.
const CERTIFICATE: &str = "[req]
distinguished_name = name
x509_extensions = extensions
prompt = no
[name]
CN = loopback
[extensions]
subjectAltName = IP:127.0.0.1
basicConstraints = critical, CA:FALSE
";

/// A server that gives half of an archive and then nothing, until there is a file called `honest`.
const SERVER: &str = r#"
import http.server, os, ssl
class Handler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *about): pass
    def copyfile(self, source, out):
        if self.path.endswith(".zst") and not os.path.exists("../honest"):
            half = os.fstat(source.fileno()).st_size // 2
            out.write(source.read(half))
            out.flush()
            self.connection.recv(1)
            self.close_connection = True
        else:
            super().copyfile(source, out)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain("../certificate", "../key")
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
server.daemon_threads = True
server.socket = context.wrap_socket(server.socket, server_side=True)
print(server.server_port, flush=True)
server.serve_forever()
"#;

/// A world with a registry that is slow, and a project that wants something of it.
struct Slow {
    world: World,
    server: Child,
}

impl Slow {
    fn new() -> Self {
        let world = World::new();
        world.write("home/tree/package.toml", MANIFEST);
        world.write("home/tree/bin/valkey-server", "#!/bin/sh\necho v=8.99\n");
        let archive = "packed/valkey-8.99-x86_64-unknown-linux-gnu.tar.zst";
        for words in [
            &["init", "acme", "--dir", "site"][..],
            &["pack", "tree", "--out", "packed"],
            &["publish", "acme", archive, "--dir", "site"],
        ] {
            succeed(world.command("doze").arg("registry").args(words));
        }
        world.write("home/certificate.conf", CERTIFICATE);
        world.run(&[
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "2",
            "-config",
            "certificate.conf",
            "-keyout",
            "key",
            "-out",
            "certificate",
        ]);
        world.write("home/server.py", SERVER);
        let mut server = world.command("python3");
        let site = world.home().join("site");
        let server = server.arg("../server.py").current_dir(site);
        let mut server = server.stdout(Stdio::piped()).spawn().expect("it starts");
        let mut port = String::new();
        let out = server.stdout.take().expect("a pipe");
        BufReader::new(out).read_line(&mut port).expect("its port");
        let port = port.trim();
        let toml = format!(
            "[registries.acme]\nurl = \"https://127.0.0.1:{port}\"\n\
             [valkey.a]\nversion = \"8.99\"\nport = 1\n"
        );
        world.write("home/shop/doze.toml", &toml);
        Self { world, server }
    }

    /// `doze lock`, which has to download.
    fn lock(&self) -> Command {
        let mut command = self.world.command("doze");
        command
            .arg("lock")
            .current_dir(self.world.home().join("shop"))
            .env("SSL_CERT_FILE", self.world.home().join("certificate"));
        command
    }

    fn store(&self) -> PathBuf {
        self.world.data_home().join("doze/store")
    }

    /// What is in the store besides the file locks, which stay.
    fn left(&self) -> Vec<PathBuf> {
        let (mut open, mut found) = (vec![self.store()], Vec::new());
        while let Some(path) = open.pop() {
            if path.is_dir() {
                let entries = fs::read_dir(&path).expect("our folder");
                open.extend(entries.map(|entry| entry.expect("it is there").path()));
            } else if !path.starts_with(self.store().join(".locks")) {
                found.push(path);
            }
        }
        found
    }

    /// Waits until half of the archive is there.
    fn wait_for_half(&self) {
        wait_until("half of the archive", BOUND, || {
            let left = self.left();
            let has_some = |path: &PathBuf| fs::metadata(path).is_ok_and(|it| it.len() > 0);
            if left.iter().any(has_some) {
                Ok(())
            } else {
                Err(format!("{left:?}"))
            }
        });
    }

    fn assert_nothing_is_left(&self) {
        assert_eq!(self.left(), [] as [PathBuf; 0]);
        let unpacked = fs::read_dir(self.store().join(".unpack")).expect("it was made");
        assert_eq!(unpacked.count(), 0);
        let files = fs::read_dir(self.world.home().join("shop")).expect("our folder");
        assert_eq!(files.count(), 1, "doze.toml and no lock");
        let temporary = fs::read_dir(self.world.dir().join("tmp")).expect("our folder");
        assert_eq!(temporary.count(), 0);
    }
}

impl Drop for Slow {
    fn drop(&mut self) {
        drop(self.server.kill());
        drop(self.server.wait());
    }
}

#[test]
fn in_a_pipe_a_download_is_two_lines_and_a_signal_leaves_nothing_of_it() {
    let slow = Slow::new();
    for signal in [Signal::INT, Signal::TERM] {
        let mut lock = slow
            .lock()
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        let mut said = BufReader::new(lock.stderr.take().expect("a pipe"));
        let mut line = String::new();
        said.read_line(&mut line).expect("text");
        assert!(
            line.starts_with("downloading engine valkey 8.99, "),
            "{line}"
        );
        slow.wait_for_half();
        let ours = |it: &process::Process| it.command.ends_with("doze lock");
        let doze = slow.world.processes().into_iter().find(ours);
        let doze = doze.expect("it runs");
        assert!(process::signal(doze.pid, slow.world.dir(), signal));
        let status = lock.wait().expect("our child");
        said.read_to_string(&mut line).expect("text");
        assert_eq!(status.code(), Some(130), "{line}");
        slow.assert_nothing_is_left();
    }

    slow.world.write("home/honest", "");
    // Whether what comes is an engine is another question.
    let locked = output(&mut slow.lock());
    let said = String::from_utf8_lossy(&locked.stderr).into_owned();
    let lines: Vec<_> = said.lines().take(2).collect();
    let size = lines.first().and_then(|line| line.rsplit_once(", "));
    let size = size.map(|(_, size)| size.to_owned()).unwrap_or_default();
    assert_eq!(
        lines,
        [
            format!("downloading engine valkey 8.99, {size}"),
            format!("engine valkey 8.99 is here, {size}"),
        ]
    );
}

#[test]
fn on_a_terminal_a_download_is_a_bar_and_ctrl_c_leaves_nothing_of_it() {
    let slow = Slow::new();
    let mut terminal = Terminal::of(&slow.lock());
    terminal.expect("engine valkey 8.99");
    slow.wait_for_half();
    terminal.answer("", "\x03");
    let (status, said) = terminal.end();
    assert_eq!(status.code(), Some(130), "{said}");
    slow.assert_nothing_is_left();
}
