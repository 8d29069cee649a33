//! A repository in a temporary folder, and the real git beside it to check what was written.
#![allow(clippy::disallowed_methods, reason = "tests make and read files")]

use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::path::PathBuf;

use tempfile::TempDir;

use crate::git::Id;
use crate::git::Ident;
use crate::git::Repo;
use crate::git::object::commit_text;
use crate::git::run::Git;

/// A fresh home with a store and its repository.
pub(super) struct World {
    folder: TempDir,
    store: PathBuf,
    pub(super) git: Git,
}

impl World {
    pub(super) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path().join("store");
        fs::create_dir(&store).unwrap();
        let path = std::env::var_os("PATH").unwrap_or_default();
        let home = folder.path().as_os_str().to_owned();
        let vars: [(OsString, OsString); 3] = [
            ("PATH".into(), path),
            ("HOME".into(), home),
            ("GIT_CONFIG_NOSYSTEM".into(), "1".into()),
        ];
        let git = Git::new(&store, vars);
        Repo::init(&git).unwrap();
        Self { folder, store, git }
    }

    pub(super) fn home(&self) -> &Path {
        self.folder.path()
    }

    pub(super) fn store(&self) -> &Path {
        &self.store
    }

    pub(super) fn repo(&self) -> Repo {
        Repo::open(&self.store).unwrap().unwrap()
    }

    /// What the real git prints.
    pub(super) fn run(&self, args: &[&str]) -> String {
        String::from_utf8(self.git.output(args).unwrap()).unwrap()
    }

    /// Makes one commit, as a store does: objects, branch, work tree, index.
    pub(super) fn change(&self, changes: &[(&str, Option<&str>)]) -> Id {
        let repo = self.repo();
        let head = repo.head().unwrap();
        let blob = |text: Option<&str>| text.map(|text| repo.write_blob(text.as_bytes()).unwrap());
        let edits: Vec<_> = changes
            .iter()
            .map(|(path, text)| ((*path).to_owned(), blob(*text)))
            .collect();
        let tree = repo.edit_tree(head.commit, &edits).unwrap();
        let who = Ident::new("Octo Cat", "o@c", 1_700_000_000, 0);
        let parents: Vec<Id> = head.commit.into_iter().collect();
        let raw = commit_text(&tree, &parents, &who, "change\n");
        let commit = repo.write_commit(&raw).unwrap();
        repo.move_head(&head, commit, &who, "change").unwrap();
        for (path, text) in changes {
            self.put(path, *text);
        }
        repo.update_index(&edits).unwrap();
        commit
    }

    /// Writes or removes a file of the work tree.
    pub(super) fn put(&self, path: &str, text: Option<&str>) {
        let path = self.store.join(path);
        match text {
            Some(text) => {
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(&path, text).unwrap();
            }
            None => fs::remove_file(&path).unwrap(),
        }
    }

    /// The real git finds nothing wrong and nothing changed.
    pub(super) fn check(&self) {
        assert_eq!(self.run(&["status", "--porcelain"]), "");
        self.run(&["fsck", "--strict", "--no-dangling"]);
    }
}
