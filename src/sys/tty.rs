//! The terminal as a place where a person is asked.
//!
//! Lives here: questions, with and without echo. Never here: what is asked, or an answer that is printed. Unlocking and
//! the commands call it.
//!
//! The rules: a question goes to the terminal itself, never to stdout or stderr, and is erased when it is answered. Echo comes
//! back however a question ends, but for SIGKILL. Ctrl-C, a hang-up or a request to terminate make
//! a question end with `ErrorKind::Interrupted`, the end of input with `ErrorKind::UnexpectedEof`; the caller
//! unwinds and exits.

#![allow(clippy::disallowed_methods, reason = "opens the terminal")]

mod lines;
mod sanitize;

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::io::IsTerminal;
use std::io::Read;
use std::io::Write;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

use rustix::event::PollFd;
use rustix::event::PollFlags;
use rustix::event::Timespec;
use rustix::fs::Mode;
use rustix::fs::OFlags;
use rustix::termios::LocalModes;
use rustix::termios::OptionalActions;
use rustix::termios::QueueSelector;
use rustix::termios::SpecialCodeIndex;
use rustix::termios::Termios;

pub use self::lines::TYPED_MAX_BYTES;
pub use self::sanitize::is_harmful;
pub use self::sanitize::sanitize;

use self::lines::Lines;
use self::lines::Step;
use crate::secret::Secret;
use crate::sys::clock::Machine;
use crate::sys::clock::Ticks;
use crate::sys::signal::Held;

/// The width where the terminal does not tell it, in columns.
const WIDTH: usize = 80;

/// The controlling terminal of this process.
pub struct Terminal {
    tty: File,
    /// Whether it understands the sequences that erase.
    erases: bool,
}

impl Terminal {
    /// Opens `/dev/tty`; `None` if this process has no terminal. `term` is the variable `TERM`.
    pub fn open(term: Option<&OsStr>) -> Option<Self> {
        let tty = File::options()
            .read(true)
            .write(true)
            .open("/dev/tty")
            .ok()?;
        let erases = term.is_some_and(|term| term != "dumb");
        Some(Self { tty, erases })
    }

    /// A terminal of another session, if it is one and this user's own: its path may be another's by now.
    pub fn elsewhere(path: &Path, term: Option<&OsStr>) -> Option<Self> {
        // Nothing on it is waited for without limit: a shell may be reading there, too, and its output may be stopped.
        let waits = OFlags::NONBLOCK;
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC | OFlags::NOFOLLOW | waits;
        let tty = File::from(rustix::fs::open(path, flags, Mode::empty()).ok()?);
        let is_ours = rustix::fs::fstat(&tty).ok()?.st_uid == rustix::process::geteuid().as_raw();
        let erases = term.is_some_and(|term| term != "dumb");
        (is_ours && tty.is_terminal()).then_some(Self { tty, erases })
    }

    /// Another handle to the same terminal, for a picker or a clipboard sequence.
    pub fn handle(&self) -> io::Result<File> {
        self.tty.try_clone()
    }

    /// The width in columns.
    pub fn width(&self) -> usize {
        let size = rustix::termios::tcgetwinsize(&self.tty);
        size.ok()
            .map(|size| usize::from(size.ws_col))
            .filter(|&width| width > 0)
            .unwrap_or(WIDTH)
    }

    /// Asks for one line that is not shown: a passphrase, a token. Without the line's end.
    ///
    /// Backspace, Ctrl-U and Ctrl-W edit it; other control characters are left out.
    pub fn ask_hidden(&self, prompt: &str) -> io::Result<Secret> {
        let held = Held::new()?;
        // Silence first: whoever types ahead of the question must not be echoed.
        let silence = Silence::begin(&self.tty)?;
        self.write(prompt)?;
        let keys = Keys {
            tty: self.tty.try_clone()?,
            held,
        };
        let config = rpassword::ConfigBuilder::new()
            .input_reader(keys)
            .output_discard()
            .build();
        let typed = rpassword::read_password_with_config(config);
        drop(silence);
        // The string's own buffer, which the secret wipes.
        self.answered(prompt, typed.map(|typed| Secret::new(typed.into_bytes())))
    }

    /// Asks for lines that are not shown, to Ctrl-D at the beginning of a line; exact bytes, line ends included.
    ///
    /// Ctrl-D elsewhere, typed twice, ends without a line end. At most `TYPED_MAX_BYTES`.
    pub fn ask_hidden_lines(&self, prompt: &str) -> io::Result<Secret> {
        let held = Held::new()?;
        // Silence first: whoever types ahead of the question must not be echoed.
        let silence = Silence::begin(&self.tty)?;
        self.write(prompt)?;
        let typed = read_lines(Keys {
            tty: self.tty.try_clone()?,
            held,
        });
        drop(silence);
        self.answered(prompt, typed)
    }

    /// Asks for one line, shown as it is typed. Without the line's end.
    pub fn ask_line(&self, prompt: &str) -> io::Result<String> {
        let held = Held::new()?;
        self.write(prompt)?;
        let mut keys = Keys {
            tty: self.tty.try_clone()?,
            held,
        };
        // The terminal hands over a whole line at once, and never more than this.
        let mut line = vec![0; 4096];
        let read = keys.read(&mut line).and_then(|count| {
            line.truncate(count);
            String::from_utf8(line).map_err(|_| io::ErrorKind::InvalidData.into())
        });
        let line = read.map(|line| line.trim_end_matches(['\n', '\r']).to_owned());
        match &line {
            // The line's end was echoed: the question's last row is the one above.
            Ok(typed) => self.erase(&format!("{prompt}{typed}"), 1)?,
            Err(_) => self.write("\n")?,
        }
        line.map_err(plain)
    }

    /// Asks a question until it is answered by yes or no; Enter alone means `default`.
    pub fn confirm(&self, question: &str, default: bool) -> io::Result<bool> {
        let choices = if default { "[Y/n]" } else { "[y/N]" };
        loop {
            let answer = self.ask_line(&format!("{question} {choices} "))?;
            match answer.trim().to_lowercase().as_str() {
                "" => return Ok(default),
                "y" | "yes" => return Ok(true),
                "n" | "no" => return Ok(false),
                _ => {}
            }
        }
    }

    /// Asks a question with yes or no, once and for a limited time; anything but yes is no. For a process that is not the one
    /// in front: what was typed before the question is no answer to it.
    pub fn confirm_within(&self, question: &str, limit: Duration) -> io::Result<bool> {
        let prompt = format!("{} [y/N] ", sanitize(question));
        rustix::termios::tcflush(&self.tty, QueueSelector::IFlush)?;
        self.write(&prompt)?;
        let deadline = Machine.awake() + limit;
        let mut line = [0; 256];
        let count = loop {
            let mut ready = [PollFd::new(&self.tty, PollFlags::IN)];
            let left = deadline.saturating_sub(Machine.awake());
            let limit = Timespec::try_from(left).map_err(|_| io::ErrorKind::InvalidInput)?;
            if rustix::event::poll(&mut ready, Some(&limit))? == 0 {
                self.write("\n")?;
                return Err(io::ErrorKind::TimedOut.into());
            }
            match (&self.tty).read(&mut line) {
                // Another program was faster.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                read => break read?,
            }
        };
        let line = String::from_utf8_lossy(line.get(..count).unwrap_or_default());
        self.erase(&format!("{prompt}{}", line.trim_end()), 1)?;
        Ok(matches!(line.trim().to_lowercase().as_str(), "y" | "yes"))
    }

    /// Tidies up after a question whose answer was not shown.
    fn answered(&self, prompt: &str, answer: io::Result<Secret>) -> io::Result<Secret> {
        match &answer {
            Ok(_) => self.erase(prompt, 0)?,
            Err(_) => self.write("\n")?,
        }
        answer.map_err(plain)
    }

    /// Erases text that this terminal shows, the cursor standing `below` rows under its last one.
    fn erase(&self, shown: &str, below: usize) -> io::Result<()> {
        if !self.erases {
            return if below == 0 { self.write("\n") } else { Ok(()) };
        }
        let width = self.width();
        // Without tables of widths: a wide letter in a question that wraps leaves a row behind at worst.
        let rows: usize = shown
            .split('\n')
            .map(|l| 1 + l.chars().count().saturating_sub(1) / width)
            .sum();
        let up = rows - 1 + below;
        let up = if up == 0 {
            String::new()
        } else {
            format!("\x1b[{up}A")
        };
        self.write(&format!("{up}\r\x1b[J"))
    }

    /// Shows a line.
    pub fn say(&self, text: &str) -> io::Result<()> {
        self.write(&format!("{}\n", sanitize(text)))
    }

    fn write(&self, text: &str) -> io::Result<()> {
        (&self.tty).write_all(text.as_bytes())
    }
}

/// The path of the terminal that one of the three streams is, for a process of another session: there, `/dev/tty` means
/// another one.
pub fn name() -> Option<PathBuf> {
    let streams = [
        rustix::stdio::stdin(),
        rustix::stdio::stderr(),
        rustix::stdio::stdout(),
    ];
    streams.into_iter().find_map(name_of)
}

fn name_of(fd: impl AsFd) -> Option<PathBuf> {
    let name = rustix::termios::ttyname(fd, Vec::new()).ok()?;
    let path = PathBuf::from(OsStr::from_bytes(name.as_bytes()));
    (path != Path::new("/dev/tty")).then_some(path)
}

/// What is typed, byte by byte as far as the terminal hands it over; ends at a held signal.
struct Keys {
    tty: File,
    held: Held,
}

impl Read for Keys {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let mut ready = [
                PollFd::new(&self.tty, PollFlags::IN),
                PollFd::from_borrowed_fd(self.held.as_fd(), PollFlags::IN),
            ];
            match rustix::event::poll(&mut ready, None) {
                Err(rustix::io::Errno::INTR) => continue,
                other => other?,
            };
            if self.held.is_caught() {
                // Not Interrupted: readers of the standard library would try again, for ever.
                return Err(io::ErrorKind::ConnectionReset.into());
            }
            match self.tty.read(buffer) {
                // Not UnexpectedEof: a half-typed passphrase would count as typed.
                Ok(0) => return Err(io::ErrorKind::ConnectionAborted.into()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => return other,
            }
        }
    }
}

/// The callers know two ways in which a question can fail to be answered.
fn plain(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::ConnectionAborted => io::ErrorKind::UnexpectedEof.into(),
        io::ErrorKind::ConnectionReset => io::ErrorKind::Interrupted.into(),
        _ => error,
    }
}

fn read_lines(mut keys: Keys) -> io::Result<Secret> {
    let mut lines = Lines::new();
    let mut byte = [0];
    loop {
        keys.read_exact(&mut byte)?;
        match byte
            .iter()
            .try_fold(Step::More, |_, &byte| lines.feed(byte))?
        {
            Step::More => {}
            Step::End => return Ok(lines.into_secret()),
        }
    }
}

/// No echo, each key at once, and Ctrl-C as a key, while this lives.
struct Silence<'a> {
    tty: &'a File,
    before: Termios,
}

impl<'a> Silence<'a> {
    fn begin(tty: &'a File) -> io::Result<Self> {
        let before = rustix::termios::tcgetattr(tty.as_fd())?;
        let mut silent = before.clone();
        silent.local_modes -=
            LocalModes::ECHO | LocalModes::ECHONL | LocalModes::ICANON | LocalModes::ISIG;
        silent.special_codes[SpecialCodeIndex::VMIN] = 1;
        silent.special_codes[SpecialCodeIndex::VTIME] = 0;
        rustix::termios::tcsetattr(tty.as_fd(), OptionalActions::Now, &silent)?;
        Ok(Self { tty, before })
    }
}

impl Drop for Silence<'_> {
    fn drop(&mut self) {
        // A terminal that is gone needs no echo.
        let _ = rustix::termios::tcsetattr(self.tty, OptionalActions::Now, &self.before);
    }
}
