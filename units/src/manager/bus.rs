//! Finding the session bus that the user manager is on.
//!
//! Must not know what is asked of the manager.

use std::{
    ffi::OsString,
    io::ErrorKind,
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    time::Duration,
};

use zbus::{
    Address, Connection,
    address::transport::{Transport, Unix, UnixSocket},
    connection::Builder,
    fdo,
    proxy::CacheProperties,
};

use super::proxy::SystemdProxy;

/// How long an answer may take. A reload with many units and slow generators takes seconds.
const ANSWER_WITHIN: Duration = Duration::from_mins(1);

/// Why there is no connection to a user manager.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The environment names no bus.
    #[error("neither DBUS_SESSION_BUS_ADDRESS nor XDG_RUNTIME_DIR is set")]
    NoAddress,
    /// Nobody listens there.
    #[error("there is no session bus at {address}")]
    NoBus {
        /// Where it should be.
        address: String,
        /// What connecting said.
        #[source]
        source: zbus::Error,
    },
    /// There is a manager, but without the bus that it is talked to over.
    #[error("the systemd user manager has no session bus; install dbus-user-session")]
    ManagerWithoutBus {
        /// What connecting to the bus said.
        #[source]
        source: zbus::Error,
    },
    /// The bus works, and no systemd is on it.
    #[error("there is no systemd on the session bus at {address}")]
    NoSystemd {
        /// The address of the bus.
        address: String,
    },
    /// The bus, or the systemd on it, does not let us in.
    #[error("cannot use the session bus at {address}")]
    Refused {
        /// The address of the bus.
        address: String,
        /// Why.
        #[source]
        source: zbus::Error,
    },
}

impl ConnectError {
    /// Whether this user has no manager at all, rather than one that cannot be talked to.
    pub fn is_absent(&self) -> bool {
        match self {
            Self::NoAddress | Self::NoBus { .. } | Self::NoSystemd { .. } => true,
            Self::ManagerWithoutBus { .. } | Self::Refused { .. } => false,
        }
    }
}

/// Connects, and subscribes to the signals of the systemd there.
pub(super) async fn connect(
    var: impl Fn(&str) -> Option<OsString>,
) -> Result<(Connection, SystemdProxy<'static>), ConnectError> {
    let var = |name| var(name).filter(|value| !value.is_empty());
    let runtime_dir = var("XDG_RUNTIME_DIR").map(PathBuf::from);
    let (address, builder) = match (var("DBUS_SESSION_BUS_ADDRESS"), &runtime_dir) {
        (Some(address), _) => {
            let address = address.to_string_lossy().into_owned();
            (address.clone(), Builder::address(address.as_str()))
        }
        (None, Some(dir)) => {
            let path = dir.join("bus");
            let socket = Transport::Unix(Unix::new(UnixSocket::File(path.clone())));
            let address = path.display().to_string();
            (address, Builder::address(Address::new(socket)))
        }
        (None, None) => return Err(ConnectError::NoAddress),
    };

    let bus = match builder.method_timeout(ANSWER_WITHIN).build().await {
        Ok(bus) => bus,
        Err(source) if !is_nobody(&source) => {
            return Err(ConnectError::Refused { address, source });
        }
        Err(source) if runtime_dir.is_some_and(|dir| is_managed(&dir)) => {
            return Err(ConnectError::ManagerWithoutBus { source });
        }
        Err(source) => return Err(ConnectError::NoBus { address, source }),
    };

    let subscribe = async {
        let builder = SystemdProxy::builder(&bus).cache_properties(CacheProperties::No);
        let systemd = builder.build().await?;
        systemd.subscribe().await?;
        Ok(systemd)
    };
    match subscribe.await {
        Ok(systemd) => Ok((bus, systemd)),
        Err(error) if is_unowned(&error) => Err(ConnectError::NoSystemd { address }),
        Err(source) => Err(ConnectError::Refused { address, source }),
    }
}

/// Whether a manager listens on its private socket, which needs no bus.
fn is_managed(runtime_dir: &Path) -> bool {
    UnixStream::connect(runtime_dir.join("systemd/private")).is_ok()
}

fn is_nobody(error: &zbus::Error) -> bool {
    matches!(error, zbus::Error::Connection(error, _)
        if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused))
}

/// Whether nobody has the name of systemd. The bus may be the one that this connection started:
/// then it keeps the first call until systemd has joined it. A bus that no manager runs tries to
/// start systemd as a service, which fails.
fn is_unowned(error: &zbus::Error) -> bool {
    matches!(error, zbus::Error::FDO(error) if matches!(
        **error,
        fdo::Error::ServiceUnknown(_)
            | fdo::Error::NameHasNoOwner(_)
            | fdo::Error::SpawnChildExited(_)
            | fdo::Error::SpawnExecFailed(_)
            | fdo::Error::SpawnFailed(_)
    ))
}
