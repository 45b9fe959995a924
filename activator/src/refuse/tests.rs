//! Drivers here are small shell scripts; what the real ones say is tested where they are.

use std::{
    fs,
    future::Future,
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::Path,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, UnixStream},
    task::JoinHandle,
    time::{Instant, sleep},
};

use doze_contract::Plan;

use super::*;
use crate::driver::tests::PLAN;

/// A refuser with a driver of its own.
struct World {
    folder: tempfile::TempDir,
    log: Utf8PathBuf,
    refuser: Arc<Refuser>,
}

impl World {
    /// The driver runs `script` in the folder of the world.
    fn new(script: &str) -> Self {
        Self::with_bound(script, BOUND)
    }

    fn with_bound(script: &str, bound: Duration) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| Utf8PathBuf::from_path_buf(folder.path().join(name)).unwrap();
        let mut plan: Plan = serde_json::from_str(PLAN).unwrap();
        plan.driver = path("driver");
        if !script.is_empty() {
            let text = format!("#!/bin/sh\ncd '{}'\n{script}\n", folder.path().display());
            let mut file = fs::OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o700)
                .open(&plan.driver)
                .unwrap();
            io::Write::write_all(&mut file, text.as_bytes()).unwrap();
        }
        let log = path("log");
        let mut refuser = Refuser::new(Arc::new(plan.into()), Log::open(&log, true).unwrap());
        refuser.bound = bound;
        Self {
            folder,
            log,
            refuser: Arc::new(refuser),
        }
    }

    /// Refuses `client` meanwhile.
    fn refuse(&self, client: Stream, reason: &str) -> JoinHandle<()> {
        tokio::spawn(self.refuser.refuse(client, String::from(reason)))
    }

    /// The lines of the log about refusals.
    fn complaints(&self) -> Vec<String> {
        let text = fs::read_to_string(&self.log).unwrap();
        text.lines()
            .filter_map(|line| Some(line.split_once("was not told the reason: ")?.1.to_owned()))
            .collect()
    }
}

/// A refusal that hangs fails its test instead of stopping it.
async fn soon<T>(work: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(20), work)
        .await
        .expect("this takes too long")
}

/// Polls until a file has this many lines; panics with the last ones when that takes too long.
async fn until_lines(path: &Path, count: usize) {
    let give_up = Instant::now() + Duration::from_secs(20);
    loop {
        let seen = fs::read_to_string(path).unwrap_or_default();
        if seen.lines().count() >= count {
            return;
        }
        assert!(Instant::now() < give_up, "still {seen:?}");
        sleep(Duration::from_millis(2)).await;
    }
}

async fn heard(client: &mut (impl AsyncReadExt + Unpin)) -> String {
    let mut heard = String::new();
    soon(client.read_to_string(&mut heard)).await.unwrap();
    heard
}

#[tokio::test]
async fn the_driver_gets_the_client_the_reason_and_the_command_that_shows_more() {
    let world = World::new(
        r#"read asked && printf '%s: %s %s|%s|' "$asked" "$*" "$DOZE_REFUSAL" "$DOZE_REFUSAL_HINT" >&0"#,
    );
    let expected = "hello: refuse no space\nleft |doze logs i|";
    let reason = "no space\nleft\0";

    let (mut ours, theirs) = UnixStream::pair().unwrap();
    let refused = world.refuse(Stream::Unix(theirs), reason);
    ours.write_all(b"hello\n").await.unwrap();
    assert_eq!(heard(&mut ours).await, expected);
    soon(refused).await.unwrap();

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut ours = TcpStream::connect(address).await.unwrap();
    let (theirs, _) = listener.accept().await.unwrap();
    let refused = world.refuse(Stream::Tcp(theirs), reason);
    ours.write_all(b"hello\n").await.unwrap();
    assert_eq!(heard(&mut ours).await, expected);
    soon(refused).await.unwrap();
    assert_eq!(world.complaints(), [""; 0]);
}

#[tokio::test]
async fn a_crowd_is_refused_by_a_few_drivers_at_a_time() {
    let world = World::new(
        "mkdir at.$$; ls -d at.* | wc -l >>counts; read asked; printf no >&0; rmdir at.$$",
    );
    let counts = world.folder.path().join("counts");
    let pairs = (0..50).map(|_| UnixStream::pair().unwrap());
    let crowd: Vec<_> = pairs
        .map(|(ours, theirs)| (ours, world.refuse(Stream::Unix(theirs), "full")))
        .collect();
    // Nobody leaves before somebody asks, so this many are there at once.
    until_lines(&counts, AT_ONCE).await;
    for (mut ours, refused) in crowd {
        // A driver may be at the next client already.
        ours.write_all(b"hello\n").await.unwrap();
        assert_eq!(heard(&mut ours).await, "no");
        soon(refused).await.unwrap();
    }
    let counts = fs::read_to_string(counts).unwrap();
    let most = counts
        .lines()
        .map(|line| line.trim().parse().unwrap())
        .max();
    assert_eq!(most, Some(AT_ONCE), "{counts}");
    assert_eq!(counts.lines().count(), 50);
}

#[tokio::test]
async fn what_goes_wrong_is_said_once_and_closes_the_client() {
    let short = Duration::from_millis(100);
    let no_program = World::new("");
    let damaged = World::new("");
    fs::create_dir(&damaged.refuser.plan.driver).unwrap();
    fs::set_permissions(
        &damaged.refuser.plan.driver,
        fs::Permissions::from_mode(0o700),
    )
    .unwrap();
    for (world, complaint) in [
        (no_program, "cannot start the driver"),
        (damaged, "cannot start the driver"),
        (World::new("exit 3"), "the driver ended with exit status: 3"),
        (World::new("kill -9 $$"), "the driver ended with signal: 9"),
        (
            World::with_bound("sleep 1000 & wait", short),
            "the driver took longer than 100ms",
        ),
    ] {
        for _ in 0..3 {
            let (mut ours, theirs) = UnixStream::pair().unwrap();
            let refused = world.refuse(Stream::Unix(theirs), "full");
            assert_eq!(heard(&mut ours).await, "");
            soon(refused).await.unwrap();
        }
        let complaints = world.complaints();
        assert!(
            complaints.len() == 1 && complaints[0].starts_with(complaint),
            "{complaints:?}"
        );
    }
}

#[test]
fn a_reason_is_cut_between_characters() {
    let long = "ü".repeat(REFUSAL_MAX);
    assert_eq!(passable(&long), "ü".repeat(REFUSAL_MAX / 2));
    let odd = format!("a{long}");
    assert_eq!(passable(&odd).len(), REFUSAL_MAX - 1);
    assert_eq!(passable("a\0b"), "a b");
}

#[test]
fn the_hint_can_be_pasted_into_a_shell() {
    assert_eq!(hint("größe-1"), "doze logs größe-1");
    assert_eq!(hint("it's 100%"), r"doze logs 'it'\''s 100%'");
}
