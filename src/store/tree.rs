//! What a commit's tree may hold (F-082, F-084, F-085), asked of each change before any is followed.

use std::collections::BTreeMap;

use crate::format::ENTRY_MAX_BYTES;
use crate::format::FORMAT_MAX_BYTES;
use crate::format::KEYS_MAX_BYTES;
use crate::format::Refusal;
use crate::format::Stage;
use crate::format::layout;
use crate::format::layout::Place;
use crate::git;
use crate::git::Change;
use crate::git::Id;
use crate::git::Repo;
use crate::store::Error;

/// The mode of every file in a tree.
const FILE_MODE: u32 = 0o100_644;

/// Everything that is asked of the changes that lead to a commit.
pub fn check(repo: &Repo, changes: &[Change], head: Id) -> Result<(), Error> {
    for change in changes {
        check_path(change)?;
    }
    for change in changes {
        check_size(repo, change)?;
    }
    if changes.iter().any(|change| change.old.is_none()) {
        check_clashes(repo.files(head)?.iter().map(|file| file.path.as_str()))?;
    }
    Ok(())
}

/// A path that is none of ours, or no regular file, is refused (F-082).
pub fn check_path(change: &Change) -> Result<(), Error> {
    if change.new.is_none() {
        return Ok(());
    }
    let refuse = |reason: &str| Error::from(Refusal::new(Stage::Name, reason).of(&change.path));
    if change.mode != FILE_MODE {
        return Err(refuse("it is not a regular file in the commit"));
    }
    layout::place_of(&change.path).map_err(refuse)?;
    Ok(())
}

/// A file that is larger than its kind may be is refused, and so is one whose bytes are not what the tree says (F-085).
pub fn check_size(repo: &Repo, change: &Change) -> Result<(), Error> {
    let Some(id) = change.new else {
        return Ok(());
    };
    match repo.blob(id, max_bytes(&change.path)) {
        Ok(_) => Ok(()),
        Err(error @ (git::Error::TooLarge { .. } | git::Error::Damaged { .. })) => {
            let refusal = Refusal::new(Stage::Envelope, error.to_string());
            Err(refusal.of(&change.path).into())
        }
        Err(error) => Err(error.into()),
    }
}

/// The most bytes of the file at a path.
pub fn max_bytes(path: &str) -> u64 {
    match layout::place_of(path) {
        Ok(Place::Format) => FORMAT_MAX_BYTES,
        Ok(Place::Members | Place::Key(_)) => KEYS_MAX_BYTES,
        Ok(Place::Entry(_)) | Err(_) => ENTRY_MAX_BYTES,
    }
}

/// Two paths that differ in case only are refused: some systems cannot hold both (F-084).
pub fn check_clashes<'p>(paths: impl Iterator<Item = &'p str>) -> Result<(), Error> {
    let mut spelled: BTreeMap<String, &str> = BTreeMap::new();
    for path in paths {
        for prefix in prefixes(path) {
            let other = *spelled.entry(prefix.to_lowercase()).or_insert(prefix);
            if other != prefix {
                let reason = format!(
                    "it differs from \"{}\" in upper and lower case only",
                    other.escape_debug()
                );
                return Err(Refusal::new(Stage::Name, reason).of(path).into());
            }
        }
    }
    Ok(())
}

/// A path's folders, outermost first, and itself.
pub fn prefixes(path: &str) -> impl Iterator<Item = &str> {
    let folders = path.match_indices('/').filter_map(|(at, _)| path.get(..at));
    folders.chain(std::iter::once(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_differ_in_case_clash() {
        let clashes = |paths: &[&str]| check_clashes(paths.iter().copied()).is_err();
        assert!(!clashes(&["a/b.age", "a/c.age", "b.age"]));
        assert!(clashes(&["GitHub/x.age", "github/y.age"]));
        assert!(clashes(&["a/É.age", "a/é.age"]));
    }
}
