//! `doze logs NAME`.

use std::{
    fs::{self, File},
    io::{self, Seek, SeekFrom, Write},
    mem::MaybeUninit,
    os::unix::fs::MetadataExt,
};

use camino::{Utf8Path, Utf8PathBuf};
use rustix::fs::inotify;

use super::Context;
use crate::{
    failure::Failure,
    fsx::{make_folder, missing_is_none},
};

pub(super) fn run(context: &Context, name: &str, follow: bool) -> Result<(), Failure> {
    let (project, instance) = context.instance(name)?;
    let log = context.dirs.instance(&project, &instance).log;
    let print = || {
        copy(&older(&log))?;
        if follow { follow_log(&log) } else { copy(&log) }
    };
    print().map_err(Failure::io(format!("read {log}")))
}

/// What the log was before it was full the last time.
fn older(log: &Utf8Path) -> Utf8PathBuf {
    format!("{log}.1").into()
}

fn copy(path: &Utf8Path) -> io::Result<()> {
    match missing_is_none(File::open(path))? {
        Some(mut file) => io::copy(&mut file, &mut io::stdout().lock()).map(drop),
        None => Ok(()),
    }
}

/// Prints the log and what is added to it, until somebody interrupts. A log that is replaced by a
/// new one is followed to its end, and then the new one.
fn follow_log(log: &Utf8Path) -> io::Result<()> {
    let folder = log.parent().unwrap_or(Utf8Path::new("/"));
    make_folder(folder)?;
    let watch = inotify::init(inotify::CreateFlags::CLOEXEC)?;
    let changes =
        inotify::WatchFlags::MODIFY | inotify::WatchFlags::CREATE | inotify::WatchFlags::MOVED_TO;
    inotify::add_watch(&watch, folder.as_std_path(), changes)?;
    let mut events = [MaybeUninit::uninit(); 4096];
    let mut events = inotify::Reader::new(&watch, &mut events);
    let mut current: Option<File> = None;
    loop {
        if let Some(file) = &mut current {
            drain(file)?;
        }
        let there = missing_is_none(fs::metadata(log))?.map(|found| found.ino());
        let open = current
            .as_ref()
            .map(|file| file.metadata().map(|found| found.ino()));
        if there.is_some() && there != open.transpose()? {
            current = missing_is_none(File::open(log))?;
            continue;
        }
        events.next()?;
    }
}

fn drain(file: &mut File) -> io::Result<()> {
    let at = file.stream_position()?;
    if file.metadata()?.len() < at {
        file.seek(SeekFrom::Start(0))?;
    }
    let mut stdout = io::stdout().lock();
    io::copy(file, &mut stdout)?;
    stdout.flush()
}
