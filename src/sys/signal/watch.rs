//! Signals that are handed on: caught while another program runs under this one.

#![allow(
    clippy::disallowed_methods,
    reason = "reads what the kernel tells of this process"
)]

use std::fs::File;
use std::io;
use std::io::Read;
use std::os::fd::AsFd;
use std::os::fd::BorrowedFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::PoisonError;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;

use signal_hook::consts::SIGALRM;
use signal_hook::consts::SIGCHLD;
use signal_hook::consts::SIGCONT;
use signal_hook::consts::SIGHUP;
use signal_hook::consts::SIGINT;
use signal_hook::consts::SIGQUIT;
use signal_hook::consts::SIGTERM;
use signal_hook::consts::SIGUSR1;
use signal_hook::consts::SIGUSR2;
use signal_hook::consts::SIGWINCH;

use crate::sys::signal::HANDLERS;
use crate::sys::signal::Held;

/// What a program that is run may be sent, by way of this one.
const HANDED_ON: [i32; 7] = [SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGALRM];
/// What tells something about the program or the terminal.
const TOLD: [i32; 3] = [SIGCHLD, SIGCONT, SIGWINCH];

/// More than the kernel tells of a process.
const STATUS_MAX_BYTES: u64 = 64 * 1024;

/// Catches signals from now on. One that was ignored when this process started (`nohup`) stays ignored, and is by the program.
pub struct Watch {
    caught: Vec<(i32, Arc<AtomicBool>)>,
    pipe: UnixStream,
    /// The handlers of an earlier question do not end this process any more.
    #[allow(dead_code, reason = "holding it is its use")]
    held: Option<Held>,
}

impl Watch {
    /// Begins to catch.
    pub fn new() -> io::Result<Self> {
        let ignored = ignored();
        let is_ignored = |signal: i32| ignored >> (signal - 1) & 1 == 1;
        let has_asked = HANDLERS
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .is_some();
        let (pipe, sender) = UnixStream::pair()?;
        pipe.set_nonblocking(true)?;
        let mut caught = Vec::new();
        for signal in HANDED_ON
            .into_iter()
            .filter(|&signal| !is_ignored(signal))
            .chain(TOLD)
        {
            let flag = Arc::new(AtomicBool::new(false));
            signal_hook::flag::register(signal, flag.clone())?;
            signal_hook::low_level::pipe::register(signal, sender.try_clone()?)?;
            caught.push((signal, flag));
        }
        Ok(Self {
            caught,
            pipe,
            held: if has_asked { Some(Held::new()?) } else { None },
        })
    }

    /// The signals that came since the last call, each once.
    pub fn take(&self) -> Vec<i32> {
        let mut noted = [0; 64];
        // It never blocks; an error means that there is nothing more to read.
        while matches!((&self.pipe).read(&mut noted), Ok(count) if count > 0) {}
        let came = self
            .caught
            .iter()
            .filter(|(_, flag)| flag.swap(false, Ordering::SeqCst));
        came.map(|(signal, _)| *signal).collect()
    }
}

/// Whether a signal is one that asks a program to end.
pub fn asks_to_end(signal: i32) -> bool {
    [SIGHUP, SIGINT, SIGQUIT, SIGTERM].contains(&signal)
}

impl AsFd for Watch {
    /// Readable once a signal came, for `poll`.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pipe.as_fd()
    }
}

/// The signals that are ignored, one bit each, as Linux tells it; elsewhere none.
fn ignored() -> u64 {
    let mut status = String::new();
    // Where it cannot be read, none is.
    let _ = File::open("/proc/self/status")
        .and_then(|file| file.take(STATUS_MAX_BYTES).read_to_string(&mut status));
    let line = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    line.and_then(|digits| u64::from_str_radix(digits.trim(), 16).ok())
        .unwrap_or(0)
}
