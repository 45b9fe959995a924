//! Bytes of an archive, from a web server into a file that a later attempt can go on with.
//!
//! Must not know whether they are the right ones: whoever unpacks them does.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    os::unix::fs::OpenOptionsExt,
};

use camino::{Utf8Path, Utf8PathBuf};

use crate::{
    mirror::{Mirror, MirrorError},
    stream::{Capped, StreamError},
};

/// Bytes that are read at once.
const CHUNK: usize = 64 * 1024;

/// Why an archive has not arrived.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The registry does not give it.
    #[error(transparent)]
    Mirror(#[from] MirrorError),
    /// Nobody wants it any more.
    #[error("it was broken off")]
    Cancelled,
    /// This machine does not take it.
    #[error("cannot write {path}")]
    Write {
        /// The file.
        path: Utf8PathBuf,
        /// What went wrong.
        #[source]
        source: io::Error,
    },
}

impl FetchError {
    /// Whether what has arrived is of use to the next attempt: what came before a connection was
    /// lost or fell silent is; what comes of a server that breaks its word is not.
    fn leaves_a_part(&self) -> bool {
        match self {
            Self::Mirror(MirrorError::Stream { source, .. }) => {
                matches!(source, StreamError::Stalled(_))
            }
            Self::Mirror(MirrorError::Request { .. } | MirrorError::Read { .. })
            | Self::Write { .. } => true,
            Self::Mirror(_) | Self::Cancelled => false,
        }
    }
}

/// Downloads a file of `size` bytes, beginning with what `part` has of it, and leaves there what
/// the next attempt can use. Tells how many bytes more are there, and is told whether to go on.
pub(crate) fn download(
    mirror: &Mirror,
    path: &Utf8Path,
    size: u64,
    part: &Utf8Path,
    advanced: &dyn Fn(u64) -> bool,
) -> Result<File, FetchError> {
    let result = go_on(mirror, path, size, part, advanced);
    let is_empty = || fs::metadata(part).is_ok_and(|part| part.len() == 0);
    if let Err(error) = &result
        && (!error.leaves_a_part() || is_empty())
    {
        // What cannot be removed is overwritten by the next attempt.
        drop(fs::remove_file(part));
    }
    result
}

fn go_on(
    mirror: &Mirror,
    path: &Utf8Path,
    size: u64,
    part: &Utf8Path,
    advanced: &dyn Fn(u64) -> bool,
) -> Result<File, FetchError> {
    let writing = |source| FetchError::Write {
        path: part.to_owned(),
        source,
    };
    let (mut file, have) = open(part, size).map_err(writing)?;
    if have < size || size == 0 {
        let body = mirror.open(path, have)?;
        if let Some(has) = body.size
            && has != size
        {
            let url = mirror.url(path);
            return Err(MirrorError::OtherSize { url, has, size }.into());
        }
        if body.from == 0 && have > 0 {
            file.set_len(0).map_err(writing)?;
            file.rewind().map_err(writing)?;
        }
        if !advanced(body.from) {
            return Err(FetchError::Cancelled);
        }
        let mut reader = Capped::after(body.reader, size, body.from);
        let mut chunk = vec![0; CHUNK];
        let mut got = body.from;
        loop {
            let count = match reader.read(&mut chunk) {
                Ok(0) => break,
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(mirror.unreadable(path, error).into()),
            };
            let bytes = chunk.get(..count).unwrap_or_default();
            file.write_all(bytes).map_err(writing)?;
            got += count as u64;
            if !advanced(count as u64) {
                return Err(FetchError::Cancelled);
            }
        }
        if got < size {
            let error = StreamError::TooShort { got, size };
            return Err(mirror.unreadable(path, error.into()).into());
        }
    } else if !advanced(have) {
        return Err(FetchError::Cancelled);
    }
    file.rewind().map_err(writing)?;
    Ok(file)
}

/// The file, at its end, and how much is in it. More than there may be is nothing.
fn open(part: &Utf8Path, size: u64) -> io::Result<(File, u64)> {
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(part)?;
    if file.metadata()?.len() > size {
        file.set_len(0)?;
    }
    let have = file.seek(SeekFrom::End(0))?;
    Ok((file, have))
}
