//! Who answers at the public path of a unix endpoint: the init system, or the engine itself.
//!
//! Out, the path is a symbolic link to the socket that the init system binds. In, it is a second
//! name of the engine's own socket, so that nothing stands between a client and the engine. Each
//! change is one rename(2): at no instant is the path absent, and whoever is connected stays so.
//! Every function may be called in any state and again.
//!
//! Must not know when to swap, nor who is connected.

use std::{
    fs::{self, DirBuilder, Metadata},
    io::{self, ErrorKind},
    os::unix::fs::{DirBuilderExt, FileTypeExt, PermissionsExt, symlink},
};

use camino::{Utf8Path, Utf8PathBuf};
use doze_contract::{Endpoint, Plan, plan::InitSocket};

use crate::diag;

/// Why a public path is not what it should be.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SwapError {
    #[error("cannot put the engine's socket {engine} at {public}")]
    In {
        engine: Utf8PathBuf,
        public: Utf8PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("others than its owner could connect to {engine} (mode {mode:03o}) at {public}")]
    Open {
        engine: Utf8PathBuf,
        public: Utf8PathBuf,
        mode: u32,
    },
    #[error("cannot point {public} to {init}")]
    Out {
        init: Utf8PathBuf,
        public: Utf8PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("cannot remove {public}, which leads to {init}")]
    Remove {
        init: Utf8PathBuf,
        public: Utf8PathBuf,
        #[source]
        source: io::Error,
    },
}

/// The engine's socket, if clients of the instance can be left to it: there is a unix endpoint,
/// and the engine listens on a unix socket whose clients can be counted.
pub(crate) fn engine(plan: &Plan) -> Option<&Utf8Path> {
    match &plan.body.upstream {
        Some(Endpoint::Unix(path)) if diag::COUNTS && !plan.init_sockets.is_empty() => Some(path),
        Some(Endpoint::Unix(_) | Endpoint::Tcp(_)) | None => None,
    }
}

/// Puts the engine's own socket at every public path; without [`engine`] there is nothing to do.
/// The error is of the first path that keeps leading to the init system: its clients have to be
/// carried, those of the others need not.
pub(crate) fn swap_in(plan: &Plan) -> Result<(), SwapError> {
    let Some(engine) = engine(plan) else {
        return Ok(());
    };
    each(plan, |socket| bring_in(engine, &socket.public))
}

/// Points every public path to the init system's socket. The error is of the first one that does
/// not lead there.
pub(crate) fn swap_out(plan: &Plan) -> Result<(), SwapError> {
    each(plan, |socket| {
        point(socket).map_err(|source| SwapError::Out {
            init: socket.path.clone(),
            public: socket.public.clone(),
            source,
        })
    })
}

/// Takes every public path away, as `RemoveOnStop=` of systemd.socket(5) would.
pub(crate) fn remove(plan: &Plan) -> Result<(), SwapError> {
    each(plan, |socket| {
        let is_ours = is_replaceable(&socket.public);
        is_ours
            .and_then(|()| remove_file(&socket.public))
            .and_then(|()| remove_file(&beside(&socket.public)))
            .map_err(|source| SwapError::Remove {
                init: socket.path.clone(),
                public: socket.public.clone(),
                source,
            })
    })
}

/// Does it for every endpoint, whatever becomes of the others.
fn each(
    plan: &Plan,
    act: impl FnMut(&InitSocket) -> Result<(), SwapError>,
) -> Result<(), SwapError> {
    let done: Vec<_> = plan.init_sockets.iter().map(act).collect();
    done.into_iter().collect()
}

fn bring_in(engine: &Utf8Path, public: &Utf8Path) -> Result<(), SwapError> {
    let failed = |source| SwapError::In {
        engine: engine.to_owned(),
        public: public.to_owned(),
        source,
    };
    // The mode goes along with the socket, and the folder above it may be open to everybody.
    let mode = socket(engine).map_err(failed)?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(SwapError::Open {
            engine: engine.to_owned(),
            public: public.to_owned(),
            mode,
        });
    }
    replace(public, |new| fs::hard_link(engine, new)).map_err(failed)
}

fn point(socket: &InitSocket) -> io::Result<()> {
    let folder = socket.public.parent().unwrap_or(Utf8Path::new("/"));
    // Relative where it can be, so that it leads there from inside a container as well.
    let target = socket.path.strip_prefix(folder).unwrap_or(&socket.path);
    if fs::read_link(&socket.public).is_ok_and(|found| found == target.as_std_path()) {
        return remove_file(&beside(&socket.public));
    }
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)?;
    replace(&socket.public, |new| symlink(target, new))
}

/// Replaces what is at the public path by what `make` makes beside it.
fn replace(public: &Utf8Path, make: impl Fn(&Utf8Path) -> io::Result<()>) -> io::Result<()> {
    is_replaceable(public)?;
    let new = beside(public);
    remove_file(&new)?;
    make(&new)?;
    let renamed = fs::rename(&new, public);
    // Between two names of the same socket, rename(2) does nothing and leaves both.
    let removed = remove_file(&new);
    renamed.and(removed)
}

/// Where something is made before it replaces what is at the public path; somebody who was killed
/// may have left it. Nobody connects to it, so it may be longer than the address of a socket.
fn beside(public: &Utf8Path) -> Utf8PathBuf {
    let name = public.file_name().unwrap_or_default();
    public.with_file_name(format!(".doze-{name}"))
}

/// Whether it is a socket or a link, or nothing at all; anything else is somebody's file.
fn is_replaceable(public: &Utf8Path) -> io::Result<()> {
    match fs::symlink_metadata(public) {
        Ok(found) if found.is_symlink() => Ok(()),
        Ok(found) => check_socket(found).map(drop),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

fn socket(path: &Utf8Path) -> io::Result<Metadata> {
    check_socket(fs::symlink_metadata(path)?)
}

fn check_socket(found: Metadata) -> io::Result<Metadata> {
    if found.file_type().is_socket() {
        return Ok(found);
    }
    Err(io::Error::new(
        ErrorKind::AlreadyExists,
        "a file that is not a socket is there",
    ))
}

fn remove_file(path: &Utf8Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests;
