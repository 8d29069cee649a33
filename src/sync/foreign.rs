//! Of the commits that a new epoch was begun without: which of them this device has made itself, and which it has taken in from
//! elsewhere (F-092).
//!
//! The keys of an epoch that is over are known to whoever was removed: what he has sealed with them after his removal, and a device took in
//! before it heard of that, is no work of the device's, and is not carried over.

use std::collections::BTreeSet;

use crate::format::Name;
use crate::format::layout;
use crate::format::layout::Place;
use crate::git::Change;
use crate::git::Id;
use crate::git::Repo;
use crate::store::Store;
use crate::sync::Error;

/// Who has changed a path since the sides parted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// This device alone.
    Own,
    /// Others alone.
    Others,
    /// Both.
    Both,
}

/// What a device has that a new head has not, by who has made it.
#[derive(Debug, Default)]
pub struct Foreign {
    /// Commits that came from elsewhere, newest first.
    pub commits: Vec<Id>,
    theirs: BTreeSet<String>,
    own: BTreeSet<String>,
}

impl Foreign {
    /// Looks through what any of `tips` has and `head` has not.
    pub fn find(store: &Store, repo: &Repo, tips: &[Id], head: Id) -> Result<Self, Error> {
        let mut found = Self::default();
        let mut seen = BTreeSet::new();
        let mut made = None;
        for tip in tips {
            for id in repo.walk(*tip, [head])? {
                if !seen.insert(id) || repo.is_ancestor(id, head)? {
                    continue;
                }
                let made = match &made {
                    Some(made) => made,
                    None => made.insert(store.state.made()?),
                };
                let (by, paths) = (made.contains(&id), changed_by(repo, id)?);
                if by {
                    found.own.extend(paths);
                } else {
                    found.commits.push(id);
                    found.theirs.extend(paths);
                }
            }
        }
        Ok(found)
    }

    /// Who has changed a path.
    pub fn whose(&self, path: &str) -> Whose {
        match (self.own.contains(path), self.theirs.contains(path)) {
            (true, true) => Whose::Both,
            (false, true) => Whose::Others,
            _ => Whose::Own,
        }
    }

    /// The entries that came from elsewhere.
    pub fn names(&self) -> Vec<Name> {
        let places = self.theirs.iter().map(|path| layout::place_of(path));
        let entry = |place| match place {
            Ok(Place::Entry(name)) => Some(name),
            _ => None,
        };
        places.filter_map(entry).collect()
    }
}

/// The paths that a commit changes; of a merge, what it has as neither of its sides has it.
fn changed_by(repo: &Repo, id: Id) -> Result<Vec<String>, Error> {
    let step = repo.step(id)?;
    let mut paths = Vec::new();
    for Change { path, new, .. } in step.changes {
        let mut is_new = true;
        for parent in step.commit.parents.iter().skip(1) {
            is_new &= repo.blob_at(*parent, &path)? != new;
        }
        if is_new {
            paths.push(path);
        }
    }
    Ok(paths)
}
