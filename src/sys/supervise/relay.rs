//! One stream of the program, on its way through a filter to where ours goes.

use std::fs::File;
use std::io;
use std::io::Read;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rustix::event::PollFd;
use rustix::event::PollFlags;
use zeroize::Zeroizing;

/// What a stream passes through.
pub trait Filter: Send {
    /// Takes a piece, and returns what goes on.
    fn feed<'f>(&'f mut self, piece: &'f [u8]) -> &'f [u8];
    /// Whether it holds something back.
    fn holds(&self) -> bool;
    /// The stream stands still before a person: returns what may be shown of what is held.
    fn pause(&mut self) -> &[u8];
    /// The stream has ended: returns what is held.
    fn finish(&mut self) -> &[u8];
}

/// How much is read at once.
const BUFFER_BYTES: usize = 64 * 1024;

/// How long a terminal stands still before a person counts as waiting; shorter than anyone notices.
const PAUSE: Duration = Duration::from_millis(20);

/// One stream.
pub(super) struct Relay {
    /// Our end of the program's pipe or terminal; reading it never blocks.
    pub source: File,
    /// Ours.
    pub sink: File,
    /// What lies between.
    pub filter: Box<dyn Filter>,
    /// Whether a person looks at it.
    pub is_terminal: bool,
    /// Whether all that was read has been handed on.
    pub is_idle: Arc<AtomicBool>,
}

impl Relay {
    /// Hands the stream on until it ends, or until what there was is handed on after `stop` has been closed.
    ///
    /// A pipe that nobody reads any more is closed to the program, too.
    pub(super) fn run(mut self, stop: &io::PipeReader) {
        let done = self.hand_on(stop);
        if done.is_ok() {
            // Nobody is left to be told.
            let _ = write_all(&mut self.sink, self.filter.finish());
        }
    }

    fn hand_on(&mut self, stop: &io::PipeReader) -> io::Result<()> {
        let mut buffer = Zeroizing::new(vec![0; BUFFER_BYTES]);
        let mut is_shown = false;
        loop {
            self.is_idle.store(false, Ordering::SeqCst);
            match self.source.read(&mut buffer) {
                // A terminal that no program has open any more is an error on Linux.
                Ok(0) => return Ok(()),
                Err(error)
                    if error.raw_os_error() == Some(rustix::io::Errno::IO.raw_os_error()) =>
                {
                    return Ok(());
                }
                Ok(count) => {
                    write_all(
                        &mut self.sink,
                        self.filter.feed(buffer.get(..count).unwrap_or_default()),
                    )?;
                    is_shown = false;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.is_idle.store(true, Ordering::SeqCst);
                    let is_waited_for = self.is_terminal && !is_shown && self.filter.holds();
                    match self.wait(stop, is_waited_for.then_some(PAUSE))? {
                        Waited::More => {}
                        Waited::Stop => return Ok(()),
                        Waited::Pause => {
                            write_all(&mut self.sink, self.filter.pause())?;
                            is_shown = true;
                        }
                    }
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn wait(&self, stop: &io::PipeReader, limit: Option<Duration>) -> io::Result<Waited> {
        let limit = limit.and_then(|limit| limit.try_into().ok());
        let mut files = [
            PollFd::new(&self.source, PollFlags::IN),
            PollFd::new(stop, PollFlags::IN),
        ];
        match rustix::event::poll(&mut files, limit.as_ref()) {
            Ok(0) => return Ok(Waited::Pause),
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let [source, stop] = files.map(|file| !file.revents().is_empty());
        Ok(if stop && !source {
            Waited::Stop
        } else {
            Waited::More
        })
    }
}

enum Waited {
    More,
    Pause,
    Stop,
}

/// Writes all of it, also where the other end was told never to block.
fn write_all(sink: &mut File, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match sink.write(bytes) {
            Ok(count) => bytes = bytes.get(count..).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let _ = rustix::event::poll(&mut [PollFd::new(&*sink, PollFlags::OUT)], None);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
