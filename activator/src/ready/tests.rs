use std::{
    fs::{self, File},
    io::Write,
};

use camino::{Utf8Path, Utf8PathBuf};
use doze_contract::plan::{Member, Signal, Stop};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, UnixListener},
    time::timeout,
};

use super::*;
use crate::{environment::Surroundings, log::Log, process::Process};

const SOON: Duration = Duration::from_secs(10);

fn hello() -> Hello {
    Hello {
        send: Bytes::from("PING\r\n"),
        ready: Bytes::from("+PONG"),
        busy: vec![Bytes::from("-LOADING")],
    }
}

fn path(folder: &tempfile::TempDir, name: &str) -> Utf8PathBuf {
    Utf8PathBuf::from_path_buf(folder.path().join(name)).unwrap()
}

fn put(path: &Utf8Path, text: &str) {
    File::create(path)
        .unwrap()
        .write_all(text.as_bytes())
        .unwrap();
}

/// Where the commands of a test run.
struct Workshop {
    surroundings: Surroundings,
    log: Log,
    place: Option<Process>,
}

impl Workshop {
    fn new(folder: &tempfile::TempDir) -> Self {
        let plan = serde_json::from_str(crate::driver::tests::PLAN).unwrap();
        let member = Member {
            name: String::from("web"),
            argv: Vec::new(),
            env: [(String::from("WORD"), String::from("yes"))].into(),
            own: None,
            cwd: path(folder, ""),
            pid_file: None,
            ready: Readiness::Hello,
            ready_within: SOON,
            stop: Stop {
                say: None,
                signal: Signal::Term,
                within: SOON,
            },
        };
        Self {
            surroundings: Surroundings::of(&plan, &member, &[]).unwrap(),
            log: Log::open(&path(folder, "log"), true).unwrap(),
            place: None,
        }
    }

    /// Waits for readiness for a while.
    async fn wait(&mut self, watch: &mut Watch<'_>, seen: &mut Seen, for_: Duration) -> bool {
        let mut bench = Bench {
            surroundings: &self.surroundings,
            lock: None,
            log: &self.log,
            place: &mut self.place,
        };
        let ready = timeout(for_, watch.ready(seen, &mut bench)).await;
        ready.map(Result::unwrap).is_ok()
    }
}

const A_MOMENT: Duration = Duration::from_millis(20);

#[tokio::test]
async fn a_busy_engine_is_asked_again_and_a_split_answer_understood() {
    let folder = tempfile::tempdir().unwrap();
    let socket = path(&folder, "engine.sock");
    let (hello, upstream) = (hello(), Endpoint::Unix(socket.clone()));
    let mut watch = Watch::new(&Readiness::Hello, Some(&hello), Some(&upstream)).unwrap();
    let mut shop = Workshop::new(&folder);
    let mut seen = Seen::default();
    assert!(!shop.wait(&mut watch, &mut seen, A_MOMENT).await);
    assert_eq!(seen, Seen::Refused);

    let listener = UnixListener::bind(&socket).unwrap();
    let engine = tokio::spawn(async move {
        for answer in [&["-LOAD", "ING soon\r\n"][..], &[], &["+PO", "NG\r\n"]] {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut asked = [0; 6];
            stream.read_exact(&mut asked).await.unwrap();
            assert_eq!(&asked, b"PING\r\n");
            for part in answer {
                stream.write_all(part.as_bytes()).await.unwrap();
                tokio::task::yield_now().await;
            }
        }
    });
    assert!(shop.wait(&mut watch, &mut seen, SOON).await);
    engine.await.unwrap();
}

#[tokio::test]
async fn a_line_is_awaited_until_it_reads_so() {
    let folder = tempfile::tempdir().unwrap();
    let file = path(&folder, "postmaster.pid");
    let ready = Readiness::FileLine {
        path: file.clone(),
        line: 2,
        text: String::from("ready"),
    };
    let (hello, upstream) = (hello(), Endpoint::Unix(path(&folder, "unused")));
    let mut watch = Watch::new(&ready, Some(&hello), Some(&upstream)).unwrap();
    let mut shop = Workshop::new(&folder);
    let mut seen = Seen::default();
    put(&file, "4711\nstarting\n");
    put(&path(&folder, "other"), "4711\nready\n");
    assert!(!shop.wait(&mut watch, &mut seen, A_MOMENT).await);
    assert_eq!(seen, Seen::File);
    put(&file, "4711\nready   \n");
    assert!(shop.wait(&mut watch, &mut seen, SOON).await);
}

#[tokio::test]
async fn a_file_that_a_dead_engine_left_is_not_believed() {
    let folder = tempfile::tempdir().unwrap();
    let file = path(&folder, "postmaster.pid");
    put(&file, "ready\n");
    let ready = Readiness::FileLine {
        path: file.clone(),
        line: 1,
        text: String::from("ready"),
    };
    let (hello, upstream) = (hello(), Endpoint::Unix(path(&folder, "unused")));
    let mut watch = Watch::new(&ready, Some(&hello), Some(&upstream)).unwrap();
    let mut shop = Workshop::new(&folder);
    let mut seen = Seen::default();
    assert!(!shop.wait(&mut watch, &mut seen, A_MOMENT).await);
    fs::remove_file(&file).unwrap();
    put(&file, "ready\n");
    assert!(shop.wait(&mut watch, &mut seen, SOON).await);
}

const PROBE: Probe = Probe {
    interval: Duration::from_millis(50),
    timeout: Duration::from_secs(5),
};

#[tokio::test]
async fn a_server_accepts_before_it_is_well_and_is_asked_until_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let mut shop = Workshop::new(&folder);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let upstream = Endpoint::Tcp(listener.local_addr().unwrap());
    let mut seen = Seen::default();

    let connect = Readiness::Connect { at: None };
    let mut watch = Watch::new(&connect, None, Some(&upstream)).unwrap();
    assert!(shop.wait(&mut watch, &mut seen, SOON).await);
    drop(listener.accept().await.unwrap());

    let http = Readiness::Http {
        at: None,
        path: String::from("/health?deep=1"),
        probe: PROBE,
    };
    let mut watch = Watch::new(&http, None, Some(&upstream)).unwrap();
    let host = format!("\r\nHost: {upstream}\r\n");
    let server = tokio::spawn(async move {
        for answer in [
            "HTTP/1.1 503 Later\r\n\r\n",
            "HTTP/1.1 302 Elsewhere\r\nLocation: /ok\r\n\r\n",
            "",
            "HTTP/1.1 204 Fine\r\n\r\n",
        ] {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut asked = Vec::new();
            while !asked.ends_with(b"\r\n\r\n") {
                asked.push(stream.read_u8().await.unwrap());
            }
            let asked = String::from_utf8(asked).unwrap();
            assert!(
                asked.starts_with("GET /health?deep=1 HTTP/1.1\r\n"),
                "{asked}"
            );
            assert!(asked.contains(&host), "{asked}");
            assert!(asked.contains("\r\nConnection: close\r\n"), "{asked}");
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    assert!(shop.wait(&mut watch, &mut seen, SOON).await);
    assert_eq!(seen, Seen::Silent, "before the last try");
    server.await.unwrap();
}

#[tokio::test]
async fn a_redirect_is_not_health_and_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let mut shop = Workshop::new(&folder);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = Endpoint::Tcp(listener.local_addr().unwrap());
    let server = tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            stream.write_all(b"HTTP/1.1 301 Moved\r\n").await.unwrap();
        }
    });
    let http = Readiness::Http {
        at: Some(at),
        path: String::from("/"),
        probe: PROBE,
    };
    let mut watch = Watch::new(&http, None, None).unwrap();
    let mut seen = Seen::default();
    assert!(!shop.wait(&mut watch, &mut seen, A_MOMENT * 10).await);
    assert_eq!(seen, Seen::Status(301));
    server.abort();
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_asked_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut shop = Workshop::new(&folder);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let http = Readiness::Http {
        at: Some(Endpoint::Tcp(listener.local_addr().unwrap())),
        path: String::from("/"),
        probe: Probe {
            interval: Duration::ZERO,
            timeout: A_MOMENT,
        },
    };
    let mut watch = Watch::new(&http, None, None).unwrap();
    let mut seen = Seen::default();
    assert!(!shop.wait(&mut watch, &mut seen, A_MOMENT * 10).await);
    assert_eq!(seen, Seen::Slow(A_MOMENT));
    for _ in 0..2 {
        timeout(SOON, listener.accept()).await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_command_is_run_until_it_succeeds() {
    let folder = tempfile::tempdir().unwrap();
    let mut shop = Workshop::new(&folder);
    let script = r#"test "$WORD" = yes -a -e ready"#;
    let exec = |script: &str, timeout| Readiness::Exec {
        argv: ["/bin/sh", "-c", script].map(String::from).to_vec(),
        probe: Probe { timeout, ..PROBE },
    };
    let ready = exec(script, SOON);
    let mut watch = Watch::new(&ready, None, None).unwrap();
    let mut seen = Seen::default();
    assert!(!shop.wait(&mut watch, &mut seen, A_MOMENT * 20).await);
    assert!(matches!(seen, Seen::Check(status) if status.code() == Some(1)));
    put(&path(&folder, "ready"), "");
    assert!(shop.wait(&mut watch, &mut seen, SOON).await);

    let ready = exec("sleep 1000 & echo $! >> pids; wait", A_MOMENT * 5);
    let mut watch = Watch::new(&ready, None, None).unwrap();
    assert!(!shop.wait(&mut watch, &mut seen, A_MOMENT * 20).await);
    assert_eq!(seen, Seen::Slow(A_MOMENT * 5));
    let absent = Readiness::Exec {
        argv: vec![String::from("/nowhere/check")],
        probe: PROBE,
    };
    let mut watch = Watch::new(&absent, None, None).unwrap();
    let mut bench = Bench {
        surroundings: &shop.surroundings,
        lock: None,
        log: &shop.log,
        place: &mut shop.place,
    };
    let error = watch.ready(&mut seen, &mut bench).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::NotFound);
    assert!(shop.place.is_none());
    let pids = fs::read_to_string(path(&folder, "pids")).unwrap();
    let runs = |pid: &str| {
        fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
    };
    let begun = std::time::Instant::now();
    while pids.lines().any(runs) {
        assert!(begun.elapsed() < SOON, "one of {pids} still runs");
        sleep(RETRY).await;
    }
}

#[tokio::test]
async fn a_plan_that_cannot_be_followed_is_refused() {
    for (ready, expected) in [
        (Readiness::Hello, "the plan does not say how"),
        (Readiness::Connect { at: None }, "the plan does not say how"),
    ] {
        let error = Watch::new(&ready, None, None).unwrap_err();
        assert_eq!(error.to_string(), expected);
    }
}
