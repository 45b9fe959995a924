//! The shortest exchange that shows the server at work: gRPC's own question for its health, as
//! bytes that never change. It must not know an instance.

use doze_contract::{Bytes, plan::Hello};
use prost::Message;

use crate::{
    api::{HealthCheckRequest, HealthCheckResponse, SERVICE, SERVING, path},
    frame::{PREFACE, field, flag, frame, head, kind},
    grpc,
};

/// The stream of the question.
const STREAM: u32 = 1;

pub(crate) fn hello() -> Hello {
    let question = HealthCheckRequest {
        service: SERVICE.to_owned(),
    };
    let fields = [
        field(":method", "POST"),
        field(":scheme", "http"),
        field(":path", path::HEALTH),
        field(":authority", "localhost"),
        field("content-type", grpc::CONTENT_TYPE),
        field("te", "trailers"),
    ];
    let send = [
        PREFACE.to_vec(),
        frame(kind::SETTINGS, 0, 0, &[]),
        frame(kind::HEADERS, flag::END_HEADERS, STREAM, &fields.concat()),
        frame(kind::DATA, flag::END_STREAM, STREAM, &wrapped(&question)),
    ];
    let serving = HealthCheckResponse { status: SERVING };
    // An answer that ends without saying so: the service is not there yet, or says that it does
    // not serve. The head of a frame begins with its length, which may be any.
    let end = head(
        0,
        kind::HEADERS,
        flag::END_HEADERS | flag::END_STREAM,
        STREAM,
    );
    let [_, _, _, end @ ..] = end;
    Hello {
        send: Bytes(send.concat()),
        ready: Bytes(wrapped(&serving)),
        busy: vec![Bytes(end.to_vec())],
    }
}

/// A message as the data of a stream.
fn wrapped(message: &impl Message) -> Vec<u8> {
    grpc::wrap(message).to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_is_told_from_every_other() {
        let hello = hello();
        assert_eq!(hello.ready, Bytes::from(b"\0\0\0\0\x02\x08\x01"));
        assert_eq!(hello.busy, [Bytes::from(b"\x01\x05\0\0\0\x01")]);
        assert!(hello.send.0.starts_with(PREFACE));
    }
}
