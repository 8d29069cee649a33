//! Doors for the fuzz targets to parsers that are nobody else's business.
//!
//! Each says whether the bytes were understood. Never here: anything that the program itself calls.

use std::path::Path;

use crate::git::Id;
use crate::git::config;
use crate::git::delta;
use crate::git::index;
use crate::git::pack::Pack;
use crate::git::quarantine;
use crate::git::tree;

/// Most bytes of an object in a fuzzed pack.
const MAX_BYTES: u64 = 1 << 20;

/// A tree object; what was understood is written back the same, but for modes that begin with a zero.
pub fn tree(bytes: &[u8]) -> bool {
    tree::parse(Id::from_bytes([0; 20]), bytes).is_ok_and(|entries| {
        let written = tree::write(&entries);
        tree::parse(Id::from_bytes([0; 20]), &written).is_ok_and(|again| again == entries)
    })
}

/// A delta, applied to a base.
pub fn delta(base: &[u8], bytes: &[u8]) -> bool {
    let size = delta::result_size(bytes);
    delta::apply(base, bytes, MAX_BYTES).is_some_and(|made| size == Some(made.len() as u64))
}

/// git's index with one path changed; the checksum is taken as absent, as git itself allows.
pub fn index(bytes: &[u8]) -> bool {
    let unsigned = [bytes, &[0; 20]].concat();
    let edit = index::Edit {
        path: "github/ci.age",
        to: None,
    };
    index::edit(&unsigned, 0, &[edit]).is_some()
}

/// What a remote says of its head.
pub fn remote_head(text: &str) -> bool {
    quarantine::parse_head(text).is_some()
}

/// The repository's settings.
pub fn settings(text: &str) {
    config::parses(text);
}

/// A pack, by the path of its index: the object at this offset.
pub fn pack(index: &Path, at: u64) -> bool {
    let opened = Pack::open(index).ok().flatten();
    opened.is_some_and(|pack| {
        let found = pack.find(&Id::from_bytes([0; 20]));
        pack.read(at, MAX_BYTES).is_ok() | found.is_ok_and(|at| at.is_some())
    })
}
