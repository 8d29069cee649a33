//! Objects that come from elsewhere.
//!
//! Lives here: which objects a commit brings beyond its first parent, and writing them as our own. Never here: whether a
//! commit is believed; the caller has verified it.

use std::path::Path;
use std::path::PathBuf;

use crate::git::Error;
use crate::git::disk;
use crate::git::object::COMMIT_MAX_BYTES;
use crate::git::object::Commit;
use crate::git::object::Id;
use crate::git::object::Kind;
use crate::git::quarantine::Quarantine;
use crate::git::repo::Change;
use crate::git::repo::Repo;
use crate::git::repo::TREE_MAX_BYTES;
use crate::git::tree::FILE;

/// From this many objects on, packs are taken over as they are: that many files of their own would be slow.
const PACK_FROM: usize = 2000;

/// What one commit is and brings.
#[derive(Debug)]
pub struct Step {
    /// The commit's id.
    pub id: Id,
    /// The commit.
    pub commit: Commit,
    /// What it changes against its first parent.
    pub changes: Vec<Change>,
    trees: Vec<Id>,
}

impl Step {
    /// The files that it brings.
    pub fn blobs(&self) -> impl Iterator<Item = (&str, Id)> {
        let files = self.changes.iter().filter(|change| change.mode == FILE);
        files.filter_map(|change| Some((change.path.as_str(), change.new?)))
    }
}

impl Repo {
    /// A commit, and what it brings.
    pub fn step(&self, id: Id) -> Result<Step, Error> {
        let commit = self.commit(id)?;
        let parent = commit.parents.first().copied();
        let parent = parent.map(|parent| self.commit(parent)).transpose()?;
        let found = self.diff_trees(parent.map(|parent| parent.tree), commit.tree)?;
        Ok(Step {
            id,
            commit,
            changes: found.changes,
            trees: found.trees,
        })
    }

    /// Writes what verified commits bring, read through `lender`, into this repository; it is safe after `settle`. Blobs are
    /// read with the limit that `max_bytes` gives for their path.
    pub fn bring(
        &self,
        lender: &Self,
        steps: &[Step],
        max_bytes: &dyn Fn(&str) -> u64,
    ) -> Result<(), Error> {
        let count: usize = steps
            .iter()
            .map(|step| 1 + step.trees.len() + step.changes.len())
            .sum();
        if count >= PACK_FROM
            && let Some(from) = lender.odb.lender()
        {
            return self.bring_packs(&from.join("pack"));
        }
        let copy = |kind: Kind, id: Id, limit: u64| {
            let bytes = lender.odb()?.read(id, kind, limit)?;
            self.odb()?.write(kind, &bytes).map(drop)
        };
        for step in steps {
            for (path, id) in step.blobs() {
                copy(Kind::Blob, id, max_bytes(path))?;
            }
            for tree in &step.trees {
                copy(Kind::Tree, *tree, TREE_MAX_BYTES)?;
            }
            copy(Kind::Commit, step.id, COMMIT_MAX_BYTES)?;
        }
        Ok(())
    }

    /// Takes over everything that a quarantine has: for a repository that is being made.
    pub fn bring_all(&self, quarantine: &Quarantine) -> Result<(), Error> {
        self.bring_packs(&quarantine.git_folder().join("objects/pack"))
    }

    /// Copies packs as they are: the pack first, since git looks for the index.
    fn bring_packs(&self, from: &Path) -> Result<(), Error> {
        let to = self.git.join("objects/pack");
        disk::refuse_links(&self.git, Path::new("objects/pack"))?;
        disk::make_folders(&to)?;
        let mut names = disk::names(from)?;
        names.retain(|name| name.starts_with("pack-"));
        names.sort_by_key(|name| !has_ending(name, "pack"));
        let wanted = names
            .iter()
            .filter(|name| has_ending(name, "pack") || has_ending(name, "idx"));
        self.odb()?.with_place(|place| {
            for name in wanted {
                let fresh: PathBuf = place.fresh();
                disk::copy(&from.join(name), &fresh)?;
                disk::flush(std::slice::from_ref(&fresh))?;
                disk::rename(&fresh, &to.join(name)).map_err(Error::io("name", to.join(name)))?;
            }
            disk::flush(std::slice::from_ref(&to))
        })?;
        self.odb()?.forget_packs();
        Ok(())
    }
}

fn has_ending(name: &str, ending: &str) -> bool {
    Path::new(name)
        .extension()
        .is_some_and(|found| found == ending)
}
