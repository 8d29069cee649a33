//! Secret bytes: wiped when dropped, and never shown by accident.
//!
//! Lives here: the one type that holds a secret. Never here: anything that reads, prints or stores one.
//! Anyone may use it; a review of leaks is a search for `expose`.

use std::fmt;

use zeroize::Zeroizing;

/// Bytes of a secret. No `Display`, no `Clone`, no serde; `Debug` shows the type only.
///
/// Make the buffer as large as it will get before filling it: a `Vec` that grows leaves copies behind.
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// Takes over the bytes; they are wiped when the secret is dropped.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// A copy of bytes whose owner wipes them itself.
    pub fn copy_of(bytes: &[u8]) -> Self {
        Self::new(bytes.to_vec())
    }

    /// The one door out. The caller hands the bytes to their destination and keeps no copy.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// The length in bytes.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no byte in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The secret as a variable or a protocol line takes it: without one final line feed (W-051).
    pub fn as_line(&self) -> &[u8] {
        self.0.strip_suffix(b"\n").unwrap_or(&self.0)
    }

    /// The part from `start` on, moved out without leaving a copy behind.
    #[must_use]
    pub fn split_off(mut self, start: usize) -> Self {
        let end = self.0.len();
        let start = start.min(end);
        self.0.copy_within(start..end, 0);
        let tail = end - start;
        // The bytes past the new end are wiped by `truncate`'s owner on drop: Zeroizing wipes the whole capacity.
        self.0.truncate(tail);
        self
    }
}

impl PartialEq for Secret {
    /// Equal bytes; not in constant time, so never for comparing with what a stranger sends.
    fn eq(&self, other: &Self) -> bool {
        self.expose() == other.expose()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_no_byte() {
        assert_eq!(format!("{:?}", Secret::copy_of(b"hunter2")), "Secret(..)");
    }

    #[test]
    fn a_line_loses_one_line_feed_only() {
        assert_eq!(Secret::copy_of(b"a\n\n").as_line(), b"a\n");
        assert_eq!(Secret::copy_of(b"").as_line(), b"");
    }

    #[test]
    fn split_off_keeps_the_tail() {
        assert_eq!(
            Secret::copy_of(b"head---tail").split_off(7).expose(),
            b"tail"
        );
        assert_eq!(Secret::copy_of(b"ab").split_off(9).expose(), b"");
    }
}
