//! What commits hold and how they differ.
//!
//! Lives here: listing and comparing trees. Never here: which modes and names a store allows; both are told as they are.

use std::collections::BTreeMap;

use crate::git::Error;
use crate::git::object::Id;
use crate::git::repo::Repo;
use crate::git::tree::Entry;

/// A store's names have at most 32 components; deeper folders only cost the stack.
const DEPTH_MAX: usize = 64;
/// The most files in one listing: a few small trees can name the same folder endlessly.
const FILES_MAX: usize = 2_000_000;

/// A file in a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TreeFile {
    /// The path below the store.
    pub path: String,
    /// As git has it; a store's files have `0o100644`.
    pub mode: u32,
    /// The blob, or for a submodule its commit.
    pub id: Id,
}

/// A path that differs between two commits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The path below the store.
    pub path: String,
    /// The blob before; none if it is new.
    pub old: Option<Id>,
    /// The blob after; none if it is gone.
    pub new: Option<Id>,
    /// The mode after, or before if it is gone.
    pub mode: u32,
}

/// How two trees differ.
#[derive(Debug, Default)]
pub(super) struct Difference {
    /// The files.
    pub(super) changes: Vec<Change>,
    /// The folders of the new tree that the old one does not have in the same place.
    pub(super) trees: Vec<Id>,
}

impl Repo {
    /// The blob at a path of a commit; none if there is none, or not a file of mode 100644.
    pub fn blob_at(&self, commit: Id, path: &str) -> Result<Option<Id>, Error> {
        let tree = self.commit(commit)?.tree;
        let found = self.entry_at(tree, path)?;
        Ok(found
            .filter(|entry| entry.mode == crate::git::tree::FILE)
            .map(|entry| entry.id))
    }

    /// The entry at a path below a tree.
    pub(super) fn entry_at(&self, tree: Id, path: &str) -> Result<Option<Entry>, Error> {
        let mut folder = tree;
        let mut parts = path.split('/').peekable();
        while let Some(part) = parts.next() {
            let found = self
                .tree(folder)?
                .into_iter()
                .find(|entry| entry.name == part.as_bytes());
            match found {
                Some(entry) if parts.peek().is_none() => return Ok(Some(entry)),
                Some(entry) if entry.is_folder() => folder = entry.id,
                _ => return Ok(None),
            }
        }
        Ok(None)
    }

    /// Every file of a commit, sorted by path.
    pub fn files(&self, commit: Id) -> Result<Vec<TreeFile>, Error> {
        let mut files = self.below(self.commit(commit)?.tree, "", 0)?;
        files.sort_by(|one, other| one.path.cmp(&other.path));
        Ok(files)
    }

    /// Every file below a folder.
    fn below(&self, tree: Id, prefix: &str, depth: usize) -> Result<Vec<TreeFile>, Error> {
        let mut files = Vec::new();
        check_depth(tree, depth)?;
        for entry in self.tree(tree)? {
            let path = join(prefix, &entry.name)?;
            if entry.is_folder() {
                files.extend(self.below(entry.id, &path, depth + 1)?);
            } else {
                files.push(TreeFile {
                    path,
                    mode: entry.mode,
                    id: entry.id,
                });
            }
            if files.len() > FILES_MAX {
                return Err(Error::damaged(
                    format!("tree {tree}"),
                    "it has too many files",
                ));
            }
        }
        Ok(files)
    }

    /// What changes from one commit, or from nothing, to another; sorted by path. Folders that are equal are not read.
    pub fn diff(&self, old: Option<Id>, new: Id) -> Result<Vec<Change>, Error> {
        let old = old.map(|commit| self.commit(commit)).transpose()?;
        let old = old.map(|commit| commit.tree);
        Ok(self.diff_trees(old, self.commit(new)?.tree)?.changes)
    }

    /// The same for the trees themselves, with the folders that are new.
    pub(super) fn diff_trees(&self, old: Option<Id>, new: Id) -> Result<Difference, Error> {
        let mut found = Difference::default();
        if old != Some(new) {
            self.diff_folder((old, Some(new)), "", 0, &mut found)?;
        }
        found
            .changes
            .sort_by(|one, other| one.path.cmp(&other.path));
        Ok(found)
    }

    /// Compares two folders.
    fn diff_folder(
        &self,
        (old, new): (Option<Id>, Option<Id>),
        prefix: &str,
        depth: usize,
        found: &mut Difference,
    ) -> Result<(), Error> {
        let mut names: BTreeMap<Vec<u8>, (Option<Entry>, Option<Entry>)> = BTreeMap::new();
        if let Some(old) = old {
            check_depth(old, depth)?;
            for entry in self.tree(old)? {
                names.insert(entry.name.clone(), (Some(entry), None));
            }
        }
        if let Some(new) = new {
            check_depth(new, depth)?;
            found.trees.push(new);
            for entry in self.tree(new)? {
                let name = entry.name.clone();
                names.entry(name).or_default().1 = Some(entry);
            }
        }
        for (name, (old, new)) in names.into_iter().filter(|(_, (old, new))| old != new) {
            let path = join(prefix, &name)?;
            let folder = |entry: &Option<Entry>| {
                entry
                    .as_ref()
                    .filter(|entry| entry.is_folder())
                    .map(|entry| entry.id)
            };
            let folders = (folder(&old), folder(&new));
            if folders != (None, None) {
                self.diff_folder(folders, &path, depth + 1, found)?;
            }
            let (old, new) = (old.filter(is_file), new.filter(is_file));
            if let Some(mode) = new.as_ref().or(old.as_ref()).map(|entry| entry.mode) {
                let (old, new) = (old.map(|entry| entry.id), new.map(|entry| entry.id));
                found.changes.push(Change {
                    path,
                    old,
                    new,
                    mode,
                });
            }
            if found.changes.len() > FILES_MAX {
                return Err(Error::damaged(
                    format!("folder \"{prefix}\""),
                    "too many files",
                ));
            }
        }
        Ok(())
    }
}

fn is_file(entry: &Entry) -> bool {
    !entry.is_folder()
}

fn check_depth(tree: Id, depth: usize) -> Result<(), Error> {
    if depth > DEPTH_MAX {
        return Err(Error::damaged(
            format!("tree {tree}"),
            "its folders nest too deep",
        ));
    }
    Ok(())
}

/// The path of a name in a folder.
fn join(prefix: &str, name: &[u8]) -> Result<String, Error> {
    let slash = if prefix.is_empty() { "" } else { "/" };
    match std::str::from_utf8(name) {
        Ok(name) => Ok(format!("{prefix}{slash}{name}")),
        Err(_) => Err(Error::NotText(format!(
            "{prefix}{slash}{}",
            String::from_utf8_lossy(name)
        ))),
    }
}
