//! What a client of an engine says first, and when it has heard the first reply.
//!
//! Must not know: who is asked, the engine itself or doze in front of it.

use std::io::{self, Read, Write};

use doze_contract::{Bytes, Plan, plan::Hello};

/// The first exchange with an engine: the hello of its plan, answered to the end.
#[derive(Debug, Clone)]
pub struct Exchange {
    hello: Hello,
    /// What the reply ends with: after it the client may ask what it likes.
    last: &'static [u8],
}

impl Exchange {
    /// The exchange with the engine of this plan. A reply of Postgres goes on after the
    /// authentication, up to `ReadyForQuery` (chapter 55.7 of its manual), if it is the role of the
    /// URL that says hello, and has no password.
    pub fn of(plan: &Plan) -> Self {
        let mut hello = plan.body.hello.clone().expect("an engine that is greeted");
        let last: &[u8] = match plan.engine.as_str() {
            "postgres" => {
                hello.send = Bytes::from(&startup(plan));
                b"Z\0\0\0\x05I"
            }
            "valkey" | "kvrocks" => b"+PONG\r\n",
            // What the plan looks for is as far as it goes.
            _ => b"",
        };
        Self { hello, last }
    }

    /// Says hello and reads the reply. `false` if the engine is not ready yet.
    ///
    /// # Errors
    /// The connection's, or `InvalidData` for a reply that is neither.
    pub fn with(&self, mut stream: impl Read + Write) -> io::Result<bool> {
        self.say(&mut stream)?;
        self.hear(&mut stream)
    }

    /// Says hello.
    ///
    /// # Errors
    /// The connection's.
    pub fn say(&self, stream: &mut impl Write) -> io::Result<()> {
        stream.write_all(&self.hello.send.0)
    }

    /// Reads the reply. `false` if the engine is not ready yet.
    ///
    /// # Errors
    /// The connection's, or `InvalidData` for a reply that is neither.
    pub fn hear(&self, stream: &mut impl Read) -> io::Result<bool> {
        let mut reply = Vec::new();
        let mut part = [0; 4096];
        loop {
            let count = stream.read(&mut part)?;
            reply.extend_from_slice(part.get(..count).unwrap_or_default());
            if contains(&reply, &self.hello.ready.0) && reply.ends_with(self.last) {
                return Ok(true);
            }
            if self.hello.busy.iter().any(|busy| contains(&reply, &busy.0)) {
                return Ok(false);
            }
            if count == 0 {
                let text = format!("the reply is {:?}", reply.escape_ascii().to_string());
                return Err(io::Error::new(io::ErrorKind::InvalidData, text));
            }
        }
    }
}

/// The `StartupMessage` of the role of the URL.
fn startup(plan: &Plan) -> Vec<u8> {
    let attribute = |name: &str| {
        let attributes = &plan.body.connection.attributes;
        attributes.get(name).map_or("", String::as_str)
    };
    let (user, database) = (attribute("user"), attribute("database"));
    let words = format!("user\0{user}\0database\0{database}\0\0");
    let length = u32::try_from(8 + words.len()).expect("a short message");
    [&length.to_be_bytes(), &[0, 3, 0, 0][..], words.as_bytes()].concat()
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}
