//! Where something listens: a TCP address or the path of a unix socket.

use std::{fmt, net::SocketAddr, str::FromStr};

use camino::Utf8PathBuf;
use serde::{Deserialize, Serialize};

use crate::name::is_unwritable;

/// The longest path of a unix socket in bytes: `sun_path` of unix(7) has 108 with its final NUL, and
/// that of unix(4) on macOS 104.
pub const UNIX_PATH_MAX: usize = if cfg!(target_os = "macos") { 103 } else { 107 };

/// An address to listen on or to connect to. As text: `127.0.0.1:5432`, `[::1]:5432`,
/// `unix:/run/user/1000/app.sock`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Endpoint {
    /// A TCP address with its port.
    Tcp(SocketAddr),
    /// The absolute path of a unix stream socket.
    Unix(Utf8PathBuf),
}

/// Why a text is not an endpoint. The message is meant to follow the text itself.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// Neither `ADDRESS:PORT` nor `unix:/PATH`.
    #[error("is neither ADDRESS:PORT (such as 127.0.0.1:5432) nor unix:/PATH")]
    Form,
    /// Port 0 means any free port, but an endpoint is permanent.
    #[error("has port 0; an endpoint is permanent and needs a port of its own")]
    PortZero,
    /// A unix path has to be absolute, without `.` or `..`, and may not end in a slash.
    #[error("is not an absolute path of a file")]
    Relative,
    /// The path does not fit into `sun_path`.
    #[error("is {0} bytes long; the path of a unix socket has at most {UNIX_PATH_MAX}")]
    TooLong(usize),
    /// A NUL byte, a line break, or a code point that is no character.
    #[error("contains a control character, or a code point that is no character")]
    Control,
}

impl Endpoint {
    /// A TCP endpoint; port 0 is refused.
    pub fn tcp(address: SocketAddr) -> Result<Self, EndpointError> {
        if address.port() == 0 {
            return Err(EndpointError::PortZero);
        }
        Ok(Self::Tcp(address))
    }

    /// A unix endpoint; a path that unix(7) cannot hold is refused.
    pub fn unix(path: impl Into<Utf8PathBuf>) -> Result<Self, EndpointError> {
        let path = path.into();
        let text = path.as_str();
        if text.chars().any(is_unwritable) {
            return Err(EndpointError::Control);
        }
        let plain = text.strip_prefix('/').is_some_and(|rest| {
            rest.split('/')
                .all(|part| !part.is_empty() && part != "." && part != "..")
        });
        if !plain {
            return Err(EndpointError::Relative);
        }
        if text.len() > UNIX_PATH_MAX {
            return Err(EndpointError::TooLong(text.len()));
        }
        Ok(Self::Unix(path))
    }
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        match text.strip_prefix("unix:") {
            Some(path) => Self::unix(path),
            None => Self::tcp(text.parse().map_err(|_| EndpointError::Form)?),
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "{address}"),
            Self::Unix(path) => write!(f, "unix:{path}"),
        }
    }
}

impl TryFrom<String> for Endpoint {
    type Error = EndpointError;

    fn try_from(text: String) -> Result<Self, EndpointError> {
        text.parse()
    }
}

impl From<Endpoint> for String {
    fn from(endpoint: Endpoint) -> Self {
        endpoint.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_endpoint_are_the_same_thing() {
        for text in [
            "127.0.0.1:5432",
            "[::1]:6379",
            "unix:/run/user/1000/a b.sock",
        ] {
            assert_eq!(text.parse::<Endpoint>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_cannot_be_bound_is_refused() {
        let error = |text: &str| text.parse::<Endpoint>().unwrap_err();
        assert_eq!(error("5432"), EndpointError::Form);
        assert_eq!(error("localhost:5432"), EndpointError::Form);
        assert_eq!(error("127.0.0.1:65536"), EndpointError::Form);
        assert_eq!(error("127.0.0.1:0"), EndpointError::PortZero);
        assert_eq!(error("unix:a.sock"), EndpointError::Relative);
        assert_eq!(error("unix:/tmp/../a"), EndpointError::Relative);
        assert_eq!(error("unix:/tmp/"), EndpointError::Relative);
        assert_eq!(error("unix:/a\nb"), EndpointError::Control);
        let long = format!("unix:/{}", "x".repeat(UNIX_PATH_MAX));
        assert_eq!(error(&long), EndpointError::TooLong(UNIX_PATH_MAX + 1));
        assert!(
            format!("unix:/{}", "x".repeat(UNIX_PATH_MAX - 1))
                .parse::<Endpoint>()
                .is_ok()
        );
    }
}
