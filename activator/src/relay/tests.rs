use std::{future::Future, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, UnixStream},
    task::JoinHandle,
    time::timeout,
};

use super::*;

/// The far ends of a relay between a TCP client and an engine behind a unix socket.
struct Carried {
    client: TcpStream,
    engine: UnixStream,
    relay: JoinHandle<io::Result<()>>,
}

async fn carried() -> Carried {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap())
        .await
        .unwrap();
    let (accepted, _) = listener.accept().await.unwrap();
    let (engine, upstream) = UnixStream::pair().unwrap();
    let mut relay = Relay::new(Stream::Tcp(accepted), Stream::Unix(upstream));
    Carried {
        client,
        engine,
        relay: tokio::spawn(async move { relay.both().await }),
    }
}

/// A relay that hangs fails its test instead of stopping it.
async fn soon<T>(work: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(20), work)
        .await
        .expect("this takes too long")
}

fn noise(length: usize) -> Vec<u8> {
    let mut seed = 1_u32;
    let next = || {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        seed.to_be_bytes()[0]
    };
    std::iter::repeat_with(next).take(length).collect()
}

#[tokio::test]
async fn a_client_that_has_said_all_still_hears_the_answer() {
    let mut c = carried().await;
    soon(c.client.write_all(b"question")).await.unwrap();
    soon(c.client.shutdown()).await.unwrap();
    let mut question = String::new();
    soon(c.engine.read_to_string(&mut question)).await.unwrap();
    assert_eq!(question, "question");
    soon(c.engine.write_all(b"answer")).await.unwrap();
    drop(c.engine);
    let mut answer = String::new();
    soon(c.client.read_to_string(&mut answer)).await.unwrap();
    assert_eq!(answer, "answer");
    soon(c.relay).await.unwrap().unwrap();
}

#[tokio::test]
async fn an_engine_that_has_said_all_still_hears_the_client() {
    let mut c = carried().await;
    soon(c.engine.write_all(b"greeting")).await.unwrap();
    soon(c.engine.shutdown()).await.unwrap();
    let mut greeting = String::new();
    soon(c.client.read_to_string(&mut greeting)).await.unwrap();
    assert_eq!(greeting, "greeting");
    assert!(!c.relay.is_finished());
    soon(c.client.write_all(b"more")).await.unwrap();
    drop(c.client);
    let mut more = String::new();
    soon(c.engine.read_to_string(&mut more)).await.unwrap();
    assert_eq!(more, "more");
    soon(c.relay).await.unwrap().unwrap();
}

#[tokio::test]
async fn much_in_both_directions_at_once_arrives_whole() {
    let c = carried().await;
    let sent = noise(32 * 1024 * 1024);
    let (mut from_client, mut to_client) = c.client.into_split();
    let (mut from_engine, mut to_engine) = c.engine.into_split();
    let (up, down) = (sent.clone(), sent.clone());
    let writers = [
        tokio::spawn(async move {
            to_client.write_all(&up).await.unwrap();
            to_client.shutdown().await.unwrap();
        }),
        tokio::spawn(async move {
            to_engine.write_all(&down).await.unwrap();
            to_engine.shutdown().await.unwrap();
        }),
    ];
    let (mut at_engine, mut at_client) = (Vec::new(), Vec::new());
    let (one, two) = soon(async {
        tokio::join!(
            from_engine.read_to_end(&mut at_engine),
            from_client.read_to_end(&mut at_client)
        )
    })
    .await;
    assert_eq!((one.unwrap(), two.unwrap()), (sent.len(), sent.len()));
    assert!(at_engine == sent && at_client == sent);
    for writer in writers {
        soon(writer).await.unwrap();
    }
    soon(c.relay).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_slow_reader_stops_the_writer_and_loses_nothing() {
    let mut c = carried().await;
    let sent = noise(24 * 1024 * 1024);
    let mut written = 0;
    // Nobody reads: the writer has to come to a stand long before the end.
    while let Ok(count) =
        timeout(Duration::from_millis(300), c.engine.write(&sent[written..])).await
    {
        written += count.unwrap();
        assert!(written < sent.len(), "the relay keeps whatever it is given");
    }
    let writer = {
        let rest = sent[written..].to_vec();
        let mut engine = c.engine;
        tokio::spawn(async move { engine.write_all(&rest).await.unwrap() })
    };
    let mut received = Vec::new();
    while received.len() < sent.len() {
        let mut sip = vec![0; 7919];
        let count = soon(c.client.read(&mut sip)).await.unwrap();
        received.extend_from_slice(&sip[..count]);
        assert!(count > 0, "ended after {} bytes", received.len());
    }
    assert!(received == sent);
    soon(writer).await.unwrap();
    drop(c.client);
    soon(c.relay).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_reset_of_the_client_ends_the_engine_s_side() {
    let mut c = carried().await;
    soon(c.engine.write_all(b"x")).await.unwrap();
    soon(c.client.read_u8()).await.unwrap();
    rustix::net::sockopt::set_socket_linger(&c.client, Some(Duration::ZERO)).unwrap();
    drop(c.client);
    assert!(soon(c.relay).await.unwrap().is_err());
    let mut rest = Vec::new();
    assert_eq!(soon(c.engine.read_to_end(&mut rest)).await.unwrap(), 0);
}

#[tokio::test]
async fn after_the_engine_is_gone_its_last_words_are_delivered_and_nothing_is_awaited() {
    let (mut engine, upstream) = UnixStream::pair().unwrap();
    let (mut client, accepted) = UnixStream::pair().unwrap();
    let mut relay = Relay::new(Stream::Unix(accepted), Stream::Unix(upstream));
    engine.write_all(b"goodbye").await.unwrap();
    drop(engine);
    soon(relay.last_words()).await.unwrap();
    let mut words = String::new();
    soon(client.read_to_string(&mut words)).await.unwrap();
    assert_eq!(words, "goodbye");
}

#[tokio::test]
async fn a_busy_connection_does_not_starve_another() {
    let mut bulk = carried().await;
    let mut small = carried().await;
    let (mut from, mut to) = bulk.client.split();
    let endless = async {
        let block = vec![0; 64 * 1024];
        let mut sink = vec![0; 64 * 1024];
        loop {
            tokio::select! {
                biased;
                written = bulk.engine.write_all(&block) => written.unwrap(),
                read = from.read(&mut sink) => assert!(read.unwrap() > 0),
            }
        }
    };
    let ping = async {
        for _ in 0..200 {
            small.client.write_all(b"p").await.unwrap();
            assert_eq!(small.engine.read_u8().await.unwrap(), b'p');
        }
        to.shutdown().await.unwrap();
    };
    soon(async {
        tokio::select! {
            () = ping => {}
            () = endless => {}
        }
    })
    .await;
}
