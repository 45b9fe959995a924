//! Telling a client that speaks HTTP why it cannot be served, as a server does (RFC 9112). It must
//! not know what the reasons are.

use std::io::{self, ErrorKind, Read, Write};

use crate::{Client, Refusal};

/// The longest head of a request that is read, in bytes; servers commonly take half of it.
const HEAD_MAX: usize = 16 * 1024;

/// Answers once the head of the request is there: some clients take an answer that comes before
/// their question for noise.
pub fn refuse(refusal: &Refusal, client: &mut Client) -> io::Result<()> {
    head(client)?;
    client.write_all(&answer(refusal))
}

/// Reads the head of a request, and what came with it. It may be cut if it is long.
pub fn head(client: &mut Client) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    let mut buffer = [0; 4096];
    while !ends(&head) && head.len() < HEAD_MAX {
        match client.read(&mut buffer)? {
            0 => return Err(ErrorKind::UnexpectedEof.into()),
            count => head.extend(buffer.iter().take(count)),
        }
    }
    Ok(head)
}

fn ends(head: &[u8]) -> bool {
    [&b"\r\n\r\n"[..], b"\n\n"]
        .iter()
        .any(|end| head.windows(end.len()).any(|window| window == *end))
}

/// The answer that tells the reason, with status 503.
pub fn answer(refusal: &Refusal) -> Vec<u8> {
    // What is left of an escape sequence or the like is no danger to a terminal.
    let harmless = |text: &str| text.replace(|c: char| c.is_control() && c != '\n', " ");
    let body = format!(
        "doze: {}\n{} shows more\n",
        harmless(refusal.reason.trim_end()),
        harmless(&refusal.hint)
    );
    format!(
        "HTTP/1.1 503 Service Unavailable\r\n\
         Content-Type: text/plain; charset=utf-8\r\n\
         X-Content-Type-Options: nosniff\r\n\
         Content-Length: {}\r\n\
         Cache-Control: no-store\r\n\
         Retry-After: 1\r\n\
         Connection: close\r\n\
         \r\n\
         {body}",
        body.len()
    )
    .into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_tells_all_of_the_reason_and_nothing_to_the_terminal() {
        let refusal = Refusal {
            reason: "no space\nleft\x1b[31m on the device\r\n".to_owned(),
            hint: "doze logs web".to_owned(),
        };
        let text = String::from_utf8(answer(&refusal)).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert_eq!(
            body,
            "doze: no space\nleft [31m on the device\ndoze logs web shows more\n"
        );
        assert!(head.contains(&format!("Content-Length: {}\r\n", body.len())));
    }
}
