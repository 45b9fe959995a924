//! A connection to the wake socket: it keeps the instance awake and hears how the boot went.

use doze_contract::status::{WAKE_FAILED, WAKE_READY};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::oneshot,
};

use crate::stream::Stream;

/// How the boot went: ready, or the reason why not.
pub(crate) type Outcome = Result<(), String>;

/// Tells the client how the boot went, and returns when the client is gone or there is nothing to
/// hold on to. What the client sends is read and forgotten.
pub(crate) async fn hold(mut stream: Stream, outcome: oneshot::Receiver<Outcome>) {
    let mut ignored = [0; 64];
    let told = tokio::select! {
        biased;
        told = outcome => told,
        () = gone(&mut stream, &mut ignored) => return,
    };
    let told = told.unwrap_or_else(|_| Err(String::from("the instance is going to sleep")));
    let line = match &told {
        Ok(()) => format!("{WAKE_READY}\n"),
        Err(reason) => format!("{WAKE_FAILED}{}\n", reason.replace('\n', " | ")),
    };
    if stream.write_all(line.as_bytes()).await.is_ok() && told.is_ok() {
        gone(&mut stream, &mut ignored).await;
    }
}

async fn gone(stream: &mut Stream, ignored: &mut [u8]) {
    while let Ok(1..) = stream.read(ignored).await {}
}
