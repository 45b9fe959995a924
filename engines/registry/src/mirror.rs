//! Where the files of a registry are: a folder of this machine, or any web server.
//!
//! Must not know what the files mean, nor trust them.

mod web;

use std::{
    fs::File,
    io::{self, Read},
};

use camino::{Utf8Path, Utf8PathBuf};
use percent_encoding::percent_decode_str;

use crate::{
    mirror::web::Web,
    namespace::Namespace,
    stream::{Capped, Pace, StreamError},
};

/// The most bytes of an index. That of a publisher of ten thousand archives has less.
const INDEX_MAX: u64 = 16 << 20;

/// The files of a registry, by their paths in it.
#[derive(Debug)]
pub struct Mirror(Place);

#[derive(Debug)]
enum Place {
    Folder(Utf8PathBuf),
    Web(Web),
}

/// Why a file of a registry is not to be had.
#[derive(Debug, thiserror::Error)]
pub enum MirrorError {
    /// Nobody could tell who has changed the bytes on their way.
    #[error("{url} is plain http; a registry is reached by https:// or file://")]
    PlainHttp {
        /// The address.
        url: String,
    },
    /// The address cannot be used.
    #[error(
        "{url} is no address of a registry, such as https://example.org/doze or file:///srv/doze"
    )]
    Address {
        /// The address.
        url: String,
    },
    /// The server sends elsewhere, and there to plain http.
    #[error("{url} redirects to plain http, {target}; tell its publisher")]
    RedirectToHttp {
        /// What was asked for.
        url: String,
        /// Where it is said to be.
        target: String,
    },
    /// The server sends from one place to the next.
    #[error("{url} redirects more than {} times", web::REDIRECTS)]
    Redirects {
        /// What was asked for.
        url: String,
    },
    /// This machine trusts nobody.
    #[error(
        "there are no certificates to know {url} by; install ca-certificates, or name a file of them in SSL_CERT_FILE"
    )]
    Roots {
        /// What was asked for.
        url: String,
    },
    /// The file is not there, or a page for people is.
    #[error("{url} is not published")]
    NotPublished {
        /// What was asked for.
        url: String,
    },
    /// The server does not want to.
    #[error("{url} is answered with status {status}")]
    Status {
        /// What was asked for.
        url: String,
        /// The status of the answer (RFC 9110, 15).
        status: u16,
    },
    /// The server has another file.
    #[error("{url} has {has} bytes, and the index names {size}")]
    OtherSize {
        /// What was asked for.
        url: String,
        /// Its bytes, by the server.
        has: u64,
        /// Its bytes, by the index.
        size: u64,
    },
    /// The server cannot be reached, or it is not the one it has to be.
    #[error("cannot fetch {url}")]
    Request {
        /// What was asked for.
        url: String,
        /// What went wrong.
        #[source]
        source: ureq::Error,
    },
    /// The bytes stopped coming, or the folder cannot be read.
    #[error("cannot read {url}")]
    Read {
        /// What was asked for.
        url: String,
        /// What went wrong.
        #[source]
        source: io::Error,
    },
    /// The bytes are not what they have to be.
    #[error("{url} cannot be used")]
    Stream {
        /// What was asked for.
        url: String,
        /// What is wrong with them.
        #[source]
        source: StreamError,
    },
}

/// A file on its way.
pub(crate) struct Body {
    /// Its bytes from `from` on.
    pub(crate) reader: Box<dyn Read + Send>,
    /// Where the bytes begin: where it was asked for, or at the start of the file.
    pub(crate) from: u64,
    /// The length of the whole file, if that is known.
    pub(crate) size: Option<u64>,
}

impl Mirror {
    /// The registry at an address: `https://…`, or `file://` with the absolute path of a folder.
    /// Nothing is opened.
    pub fn new(url: &str) -> Result<Self, MirrorError> {
        let address = || MirrorError::Address {
            url: url.to_owned(),
        };
        let (scheme, rest) = url.split_once("://").ok_or_else(address)?;
        match scheme.to_ascii_lowercase().as_str() {
            "file" => {
                let path = percent_decode_str(rest).decode_utf8();
                let path = path.ok().filter(|path| path.starts_with('/'));
                let path = path.ok_or_else(address)?.into_owned();
                Ok(Self(Place::Folder(path.into())))
            }
            "https" => {
                let web = Web::new(url).ok_or_else(address)?;
                Ok(Self(Place::Web(web)))
            }
            "http" => Err(MirrorError::PlainHttp {
                url: url.to_owned(),
            }),
            _ => Err(address()),
        }
    }

    /// Asks web servers for another pace than [`Pace::default`].
    #[must_use]
    pub fn with_pace(self, pace: Pace) -> Self {
        match self.0 {
            Place::Folder(_) => self,
            Place::Web(web) => Self(Place::Web(web.with_pace(pace))),
        }
    }

    /// The index of a publisher, as it is: nothing of it is verified.
    pub fn index(&self, namespace: &Namespace) -> Result<Vec<u8>, MirrorError> {
        let path = Utf8Path::new(namespace.as_str()).join("index");
        let mut bytes = Vec::new();
        let body = self.open(&path, 0)?;
        match Capped::new(body.reader, INDEX_MAX).read_to_end(&mut bytes) {
            Ok(_) => Ok(bytes),
            Err(error) => Err(self.unreadable(&path, error)),
        }
    }

    /// What a file of the registry is called for people.
    pub(crate) fn url(&self, path: &Utf8Path) -> String {
        match &self.0 {
            Place::Folder(folder) => folder.join(path).into_string(),
            Place::Web(web) => web.url(path),
        }
    }

    /// The file itself, where it is one of this machine.
    pub(crate) fn local(&self, path: &Utf8Path) -> Option<Result<File, MirrorError>> {
        match &self.0 {
            Place::Folder(folder) => Some(self.file(&folder.join(path), path)),
            Place::Web(_) => None,
        }
    }

    /// Opens a file of the registry, from a byte of it on if that can be done.
    pub(crate) fn open(&self, path: &Utf8Path, from: u64) -> Result<Body, MirrorError> {
        match &self.0 {
            Place::Web(web) => web.open(path, from),
            Place::Folder(folder) => {
                let file = self.file(&folder.join(path), path)?;
                Ok(Body {
                    reader: Box::new(file),
                    from: 0,
                    size: None,
                })
            }
        }
    }

    /// What the failure of a reader means.
    pub(crate) fn unreadable(&self, path: &Utf8Path, error: io::Error) -> MirrorError {
        let url = self.url(path);
        match StreamError::within(error) {
            Ok(source) => MirrorError::Stream { url, source },
            Err(source) => MirrorError::Read { url, source },
        }
    }

    fn file(&self, file: &Utf8Path, path: &Utf8Path) -> Result<File, MirrorError> {
        File::open(file).map_err(|error| {
            if error.kind() == io::ErrorKind::NotFound {
                let url = self.url(path);
                return MirrorError::NotPublished { url };
            }
            self.unreadable(path, error)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_https_or_a_folder() {
        let path = Utf8Path::new("acme/index");
        for (url, full) in [
            ("file:///srv/doze", "/srv/doze/acme/index"),
            ("file:///a%20b/", "/a b/acme/index"),
            ("https://example.org", "https://example.org/acme/index"),
            ("HTTPS://example.org/x/", "HTTPS://example.org/x/acme/index"),
        ] {
            assert_eq!(Mirror::new(url).unwrap().url(path), full);
        }
        for wrong in [
            "",
            "example.org",
            "file://srv",
            "ftp://a/b",
            "https://",
            "https://a/?b",
        ] {
            let error = Mirror::new(wrong).unwrap_err();
            assert!(matches!(error, MirrorError::Address { .. }), "{wrong}");
        }
        let error = Mirror::new("http://example.org").unwrap_err();
        assert!(matches!(error, MirrorError::PlainHttp { .. }));
    }

    #[test]
    fn a_folder_without_an_index_has_not_published_it() {
        let folder = tempfile::tempdir().unwrap();
        let mirror = Mirror::new(&format!("file://{}", folder.path().display())).unwrap();
        let error = mirror.index(&Namespace::new("acme").unwrap()).unwrap_err();
        assert!(matches!(error, MirrorError::NotPublished { .. }), "{error}");
    }
}
