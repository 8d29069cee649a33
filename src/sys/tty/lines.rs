//! Several hidden lines, key by key: what the terminal's own line editing would do, without its limit of 4095 bytes a line.
//!
//! Lives here: the meaning of each key; pure. Never here: the terminal. Only `tty` uses it.

use std::io;

use crate::secret::Secret;

/// Most bytes that are taken from a terminal for one secret; more comes from a file or stdin.
pub const TYPED_MAX_BYTES: usize = 64 * 1024;

const CTRL_C: u8 = 0x03;
const CTRL_D: u8 = 0x04;
const BACKSPACE: u8 = 0x08;
const CTRL_U: u8 = 0x15;
const DELETE: u8 = 0x7f;

/// What has been typed so far.
pub(super) struct Lines {
    typed: zeroize::Zeroizing<Vec<u8>>,
    /// The last key was Ctrl-D in the middle of a line.
    ending: bool,
}

/// Whether more is to be read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    More,
    End,
}

impl Lines {
    pub(super) fn new() -> Self {
        // As large as it may get: a buffer that grows leaves copies behind.
        Self {
            typed: zeroize::Zeroizing::new(Vec::with_capacity(TYPED_MAX_BYTES)),
            ending: false,
        }
    }

    pub(super) fn feed(&mut self, key: u8) -> io::Result<Step> {
        let was_ending = std::mem::take(&mut self.ending);
        match key {
            CTRL_C => return Err(io::ErrorKind::Interrupted.into()),
            CTRL_D if was_ending || self.is_line_start() => return Ok(Step::End),
            CTRL_D => self.ending = true,
            BACKSPACE | DELETE => self.pop(),
            CTRL_U => self.clear_line(),
            _ if self.typed.len() == TYPED_MAX_BYTES => {
                return Err(io::ErrorKind::FileTooLarge.into());
            }
            _ => self.typed.push(key),
        }
        Ok(Step::More)
    }

    pub(super) fn into_secret(mut self) -> Secret {
        Secret::new(std::mem::take(&mut *self.typed))
    }

    fn is_line_start(&self) -> bool {
        self.typed.last().is_none_or(|&last| last == b'\n')
    }

    /// Takes back one character, with all bytes of its UTF-8, never across a line's end.
    fn pop(&mut self) {
        while !self.is_line_start() {
            let is_continuation = self.typed.pop().is_some_and(|byte| byte & 0xc0 == 0x80);
            if !is_continuation {
                return;
            }
        }
    }

    fn clear_line(&mut self) {
        while !self.is_line_start() {
            self.typed.pop();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(keys: &[u8], expected: &[u8]) {
        let mut lines = Lines::new();
        let (last, before) = keys.split_last().unwrap();
        for &key in before {
            assert_eq!(lines.feed(key).unwrap(), Step::More, "{keys:?}");
        }
        assert_eq!(lines.feed(*last).unwrap(), Step::End, "{keys:?}");
        assert_eq!(lines.into_secret().expose(), expected, "{keys:?}");
    }

    #[test]
    fn keys_do_what_people_expect() {
        check(b"\x04", b"");
        check(b"a\tb\nc\n\x04", b"a\tb\nc\n");
        check(b"no end\x04\x04", b"no end");
        check(b"on\x04 and on\n\x04", b"on and on\n");
        check("a\n\u{e9}\x7f\x7f\x7fb\n\x04".as_bytes(), b"a\nb\n");
        check(b"a\nwrong\x15right\n\x04", b"a\nright\n");
    }

    #[test]
    fn ctrl_c_interrupts() {
        assert_eq!(
            Lines::new().feed(CTRL_C).unwrap_err().kind(),
            io::ErrorKind::Interrupted
        );
    }

    #[test]
    fn the_limit_holds_on_both_sides() {
        let mut lines = Lines::new();
        assert!((0..TYPED_MAX_BYTES).all(|_| lines.feed(b'x').is_ok()));
        assert!(lines.feed(b'x').is_err());
    }
}
