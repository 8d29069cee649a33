//! Trees as bytes: one folder's entries, in git's order.
//!
//! Lives here: parsing and writing of a tree object. Pure; no I/O. Never here: which modes and names a store allows.

use std::cmp::Ordering;

use crate::git::Error;
use crate::git::object::Id;

/// The mode of a folder.
pub(super) const FOLDER: u32 = 0o40000;
/// The mode of a regular file.
pub(super) const FILE: u32 = 0o100_644;

/// One entry of a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// As git writes it: `0o100644`, `0o40000` …
    pub(super) mode: u32,
    /// One component of a path; bytes, since git asks for no encoding.
    pub(super) name: Vec<u8>,
    /// The blob or tree.
    pub(super) id: Id,
}

impl Entry {
    /// Whether it is a folder.
    pub(super) const fn is_folder(&self) -> bool {
        self.mode == FOLDER
    }
}

/// Parses a tree object; an unsorted or repeating one is damaged, since git would find other entries in it than we do.
pub(super) fn parse(id: Id, bytes: &[u8]) -> Result<Vec<Entry>, Error> {
    let mut entries: Vec<Entry> = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let (entry, after) = parse_one(rest)
            .ok_or_else(|| Error::damaged(format!("tree {id}"), "an entry does not parse"))?;
        let sorted = entries
            .last()
            .is_none_or(|last| order(last, &entry) == Ordering::Less);
        let repeated = entries.last().is_some_and(|last| last.name == entry.name);
        if !sorted || repeated {
            return Err(Error::damaged(
                format!("tree {id}"),
                "its entries are not in order",
            ));
        }
        entries.push(entry);
        rest = after;
    }
    Ok(entries)
}

/// `MODE SP NAME NUL` and 20 bytes.
fn parse_one(bytes: &[u8]) -> Option<(Entry, &[u8])> {
    let space = bytes.iter().take(8).position(|byte| *byte == b' ')?;
    let (mode, rest) = (bytes.get(..space)?, bytes.get(space + 1..)?);
    let nul = rest.iter().position(|byte| *byte == 0)?;
    let (name, rest) = (rest.get(..nul)?, rest.get(nul + 1..)?);
    let (id, rest) = rest.split_first_chunk::<20>()?;
    let mode = u32::from_str_radix(std::str::from_utf8(mode).ok()?, 8).ok()?;
    if name.is_empty() || name.contains(&b'/') {
        return None;
    }
    Some((
        Entry {
            mode,
            name: name.to_vec(),
            id: Id::from_bytes(*id),
        },
        rest,
    ))
}

/// The object's bytes, from entries in order.
pub(super) fn write(entries: &[Entry]) -> Vec<u8> {
    let size = entries.iter().map(|entry| entry.name.len() + 28).sum();
    let mut bytes = Vec::with_capacity(size);
    for entry in entries {
        bytes.extend_from_slice(format!("{:o} ", entry.mode).as_bytes());
        bytes.extend_from_slice(&entry.name);
        bytes.push(0);
        bytes.extend_from_slice(entry.id.as_bytes());
    }
    bytes
}

/// Git's order: as if the name of a folder ended in `/`.
pub(super) fn order(one: &Entry, other: &Entry) -> Ordering {
    key(one).cmp(key(other))
}

/// The bytes that are compared.
fn key(entry: &Entry) -> impl Iterator<Item = u8> + '_ {
    entry
        .name
        .iter()
        .copied()
        .chain(entry.is_folder().then_some(b'/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(mode: u32, name: &str) -> Entry {
        Entry {
            mode,
            name: name.into(),
            id: Id::from_bytes([7; 20]),
        }
    }

    #[test]
    fn folders_sort_as_with_a_slash() {
        let mut entries = vec![entry(FOLDER, "a"), entry(FILE, "a.age"), entry(FILE, "a-b")];
        entries.sort_by(order);
        let names: Vec<_> = entries.iter().map(|e| e.name.as_slice()).collect();
        assert_eq!(names, [b"a-b".as_slice(), b"a.age", b"a"]);
        let bytes = write(&entries);
        assert_eq!(parse(Id::from_bytes([1; 20]), &bytes).unwrap(), entries);
    }

    #[test]
    fn broken_trees_are_refused() {
        let id = Id::from_bytes([1; 20]);
        let good = write(&[entry(FILE, "a"), entry(FILE, "b")]);
        for cut in 1..good.len() {
            let whole = cut == good.len() / 2;
            assert_eq!(parse(id, &good[..cut]).is_ok(), whole, "{cut}");
        }
        for names in [["b", "a"], ["a", "a"], ["", "a"], ["a", "b/c"]] {
            let bytes = write(&names.map(|name| entry(FILE, name)));
            assert!(parse(id, &bytes).is_err(), "{names:?}");
        }
    }
}
