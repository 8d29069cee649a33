//! Who used which entry when: a record on this device, bounded, of no value and no argument.
//!
//! A line is seconds since 1970, purpose, process id, program, its parent and the entry, parted by tabs. When the file is full it
//! becomes the old one, and the old one goes.

use std::path::Path;

use jiff::Timestamp;

use crate::sys::fs;
use crate::sys::process::Program;

/// The file in the store's local state.
const FILE: &str = "uses";
/// The one before it.
const OLD_FILE: &str = "uses.old";
/// From this size on a file is full.
const FULL_BYTES: u64 = 1 << 20;
/// Most bytes that are read of one.
const READ_MAX_BYTES: u64 = FULL_BYTES + (1 << 16);
/// Most characters that are kept of a program's name and of a purpose.
const WORD_MAX_CHARS: usize = 80;

/// One use of one entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Use {
    /// When.
    pub at: Timestamp,
    /// What for, as the command calls it.
    pub purpose: String,
    /// The process.
    pub pid: i32,
    /// Its program.
    pub program: String,
    /// The program that had started it.
    pub parent: String,
    /// The entry.
    pub entry: String,
}

/// Adds a use to the record in a store's local state.
pub fn record(
    folder: &Path,
    at: Timestamp,
    purpose: &str,
    program: &Program,
    entry: &str,
) -> fs::Result<()> {
    let line = format!(
        "{}\t{}\t{}\t{}\t{}\t{}\n",
        at.as_second(),
        word(purpose),
        program.pid,
        word(&program.name),
        word(&program.parent),
        word_of(entry, usize::MAX),
    );
    let path = folder.join(FILE);
    let size = match fs::append(&path, line.as_bytes()) {
        Ok(size) => size,
        Err(error) if error.source.kind() == std::io::ErrorKind::NotFound => {
            fs::make_private(folder)?;
            fs::append(&path, line.as_bytes())?
        }
        Err(error) => return Err(error),
    };
    if size >= FULL_BYTES {
        // Two at once: the second finds nothing to move, and that is as good.
        let folder = fs::make_private(folder)?;
        let _ = folder.rename(Path::new(FILE), Path::new(OLD_FILE));
    }
    Ok(())
}

/// The uses on record, oldest first. A line that is not understood is passed over.
pub fn read(folder: &Path) -> fs::Result<Vec<Use>> {
    let mut uses = Vec::new();
    for file in [OLD_FILE, FILE] {
        match fs::read(&folder.join(file), READ_MAX_BYTES) {
            Ok(bytes) => {
                let text = String::from_utf8_lossy(&bytes);
                uses.extend(text.lines().filter_map(parse));
            }
            Err(error) if error.source.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(uses)
}

fn parse(line: &str) -> Option<Use> {
    let mut words = line.splitn(6, '\t');
    let mut next = || words.next();
    Some(Use {
        at: Timestamp::from_second(next()?.parse().ok()?).ok()?,
        purpose: next()?.to_owned(),
        pid: next()?.parse().ok()?,
        program: next()?.to_owned(),
        parent: next()?.to_owned(),
        entry: next()?.to_owned(),
    })
}

fn word(text: &str) -> String {
    word_of(text, WORD_MAX_CHARS)
}

/// A text without what would break the line.
fn word_of(text: &str, max: usize) -> String {
    text.chars()
        .take(max)
        .map(|c| if c.is_control() { '?' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program(name: &str) -> Program {
        Program {
            began: None,
            pid: 7,
            name: name.to_owned(),
            parent: "bash".to_owned(),
        }
    }

    #[test]
    fn a_use_comes_back_and_cannot_forge_another() {
        let folder = tempfile::tempdir().unwrap();
        let at = Timestamp::from_second(1_800_000_000).unwrap();
        record(folder.path(), at, "get", &program("a\nb\tc"), "github/ci").unwrap();
        let uses = read(folder.path()).unwrap();
        assert_eq!(uses.len(), 1);
        assert_eq!(uses[0].program, "a?b?c");
        assert_eq!((uses[0].entry.as_str(), uses[0].at), ("github/ci", at));
    }

    #[test]
    fn the_record_is_bounded() {
        let folder = tempfile::tempdir().unwrap();
        let at = Timestamp::UNIX_EPOCH;
        let entry = "x".repeat(100_000);
        for _ in 0..40 {
            record(folder.path(), at, "get", &program("vault"), &entry).unwrap();
        }
        let size = |file| std::fs::metadata(folder.path().join(file)).unwrap().len();
        assert!(size(FILE) <= READ_MAX_BYTES * 2 && size(OLD_FILE) <= READ_MAX_BYTES * 2);
        assert!(std::fs::read_dir(folder.path()).unwrap().count() == 2);
    }
}
