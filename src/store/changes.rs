//! What a change brings: new contents by path, as git takes them and as the work tree gets them.
//!
//! Lives here: writing all of it, on a branch of git's objects, in place, or staged beside. Never here: what makes it valid
//! (`write`, `turn`).

use std::collections::BTreeMap;
use std::path::Path;

use crate::format::layout;
use crate::git;
use crate::git::Id;
use crate::git::Repo;
use crate::store::Error;
use crate::sys::fs;
use crate::sys::fs::Dir;
use crate::sys::fs::Kind;

/// New content by path; `None` takes the file away.
pub type Changes = BTreeMap<String, Option<Vec<u8>>>;

/// Blobs by path, as trees and git's index take them.
pub(super) type Edits = Vec<(String, Option<Id>)>;

/// Writes the contents as blobs.
pub(super) fn write_blobs(repo: &Repo, changes: &Changes) -> Result<Edits, git::Error> {
    let contents: Vec<&[u8]> = changes.values().filter_map(Option::as_deref).collect();
    let mut ids = repo.write_blobs(&contents)?.into_iter();
    let blob = |(path, content): (&String, &Option<_>)| {
        let id = content.as_ref().and_then(|_| ids.next());
        (path.clone(), id)
    };
    Ok(changes.iter().map(blob).collect())
}

/// Brings paths of a work tree to their new state. What goes is gone first: where case does not count, a name that only
/// changes its case is one file.
pub(super) fn apply_all(dir: &Dir, changes: &Changes) -> Result<(), Error> {
    for (path, content) in changes {
        if content.is_none() {
            dir.remove(Path::new(path))?;
        }
    }
    let coming = changes
        .iter()
        .filter_map(|(path, content)| Some((Path::new(path), content.as_deref()?)));
    Ok(dir.replace_all(&coming.collect::<Vec<_>>())?)
}

/// A change of several files in a store without git: complete in `.vault/next/`, then moved into place (W-113).
///
/// File `N` of the folder holds the new content of line N of `paths`; a line that begins with `-` is a path to remove.
pub(super) struct Staged {
    list: String,
}

/// The list of paths in the staging folder.
const PATHS: &str = "paths";
/// Most bytes of that list.
const PATHS_MAX_BYTES: u64 = 256 << 20;

impl Staged {
    /// Writes everything beside, then makes it the truth with one rename.
    pub(super) fn write(dir: &Dir, changes: &Changes) -> Result<Self, Error> {
        fs::remove_tree(&dir.path().join(layout::NEXT_TEMP))?;
        let temp = Path::new(layout::NEXT_TEMP);
        let (going, coming): (Vec<_>, Vec<_>) =
            changes.iter().partition(|(_, content)| content.is_none());
        let gone = going.len();
        let files: Vec<_> = coming
            .iter()
            .enumerate()
            .map(|(number, (_, content))| (temp.join((gone + number).to_string()), *content))
            .collect();
        let files: Vec<(&Path, &[u8])> = files
            .iter()
            .filter_map(|(path, content)| Some((path.as_path(), content.as_deref()?)))
            .collect();
        dir.replace_all(&files)?;
        let going = going.iter().map(|(path, _)| format!("-{path}"));
        let coming = coming.iter().map(|(path, _)| format!("+{path}"));
        let list = going.chain(coming).collect::<Vec<_>>().join("\n");
        dir.replace(&temp.join(PATHS), list.as_bytes())?;
        dir.rename(temp, Path::new(layout::NEXT))?;
        Ok(Self { list })
    }

    /// Reads the list of a change that became the truth and was not finished.
    pub(super) fn read(dir: &Dir) -> Result<Self, Error> {
        let list = dir
            .read(&Path::new(layout::NEXT).join(PATHS), PATHS_MAX_BYTES)?
            .unwrap_or_default();
        let list = String::from_utf8_lossy(&list).into_owned();
        Ok(Self { list })
    }

    /// Moves each file into its place and removes what is to go. May be done again after a death.
    pub(super) fn apply(&self, dir: &Dir) -> Result<(), Error> {
        for (number, line) in self.list.lines().enumerate() {
            let Some((sign, path)) = line.split_at_checked(1) else {
                continue;
            };
            if layout::place_of(path).is_err() {
                continue;
            }
            let staged = Path::new(layout::NEXT).join(number.to_string());
            match sign {
                "-" => dir.remove(Path::new(path))?,
                _ if dir
                    .stat(&staged)?
                    .is_some_and(|stat| stat.kind == Kind::File) =>
                {
                    dir.rename(&staged, Path::new(path))?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The paths that it removes.
    pub(super) fn removed(&self) -> impl Iterator<Item = &str> {
        self.list.lines().filter_map(|line| line.strip_prefix('-'))
    }

    /// Removes the staging folder: the change is finished.
    pub(super) fn finish(dir: &Dir) -> Result<(), Error> {
        Ok(fs::remove_tree(&dir.path().join(layout::NEXT))?)
    }
}
