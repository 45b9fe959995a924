//! A registry on a web server: https alone, with the certificates of this machine.
//!
//! Must not know what the files are.

use std::sync::{Arc, OnceLock};

use camino::Utf8Path;
use ureq::{
    Agent,
    http::{HeaderMap, StatusCode, Uri, header},
    tls::{Certificate, RootCerts, TlsConfig},
};

use crate::{
    mirror::{Body, MirrorError},
    stream::{Pace, Watched},
};

/// How often a server may say that a file is elsewhere.
pub(crate) const REDIRECTS: u32 = 5;

/// A folder of a web server.
#[derive(Debug)]
pub(crate) struct Web {
    /// Without a slash at its end.
    url: String,
    pace: Pace,
    /// Read when the first file is asked for.
    roots: OnceLock<Arc<Vec<Certificate<'static>>>>,
}

impl Web {
    /// `None` if the text is no address of a folder.
    pub(crate) fn new(url: &str) -> Option<Self> {
        let uri: Uri = url.parse().ok()?;
        uri.host().filter(|host| !host.is_empty())?;
        let plain = uri.query().is_none() && !url.contains(['#', '@']);
        plain.then(|| Self {
            url: url.trim_end_matches('/').to_owned(),
            pace: Pace::default(),
            roots: OnceLock::new(),
        })
    }

    pub(crate) fn with_pace(self, pace: Pace) -> Self {
        Self { pace, ..self }
    }

    /// The names in a path are of those that need no escaping.
    pub(crate) fn url(&self, path: &Utf8Path) -> String {
        format!("{}/{path}", self.url)
    }

    pub(crate) fn open(&self, path: &Utf8Path, from: u64) -> Result<Body, MirrorError> {
        let url = self.url(path);
        let agent = self.agent(&url)?;
        let mut request = agent.get(&url);
        if from > 0 {
            request = request.header(header::RANGE, format!("bytes={from}-"));
        }
        let response = request.call().map_err(|source| refused(&url, source))?;
        let (head, body) = response.into_parts();
        let (from, size) = match head.status {
            StatusCode::OK => (0, body.content_length()),
            StatusCode::PARTIAL_CONTENT | StatusCode::RANGE_NOT_SATISFIABLE if from > 0 => {
                match range(&head.headers) {
                    Some((start, size)) if start == from => (from, Some(size)),
                    // Not the part that was asked for.
                    _ => return self.open(path, 0),
                }
            }
            StatusCode::NOT_FOUND | StatusCode::GONE => {
                return Err(MirrorError::NotPublished { url });
            }
            other => {
                let status = other.as_u16();
                return Err(MirrorError::Status { url, status });
            }
        };
        if is_page(&head.headers) {
            return Err(MirrorError::NotPublished { url });
        }
        let reader = Watched::new(body.into_reader(), self.pace, move || agent.shutdown());
        Ok(Body {
            reader: Box::new(reader),
            from,
            size,
        })
    }

    /// Each file has one of its own, because only a whole one can be interrupted.
    fn agent(&self, url: &str) -> Result<Agent, MirrorError> {
        let roots = self.roots.get_or_init(roots);
        if roots.is_empty() {
            return Err(MirrorError::Roots {
                url: url.to_owned(),
            });
        }
        let tls = TlsConfig::builder()
            .root_certs(RootCerts::Specific(Arc::clone(roots)))
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .build();
        let patience = Some(self.pace.stretch);
        let config = Agent::config_builder()
            .tls_config(tls)
            .https_only(true)
            .http_status_as_error(false)
            .max_redirects(REDIRECTS)
            .timeout_resolve(patience)
            .timeout_connect(patience)
            .timeout_send_request(patience)
            .timeout_recv_response(patience)
            .user_agent(concat!("doze/", env!("CARGO_PKG_VERSION")))
            .build();
        Ok(config.new_agent())
    }
}

/// The certificates that the programs of this machine trust, or those of `SSL_CERT_FILE`. Those
/// that cannot be read are not there.
fn roots() -> Arc<Vec<Certificate<'static>>> {
    let found = rustls_native_certs::load_native_certs().certs;
    let certificates = found
        .iter()
        .map(|der| Certificate::from_der(der).to_owned());
    Arc::new(certificates.collect())
}

fn refused(url: &str, source: ureq::Error) -> MirrorError {
    let url = url.to_owned();
    if let ureq::Error::RequireHttpsOnly(target) = source {
        MirrorError::RedirectToHttp { url, target }
    } else if let ureq::Error::TooManyRedirects = source {
        MirrorError::Redirects { url }
    } else {
        MirrorError::Request { url, source }
    }
}

/// The first byte and the whole length of `Content-Range: bytes 5-99/100` (RFC 9110, 14.4).
fn range(headers: &HeaderMap) -> Option<(u64, u64)> {
    let text = headers.get(header::CONTENT_RANGE)?.to_str().ok()?;
    let (range, size) = text.strip_prefix("bytes ")?.split_once('/')?;
    let (start, _) = range.split_once('-')?;
    Some((start.parse().ok()?, size.parse().ok()?))
}

/// Servers that hand out a page instead of a 404 are many; no file of a registry that a program
/// asks for is one.
fn is_page(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok());
    kind.is_some_and(|kind| kind.to_ascii_lowercase().starts_with("text/html"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_range_of_an_answer_is_read() {
        let read = |text: &'static str| {
            let value = header::HeaderValue::from_static(text);
            range(&HeaderMap::from_iter([(header::CONTENT_RANGE, value)]))
        };
        assert_eq!(read("bytes 5-99/100"), Some((5, 100)));
        assert_eq!(read("bytes 5-99/*"), None);
        assert_eq!(read("bytes */100"), None);
        assert_eq!(read("5-99/100"), None);
    }
}
