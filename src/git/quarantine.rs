//! A repository of its own beside the store, for one talk with a remote.
//!
//! Lives here: fetching and pushing by the git program. Whatever a remote sends lands here and nowhere else, so that what is
//! refused has never touched the store; and git finds no configuration but this program's and the user's own: the
//! store's counts for nothing. Never here: whether what came is believed.

use std::path::Path;
use std::path::PathBuf;

use crate::git::Error;
use crate::git::address;
use crate::git::config;
use crate::git::disk;
use crate::git::object::Id;
use crate::git::refs;
use crate::git::repo::Repo;
use crate::git::run::Git;

/// Where the fetched commit is named.
const FETCHED: &str = "refs/vault/fetched";
/// The whole configuration.
const CONFIG: &str = "[core]\n\trepositoryformatversion = 0\n\tfilemode = false\n\tbare = false\n";
/// Settings of a fetch, over the user's own: everything is checked, and comes as a pack, never as single objects.
const CAREFUL: [&str; 10] = [
    "-c",
    "fetch.fsckObjects=true",
    "-c",
    "transfer.fsckObjects=true",
    "-c",
    "fetch.unpackLimit=1",
    "-c",
    "transfer.unpackLimit=1",
    "-c",
    "transfer.bundleURI=false",
];

/// Takes what git says of its progress, a line at a time.
pub type Heard<'h> = &'h mut dyn FnMut(&str);

/// The repository; it is removed when this is dropped.
pub struct Quarantine {
    git: Git,
    folder: PathBuf,
    /// The store's own `.git`, in which no remote may lie.
    store: PathBuf,
}

impl Quarantine {
    /// Makes it in a folder, which it empties. It borrows the store's objects, and tells remotes that it has `known`.
    pub fn make(
        git: &Git,
        folder: &Path,
        store: &Repo,
        known: impl IntoIterator<Item = Id>,
    ) -> Result<Self, Error> {
        store.refuse_unusual()?;
        let made = Self {
            git: git.at(folder),
            folder: folder.join(".git"),
            store: store.git_folder().to_owned(),
        };
        disk::remove_tree(folder)?;
        disk::make_folders(&made.folder.join("objects/info"))?;
        disk::make_folders(&made.folder.join("refs/heads"))?;
        made.write("HEAD", "ref: refs/heads/none\n")?;
        made.write("config", CONFIG)?;
        let borrowed = quoted(&made.store.join("objects"));
        made.write("objects/info/alternates", &format!("{borrowed}\n"))?;
        for (number, id) in known.into_iter().enumerate() {
            let branch = format!("refs/heads/known-{number}");
            made.write(&branch, &format!("{id}\n"))?;
        }
        Ok(made)
    }

    fn write(&self, below: &str, text: &str) -> Result<(), Error> {
        disk::append(&self.folder.join(below), text.as_bytes()).map(drop)
    }

    /// Its folder `.git`.
    pub(super) fn git_folder(&self) -> &Path {
        &self.folder
    }

    /// Fetches a branch, by its full name, from an address; none if the remote has no such branch.
    pub fn fetch(&self, url: &str, branch: &str, heard: Heard<'_>) -> Result<Option<Id>, Error> {
        self.check(url)?;
        let refspec = format!("+{branch}:{FETCHED}");
        let mut args = CAREFUL.to_vec();
        args.extend([
            "fetch",
            "--progress",
            "--no-tags",
            "--no-auto-maintenance",
            "--no-recurse-submodules",
            "--no-write-fetch-head",
            "--no-write-commit-graph",
            "--no-prune",
            "--refmap=",
            "--end-of-options",
            url,
            &refspec,
        ]);
        match self.git.talk(&args, heard) {
            Ok(_) => refs::value(&self.folder, FETCHED),
            Err(Error::Git { said, .. }) if is_absent(&said) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Moves a branch of the remote forward to a commit; with `over`, to a commit beside `over`, if it is still there.
    pub fn push(
        &self,
        url: &str,
        (id, branch): (Id, &str),
        over: Option<Id>,
        heard: Heard<'_>,
    ) -> Result<(), Error> {
        self.check(url)?;
        let refspec = format!("{id}:{branch}");
        let lease = over.map(|over| format!("--force-with-lease={branch}:{over}"));
        let mut args = vec![
            "push",
            "--progress",
            "--no-verify",
            "--no-signed",
            "--no-follow-tags",
            "--recurse-submodules=no",
        ];
        args.extend(lease.as_deref());
        args.extend(["--end-of-options", url, &refspec]);
        self.git.talk(&args, heard).map(drop)
    }

    /// No remote inside the store, and none that is an option, a program or a secret.
    fn check(&self, url: &str) -> Result<(), Error> {
        check_address(url)?;
        if config::is_inside(url, &self.store) {
            return Err(Error::Address(url.to_owned()));
        }
        Ok(())
    }
}

impl Drop for Quarantine {
    fn drop(&mut self) {
        // What is left is removed by the next one.
        if let Some(folder) = self.folder.parent() {
            let _ = disk::remove_tree(folder);
        }
    }
}

/// Refuses what git would take for something else, and what would show a secret among its arguments.
fn check_address(url: &str) -> Result<(), Error> {
    if !address::is_address(url) {
        return Err(Error::Address(url.to_owned()));
    }
    if address::holds_secret(url) {
        return Err(Error::AddressSecret(url.to_owned()));
    }
    Ok(())
}

/// The branch that a remote's HEAD names, by its full name; none if it has no commit.
pub fn head_branch(git: &Git, url: &str, heard: Heard<'_>) -> Result<Option<String>, Error> {
    check_address(url)?;
    let args = ["ls-remote", "--symref", "--end-of-options", url, "HEAD"];
    Ok(parse_head(&String::from_utf8_lossy(
        &git.talk(&args, heard)?,
    )))
}

/// From `ref: BRANCH TAB HEAD`.
pub(super) fn parse_head(text: &str) -> Option<String> {
    let line = text.lines().find_map(|line| line.strip_prefix("ref: "))?;
    let branch = line.strip_suffix("\tHEAD")?;
    (branch.starts_with("refs/heads/") && refs::is_safe(branch)).then(|| branch.to_owned())
}

/// Whether git says that a branch is not there; it was asked to speak English.
fn is_absent(said: &str) -> bool {
    said.split("; ")
        .any(|line| line.starts_with("fatal: couldn't find remote ref "))
}

/// A path as git reads it in its list of borrowed objects, whatever is in it.
fn quoted(path: &Path) -> String {
    let mut text = String::from("\"");
    for byte in path.as_os_str().as_encoded_bytes() {
        match byte {
            b'"' | b'\\' => text.push_str(&format!("\\{}", char::from(*byte))),
            b' '..=b'~' => text.push(char::from(*byte)),
            other => text.push_str(&format!("\\{other:03o}")),
        }
    }
    text.push('"');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_remotes_head_is_a_branch_or_nothing() {
        let parse = |text: &str| parse_head(text);
        let good = "ref: refs/heads/main\tHEAD\n12ab\tHEAD\n";
        assert_eq!(parse(good).as_deref(), Some("refs/heads/main"));
        for bad in [
            "",
            "12ab\tHEAD\n",
            "ref: refs/tags/x\tHEAD\n",
            "ref: refs/heads/../x\tHEAD\n",
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn odd_paths_are_quoted() {
        assert_eq!(quoted(Path::new("/a \"b\"\n")), r#""/a \"b\"\012""#);
    }
}
