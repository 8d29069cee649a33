//! A store's repository, in process: no git program is started here, but to make one.
//!
//! Lives here: opening, reading objects, writing a change step by step in the order of the store format. Never here: whether
//! a commit may be followed. Called by `store` and `sync`.

mod bring;
mod edit;
mod history;
mod list;
mod worktree;

use std::path::Path;
use std::path::PathBuf;
use std::sync::OnceLock;

use crate::git::Error;
use crate::git::config::Config;
use crate::git::config::refuse_unusual;
use crate::git::disk;
use crate::git::object::COMMIT_MAX_BYTES;
use crate::git::object::Commit;
use crate::git::object::Id;
use crate::git::object::Ident;
use crate::git::object::Kind;
use crate::git::object::id_of;
use crate::git::odb::Odb;
use crate::git::quarantine::Quarantine;
use crate::git::refs;
use crate::git::refs::Head;
use crate::git::run::Git;
use crate::git::tree;

pub use bring::Step;
pub use list::Change;
pub use list::TreeFile;

/// The most bytes of one tree object: more than 500,000 entries in one folder.
pub(super) const TREE_MAX_BYTES: u64 = 32 * 1024 * 1024;

/// The repository of one store.
///
/// A change is made in this order: `write_blob`, `edit_tree`, `write_commit`, `settle`, `move_head`, then the caller moves the
/// work tree, then `update_index`. From the first write until `update_index` no other process of this program writes.
pub struct Repo {
    store: PathBuf,
    git: PathBuf,
    odb: Odb,
    /// The repository's own configuration, read with the check for what is unusual, before the first object is touched.
    config: OnceLock<Config>,
}

impl Repo {
    /// Opens the repository of the store; none if it has none. Cheap: one that git would read other than it lies there
    /// (links, grafts, replaced or borrowed objects, another hash or reference format) is refused at the first object.
    pub fn open(store: &Path) -> Result<Option<Self>, Error> {
        let git = store.join(".git");
        let Some(found) = disk::stat(&git)? else {
            return Ok(None);
        };
        if !found.is_dir() {
            return Err(Error::Unusual {
                path: git,
                what: "not a folder",
            });
        }
        let odb = Odb::new(&git);
        Ok(Some(Self {
            store: store.to_owned(),
            git,
            odb,
            config: OnceLock::new(),
        }))
    }

    /// The same repository, reading from the packs of a quarantine as well.
    #[must_use]
    pub fn with(&self, quarantine: &Quarantine) -> Self {
        Self {
            store: self.store.clone(),
            git: self.git.clone(),
            odb: Odb::lent_by(&self.git, quarantine.git_folder()),
            config: OnceLock::new(),
        }
    }

    /// Refuses what would lead git elsewhere: borrowed or replaced objects, grafts, other formats.
    pub(super) fn refuse_unusual(&self) -> Result<(), Error> {
        self.config().map(drop)
    }

    /// The folder `.git`.
    pub(super) fn git_folder(&self) -> &Path {
        &self.git
    }

    /// The remotes that the repository's configuration names, each with its address, in the order of names.
    pub fn remotes(&self) -> Result<Vec<(String, String)>, Error> {
        Ok(self.config()?.remotes())
    }

    /// The remote that a branch, by its full name, is set to follow.
    pub fn followed(&self, branch: &str) -> Result<Option<String>, Error> {
        let branch = branch.strip_prefix("refs/heads/").unwrap_or(branch);
        Ok(self.config()?.value_of("branch", branch, "remote"))
    }

    /// The configuration of a repository that is not unusual.
    fn config(&self) -> Result<&Config, Error> {
        if let Some(config) = self.config.get() {
            return Ok(config);
        }
        let config = refuse_unusual(&self.git)?;
        Ok(self.config.get_or_init(|| config))
    }

    /// The objects of a repository that is not unusual.
    fn odb(&self) -> Result<&Odb, Error> {
        self.config()?;
        Ok(&self.odb)
    }

    /// Makes a repository in the store's folder by the real git: branch `main`, no template, no hooks, and modes not kept.
    pub fn init(git: &Git) -> Result<Self, Error> {
        git.init()?;
        let missing = || Error::damaged("\".git\"", "git init has not made it");
        Self::open(git.store())?.ok_or_else(missing)
    }

    /// Settings and files that would make the git program run other programs or act elsewhere, each as a phrase. Only
    /// commands that start git need to ask.
    pub fn dangerous_config(&self) -> Result<Vec<String>, Error> {
        self.config()?.dangers(&self.git)
    }

    /// Whether a word on git's command line would be taken for a repository that lies in the store's folder: git runs the
    /// hooks of one that it pushes to. A store holds none; whoever can write to it can plant one.
    pub fn names_planted(&self, word: &str) -> Result<bool, Error> {
        if self.config()?.has_remote(word) {
            return Ok(false);
        }
        for ending in ["", ".git"] {
            let folder = self.store.join(format!("{word}{ending}"));
            if folder.components().eq(self.store.components()) {
                continue;
            }
            for mark in ["HEAD", ".git"] {
                if disk::stat(&folder.join(mark))?.is_some() && disk::is_below(&folder, &self.store)
                {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// The branch that HEAD names, and its commit.
    pub fn head(&self) -> Result<Head, Error> {
        refs::head(&self.git)
    }

    /// Where a reference is, by its full name (`refs/remotes/origin/main`); none if there is no such reference.
    pub fn reference(&self, name: &str) -> Result<Option<Id>, Error> {
        refs::value(&self.git, name)
    }

    /// Reads a commit.
    pub fn commit(&self, id: Id) -> Result<Commit, Error> {
        Commit::parse(id, self.odb()?.read(id, Kind::Commit, COMMIT_MAX_BYTES)?)
    }

    /// Reads a blob of at most `max_bytes`.
    pub fn blob(&self, id: Id, max_bytes: u64) -> Result<Vec<u8>, Error> {
        self.odb()?.read(id, Kind::Blob, max_bytes)
    }

    /// Reads a folder.
    fn tree(&self, id: Id) -> Result<Vec<tree::Entry>, Error> {
        tree::parse(id, &self.odb()?.read(id, Kind::Tree, TREE_MAX_BYTES)?)
    }

    /// The id that bytes have as a blob, without writing them.
    pub fn blob_id(bytes: &[u8]) -> Result<Id, Error> {
        let collision = || Error::damaged("a file", "it is made for a SHA-1 collision");
        id_of(Kind::Blob, bytes).ok_or_else(collision)
    }

    /// Writes a blob; it is safe after `settle`.
    pub fn write_blob(&self, bytes: &[u8]) -> Result<Id, Error> {
        self.odb()?.write(Kind::Blob, bytes)
    }

    /// Writes many blobs; they are safe after `settle`.
    pub fn write_blobs(&self, contents: &[&[u8]]) -> Result<Vec<Id>, Error> {
        self.odb()?.write_blobs(contents)
    }

    /// Writes a commit object; it is safe after `settle`.
    pub fn write_commit(&self, raw: &[u8]) -> Result<Id, Error> {
        self.odb()?.write(Kind::Commit, raw)
    }

    /// Brings everything written to the disk and gives it its name. Must come before `move_head`.
    pub fn settle(&self) -> Result<(), Error> {
        self.odb()?.settle()
    }

    /// Moves HEAD's branch from `head` to `to`, if it is still there; the reflog says `who` and `why`. What has been written
    /// is settled before.
    pub fn move_head(&self, head: &Head, to: Id, who: &Ident, why: &str) -> Result<(), Error> {
        self.settle()?;
        let step = refs::Move {
            from: head,
            to,
            who,
            why,
        };
        self.odb()?.with_place(|place| step.run(&self.git, place))
    }

    /// Removes what a killed process of this program has left inside `.git`. The next write does so too.
    pub fn remove_leftovers(&self) -> Result<(), Error> {
        self.odb()?.with_place(|_| Ok(()))?;
        self.odb.release();
        Ok(())
    }
}

#[cfg(test)]
mod tests;
