//! This program once more, on the way to becoming the one that is run, or leading the session it runs in.
//!
//! What must be done in a new process before a program starts would take `unsafe` between `fork` and `execve`; a process
//! of our own does it safely.

use std::ffi::OsStr;
use std::io;
use std::time::Duration;
use std::time::Instant;

use rustix::process::Pid;
use rustix::process::Signal;
use rustix::process::WaitOptions;

use crate::sys::mem::OriginalLimits;
use crate::sys::process;
use crate::sys::process::Variable;
use crate::sys::signal::Watch;
use crate::sys::supervise::Ended;
use crate::sys::supervise::ended;
use crate::sys::supervise::wait_for;

/// How long a program waits for the foreground of its terminal before it starts all the same.
const FOREGROUND_MAX: Duration = Duration::from_secs(5);
/// How often it looks.
const LOOK: Duration = Duration::from_micros(200);

/// What a process of ours is on the way to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The leader of a session on the terminal that is its standard input.
    Leader,
    /// The program, in the foreground of its terminal.
    Foreground,
    /// The program.
    Program,
}

impl Role {
    /// The word by which it is named on a command line.
    pub fn word(self) -> &'static str {
        match self {
            Self::Leader => "leader",
            Self::Foreground => "foreground",
            Self::Program => "program",
        }
    }

    /// The role of that word.
    pub fn from_word(word: &str) -> Option<Self> {
        let all = [Self::Leader, Self::Foreground, Self::Program];
        all.into_iter().find(|role| role.word() == word)
    }
}

/// Becomes the program, which is killed when its parent, `parent`, is. Returns only if that failed.
pub fn become_program(
    role: Role,
    parent: i32,
    words: &[&OsStr],
    variables: &[Variable<'_>],
    limits: &OriginalLimits,
) -> io::Error {
    if let Err(error) = die_with(parent) {
        return error;
    }
    if role == Role::Foreground {
        await_foreground();
    }
    match words {
        [program, args @ ..] => process::replace(program, args, variables, limits),
        [] => io::ErrorKind::InvalidInput.into(),
    }
}

/// Leads a session: runs the program in its foreground, stops when it stops, and returns how it ended.
pub fn lead(
    parent: i32,
    words: &[&OsStr],
    variables: &[Variable<'_>],
    limits: &OriginalLimits,
) -> io::Result<Ended> {
    die_with(parent)?;
    rustix::process::setsid()?;
    let terminal = io::stdin();
    rustix::process::ioctl_tiocsctty(&terminal)?;
    let watch = Watch::new()?;
    let child = process::spawn_member(
        Role::Foreground,
        words,
        variables,
        limits,
        [None, None, None],
    )?;
    // It is gone already if this fails.
    let _ = rustix::termios::tcsetpgrp(&terminal, child);
    loop {
        for signal in watch.take().into_iter().filter_map(Signal::from_named_raw) {
            match signal {
                Signal::CHILD | Signal::WINCH => {}
                Signal::CONT => drop(rustix::process::kill_process_group(child, signal)),
                _ => drop(rustix::process::kill_process(child, signal)),
            }
        }
        let options = WaitOptions::NOHANG | WaitOptions::UNTRACED;
        while let Some((pid, status)) = rustix::process::wait(options)? {
            if pid == child {
                if let Some(ended) = ended(status) {
                    return Ok(ended);
                }
                // Continued by the parent; the loop hands that on.
                rustix::process::kill_process(rustix::process::getpid(), Signal::STOP)?;
            }
        }
        wait_for(
            &mut [rustix::event::PollFd::new(
                &watch,
                rustix::event::PollFlags::IN,
            )],
            None,
        )?;
    }
}

/// Asks the kernel to be killed with the parent, and ends if that has ended already.
fn die_with(parent: i32) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    if rustix::process::getppid().map(Pid::as_raw_pid) != Some(parent) {
        return Err(io::Error::other("the process that started it is gone"));
    }
    Ok(())
}

/// The leader puts us into the foreground as soon as it knows us. Who reads before that would be stopped.
fn await_foreground() {
    let deadline = Instant::now() + FOREGROUND_MAX;
    let is_behind = || {
        let group = rustix::termios::tcgetpgrp(io::stdin());
        group.is_ok_and(|group| group != rustix::process::getpgrp())
    };
    while is_behind() && Instant::now() < deadline {
        std::thread::sleep(LOOK);
    }
}
