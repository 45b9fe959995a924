//! A connection to the wake socket: it keeps the instance awake and hears how the boot went.

use doze_contract::status::{WAKE_FAILED, WAKE_READY};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::watch,
};

use crate::stream::Stream;

/// How the boot went: `None` until that is known, then ready or the reason why not.
pub(crate) type News = Option<Result<(), String>>;

/// Tells the client the news once, and returns when the client is gone or there is nothing to
/// hold on to. What the client sends is read and forgotten.
pub(crate) async fn hold(mut stream: Stream, mut news: watch::Receiver<News>) {
    let mut ignored = [0; 64];
    let told = tokio::select! {
        biased;
        outcome = known(&mut news) => outcome,
        () = gone(&mut stream, &mut ignored) => return,
    };
    let (line, holds) = match told {
        Ok(()) => (format!("{WAKE_READY}\n"), true),
        Err(reason) => (
            format!("{WAKE_FAILED}{}\n", reason.replace('\n', " | ")),
            false,
        ),
    };
    if stream.write_all(line.as_bytes()).await.is_ok() && holds {
        gone(&mut stream, &mut ignored).await;
    }
}

async fn known(news: &mut watch::Receiver<News>) -> Result<(), String> {
    match news.wait_for(Option::is_some).await {
        Ok(outcome) => outcome.clone().unwrap_or(Ok(())),
        Err(_) => Err(String::from("the activator is leaving")),
    }
}

async fn gone(stream: &mut Stream, ignored: &mut [u8]) {
    while let Ok(1..) = stream.read(ignored).await {}
}
