//! New trees from old ones.
//!
//! Lives here: writing the trees that a change of some paths makes, and no others. Never here: which paths a store may have.

use std::collections::BTreeMap;

use crate::git::Error;
use crate::git::object::Id;
use crate::git::object::Kind;
use crate::git::repo::Repo;
use crate::git::tree;
use crate::git::tree::Entry;
use crate::git::tree::FILE;
use crate::git::tree::FOLDER;

/// One path below the folder at hand, and the blob that shall be there.
type Edit<'a> = (&'a str, &'a str, Option<Id>);

/// What shall happen to one name in a folder.
#[derive(Default)]
struct Wanted<'a> {
    /// The name itself becomes a file, or nothing.
    file: Option<(&'a str, Option<Id>)>,
    /// Paths below the name.
    below: Vec<Edit<'a>>,
}

impl Repo {
    /// Writes the tree that `edits` make of that of a commit, or of nothing: a blob is put at its path, `None` takes the path
    /// away, and with the last path its folder. Folders that no edit touches are not read.
    pub fn edit_tree(&self, base: Option<Id>, edits: &[(String, Option<Id>)]) -> Result<Id, Error> {
        let root = base
            .map(|commit| self.commit(commit))
            .transpose()?
            .map(|commit| commit.tree);
        let edits: Vec<Edit<'_>> = edits
            .iter()
            .map(|(path, to)| (path.as_str(), path.as_str(), *to))
            .collect();
        match self.edit_folder(root, &edits)? {
            Some(id) => Ok(id),
            None => self.odb()?.write(Kind::Tree, &[]),
        }
    }

    /// Writes one folder; none if nothing is left in it.
    fn edit_folder(&self, old: Option<Id>, edits: &[Edit<'_>]) -> Result<Option<Id>, Error> {
        let mut wanted: BTreeMap<&[u8], Wanted<'_>> = BTreeMap::new();
        for &(path, below, to) in edits {
            match below.split_once('/') {
                Some((name, below)) => {
                    wanted
                        .entry(name.as_bytes())
                        .or_default()
                        .below
                        .push((path, below, to));
                }
                None => wanted.entry(below.as_bytes()).or_default().file = Some((path, to)),
            }
        }
        let entries = old.map(|id| self.tree(id)).transpose()?.unwrap_or_default();
        let mut new = Vec::with_capacity(entries.len() + wanted.len());
        for entry in entries {
            match wanted.remove(entry.name.as_slice()) {
                Some(wanted) => new.extend(self.edit_name(Some(entry), &wanted)?),
                None => new.push(entry),
            }
        }
        for (name, wanted) in wanted {
            let made = self.edit_name(None, &wanted)?;
            new.extend(made.map(|entry| Entry {
                name: name.to_vec(),
                ..entry
            }));
        }
        new.sort_by(tree::order);
        if new.is_empty() {
            return Ok(None);
        }
        self.odb()?.write(Kind::Tree, &tree::write(&new)).map(Some)
    }

    /// What one name becomes; a new entry has no name yet.
    fn edit_name(&self, old: Option<Entry>, wanted: &Wanted<'_>) -> Result<Option<Entry>, Error> {
        let name = old
            .as_ref()
            .map(|entry| entry.name.clone())
            .unwrap_or_default();
        let folder = old
            .as_ref()
            .filter(|entry| entry.is_folder())
            .map(|entry| entry.id);
        let folder = if wanted.below.is_empty() {
            folder
        } else {
            self.edit_folder(folder, &wanted.below)?
        };
        let file = match wanted.file {
            Some((_, to)) => to.map(|id| Entry {
                mode: FILE,
                name: name.clone(),
                id,
            }),
            None => old.filter(|entry| !entry.is_folder()),
        };
        let folder = folder.map(|id| Entry {
            mode: FOLDER,
            name,
            id,
        });
        match (file, folder) {
            (Some(_), Some(_)) => Err(Error::Clash(path_of(wanted).to_owned())),
            (file, folder) => Ok(file.or(folder)),
        }
    }
}

/// A path to name in a message.
fn path_of<'a>(wanted: &Wanted<'a>) -> &'a str {
    let below = || wanted.below.first().map(|(path, _, _)| *path);
    wanted
        .file
        .map(|(path, _)| path)
        .or_else(below)
        .unwrap_or_default()
}
