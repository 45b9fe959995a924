//! From the bytes of an archive to those of its tar stream.
//!
//! Must not know what is in the tar stream.

use std::io::{self, BufRead, BufReader, Read};

use crate::{
    Artefact,
    pipe::Feeder,
    stream::{Capped, Checked, StreamError},
    unpack::UnpackError,
};

/// The largest window of zstd as a power of two: 8 MiB, which RFC 8878 (3.1.1.1.2) recommends every
/// decoder to support. It is the most memory that an archive can make us use.
const WINDOW_LOG: u32 = 23;

/// Bytes of an archive that are read at once.
const BUFFER: usize = 128 * 1024;

/// The zeros that a tar stream may have after its end, less one: it is written in records of
/// twenty blocks.
const PADDING: u64 = 20 * 512;

/// Decompresses one frame, which has to be all there is. Fails with nothing if nobody wants it.
///
/// The archive is always read to its end: what is wrong with its bytes comes before what is wrong
/// with what they say, for then it is not the publisher who says it.
pub(super) fn decode(
    archive: impl Read,
    artefact: &Artefact,
    max: u64,
    feeder: &Feeder,
) -> Result<(), Option<UnpackError>> {
    let mut archive = BufReader::with_capacity(BUFFER, Checked::new(archive, *artefact));
    let result = frame(&mut archive, max, feeder);
    match io::copy(&mut archive, &mut io::sink()) {
        Ok(_) => result,
        Err(error) => Err(Some(match StreamError::within(error) {
            Ok(error) => UnpackError::Stream(error),
            Err(error) => UnpackError::Read(error),
        })),
    }
}

fn frame(archive: &mut impl BufRead, max: u64, feeder: &Feeder) -> Result<(), Option<UnpackError>> {
    let zstd = |error| Some(UnpackError::Zstd(error));
    let mut decoder = zstd::Decoder::with_buffer(&mut *archive)
        .map_err(zstd)?
        .single_frame();
    decoder.window_log_max(WINDOW_LOG).map_err(zstd)?;
    let mut tar = Capped::new(decoder, max);
    feeder.feed(&mut tar).map_err(|error| {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return None;
        }
        Some(match StreamError::within(error) {
            Ok(StreamError::TooLong { .. }) => UnpackError::Bomb { max },
            Ok(other) => UnpackError::Stream(other),
            Err(error) => UnpackError::Zstd(error),
        })
    })?;
    drop(tar);
    match archive.fill_buf() {
        Ok([]) => Ok(()),
        Ok(_) => Err(Some(UnpackError::TrailingFrame)),
        Err(error) => Err(zstd(error)),
    }
}

/// Makes sure that a tar stream ends where it says.
pub(super) fn padding(tar: &mut impl Read) -> Result<(), UnpackError> {
    let mut rest = Vec::new();
    tar.take(PADDING)
        .read_to_end(&mut rest)
        .map_err(UnpackError::Tar)?;
    let fits = (rest.len() as u64) < PADDING && rest.iter().all(|byte| *byte == 0);
    fits.then_some(()).ok_or(UnpackError::TrailingTar)
}
