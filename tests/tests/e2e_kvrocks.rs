//! Kvrocks behind its endpoints.
//!
//! That is the `kvrocks` of `DOZE_KVROCKS_BINDIR`. Without one it is a stand-in, which is none: it reads
//! its configuration as Kvrocks does, becomes a Valkey, and takes the socket that Kvrocks would take.
#![expect(
    clippy::expect_used,
    reason = "a surprise fails the test, and says what it was"
)]

use std::fs::{self, Permissions};
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use doze_tests::project::{Mode, Project, output, succeed};
use doze_tests::{User, engines, in_every_mode, process, wait_until};
use rustix::process::Signal;

in_every_mode!(
    what_was_written_is_there_after_a_sleep,
    a_killed_server_is_booted_again_with_all_that_was_written,
    a_client_shows_why_it_cannot_be_served,
);

/// With launchd the server accepts no client itself.
mod handed {
    use super::a_server_that_is_open_to_all_takes_its_socket_and_sleeps;

    doze_tests::without_launchd!(a_server_that_is_open_to_all_takes_its_socket_and_sleeps);
}

/// Longer than the slowest boot on a busy machine.
const BOUND: Duration = Duration::from_mins(1);

const STAND_IN: &str = include_str!("../../engines/kvrocks/tests/stand-in/kvrocks");

/// A project with a kvrocks `store`.
struct Store {
    project: Project,
    port: u16,
}

impl Store {
    /// One that is up, with these lines in its block; `None` if this machine lacks something.
    fn up(mode: Mode, idle_timeout: &str, lines: &str) -> Option<Self> {
        Self::up_of(User::Unprivileged, mode, idle_timeout, lines)
    }

    /// Likewise, of that user.
    fn up_of(user: User, mode: Mode, idle_timeout: &str, lines: &str) -> Option<Self> {
        let mut project = Project::of(user, mode, idle_timeout)?;
        let programs = match std::env::var_os("DOZE_KVROCKS_BINDIR") {
            Some(folder) => folder.into(),
            None => stand_in(&project),
        };
        project.set("DOZE_KVROCKS_BINDIR", &programs);
        let port = project.world.port();
        let mut store = Self { project, port };
        store.project.declare(&store.toml(idle_timeout, lines));
        store.project.up();
        Some(store)
    }

    fn toml(&self, idle_timeout: &str, lines: &str) -> String {
        format!(
            "name = \"shop\"\n\n[defaults]\nidle_timeout = \"{idle_timeout}\"\n\n[kvrocks.store]\n\
             version = 2\nlisten = [\"127.0.0.1:{}\", \"unix\"]\npassword = \"it's 100% s3cret\"\n\
             {lines}\n",
            self.port
        )
    }

    /// The client that `doze shell` runs.
    fn client(&self, words: &[&str]) -> Command {
        let shell = ["shell", "store", "--"];
        self.project.doze(&[&shell, words].concat())
    }

    #[track_caller]
    fn asked(&self, words: &[&str]) -> String {
        succeed(&mut self.client(words)).trim_end().to_owned()
    }

    /// The server's own process.
    fn server(&self) -> i32 {
        let mut found = self.project.running("valkey-server");
        found.extend(self.project.running("redis-server"));
        found.extend(self.project.running("kvrocks"));
        assert_eq!(found.len(), 1, "{}", process::list(&found));
        found.first().expect("one server").pid
    }
}

/// A folder with the stand-in beside the server that it becomes.
fn stand_in(project: &Project) -> PathBuf {
    let found = engines::valkey().expect("a project has one");
    let folder = project.world.bindir(&found);
    let program = project.world.write("kvrocks/kvrocks", STAND_IN);
    fs::set_permissions(&program, Permissions::from_mode(0o755)).expect("our file");
    let own = program.parent().expect("it is in a folder");
    symlink(folder.join("valkey-server"), own.join("valkey-server")).expect("a fresh name");
    own.to_owned()
}

fn what_was_written_is_there_after_a_sleep(mode: Mode) {
    let Some(store) = Store::up(mode, "300ms", "") else {
        return;
    };
    assert_eq!(
        process::list(&store.project.processes()),
        "",
        "asleep after up"
    );
    assert_eq!(store.asked(&["set", "k", "größe"]), "OK");
    store.project.wait_asleep();
    assert_eq!(store.asked(&["--raw", "get", "k"]), "größe");
    store.project.wait_asleep();
    assert_eq!(store.project.wakes("store"), 2);
    for text in [
        store.project.log("store"),
        process::list(&store.project.processes()),
    ] {
        assert!(
            !text.contains("s3cret") && !text.contains("killing"),
            "{text}"
        );
    }
}

fn a_killed_server_is_booted_again_with_all_that_was_written(mode: Mode) {
    let Some(store) = Store::up(mode, "1h", "durable = true") else {
        return;
    };
    for n in 1..=2 {
        let n = n.to_string();
        assert_eq!(store.asked(&["incr", "k"]), n);
        let killed = process::signal(store.server(), store.project.world.dir(), Signal::KILL);
        assert!(killed, "it ran");
        // Who comes before its death is known is lost with it.
        let found = wait_until("the server to answer", BOUND, || {
            let output = output(&mut store.client(&["get", "k"]));
            let said = [output.stdout, output.stderr].concat();
            let said = String::from_utf8_lossy(&said).trim_end().to_owned();
            if said.parse::<u32>().is_ok() {
                Ok(said)
            } else {
                Err(said)
            }
        });
        assert_eq!(found, n);
    }
    store.project.run(&["sleep", "store"]);
    store.project.wait_asleep();
}

fn a_client_shows_why_it_cannot_be_served(mode: Mode) {
    let Some(mut store) = Store::up(mode, "300ms", "settings = { maxclients = \"none\" }") else {
        return;
    };
    let refused = output(&mut store.client(&["get", "k"]));
    let said = [refused.stdout, refused.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(
        said.contains("doze: cannot boot") || said.contains("ERR doze: "),
        "{said}"
    );
    assert!(said.contains("doze logs store shows more"), "{said}");
    let sound = store.toml("300ms", "");
    store.project.edit(&sound);
    assert_eq!(store.asked(&["set", "k", "v"]), "OK");
    store.project.wait_asleep();
}

fn a_server_that_is_open_to_all_takes_its_socket_and_sleeps(mode: Mode) {
    // On any kernel: late ones let only `CAP_NET_ADMIN` keep clients out of a TCP socket.
    let user = User::Current;
    let Some(store) = Store::up_of(user, mode, "300ms", "open_to = \"all\"") else {
        return;
    };
    assert!(store.project.plan("store").body.takes_sockets);
    for wakes in 1..=2 {
        let mut client = TcpStream::connect(("127.0.0.1", store.port)).expect("the endpoint");
        client.set_read_timeout(Some(BOUND)).expect("a time");
        client.write_all(b"PING\r\n").expect("it is there");
        let mut said = String::new();
        BufReader::new(&client)
            .read_line(&mut said)
            .expect("an answer");
        assert_eq!(said, "-NOAUTH Authentication required.\r\n");
        assert_eq!(store.asked(&["incr", "k"]), wakes.to_string());
        if std::env::var_os("DOZE_KVROCKS_BINDIR").is_none() {
            let us = client.local_addr().expect("an address");
            let log = store.project.log("store");
            assert!(log.contains(&format!("kvrocks: accepted {us}")), "{log}");
        }
        // It is awake for as long as somebody is there whom the activator does not see.
        assert_eq!(store.project.wakes("store"), wakes);
        drop(client);
        store.project.wait_asleep();
    }
    let log = store.project.log("store");
    assert!(!log.contains("killing"), "{log}");
}
