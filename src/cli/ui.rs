//! stdout is the answer, stderr is talk. Everything that is printed passes here.
//!
//! Talk begins with `vault: `, in lower case, without a full stop. Text from files is escaped where it reaches a terminal.
//! Colour is for terminals, and `NO_COLOR` holds.

#![allow(clippy::print_stderr, reason = "the home of printing")]

use std::borrow::Cow;
use std::io;
use std::io::Write;
use std::process::ExitCode;

use crate::cli::failure::Failure;
use crate::secret::Secret;
use crate::sys::Env;
use crate::sys::Streams;
use crate::sys::tty;

/// The exit code of a program that wrote into a closed pipe: 128 + SIGPIPE.
const BROKEN_PIPE: u8 = 141;

/// How often progress is shown, at the most.
const PROGRESS_STEPS: usize = 100;
/// From this many steps on, work is long enough to show how far it is.
const PROGRESS_FROM: usize = 200;
/// The most of a line of progress: it must not break.
const PROGRESS_CHARS: usize = 79;

/// How a piece of text is shown on a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    /// As it is.
    Plain,
    /// Stands out.
    Bold,
    /// Stands back.
    Dim,
    /// Good.
    Green,
    /// Look at this.
    Yellow,
    /// Bad.
    Red,
    /// A folder.
    Blue,
}

impl Style {
    fn code(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Bold => "\x1b[1m",
            Self::Dim => "\x1b[2m",
            Self::Green => "\x1b[32m",
            Self::Yellow => "\x1b[33m",
            Self::Red => "\x1b[31m",
            Self::Blue => "\x1b[1;34m",
        }
    }
}

/// The two streams.
pub(super) struct Ui {
    answer: Vec<u8>,
    streams: Streams,
    colour: bool,
}

impl Ui {
    /// As this environment wants it.
    pub(super) fn new(env: &Env) -> Self {
        let is_dumb = env.var("TERM") == Some("dumb");
        let colour = env.var_os("NO_COLOR").is_none() && !is_dumb;
        Self {
            answer: Vec::new(),
            streams: env.terminal,
            colour,
        }
    }

    /// Whether the answer goes to a terminal.
    pub(super) fn is_terminal(&self) -> bool {
        self.streams.stdout
    }

    /// Whether talk goes to a terminal.
    pub(super) fn talks_to_terminal(&self) -> bool {
        self.streams.stderr
    }

    /// Adds a line to the answer.
    pub(super) fn line(&mut self, text: &str) {
        self.answer.extend_from_slice(text.as_bytes());
        self.answer.push(b'\n');
    }

    /// Text for the answer, in a style; escaped if it goes to a terminal.
    pub(super) fn paint<'t>(&self, text: &'t str, style: Style) -> Cow<'t, str> {
        if !self.streams.stdout {
            return Cow::Borrowed(text);
        }
        let text = tty::sanitize(text);
        if self.colour && style != Style::Plain {
            Cow::Owned(format!("{}{text}\x1b[0m", style.code()))
        } else {
            text
        }
    }

    /// Gives a secret out: its exact bytes, with a line feed added on a terminal only.
    pub(super) fn secret(&mut self, secret: &Secret) -> Result<(), Failure> {
        let is_open = self.streams.stdout && !secret.expose().ends_with(b"\n");
        self.secret_and(secret, if is_open { b"\n" } else { b"" })
    }

    /// The same with these bytes after it, for a program that reads on.
    pub(super) fn secret_and(&mut self, secret: &Secret, added: &[u8]) -> Result<(), Failure> {
        self.finish()?;
        let mut out = io::stdout().lock();
        let done = out
            .write_all(secret.expose())
            .and_then(|()| out.write_all(added))
            .and_then(|()| out.flush());
        done.map_err(|error| written(&error))
    }

    /// Prints the answer so far.
    pub(super) fn finish(&mut self) -> Result<(), Failure> {
        let answer = std::mem::take(&mut self.answer);
        let mut out = io::stdout().lock();
        out.write_all(&answer)
            .and_then(|()| out.flush())
            .map_err(|error| written(&error))
    }

    /// Says something to the person.
    pub(super) fn say(&self, text: &str) {
        self.talk("", Style::Plain, text);
    }

    /// Says something that the person should look at.
    pub(super) fn warn(&self, text: &str) {
        self.talk("warning: ", Style::Yellow, text);
    }

    /// Shows how far long work is, in the place of what was shown before; on a terminal only. An empty text clears it.
    pub(super) fn progress(&self, text: &str) {
        if self.streams.stderr {
            let mut err = io::stderr().lock();
            let text: String = tty::sanitize(text).chars().take(PROGRESS_CHARS).collect();
            let _ = write!(err, "\r\x1b[K{text}").and_then(|()| err.flush());
        }
    }

    /// Shows how many of how many are done, a hundred times at the most; on any thread.
    pub(super) fn progress_of(&self, what: &str, done: usize, all: usize) {
        let step = all.div_ceil(PROGRESS_STEPS).max(1);
        if all >= PROGRESS_FROM && (done.is_multiple_of(step) || done == all) {
            self.progress(&format!("{what}: {done} of {all}"));
        }
    }

    /// Reports a failure and gives its exit code.
    pub(super) fn fail(&self, failure: &Failure) -> ExitCode {
        if !failure.message.is_empty() {
            self.talk("", Style::Red, &failure.message);
        }
        for hint in &failure.hints {
            self.talk("hint: ", Style::Dim, hint);
        }
        ExitCode::from(failure.code)
    }

    fn talk(&self, mark: &str, style: Style, text: &str) {
        let mut err = io::stderr().lock();
        let text: Cow<'_, str> = if self.streams.stderr {
            tty::sanitize(text)
        } else {
            Cow::Borrowed(text)
        };
        // Nobody is left to tell if stderr is closed.
        let _ = if self.colour && self.streams.stderr && !(mark.is_empty() && style == Style::Plain)
        {
            let shown = if mark.is_empty() { "vault: " } else { mark };
            let lead = if mark.is_empty() { "" } else { "vault: " };
            writeln!(err, "{lead}{}{shown}\x1b[0m{text}", style.code())
        } else {
            writeln!(err, "vault: {mark}{text}")
        };
    }
}

/// An answer that could not be written; into a closed pipe it ends quietly.
fn written(error: &io::Error) -> Failure {
    if error.kind() == io::ErrorKind::BrokenPipe {
        return Failure {
            message: String::new(),
            hints: Vec::new(),
            code: BROKEN_PIPE,
        };
    }
    Failure::failed(format!("cannot write the answer: {error}"))
}
