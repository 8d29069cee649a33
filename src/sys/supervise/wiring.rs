//! What the program's three streams are: each what ours is, a terminal or none, with a filter on the two it prints to.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::Instant;

use rustix::event::PollFd;
use rustix::event::PollFlags;
use rustix::event::Timespec;

use crate::sys::Streams;
use crate::sys::pty;
use crate::sys::pty::Keyboard;
use crate::sys::pty::Pair;
use crate::sys::supervise::Filters;
use crate::sys::supervise::relay::Relay;

/// The streams, wired up.
#[derive(Default)]
pub(super) struct Wiring {
    /// What the program gets; where nothing is named, what we have.
    pub streams: [Option<File>; 3],
    /// What comes back from terminals, and from pipes.
    pub relays: Vec<Relay>,
    /// Our ends of the terminals, and the one whose size each follows.
    pub terminals: Vec<(File, File)>,
    /// Where keys come from.
    pub keys: Option<Source>,
    /// Whether the program has a session of its own on its terminal.
    pub has_session: bool,
}

/// Where the program's keys come from: the user's terminal, and our end of the one that the program reads.
pub(super) struct Source {
    pub keyboard: Keyboard,
    pub ours: File,
    /// Whether what was printed there has been handed on.
    pub is_idle: Arc<AtomicBool>,
}

/// How long a program's last words may take.
const DRAIN_MAX: Duration = Duration::from_millis(200);

impl Source {
    /// Waits until all that the program, which stands still, has printed is handed on.
    pub(super) fn drain(&self) {
        let deadline = Instant::now() + DRAIN_MAX;
        let is_unread = || {
            let mut file = [PollFd::new(&self.ours, PollFlags::IN)];
            rustix::event::poll(&mut file, Some(&Timespec::default())).is_ok_and(|count| count > 0)
        };
        while (!self.is_idle.load(Ordering::SeqCst) || is_unread()) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

impl Wiring {
    /// Wires up the streams for these filters.
    pub(super) fn new(
        ours: Streams,
        stdin: Option<File>,
        filters: Option<&Filters<'_>>,
    ) -> io::Result<Self> {
        let has_keys = ours.stdin && stdin.is_none();
        let mut wiring = Self {
            streams: [stdin, None, None],
            ..Self::default()
        };
        let Some(filters) = filters else {
            return Ok(wiring);
        };
        let (stdin, stdout, stderr) = (std::io::stdin(), std::io::stdout(), std::io::stderr());
        let is_one = |a: BorrowedFd<'_>, b: BorrowedFd<'_>| pty::device(a) == pty::device(b);
        if has_keys && ours.stdout && is_one(stdin.as_fd(), stdout.as_fd()) {
            let pair = wiring.terminal(&[0, 1], stdout.as_fd(), filters)?;
            let terminal = File::from(stdin.as_fd().try_clone_to_owned()?);
            wiring.keys = Some(Source {
                keyboard: Keyboard::new(terminal),
                ours: pair.ours,
                is_idle: wiring.idleness(),
            });
            wiring.has_session = true;
        } else if ours.stdout {
            wiring.terminal(&[1], stdout.as_fd(), filters)?;
        } else {
            wiring.pipe(1, stdout.as_fd(), filters)?;
        }
        if ours.stdout && ours.stderr && is_one(stdout.as_fd(), stderr.as_fd()) {
            // One terminal for both, so that what is printed keeps its order.
            let [.., output, errors] = &mut wiring.streams;
            *errors = output.as_ref().map(File::try_clone).transpose()?;
        } else if ours.stderr {
            wiring.terminal(&[2], stderr.as_fd(), filters)?;
        } else {
            wiring.pipe(2, stderr.as_fd(), filters)?;
        }
        if !has_keys {
            wiring.keys = wiring.on_demand()?;
        }
        Ok(wiring)
    }

    /// Keys for a program whose input is no terminal, and that may read them from the terminal it prints to: a pager does.
    fn on_demand(&self) -> io::Result<Option<Source>> {
        let Some((ours, _)) = self.terminals.first() else {
            return Ok(None);
        };
        let ours = ours.try_clone()?;
        Ok(pty::controlling().map(|terminal| Source {
            keyboard: Keyboard::new(terminal),
            ours,
            is_idle: self.idleness(),
        }))
    }

    /// Makes these streams a terminal like the one that is there.
    fn terminal(
        &mut self,
        numbers: &[usize],
        like: BorrowedFd<'_>,
        filters: &Filters<'_>,
    ) -> io::Result<Pair> {
        let pair = Pair::like(like)?;
        for &number in numbers {
            if let Some(stream) = self.streams.get_mut(number) {
                *stream = Some(pair.program.try_clone()?);
            }
        }
        let user = File::from(like.try_clone_to_owned()?);
        self.terminals.push((pair.ours.try_clone()?, user));
        self.relay(pair.ours.try_clone()?, like, filters, true)?;
        Ok(pair)
    }

    fn pipe(
        &mut self,
        number: usize,
        sink: BorrowedFd<'_>,
        filters: &Filters<'_>,
    ) -> io::Result<()> {
        let (source, program) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
        pty::never_block(&source)?;
        if let Some(stream) = self.streams.get_mut(number) {
            *stream = Some(program.into());
        }
        self.relay(source.into(), sink, filters, false)
    }

    fn relay(
        &mut self,
        source: File,
        sink: BorrowedFd<'_>,
        filters: &Filters<'_>,
        is_terminal: bool,
    ) -> io::Result<()> {
        self.relays.push(Relay {
            source,
            sink: File::from(sink.try_clone_to_owned()?),
            filter: filters(),
            is_terminal,
            is_idle: Arc::default(),
        });
        Ok(())
    }

    /// The word of the relay that was made first.
    fn idleness(&self) -> Arc<AtomicBool> {
        self.relays
            .first()
            .map(|relay| relay.is_idle.clone())
            .unwrap_or_default()
    }
}
