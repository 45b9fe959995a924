//! One connection to a gRPC server, and one call after the other on it (the "gRPC over HTTP2"
//! document of gRPC). It must not know what is called.

use std::{fmt, io};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use doze_contract::Endpoint;
use h2::{RecvStream, client::SendRequest};
use http::{HeaderMap, Method, Request, header::CONTENT_TYPE as CONTENT_TYPE_NAME};
use percent_encoding::percent_decode;
use prost::Message;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, UnixStream},
};

pub(crate) const CONTENT_TYPE: &str = "application/grpc";
pub(crate) const STATUS: &str = "grpc-status";
pub(crate) const MESSAGE: &str = "grpc-message";

/// What stands before a message: whether it is compressed, and its length.
const PREFIX: usize = 5;

/// Why a call has no answer.
#[derive(Debug, thiserror::Error)]
pub enum GrpcError {
    /// Nobody is there.
    #[error("cannot connect to {0}")]
    Connect(Endpoint, #[source] io::Error),
    /// The connection.
    #[error("the connection failed")]
    Http2(#[from] h2::Error),
    /// The call cannot be written down.
    #[error("cannot make the request")]
    Request(#[from] http::Error),
    /// The server says no.
    #[error("{message} (status {code})")]
    Status {
        /// The code, as in the gRPC documentation.
        code: String,
        /// Why.
        message: String,
    },
    /// It speaks something else.
    #[error("the answer is not one of gRPC")]
    Cut,
    /// Likewise.
    #[error("the answer is not the expected message")]
    Decode(#[from] prost::DecodeError),
}

/// A connection.
pub(crate) struct Connection {
    requests: SendRequest<Bytes>,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").finish_non_exhaustive()
    }
}

impl Connection {
    /// Connects. It has to be called inside a runtime, which carries the connection.
    pub(crate) async fn open(endpoint: &Endpoint) -> Result<Self, GrpcError> {
        let failed = |error| GrpcError::Connect(endpoint.clone(), error);
        match endpoint {
            Endpoint::Tcp(address) => {
                let stream = TcpStream::connect(address).await.map_err(failed)?;
                stream.set_nodelay(true).map_err(failed)?;
                Self::over(stream).await
            }
            Endpoint::Unix(path) => {
                Self::over(UnixStream::connect(path).await.map_err(failed)?).await
            }
        }
    }

    async fn over<S>(stream: S) -> Result<Self, GrpcError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (requests, connection) = h2::client::handshake(stream).await?;
        // How it ends is told to each call.
        tokio::spawn(async move { connection.await.unwrap_or_default() });
        Ok(Self { requests })
    }

    /// Makes one call.
    pub(crate) async fn call<A: Message + Default>(
        &mut self,
        path: &str,
        question: &impl Message,
    ) -> Result<A, GrpcError> {
        let request = Request::builder()
            .method(Method::POST)
            .uri(format!("http://localhost{path}"))
            .header(CONTENT_TYPE_NAME, CONTENT_TYPE)
            .header("te", "trailers")
            .body(())?;
        let mut requests = self.requests.clone().ready().await?;
        let (response, mut body) = requests.send_request(request, false)?;
        body.send_data(wrap(question), true)?;
        let (head, mut body) = response.await?.into_parts();
        let message = read(&mut body).await?;
        // One that has nothing but a reason says it in its head.
        let end = body.trailers().await?.unwrap_or(head.headers);
        judge(&end)?;
        Ok(A::decode(unwrap(&message)?)?)
    }
}

/// A message as it travels.
pub(crate) fn wrap(message: &impl Message) -> Bytes {
    let length = message.encoded_len();
    let mut bytes = BytesMut::with_capacity(PREFIX + length);
    bytes.put_u8(0);
    // What is said here is short.
    bytes.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
    bytes.put(message.encode_to_vec().as_slice());
    bytes.freeze()
}

fn unwrap(bytes: &[u8]) -> Result<&[u8], GrpcError> {
    let (mut prefix, message) = bytes.split_at_checked(PREFIX).ok_or(GrpcError::Cut)?;
    let is_compressed = prefix.get_u8() != 0;
    if is_compressed || usize::try_from(prefix.get_u32()) != Ok(message.len()) {
        return Err(GrpcError::Cut);
    }
    Ok(message)
}

async fn read(body: &mut RecvStream) -> Result<Vec<u8>, GrpcError> {
    let mut all = Vec::new();
    while let Some(part) = body.data().await {
        let part = part?;
        all.extend_from_slice(&part);
        body.flow_control().release_capacity(part.len())?;
    }
    Ok(all)
}

/// Whether it ended well.
fn judge(end: &HeaderMap) -> Result<(), GrpcError> {
    let code = end.get(STATUS).ok_or(GrpcError::Cut)?;
    if code == "0" {
        return Ok(());
    }
    let text = |value: &http::HeaderValue| {
        let decoded = percent_decode(value.as_bytes());
        decoded.decode_utf8_lossy().into_owned()
    };
    Err(GrpcError::Status {
        code: text(code),
        message: end.get(MESSAGE).map(text).unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::HealthCheckResponse;

    #[test]
    fn a_message_survives_and_a_cut_one_is_none() {
        let bytes = wrap(&HealthCheckResponse { status: 1 });
        assert_eq!(unwrap(&bytes).unwrap(), [8, 1]);
        for cut in 0..bytes.len() {
            assert!(unwrap(&bytes[..cut]).is_err(), "{cut}");
        }
    }

    #[test]
    fn the_reason_of_the_server_is_told() {
        let mut end = HeaderMap::new();
        end.insert(STATUS, "5".parse().unwrap());
        end.insert(MESSAGE, "50%25 gr%C3%B6%C3%9Fe".parse().unwrap());
        assert_eq!(judge(&end).unwrap_err().to_string(), "50% größe (status 5)");
        assert!(judge(&HeaderMap::new()).is_err());
    }
}
