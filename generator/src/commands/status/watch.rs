//! `doze status --watch`: the same again each second and whenever an instance wakes or leaves,
//! until q or Ctrl-C. The terminal is as it was afterwards, whatever ended it.

use std::{
    io::{self, IsTerminal, Read, Stdin, Stdout, Write},
    mem::MaybeUninit,
    sync::mpsc::{self, Receiver, RecvTimeoutError, Sender},
    thread,
    time::Duration,
};

use camino::Utf8Path;
use doze_contract::{ProjectName, error::chain};
use rustix::{
    fs::inotify,
    termios::{self, LocalModes, OptionalActions, SpecialCodeIndex, Termios},
};
use tokio::signal::unix::{SignalKind, signal};

use super::{Context, gather, graph, show};
use crate::{
    awake::watch_folder,
    failure::Failure,
    output::{Paint, columns, rows},
};

/// How long a look is good for.
const PAUSE: Duration = Duration::from_secs(1);

pub(super) fn run(context: &Context, as_graph: bool) -> Result<(), Failure> {
    let (stdin, stdout) = (io::stdin(), io::stdout());
    if !stdin.is_terminal() || !stdout.is_terminal() {
        return Err(Failure::usage(
            "`doze status --watch` is for terminals; `doze status --json` tells programs, and \
             `doze wait` waits",
        ));
    }
    let mut project = context.file()?.name;
    let failed = || Failure::io("watch the project");
    let events = events(&context.dirs.sockets(&project)).map_err(failed())?;
    let mut screen = Screen::open(stdin, stdout).map_err(failed())?;
    let mut before = None;
    loop {
        let report = context
            .file()
            .and_then(|file| gather::report(context, &file, false, before.as_ref()));
        let lines = match report {
            Ok(report) => {
                let lines = if as_graph {
                    graph::lines(&report, Paint::stdout())
                } else {
                    show::lines(&report, columns(), Paint::stdout())
                };
                project.clone_from(&report.project);
                before = Some(report);
                lines
            }
            // It may be right again in a moment: somebody edits doze.toml.
            Err(failure) => vec![Paint::stdout().red(chain(&failure))],
        };
        screen.draw(&project, &lines).map_err(failed())?;
        match events.recv_timeout(PAUSE) {
            Ok(Event::Look) | Err(RecvTimeoutError::Timeout) => {}
            Ok(Event::Leave) | Err(RecvTimeoutError::Disconnected) => return Ok(()),
        }
    }
}

/// What ends a wait.
enum Event {
    /// Something has changed.
    Look,
    /// Nobody wants to see more.
    Leave,
}

/// Keys, signals, and what happens to the sockets, each from a thread that ends with the process.
fn events(sockets: &Utf8Path) -> io::Result<Receiver<Event>> {
    let (send, events) = mpsc::channel();
    let (keys, changes) = (send.clone(), send.clone());
    let watch = inotify::init(inotify::CreateFlags::CLOEXEC)?;
    let entries = sockets.read_dir_utf8().into_iter().flatten().flatten();
    let folders = entries.map(|entry| entry.path().to_owned());
    for folder in folders.chain([sockets.to_owned()]) {
        // One that is not there, or is none, is not missed: there is a look each second.
        watch_folder(&watch, &folder).unwrap_or_default();
    }
    thread::Builder::new().spawn(move || {
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut all = inotify::Reader::new(&watch, &mut buffer);
        while all.next().is_ok() && changes.send(Event::Look).is_ok() {}
    })?;
    thread::Builder::new().spawn(move || {
        let mut key = [0];
        // Ctrl-C and Ctrl-D come as what they are.
        while matches!(io::stdin().read(&mut key), Ok(1)) && !matches!(key, [b'q' | b'Q' | 3 | 4]) {
        }
        keys.send(Event::Leave)
    })?;
    thread::Builder::new().spawn(move || signals(&send))?;
    Ok(events)
}

fn signals(events: &Sender<Event>) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let mut resized = signal(SignalKind::window_change())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let mut hangup = signal(SignalKind::hangup())?;
        loop {
            let event = tokio::select! {
                _ = resized.recv() => Event::Look,
                _ = interrupt.recv() => Event::Leave,
                _ = terminate.recv() => Event::Leave,
                _ = hangup.recv() => Event::Leave,
            };
            if events.send(event).is_err() {
                return Ok(());
            }
        }
    })
}

/// The terminal's other screen, without a cursor, with keys that come at once and do not show.
struct Screen {
    stdin: Stdin,
    stdout: Stdout,
    before: Termios,
}

impl Screen {
    fn open(stdin: Stdin, mut stdout: Stdout) -> io::Result<Self> {
        let before = termios::tcgetattr(&stdin)?;
        let mut modes = before.clone();
        modes.local_modes -= LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG;
        modes.special_codes[SpecialCodeIndex::VMIN] = 1;
        modes.special_codes[SpecialCodeIndex::VTIME] = 0;
        termios::tcsetattr(&stdin, OptionalActions::Now, &modes)?;
        stdout.write_all(b"\x1b[?1049h\x1b[?25l")?;
        Ok(Self {
            stdin,
            stdout,
            before,
        })
    }

    /// Shows what fits.
    fn draw(&mut self, project: &ProjectName, lines: &[String]) -> io::Result<()> {
        let head = Paint::stdout().bold(project);
        let mut text = format!("\x1b[H{head}  (q quits)\x1b[K\r\n");
        let space = rows().unwrap_or(usize::MAX).saturating_sub(2);
        for line in lines.iter().take(space) {
            text += line;
            text += "\x1b[K\r\n";
        }
        text += "\x1b[J";
        self.stdout.write_all(text.as_bytes())?;
        self.stdout.flush()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // A terminal that is gone needs nothing.
        drop(self.stdout.write_all(b"\x1b[?25h\x1b[?1049l"));
        drop(self.stdout.flush());
        termios::tcsetattr(&self.stdin, OptionalActions::Now, &self.before).unwrap_or_default();
    }
}
