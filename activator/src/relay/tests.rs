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

/// Sends noise in pieces of random length, and shuts.
async fn send(mut to: impl AsyncWrite + Unpin, bytes: &[u8], longest: u32) {
    let mut rest = bytes;
    let mut seed = 7_u32;
    while !rest.is_empty() {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let length = usize::try_from((seed >> 4) % longest + 1).unwrap();
        let (piece, after) = rest.split_at(length.min(rest.len()));
        to.write_all(piece).await.unwrap();
        tokio::task::yield_now().await;
        rest = after;
    }
    to.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_hundred_megabytes_in_pieces_of_any_length_arrive_as_they_were_sent() {
    let mut c = carried().await;
    let sent = noise(100 * 1024 * 1024);
    let mut received = Vec::with_capacity(sent.len());
    let ((), read) = soon(async {
        tokio::join!(
            send(&mut c.client, &sent, 300_000),
            c.engine.read_to_end(&mut received)
        )
    })
    .await;
    assert_eq!(read.unwrap(), sent.len());
    assert!(received == sent);
    assert!(!c.relay.is_finished(), "only one side has ended");
    soon(c.engine.write_all(b"thanks")).await.unwrap();
    drop(c.engine);
    let mut thanks = String::new();
    soon(c.client.read_to_string(&mut thanks)).await.unwrap();
    assert_eq!(thanks, "thanks");
    soon(c.relay).await.unwrap().unwrap();
}

#[tokio::test]
async fn small_and_large_messages_take_turns() {
    let mut c = carried().await;
    let large = noise(1024 * 1024);
    for round in 0..20 {
        let sent = if round % 2 == 0 { b"small" } else { &*large };
        let mut received = vec![0; sent.len()];
        let (written, read) = soon(async {
            tokio::join!(c.client.write_all(sent), c.engine.read_exact(&mut received))
        })
        .await;
        written.unwrap();
        read.unwrap();
        assert!(received == sent, "round {round}");
        soon(c.engine.write_all(b"ok")).await.unwrap();
        soon(c.client.read_exact(&mut [0; 2])).await.unwrap();
    }
}

#[tokio::test]
async fn an_engine_that_does_not_read_keeps_a_pipe_to_itself_until_it_does() {
    let mut slow = carried().await;
    let sent = noise(24 * 1024 * 1024);
    let mut written = 0;
    while let Ok(count) = timeout(
        Duration::from_millis(300),
        slow.client.write(&sent[written..]),
    )
    .await
    {
        written += count.unwrap();
        assert!(written < sent.len(), "the relay keeps whatever it is given");
    }
    // What another connection splices meanwhile does not mix with it.
    let mut quick = carried().await;
    let other = vec![b'o'; 4 * 1024 * 1024];
    let mut at_engine = Vec::new();
    let ((), read) = soon(async {
        tokio::join!(
            send(&mut quick.client, &other, 200_000),
            quick.engine.read_to_end(&mut at_engine)
        )
    })
    .await;
    read.unwrap();
    assert!(at_engine == other);

    let mut received = Vec::new();
    let ((), read) = soon(async {
        tokio::join!(
            send(&mut slow.client, &sent[written..], 200_000),
            slow.engine.read_to_end(&mut received)
        )
    })
    .await;
    assert_eq!(read.unwrap(), sent.len());
    assert!(received == sent);
}

#[tokio::test(start_paused = true)]
async fn a_connection_of_which_half_has_ended_and_the_other_is_silent_ends() {
    let mut c = carried().await;
    c.client.shutdown().await.unwrap();
    let begun = Instant::now();
    let ended = c.relay.await.unwrap().unwrap_err();
    assert_eq!(ended.kind(), io::ErrorKind::TimedOut);
    assert!(begun.elapsed() >= HALF_CLOSED);
}

#[tokio::test(start_paused = true)]
async fn a_connection_of_which_half_has_ended_goes_on_as_long_as_something_moves() {
    let mut c = carried().await;
    c.client.shutdown().await.unwrap();
    for _ in 0..5 {
        sleep(HALF_CLOSED / 4 * 3).await;
        c.engine.write_all(b"x").await.unwrap();
        assert_eq!(c.client.read_u8().await.unwrap(), b'x');
    }
    drop(c.engine);
    assert_eq!(c.client.read(&mut [0]).await.unwrap(), 0);
    c.relay.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_silent_connection_of_which_no_half_has_ended_goes_on() {
    let mut c = carried().await;
    sleep(HALF_CLOSED * 100).await;
    c.client.write_all(b"x").await.unwrap();
    assert_eq!(c.engine.read_u8().await.unwrap(), b'x');
}

#[tokio::test]
async fn an_accepted_tcp_client_is_asked_whether_it_is_still_there() {
    use rustix::net::sockopt;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let _client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (accepted, _) = listener.accept().unwrap();
    accepted.set_nonblocking(true).unwrap();
    let stream = Stream::accepted(accepted.into(), true).unwrap();
    assert!(sockopt::socket_keepalive(&stream).unwrap());
    assert_eq!(
        sockopt::tcp_keepidle(&stream).unwrap(),
        Duration::from_mins(1)
    );
    assert_eq!(
        sockopt::tcp_keepintvl(&stream).unwrap(),
        Duration::from_secs(10)
    );
    assert_eq!(sockopt::tcp_keepcnt(&stream).unwrap(), 6);
    assert!(sockopt::tcp_nodelay(&stream).unwrap());
}
