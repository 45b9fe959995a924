//! Whether an endpoint can be bound, and who is in the way if not.

#[cfg_attr(target_os = "macos", path = "macos/holder.rs")]
mod holder;

use std::{
    fs,
    io::{self, ErrorKind},
    net::TcpListener,
    os::unix::{fs::FileTypeExt, net::UnixStream},
};

use camino::Utf8Path;
use doze_contract::Endpoint;

/// Why an endpoint cannot be bound.
#[derive(Debug, thiserror::Error)]
pub enum BusyError {
    /// Somebody listens there.
    #[error("{endpoint} is taken{}", by(.holder.as_deref()))]
    Taken {
        /// The address.
        endpoint: Endpoint,
        /// Who, as far as it can be told.
        holder: Option<String>,
    },
    /// Something that is not a socket stands at the path; it would be replaced.
    #[error("{0} exists and is not a socket; move it away or choose another path")]
    NotASocket(Endpoint),
    /// The system refuses the address.
    #[error("cannot listen on {endpoint}")]
    Refused {
        /// The address.
        endpoint: Endpoint,
        /// Why.
        #[source]
        source: io::Error,
    },
}

fn by(holder: Option<&str>) -> String {
    holder
        .map(|holder| format!(" by {holder}"))
        .unwrap_or_default()
}

/// Checks that the endpoint could be bound now. A link to `init` would be replaced.
pub fn check(endpoint: &Endpoint, init: Option<&Utf8Path>) -> Result<(), BusyError> {
    match endpoint {
        Endpoint::Tcp(address) => match TcpListener::bind(address) {
            Ok(_) => Ok(()),
            Err(source) => Err(explain(endpoint, source)),
        },
        Endpoint::Unix(path) => check_path(endpoint, path, init),
    }
}

/// Names the holder when a bind failed because of one.
pub fn explain(endpoint: &Endpoint, source: io::Error) -> BusyError {
    let endpoint = endpoint.clone();
    match (&endpoint, source.kind()) {
        (Endpoint::Tcp(address), ErrorKind::AddrInUse) => BusyError::Taken {
            holder: holder::of(*address),
            endpoint,
        },
        _ => BusyError::Refused { endpoint, source },
    }
}

/// Refuses a path at which something stands that is not a socket: systemd would replace even a
/// regular file. What may stand there besides is a link to `init`, the socket bound in its place.
pub fn refuse_file(endpoint: &Endpoint, init: Option<&Utf8Path>) -> Result<(), BusyError> {
    let Endpoint::Unix(path) = endpoint else {
        return Ok(());
    };
    let leads_to = |init: &Utf8Path| {
        let target = fs::read_link(path);
        target.is_ok_and(|target| path.with_file_name("").as_std_path().join(target) == init)
    };
    match fs::symlink_metadata(path) {
        Ok(_) if init.is_some_and(leads_to) => Ok(()),
        Ok(found) if !found.file_type().is_socket() => Err(BusyError::NotASocket(endpoint.clone())),
        _ => Ok(()),
    }
}

fn check_path(
    endpoint: &Endpoint,
    path: &Utf8Path,
    init: Option<&Utf8Path>,
) -> Result<(), BusyError> {
    refuse_file(endpoint, init)?;
    // A socket that nobody listens on is a leftover.
    match UnixStream::connect(path) {
        Ok(_) => Err(BusyError::Taken {
            endpoint: endpoint.clone(),
            holder: None,
        }),
        Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_names_its_holder() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = Endpoint::Tcp(listener.local_addr().unwrap());
        let error = check(&endpoint, None).unwrap_err().to_string();
        assert!(
            error.contains(&format!("(pid {})", std::process::id())),
            "{error}"
        );
        drop(listener);
        check(&endpoint, None).unwrap();
    }

    #[test]
    fn a_file_is_never_replaced_by_a_socket() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("precious");
        fs::File::create(&path).unwrap();
        let endpoint = Endpoint::unix(path.to_str().unwrap()).unwrap();
        assert!(matches!(
            check(&endpoint, None),
            Err(BusyError::NotASocket(_))
        ));
    }

    #[test]
    fn a_link_is_replaced_only_if_it_leads_to_the_init_socket() {
        let folder = tempfile::tempdir().unwrap();
        let folder = Utf8Path::from_path(folder.path()).unwrap();
        let (path, init) = (folder.join("link"), folder.join("init.sock"));
        let endpoint = Endpoint::unix(path.as_str()).unwrap();
        for target in [Utf8Path::new("init.sock"), &init] {
            std::os::unix::fs::symlink(target, &path).unwrap();
            check(&endpoint, Some(&init)).unwrap();
            for init in [None, Some(folder)] {
                let refused = check(&endpoint, init);
                assert!(matches!(refused, Err(BusyError::NotASocket(_))), "{init:?}");
            }
            fs::remove_file(&path).unwrap();
        }
    }
}
