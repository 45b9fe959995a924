use std::{fs::File, io::Write};

use camino::Utf8PathBuf;
use tokio::{net::UnixListener, time::timeout};

use super::*;

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

#[tokio::test]
async fn a_busy_engine_is_asked_again_and_a_split_answer_understood() {
    let folder = tempfile::tempdir().unwrap();
    let socket = path(&folder, "engine.sock");
    let (hello, upstream) = (hello(), Endpoint::Unix(socket.clone()));
    let mut watch = Watch::new(&Readiness::Hello, Some(&hello), Some(&upstream)).unwrap();
    let mut seen = Seen::default();
    assert!(
        timeout(Duration::from_millis(20), watch.ready(&mut seen))
            .await
            .is_err()
    );
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
    timeout(SOON, watch.ready(&mut seen))
        .await
        .unwrap()
        .unwrap();
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
    let mut seen = Seen::default();
    put(&file, "4711\nstarting\n");
    put(&path(&folder, "other"), "4711\nready\n");
    assert!(
        timeout(Duration::from_millis(20), watch.ready(&mut seen))
            .await
            .is_err()
    );
    assert_eq!(seen, Seen::File);
    put(&file, "4711\nready   \n");
    timeout(SOON, watch.ready(&mut seen))
        .await
        .unwrap()
        .unwrap();
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
    let mut seen = Seen::default();
    assert!(
        timeout(Duration::from_millis(20), watch.ready(&mut seen))
            .await
            .is_err()
    );
    fs::remove_file(&file).unwrap();
    put(&file, "ready\n");
    timeout(SOON, watch.ready(&mut seen))
        .await
        .unwrap()
        .unwrap();
}
