//! Signals that end a program, held back while something must be put in order first.
//!
//! Lives here: `Held`, and `Watch`, which notes signals for a program that is run. Never here: what is put in order. The
//! terminal holds them while echo is off, `edit` while a secret lies in a folder in RAM, so that Ctrl-C ends in an error that
//! unwinds and not in a dead process.

mod watch;

use std::io;
use std::io::Read;
use std::os::fd::AsFd;
use std::os::fd::BorrowedFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;

use signal_hook::consts::SIGHUP;
use signal_hook::consts::SIGINT;
use signal_hook::consts::SIGQUIT;
use signal_hook::consts::SIGTERM;

pub use self::watch::Watch;
pub use self::watch::asks_to_end;

/// The handlers, made by the first `hold`; a program that never asks anything never has them.
static HANDLERS: Mutex<Option<Handlers>> = Mutex::new(None);

/// What the handlers share with this process.
struct Handlers {
    /// How many holds there are.
    holds: usize,
    /// True while there is none: a signal then does what it does by default.
    armed: Arc<AtomicBool>,
    /// Set when a signal came while held.
    caught: Arc<AtomicBool>,
    /// Readable once a signal came.
    pipe: UnixStream,
}

/// While this lives, Ctrl-C, Ctrl-\, a hang-up and a request to terminate are noted and do not end the program.
///
/// A started program does not inherit it: handlers end with `execve`.
pub struct Held {
    pipe: UnixStream,
    caught: Arc<AtomicBool>,
}

impl Held {
    /// Starts holding; holds may be nested.
    pub fn new() -> io::Result<Self> {
        let mut handlers = HANDLERS.lock().unwrap_or_else(PoisonError::into_inner);
        if handlers.is_none() {
            *handlers = Some(Handlers::install()?);
        }
        let Some(handlers) = handlers.as_mut() else {
            return Err(io::ErrorKind::Other.into());
        };
        let held = Self {
            pipe: handlers.pipe.try_clone()?,
            caught: handlers.caught.clone(),
        };
        handlers.holds += 1;
        handlers.armed.store(false, Ordering::SeqCst);
        Ok(held)
    }

    /// Whether a signal came since the first hold, or since `forget`.
    pub fn is_caught(&self) -> bool {
        self.caught.load(Ordering::SeqCst)
    }

    /// Counts the signals so far as dealt with.
    pub fn forget(&self) {
        self.caught.store(false, Ordering::SeqCst);
        let mut noted = [0; 64];
        // It never blocks; an error means that there is nothing more to read.
        while matches!((&self.pipe).read(&mut noted), Ok(count) if count > 0) {}
    }
}

impl AsFd for Held {
    /// Readable once a signal came, for `poll`.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pipe.as_fd()
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut handlers = HANDLERS.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(handlers) = handlers.as_mut() else {
            return;
        };
        handlers.holds -= 1;
        if handlers.holds == 0 {
            self.forget();
            handlers.armed.store(true, Ordering::SeqCst);
        }
    }
}

impl Handlers {
    fn install() -> io::Result<Self> {
        let (pipe, sender) = UnixStream::pair()?;
        pipe.set_nonblocking(true)?;
        let armed = Arc::new(AtomicBool::new(false));
        let caught = Arc::new(AtomicBool::new(false));
        for signal in [SIGHUP, SIGINT, SIGQUIT, SIGTERM] {
            signal_hook::flag::register_conditional_default(signal, armed.clone())?;
            signal_hook::flag::register(signal, caught.clone())?;
            signal_hook::low_level::pipe::register(signal, sender.try_clone()?)?;
        }
        Ok(Self {
            holds: 0,
            armed,
            caught,
            pipe,
        })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::MutexGuard;

    use super::*;

    /// Tests that hold signals take turns: what is caught belongs to the process.
    pub(in crate::sys) fn turn() -> MutexGuard<'static, ()> {
        static TURN: Mutex<()> = Mutex::new(());
        TURN.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[test]
    fn a_held_signal_is_noted_and_forgotten() {
        let _turn = turn();
        let outer = Held::new().unwrap();
        let inner = Held::new().unwrap();
        signal_hook::low_level::raise(SIGTERM).unwrap();
        assert!(inner.is_caught());
        drop(inner);
        assert!(
            outer.is_caught(),
            "the inner hold leaves it to the outer one"
        );
        outer.forget();
        assert!(!outer.is_caught());
        assert!(
            (&outer.pipe).read(&mut [0]).is_err(),
            "nothing left in the pipe"
        );
    }
}
