//! Git's index: which blob git believes at each path of the work tree.
//!
//! Lives here: changing some entries of the index as bytes, at the cost of one pass. Pure; no I/O. Never here: where the new
//! entries come from. Called by `repo`.
//!
//! Read are versions 2 to 4, written is 2 (or 3, where an entry needs it), without extensions: they are git's own notes
//! about speed, and it makes them anew.

use std::cmp::Ordering;

use sha1::Digest;

use crate::git::object::Id;
use crate::git::tree::FILE;

/// Bytes of an entry before flags and path: ten numbers and the id.
const FIXED: usize = 60;
/// Marks an entry with two more bytes of flags.
const EXTENDED: u16 = 0x4000;

/// What git remembers of a file so that it need not read it again. All zero: git reads it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Stat {
    /// Seconds and nanoseconds of the change of the inode.
    pub(super) changed: (u32, u32),
    /// Seconds and nanoseconds of the change of the content.
    pub(super) modified: (u32, u32),
    /// Device, inode; all cut to 32 bits, as git does.
    pub(super) place: (u32, u32),
    /// User, group.
    pub(super) owner: (u32, u32),
    /// Size in bytes.
    pub(super) size: u32,
}

/// What shall stand at a path: a blob, or nothing.
pub(super) struct Edit<'a> {
    /// The path below the store.
    pub(super) path: &'a str,
    /// The blob and its file's stat data; none takes the entry away.
    pub(super) to: Option<(Id, Stat)>,
}

/// An entry as it stands in the old index.
struct Entry<'a> {
    /// Numbers, id, flags, further flags.
    head: &'a [u8],
    /// In version 4 the path is put together from that of the entry before.
    path: Path<'a>,
}

enum Path<'a> {
    Whole(&'a [u8]),
    Made(Vec<u8>),
}

impl Path<'_> {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Whole(bytes) => bytes,
            Self::Made(bytes) => bytes,
        }
    }
}

/// The new index, from the old one and `edits` in order of their paths. `written_seconds` is when the old index was
/// written. None if the old index is not understood: damaged, split, or sparse.
pub(super) fn edit(old: &[u8], written_seconds: i64, edits: &[Edit<'_>]) -> Option<Vec<u8>> {
    let (body, digest) = old.split_last_chunk::<20>()?;
    let unsigned = *digest == [0; 20];
    if !unsigned && *digest != checksum(body) {
        return None;
    }
    let (version, count, mut rest) = header(body)?;
    let mut out = Writer::new(old.len() + edits.len() * 128);
    let mut edits = edits.iter().peekable();
    let mut last = Vec::new();
    for _ in 0..count {
        let (entry, after) = next_entry(version, rest, &last)?;
        rest = after;
        let path = entry.path.bytes();
        while let Some(edit) = edits.next_if(|edit| edit.path.as_bytes() < path) {
            out.edit(edit)?;
        }
        // The edit stays at hand: an entry in conflict stands there up to three times.
        match edits.peek().map(|edit| edit.path.as_bytes().cmp(path)) {
            Some(Ordering::Equal) => {}
            _ => out.keep(&entry, written_seconds)?,
        }
        if version == 4 {
            last = path.to_vec();
        }
    }
    for edit in edits {
        out.edit(edit)?;
    }
    if !extensions_are_optional(rest) {
        return None;
    }
    Some(out.finish(unsigned))
}

/// A new index; `edits` in order of their paths.
pub(super) fn make(edits: &[Edit<'_>]) -> Option<Vec<u8>> {
    let mut out = Writer::new(edits.len() * 128 + 64);
    for edit in edits {
        out.edit(edit)?;
    }
    Some(out.finish(false))
}

fn checksum(body: &[u8]) -> [u8; 20] {
    sha1::Sha1::digest(body).into()
}

/// Version, number of entries, and what follows.
fn header(body: &[u8]) -> Option<(u32, u32, &[u8])> {
    let (version, rest) = body.strip_prefix(b"DIRC")?.split_first_chunk::<4>()?;
    let (count, rest) = rest.split_first_chunk::<4>()?;
    let version = u32::from_be_bytes(*version);
    (2..=4)
        .contains(&version)
        .then_some((version, u32::from_be_bytes(*count), rest))
}

/// One entry and what follows; `last` is the path before, for version 4.
fn next_entry<'a>(version: u32, bytes: &'a [u8], last: &[u8]) -> Option<(Entry<'a>, &'a [u8])> {
    let flags = u16::from_be_bytes(*bytes.get(FIXED..)?.first_chunk::<2>()?);
    let head_length = FIXED + if flags & EXTENDED == 0 { 2 } else { 4 };
    let (head, mut rest) = bytes.split_at_checked(head_length)?;
    let mut kept: &[u8] = &[];
    if version == 4 {
        let (dropped, after) = varint(rest)?;
        kept = last.get(..last.len().checked_sub(dropped)?)?;
        rest = after;
    }
    let length = rest.iter().position(|byte| *byte == 0)?;
    let path = rest.get(..length)?;
    if version == 4 {
        let path = Path::Made([kept, path].concat());
        return Some((Entry { head, path }, rest.get(length + 1..)?));
    }
    let padded = padded(head_length + length);
    Some((
        Entry {
            head,
            path: Path::Whole(path),
        },
        bytes.get(padded..)?,
    ))
}

/// The length of an entry with its padding: one to eight NULs.
const fn padded(length: usize) -> usize {
    (length + 8) / 8 * 8
}

/// A number as in a pack's offsets.
fn varint(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (&first, mut rest) = bytes.split_first()?;
    let (mut byte, mut value) = (first, usize::from(first & 0x7f));
    while byte & 0x80 != 0 {
        (byte, rest) = rest.split_first().map(|(byte, rest)| (*byte, rest))?;
        value = value.checked_add(1)?.checked_mul(128)? | usize::from(byte & 0x7f);
    }
    Some((value, rest))
}

/// Whether the rest parses as extensions that may be left out: their names begin with a capital.
fn extensions_are_optional(mut rest: &[u8]) -> bool {
    while let Some((name, after)) = rest.split_first_chunk::<4>() {
        let Some((length, after)) = after.split_first_chunk::<4>() else {
            return false;
        };
        let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
        let Some(after) = after.get(length..) else {
            return false;
        };
        if !name[0].is_ascii_uppercase() {
            return false;
        }
        rest = after;
    }
    rest.is_empty()
}

/// An index being written.
struct Writer {
    bytes: Vec<u8>,
    count: u32,
    version: u32,
}

impl Writer {
    fn new(capacity: usize) -> Self {
        let mut bytes = Vec::with_capacity(capacity);
        bytes.extend_from_slice(&[0; 12]);
        Self {
            bytes,
            count: 0,
            version: 2,
        }
    }

    /// Copies an entry. One that was changed in the second in which the old index was written might have been changed once
    /// more since, unseen: its size becomes 0, so that git reads the file.
    fn keep(&mut self, entry: &Entry<'_>, written_seconds: i64) -> Option<()> {
        let start = self.bytes.len();
        self.entry(entry.head, entry.path.bytes())?;
        let modified = u32::from_be_bytes(*entry.head.get(8..)?.first_chunk::<4>()?);
        if i64::from(modified) >= written_seconds {
            self.bytes.get_mut(start + 36..start + 40)?.fill(0);
        }
        Some(())
    }

    /// Writes what an edit puts there.
    fn edit(&mut self, edit: &Edit<'_>) -> Option<()> {
        let Some((id, stat)) = &edit.to else {
            return Some(());
        };
        let numbers = [
            stat.changed.0,
            stat.changed.1,
            stat.modified.0,
            stat.modified.1,
            stat.place.0,
            stat.place.1,
            FILE,
            stat.owner.0,
            stat.owner.1,
            stat.size,
        ];
        let mut head = [0; FIXED + 2];
        let (fields, rest) = head.split_at_mut_checked(40)?;
        for (field, number) in fields.chunks_exact_mut(4).zip(numbers) {
            field.copy_from_slice(&number.to_be_bytes());
        }
        rest.get_mut(..20)?.copy_from_slice(id.as_bytes());
        let length = u16::try_from(edit.path.len())
            .unwrap_or(u16::MAX)
            .min(0xfff);
        rest.get_mut(20..)?.copy_from_slice(&length.to_be_bytes());
        self.entry(&head, edit.path.as_bytes())
    }

    fn entry(&mut self, head: &[u8], path: &[u8]) -> Option<()> {
        if head.len() > FIXED + 2 {
            self.version = 3;
        }
        let end = self.bytes.len() + padded(head.len() + path.len());
        self.bytes.extend_from_slice(head);
        self.bytes.extend_from_slice(path);
        self.bytes.resize(end, 0);
        self.count = self.count.checked_add(1)?;
        Some(())
    }

    /// Header and checksum; `unsigned` writes zeros for the latter, as git's `index.skipHash` does.
    fn finish(mut self, unsigned: bool) -> Vec<u8> {
        let mut header = *b"DIRC\0\0\0\0\0\0\0\0";
        let numbers = self
            .version
            .to_be_bytes()
            .into_iter()
            .chain(self.count.to_be_bytes());
        header
            .iter_mut()
            .skip(4)
            .zip(numbers)
            .for_each(|(to, from)| *to = from);
        self.bytes
            .iter_mut()
            .zip(header)
            .for_each(|(to, from)| *to = from);
        let digest = if unsigned {
            [0; 20]
        } else {
            checksum(&self.bytes)
        };
        self.bytes.extend_from_slice(&digest);
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(path: &str) -> Edit<'_> {
        let stat = Stat {
            modified: (100, 0),
            size: 5,
            ..Stat::default()
        };
        Edit {
            path,
            to: Some((Id::from_bytes([3; 20]), stat)),
        }
    }

    fn paths(index: &[u8]) -> Vec<String> {
        let (version, count, mut rest) = header(&index[..index.len() - 20]).unwrap();
        let mut found = Vec::new();
        for _ in 0..count {
            let (entry, after) = next_entry(version, rest, b"").unwrap();
            found.push(String::from_utf8(entry.path.bytes().to_vec()).unwrap());
            rest = after;
        }
        found
    }

    #[test]
    fn entries_are_added_replaced_and_taken_away_in_order() {
        let old = make(&[add("b"), add("d/e"), add("f")]).unwrap();
        let edits = [
            add("a"),
            Edit {
                path: "b",
                to: None,
            },
            add("c"),
            add("d/e"),
            add("g"),
        ];
        let new = edit(&old, 101, &edits).unwrap();
        assert_eq!(paths(&new), ["a", "c", "d/e", "f", "g"]);
        assert_eq!(edit(&new, 101, &[]).unwrap(), new);
    }

    #[test]
    fn what_changed_while_the_index_was_written_is_read_again() {
        let old = make(&[add("a")]).unwrap();
        let size = |index: &[u8]| index[12 + 36..12 + 40].to_vec();
        assert_eq!(size(&edit(&old, 101, &[]).unwrap()), [0, 0, 0, 5]);
        assert_eq!(size(&edit(&old, 100, &[]).unwrap()), [0, 0, 0, 0]);
    }

    #[test]
    fn a_damaged_or_split_index_is_not_understood() {
        let old = make(&[add("a"), add("b")]).unwrap();
        for at in 0..old.len() {
            let mut bad = old.clone();
            bad[at] ^= 1;
            assert!(edit(&bad, 101, &[]).is_none());
            assert!(edit(&old[..at], 101, &[]).is_none());
        }
        let with = |extension: &[u8]| {
            let mut bytes = [&old[..old.len() - 20], extension].concat();
            bytes.extend(checksum(&bytes));
            bytes
        };
        assert!(edit(&with(b"TREE\0\0\0\x01x"), 101, &[]).is_some());
        assert!(edit(&with(b"TREE\0\0\0\x02x"), 101, &[]).is_none());
        assert!(edit(&with(b"link\0\0\0\x01x"), 101, &[]).is_none());
    }
}
