//! Deltas of a pack: an object told as pieces of another.
//!
//! Lives here: applying one. Pure; no I/O. Never here: where it lies.

/// The size that the result will have, in bytes.
pub(super) fn result_size(delta: &[u8]) -> Option<u64> {
    let (_, rest) = size(delta)?;
    Some(size(rest)?.0)
}

/// Applies `delta` to `base`; none if it does not fit.
pub(super) fn apply(base: &[u8], delta: &[u8], max_bytes: u64) -> Option<Vec<u8>> {
    let (base_size, rest) = size(delta)?;
    let (result_size, mut rest) = size(rest)?;
    if base_size != u64::try_from(base.len()).ok()? || result_size > max_bytes {
        return None;
    }
    let result_size = usize::try_from(result_size).ok()?;
    let mut result = Vec::with_capacity(result_size);
    while let Some((&op, after)) = rest.split_first() {
        let piece;
        (piece, rest) = if op & 0x80 == 0 {
            after
                .split_at_checked(usize::from(op))
                .filter(|_| op != 0)?
        } else {
            let (start, after) = number(after, op, 4)?;
            let (length, after) = number(after, op >> 4, 3)?;
            let length = if length == 0 { 0x10000 } else { length };
            (base.get(start..start.checked_add(length)?)?, after)
        };
        if piece.len() > result_size - result.len() {
            return None;
        }
        result.extend_from_slice(piece);
    }
    (result.len() == result_size).then_some(result)
}

/// A size: seven bits a byte, lowest first.
fn size(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0;
    for (n, &byte) in bytes.iter().enumerate().take(9) {
        value |= u64::from(byte & 0x7f) << (7 * n);
        if byte & 0x80 == 0 {
            return Some((value, bytes.get(n + 1..)?));
        }
    }
    None
}

/// A little-endian number of which only those bytes are present whose bit is set.
fn number(mut bytes: &[u8], bits: u8, count: u32) -> Option<(usize, &[u8])> {
    let mut value = 0;
    for n in 0..count {
        if bits & (1 << n) != 0 {
            let (&byte, after) = bytes.split_first()?;
            value |= usize::from(byte) << (8 * n);
            bytes = after;
        }
    }
    Some((value, bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_and_inserts() {
        let delta = [5, 7, 0x90, 3, 2, b'x', b'y', 0x91, 3, 2];
        assert_eq!(apply(b"abcde", &delta, 100).unwrap(), b"abcxyde");
        assert_eq!(result_size(&delta), Some(7));
        assert!(apply(b"abcd", &delta, 100).is_none());
        assert!(apply(b"abcde", &delta, 6).is_none());
        assert!((0..delta.len()).all(|cut| apply(b"abcde", &delta[..cut], 100).is_none()));
    }

    #[test]
    fn pieces_outside_the_base_are_refused() {
        assert!(apply(b"abc", &[3, 3, 0x91, 1, 3], 100).is_none());
        assert!(apply(b"abc", &[3, 1, 0], 100).is_none());
        assert!(apply(b"abc", &[3, 1, 0x90, 3], 100).is_none());
        assert!(apply(b"abc", &[0xff; 20], 100).is_none());
    }
}
