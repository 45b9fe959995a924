//! A terminal, for what behaves otherwise on one: script(1) makes it.
//!
//! Must not know: what is typed, and what is to stand on it.

use std::io::{Read as _, Write as _};
use std::process::{Child, Command, ExitStatus, Stdio};

/// A command on a terminal of its own.
#[derive(Debug)]
pub struct Terminal {
    child: Child,
    /// What stands on it so far, with all that was typed.
    pub said: String,
}

impl Terminal {
    /// Runs the command of a world on one.
    pub fn of(command: &Command) -> Self {
        // script(1) has the words of one shell command.
        let words = command.get_args().map(|word| word.to_str().expect("text"));
        let program = command.get_program().to_str().expect("text");
        let line: Vec<_> = [program].into_iter().chain(words).map(quoted).collect();
        // One that is made without another one has no size.
        let line = format!("stty rows 24 columns 80 && exec {}", line.join(" "));
        let mut script = Command::new("/usr/bin/script");
        script
            .args(["--quiet", "--return", "--command", &line, "/dev/null"])
            .env_clear()
            .current_dir(
                command
                    .get_current_dir()
                    .expect("a command of a world has one"),
            )
            .env("TERM", "xterm")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        for (name, value) in command.get_envs() {
            script.env(name, value.unwrap_or_default());
        }
        let child = script.spawn().expect("script starts");
        let said = String::new();
        Self { child, said }
    }

    /// Waits for these words.
    #[track_caller]
    pub fn expect(&mut self, words: &str) {
        let out = self.child.stdout.as_mut().expect("a pipe");
        let mut byte = [0];
        let start = self.said.len();
        while !self
            .said
            .get(start..)
            .is_some_and(|new| new.ends_with(words))
        {
            let count = out.read(&mut byte).expect("a pipe");
            assert!(count > 0, "{words:?} is not in {:?}", self.said);
            self.said.extend(byte.map(char::from));
        }
    }

    /// Waits for these words, then types.
    #[track_caller]
    pub fn answer(&mut self, words: &str, keys: &str) {
        self.expect(words);
        let keyboard = self.child.stdin.as_mut().expect("a pipe");
        keyboard.write_all(keys.as_bytes()).expect("it reads");
    }

    /// Takes what is in brackets until this question comes.
    #[track_caller]
    pub fn enter_until(&mut self, question: &str) {
        loop {
            self.expect("] ");
            if self.said.ends_with(question) {
                break;
            }
            self.answer("", "\n");
        }
    }

    /// Waits for the end.
    pub fn end(mut self) -> (ExitStatus, String) {
        let mut out = self.child.stdout.take().expect("a pipe");
        out.read_to_string(&mut self.said).expect("text");
        (self.child.wait().expect("our child"), self.said)
    }
}

fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}
