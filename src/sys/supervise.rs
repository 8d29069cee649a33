//! A program that runs under this one: when something must happen after its end, or to what it prints.
//!
//! Lives here: the parent's part, signals handed on, stops followed, streams relayed, the end as the program's own; and `Job`.
//! Never here: what a filter does. `exec` calls it when it cannot just become the program.
//!
//! Who is who. Without a session the program is our child in our own process group: the terminal's signals reach it as they
//! reach us. With a session (keys and output are a terminal, and are relayed) there is a leader between us: this program
//! once more, in a session of its own on the pseudo-terminal, with the program in the foreground. The kernel stops no
//! program at Ctrl-Z whose parent is not in its session; so the leader is, and stops itself when the program stops, which
//! we see, put the user's terminal back, and stop as well. No program outlives us when we are killed: each asks the kernel to
//! be killed with its parent.

mod member;
mod relay;
mod wiring;

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::io::Write;
use std::time::Duration;
use std::time::Instant;

use rustix::event::PollFd;
use rustix::event::PollFlags;
use rustix::process::Pid;
use rustix::process::Signal;
use rustix::process::WaitOptions;
use rustix::process::WaitStatus;

pub use self::member::Role;
pub use self::member::become_program;
pub use self::member::lead;
pub use self::relay::Filter;

use self::relay::Relay;
use self::wiring::Source;
use self::wiring::Wiring;
use crate::sys::Streams;
use crate::sys::mem::OriginalLimits;
use crate::sys::process;
use crate::sys::process::Variable;
use crate::sys::pty;
use crate::sys::pty::Keyboard;
use crate::sys::signal;
use crate::sys::signal::Watch;

/// Makes the filter of one stream.
pub type Filters<'f> = dyn Fn() -> Box<dyn Filter> + 'f;

/// How often one looks what nothing tells: that a process in the background is in the foreground again, and that a program
/// wants keys from the terminal it prints to.
const LOOK: Duration = Duration::from_millis(100);

/// How long streams may take that nobody reads, once we were asked to end and the program has.
const PATIENCE: Duration = Duration::from_secs(1);

/// A program to be started.
pub struct Job<'a> {
    /// Its name or path.
    pub program: &'a OsStr,
    /// Its arguments.
    pub args: &'a [&'a OsStr],
    /// Its environment, whole.
    pub variables: &'a [Variable<'a>],
    /// The limits that it gets.
    pub limits: &'a OriginalLimits,
    /// Its standard input, where that is not ours.
    pub stdin: Option<File>,
}

/// How a program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// With this exit code.
    Code(u8),
    /// By this signal.
    Signal(i32),
}

/// Runs a program to its end, with its output filtered. `ours` is which of our streams is a terminal.
///
/// A terminal is relayed until the program ends, a pipe until its last writer does, as `| cat` would.
pub fn run(job: Job<'_>, ours: Streams, filters: Option<&Filters<'_>>) -> io::Result<Ended> {
    let watch = Watch::new()?;
    let mut wiring = Wiring::new(ours, job.stdin, filters)?;
    let role = if wiring.has_session {
        Role::Leader
    } else {
        Role::Program
    };
    let words: Vec<&OsStr> = std::iter::once(job.program)
        .chain(job.args.iter().copied())
        .collect();
    let streams = std::mem::take(&mut wiring.streams);
    let child = process::spawn_member(role, &words, job.variables, job.limits, streams)?;
    let mut parent = Parent {
        watch,
        child,
        keys: wiring.keys,
        has_session: wiring.has_session,
        terminals: wiring.terminals,
        is_ending: false,
    };
    let relays = Relays::start(wiring.relays)?;
    let ended = parent.wait()?;
    relays.finish(&mut parent)?;
    Ok(ended)
}

/// Whether the keys of a terminal reach this process.
fn is_before_us() -> bool {
    pty::controlling().is_some_and(pty::is_foreground)
}

/// The side of a running program that stays here.
struct Parent {
    watch: Watch,
    child: Pid,
    keys: Option<Source>,
    has_session: bool,
    /// Terminals, and whose size they follow.
    terminals: Vec<(File, File)>,
    /// Whether we were asked to end.
    is_ending: bool,
}

impl Parent {
    /// Waits for the program, and meanwhile hands on keys and signals.
    fn wait(&mut self) -> io::Result<Ended> {
        let mut typed = Typed::default();
        loop {
            self.hand_on_signals();
            if let Some(ended) = self.reap()? {
                return Ok(ended);
            }
            let Some(Source { keyboard, ours, .. }) = &mut self.keys else {
                wait_for(&mut [PollFd::new(&self.watch, PollFlags::IN)], None)?;
                continue;
            };
            let modes = if self.has_session {
                None
            } else {
                pty::wanted_modes(&*ours)
            };
            let is_ours = if self.has_session || modes.is_some() {
                keyboard.enter(modes.as_ref())?
            } else {
                keyboard.leave();
                false
            };
            let mut files = vec![PollFd::new(&self.watch, PollFlags::IN)];
            if typed.is_pending() {
                files.push(PollFd::new(&*ours, PollFlags::OUT));
            } else if is_ours && !typed.has_ended {
                files.push(PollFd::new(&*keyboard, PollFlags::IN));
            }
            wait_for(&mut files, (!(is_ours && self.has_session)).then_some(LOOK))?;
            let is_ready = files.get(1).is_some_and(|file| !file.revents().is_empty());
            if is_ready {
                typed.hand_on(&*keyboard, ours);
            }
        }
    }

    fn hand_on_signals(&mut self) {
        for signal in self
            .watch
            .take()
            .into_iter()
            .filter_map(Signal::from_named_raw)
        {
            match signal {
                Signal::CHILD => {}
                Signal::CONT => {
                    if let Some(source) = &mut self.keys {
                        source.keyboard.forget();
                    }
                    self.follow_size();
                }
                Signal::WINCH => self.follow_size(),
                _ => {
                    self.is_ending |= signal::asks_to_end(signal.as_raw());
                    // Ctrl-C reaches all who are in the foreground, the program beside us, too: once is enough.
                    let is_key = [Signal::INT, Signal::QUIT].contains(&signal);
                    if !(is_key && !self.has_session && is_before_us()) {
                        self.tell(signal);
                    }
                }
            }
        }
    }

    fn tell(&self, signal: Signal) {
        // It may be gone already.
        let _ = rustix::process::kill_process(self.child, signal);
    }

    fn follow_size(&self) {
        for (terminal, like) in &self.terminals {
            pty::resize(terminal, like);
        }
        if !self.has_session && !self.terminals.is_empty() {
            // It may have asked for the size before we passed it on.
            self.tell(Signal::WINCH);
        }
    }

    /// Collects what has ended: the program, and, where this process is the first of a container, whatever is left to it.
    fn reap(&mut self) -> io::Result<Option<Ended>> {
        let options = WaitOptions::NOHANG | WaitOptions::UNTRACED;
        while let Some((pid, status)) = rustix::process::wait(options)? {
            if pid != self.child {
                continue;
            }
            if let Some(ended) = ended(status) {
                return Ok(Some(ended));
            }
            if status.stopped() {
                self.stop();
            }
        }
        Ok(None)
    }

    /// The program's session has stopped: we do, as its job, once its last words are out; and go on with it.
    fn stop(&mut self) {
        let Some(source) = self.keys.as_mut().filter(|_| self.has_session) else {
            return;
        };
        source.drain();
        let keyboard = &mut source.keyboard;
        keyboard.leave();
        let _ = rustix::process::kill_current_process_group(Signal::TSTP);
        // Here we are continued, or were not stopped, where nobody could continue us. Its modes are ours before it goes on; if
        // they cannot be, the next step tells.
        let _ = keyboard.enter(None);
        self.follow_size();
        self.tell(Signal::CONT);
    }
}

/// How a program ended, if it did.
fn ended(status: WaitStatus) -> Option<Ended> {
    let code = status
        .exit_status()
        .map(|code| Ended::Code(u8::try_from(code).unwrap_or(u8::MAX)));
    code.or(status.terminating_signal().map(Ended::Signal))
}

/// Waits until one of them is ready; a signal ends the wait as well.
fn wait_for(files: &mut [PollFd<'_>], limit: Option<Duration>) -> io::Result<()> {
    let limit = limit.and_then(|limit| limit.try_into().ok());
    match rustix::event::poll(files, limit.as_ref()) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// What was typed and not taken yet.
#[derive(Default)]
struct Typed {
    pending: Vec<u8>,
    has_ended: bool,
}

impl Typed {
    fn is_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Moves one step on: takes keys, or passes them on.
    fn hand_on(&mut self, keyboard: &Keyboard, mut ours: &File) {
        if self.pending.is_empty() {
            let mut typed = zeroize::Zeroizing::new([0; 4096]);
            match rustix::io::read(keyboard, &mut typed[..]) {
                Ok(0) | Err(rustix::io::Errno::IO) => self.has_ended = true,
                Ok(count) => self
                    .pending
                    .extend_from_slice(typed.get(..count).unwrap_or_default()),
                Err(_) => {}
            }
        }
        match ours.write(&self.pending) {
            Ok(count) => drop(self.pending.drain(..count)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => self.pending.clear(),
        }
    }
}

/// The streams under way, each in a thread.
struct Relays {
    terminals: Option<io::PipeWriter>,
    pipes: Option<io::PipeWriter>,
    /// Closed by each when it is done.
    under_way: Vec<io::PipeReader>,
}

impl Relays {
    fn start(relays: Vec<Relay>) -> io::Result<Self> {
        let (stop_terminals, terminals) = io::pipe()?;
        let (stop_pipes, pipes) = io::pipe()?;
        let mut under_way = Vec::new();
        for relay in relays {
            let (done, doing) = io::pipe()?;
            let stop = if relay.is_terminal {
                &stop_terminals
            } else {
                &stop_pipes
            };
            let stop = stop.try_clone()?;
            std::thread::Builder::new().spawn(move || {
                relay.run(&stop);
                drop(doing);
            })?;
            under_way.push(done);
        }
        Ok(Self {
            terminals: Some(terminals),
            pipes: Some(pipes),
            under_way,
        })
    }

    /// Waits for the rest of what was printed.
    fn finish(mut self, parent: &mut Parent) -> io::Result<()> {
        self.terminals = None;
        let mut deadline = None;
        while let Some(first) = self.under_way.first() {
            parent.hand_on_signals();
            if parent.is_ending && deadline.is_none() {
                self.pipes = None;
                deadline = Some(Instant::now() + PATIENCE);
            }
            let left = deadline.map(|end| end.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                return Ok(());
            }
            let mut files = [
                PollFd::new(first, PollFlags::IN),
                PollFd::new(&parent.watch, PollFlags::IN),
            ];
            wait_for(&mut files, left)?;
            if files.first().is_some_and(|file| !file.revents().is_empty()) {
                self.under_way.remove(0);
            }
        }
        Ok(())
    }
}
