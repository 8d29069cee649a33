//! An answer on its way to a client, which may take its time to read it.

use std::io;
use std::io::Write;
use std::os::unix::net::UnixStream;

use crate::secret::Secret;
use crate::session::keyring::Answer;

/// What is left to be written of an answer.
pub(super) struct Outgoing {
    head: Secret,
    /// Kept for its large last field, which is not copied.
    answer: Option<Answer>,
    written: usize,
}

impl Outgoing {
    pub(super) fn new(answer: Answer) -> Self {
        let (head, has_tail) = {
            let frame = answer.reply().frame();
            (frame.head, !frame.tail.is_empty())
        };
        Self {
            head,
            answer: Some(answer).filter(|_| has_tail),
            written: 0,
        }
    }

    /// Writes to a stream that never blocks as much as is taken; whether that was all.
    pub(super) fn write(&mut self, mut stream: &UnixStream) -> io::Result<bool> {
        loop {
            let rest = match self.written.checked_sub(self.head.len()) {
                None => self.head.expose().get(self.written..),
                Some(at) => self.tail().get(at..),
            };
            let rest = rest.unwrap_or_default();
            if rest.is_empty() {
                return Ok(true);
            }
            match stream.write(rest) {
                Ok(count) => self.written += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
        }
    }

    /// How many bytes are left.
    pub(super) fn left(&self) -> usize {
        (self.head.len() + self.tail().len()).saturating_sub(self.written)
    }

    fn tail(&self) -> &[u8] {
        self.answer.as_ref().map(Answer::last).unwrap_or_default()
    }
}
