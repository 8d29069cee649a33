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
use rustix::termios::OptionalActions;
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
        let modes = rustix::termios::tcgetattr(&terminal)?;
        rustix::termios::tcsetattr(&program, OptionalActions::Now, &modes)?;
        resize(&ours, &terminal);
        never_block(&ours)?;
        Ok(Self {
            ours: ours.into(),
            program: program.into(),
        })
    }

    /// Leaves what the program prints as it is: the user's own terminal, which gets it, makes line ends of line feeds.
    pub(in crate::sys) fn pass_through(&self) -> io::Result<()> {
        let mut modes = rustix::termios::tcgetattr(&self.program)?;
        modes.make_raw();
        Ok(rustix::termios::tcsetattr(
            &self.program,
            OptionalActions::Now,
            &modes,
        )?)
    }
}

/// Gives one terminal the size of another; the programs on it are told.
pub(in crate::sys) fn resize(ours: impl AsFd, like: impl AsFd) {
    // A terminal without a size leaves the other without one.
    if let Ok(size) = rustix::termios::tcgetwinsize(like) {
        let _ = rustix::termios::tcsetwinsize(ours, size);
    }
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

/// The user's terminal, whose keys are handed on as they are typed: raw while this process is in the foreground, and as it
/// was at all other times.
pub(in crate::sys) struct Keyboard {
    terminal: File,
    /// The modes as they were when it was taken over first.
    before: Option<Termios>,
    is_raw: bool,
}

impl Keyboard {
    /// Takes over a terminal, if this process is in its foreground.
    pub(in crate::sys) fn new(terminal: impl AsFd) -> io::Result<Self> {
        let mut keyboard = Self {
            terminal: File::from(terminal.as_fd().try_clone_to_owned()?),
            before: None,
            is_raw: false,
        };
        keyboard.enter()?;
        Ok(keyboard)
    }

    /// Takes it over where that has not been done, and tells whether it is ours now. Another's must not be touched: who
    /// does it from the background is stopped.
    pub(in crate::sys) fn enter(&mut self) -> io::Result<bool> {
        let is_ours = self.is_foreground();
        if is_ours && !self.is_raw {
            let now = rustix::termios::tcgetattr(&self.terminal)?;
            let mut raw = now.clone();
            raw.make_raw();
            rustix::termios::tcsetattr(&self.terminal, OptionalActions::Now, &raw)?;
            self.before.get_or_insert(now);
            self.is_raw = true;
        }
        Ok(is_ours)
    }

    /// Puts its modes back.
    pub(in crate::sys) fn leave(&mut self) {
        let is_ours = std::mem::take(&mut self.is_raw) && self.is_foreground();
        if let Some(before) = self.before.as_ref().filter(|_| is_ours) {
            let _ = rustix::termios::tcsetattr(&self.terminal, OptionalActions::Now, before);
        }
    }

    /// Counts it as not taken over: a shell may have changed its modes while we stood still.
    pub(in crate::sys) fn forget(&mut self) {
        self.is_raw = false;
    }

    fn is_foreground(&self) -> bool {
        // One that does not control this process has no background.
        let group = rustix::termios::tcgetpgrp(&self.terminal);
        group.map_or(true, |group| group == rustix::process::getpgrp())
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
