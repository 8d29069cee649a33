//! Pseudo-terminals, and the real one behind them.
//!
//! Lives here: a terminal for a program whose output is read by us, made like the one that the user has, and the user's own
//! while its keys go there unread. Never here: the program, or what it prints. `supervise` calls it.

#![allow(clippy::disallowed_methods, reason = "opens terminals")]

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;

use rustix::fs::OFlags;
use rustix::pty::OpenptFlags;
use rustix::termios::InputModes;
use rustix::termios::LocalModes;
use rustix::termios::OptionalActions;
use rustix::termios::OutputModes;
use rustix::termios::Termios;

/// A pseudo-terminal: what the program has, and our end of it.
pub(in crate::sys) struct Pair {
    /// Our end: what the program prints is read here, keys are written here. Never blocks.
    pub ours: File,
    /// The program's end, which is a terminal.
    pub program: File,
}

impl Pair {
    /// One with the modes and the size of a terminal that is there.
    pub(in crate::sys) fn like(terminal: impl AsFd) -> io::Result<Self> {
        let ours = rustix::pty::openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY)?;
        rustix::io::fcntl_setfd(&ours, rustix::io::FdFlags::CLOEXEC)?;
        rustix::pty::grantpt(&ours)?;
        rustix::pty::unlockpt(&ours)?;
        let path = rustix::pty::ptsname(&ours, Vec::new())?;
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let path = OsStr::from_bytes(path.to_bytes());
        let program = rustix::fs::open(path, flags, rustix::fs::Mode::empty())?;
        if is_foreground(&terminal) {
            // In the background these would be another program's, a shell's that is being typed to.
            let modes = rustix::termios::tcgetattr(&terminal)?;
            rustix::termios::tcsetattr(&program, OptionalActions::Now, &modes)?;
        }
        resize(&ours, &terminal);
        never_block(&ours)?;
        Ok(Self {
            ours: ours.into(),
            program: program.into(),
        })
    }
}

/// Gives one terminal the size of another; the programs on it are told.
pub(in crate::sys) fn resize(ours: impl AsFd, like: impl AsFd) {
    // A terminal without a size leaves the other without one.
    if let Ok(size) = rustix::termios::tcgetwinsize(like) {
        let _ = rustix::termios::tcsetwinsize(ours, size);
    }
}

/// The terminal that controls this process.
pub(in crate::sys) fn controlling() -> Option<File> {
    File::options().read(true).write(true).open("/dev/tty").ok()
}

/// Whether this process is in the foreground of a terminal; one that does not control it has no background.
pub(in crate::sys) fn is_foreground(terminal: impl AsFd) -> bool {
    let group = rustix::termios::tcgetpgrp(terminal);
    group.map_or(true, |group| group == rustix::process::getpgrp())
}

/// Makes reading and writing end at once where they would wait.
pub(in crate::sys) fn never_block(file: impl AsFd) -> io::Result<()> {
    let flags = rustix::fs::fcntl_getfl(&file)?;
    Ok(rustix::fs::fcntl_setfl(&file, flags | OFlags::NONBLOCK)?)
}

/// The device behind a descriptor, by which two terminals are told apart.
pub(in crate::sys) fn device(file: impl AsFd) -> Option<u64> {
    rustix::fs::fstat(file).ok().map(|stat| stat.st_rdev)
}

/// The modes of a terminal whose keys are wanted one by one: those of the program's, as we see them from our end.
pub(in crate::sys) fn wanted_modes(ours: impl AsFd) -> Option<Termios> {
    let modes = rustix::termios::tcgetattr(ours).ok()?;
    (!modes.local_modes.contains(LocalModes::ICANON)).then_some(modes)
}

/// The modes that programs change, by which two settings are told apart.
type Sum = (InputModes, OutputModes, LocalModes);

/// How a terminal was taken over.
#[derive(PartialEq, Eq)]
enum Taken {
    Not,
    Raw,
    With(Sum),
}

fn sum_of(modes: &Termios) -> Sum {
    (modes.input_modes, modes.output_modes, modes.local_modes)
}

/// The user's terminal, whose keys are handed on as they are typed: changed for that while this process is in the foreground,
/// and as it was at all other times.
pub(in crate::sys) struct Keyboard {
    terminal: File,
    /// The modes as they were when it was taken over first.
    before: Option<Termios>,
    taken: Taken,
}

impl Keyboard {
    /// This terminal, still as it is.
    pub(in crate::sys) fn new(terminal: File) -> Self {
        Self {
            terminal,
            before: None,
            taken: Taken::Not,
        }
    }

    /// Takes it over where that has not been done, and tells whether it is ours now: with these modes, or raw. Another's
    /// must not be touched: who does it from the background is stopped.
    pub(in crate::sys) fn enter(&mut self, modes: Option<&Termios>) -> io::Result<bool> {
        let is_ours = is_foreground(&self.terminal);
        let wanted = modes.map_or(Taken::Raw, |modes| Taken::With(sum_of(modes)));
        if is_ours && self.taken != wanted {
            let now = rustix::termios::tcgetattr(&self.terminal)?;
            let mut raw = now.clone();
            raw.make_raw();
            rustix::termios::tcsetattr(
                &self.terminal,
                OptionalActions::Now,
                modes.unwrap_or(&raw),
            )?;
            self.before.get_or_insert(now);
            self.taken = wanted;
        }
        Ok(is_ours)
    }

    /// Puts its modes back.
    pub(in crate::sys) fn leave(&mut self) {
        let was_taken = std::mem::replace(&mut self.taken, Taken::Not) != Taken::Not;
        let is_ours = was_taken && is_foreground(&self.terminal);
        if let Some(before) = self.before.as_ref().filter(|_| is_ours) {
            let _ = rustix::termios::tcsetattr(&self.terminal, OptionalActions::Now, before);
        }
    }

    /// Counts it as not taken over: a shell may have changed its modes while we stood still.
    pub(in crate::sys) fn forget(&mut self) {
        self.taken = Taken::Not;
    }
}

impl AsFd for Keyboard {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.terminal.as_fd()
    }
}

impl Drop for Keyboard {
    fn drop(&mut self) {
        self.leave();
    }
}
