//! HEAD and its branch.
//!
//! Lives here: reading where a branch is, and moving it by git's own protocol, so that a git command at the same time is safe.
//! Never here: which commit is worth following. Called by `repo`.

use std::path::Path;
use std::path::PathBuf;

use crate::git::Error;
use crate::git::disk;
use crate::git::lock::Workplace;
use crate::git::object::Id;
use crate::git::object::Ident;

/// The most bytes of a reference file, and of all packed references.
const REF_MAX_BYTES: u64 = 4096;
const PACKED_MAX_BYTES: u64 = 64 * 1024 * 1024;

/// The branch that HEAD names, and where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// The full name: `refs/heads/main`.
    pub branch: String,
    /// Its commit; none before the first one.
    pub commit: Option<Id>,
}

/// Reads HEAD and its branch.
pub(super) fn head(git: &Path) -> Result<Head, Error> {
    let branch = head_branch(git)?;
    let commit = value(git, &branch)?;
    Ok(Head { branch, commit })
}

/// The branch that HEAD names.
fn head_branch(git: &Path) -> Result<String, Error> {
    let path = git.join("HEAD");
    let text = text(&path)?.ok_or_else(|| Error::damaged("HEAD", "it is missing"))?;
    let Some(branch) = text.strip_prefix("ref:") else {
        return match Id::parse(text.trim_end()) {
            Some(id) => Err(Error::Detached(id.to_string())),
            None => Err(Error::damaged(
                "HEAD",
                "it names neither a branch nor a commit",
            )),
        };
    };
    let branch = branch.trim();
    if !branch.starts_with("refs/heads/") || !is_safe(branch) {
        return Err(Error::damaged("HEAD", "it does not name a branch"));
    }
    Ok(branch.to_owned())
}

/// Whether a name stays below `.git` and is one that git allows too.
pub(super) fn is_safe(name: &str) -> bool {
    let component = |part: &str| {
        !part.is_empty()
            && !part.starts_with('.')
            && !part.ends_with('.')
            && Path::new(part)
                .extension()
                .is_none_or(|ending| ending != "lock")
    };
    name.starts_with("refs/")
        && name.split('/').all(component)
        && !name.contains("..")
        && !name.contains("@{")
        && !name
            .chars()
            .any(|c| c.is_control() || " ~^:?*[\\".contains(c))
}

/// Where a reference is; none if there is no such reference.
pub(super) fn value(git: &Path, name: &str) -> Result<Option<Id>, Error> {
    if !is_safe(name) {
        return Err(Error::damaged(
            format!("\"{name}\""),
            "it is not the name of a reference",
        ));
    }
    // Git removes the loose file only after it has written the packed one: the loose one is asked first, and once more.
    for last in [false, true] {
        if let Some(text) = text(&git.join(name))? {
            let id = Id::parse(text.trim_end());
            return id
                .map(Some)
                .ok_or_else(|| Error::damaged(name, "it does not name a commit"));
        }
        if last {
            break;
        }
        if let Some(id) = packed(git, |packed| packed == name)? {
            return Ok(Some(id));
        }
    }
    Ok(None)
}

/// The text of a small file.
fn text(path: &Path) -> Result<Option<String>, Error> {
    let not_text = |_| Error::damaged(format!("\"{}\"", path.display()), "it is not text");
    // A folder stands there when a branch "a/b" exists and "a" is asked for.
    if disk::stat(path)?.is_some_and(|found| found.is_dir()) {
        return Ok(None);
    }
    disk::read(path, REF_MAX_BYTES)?
        .map(|bytes| String::from_utf8(bytes).map_err(not_text))
        .transpose()
}

/// The first packed reference that fits.
pub(super) fn packed(git: &Path, fits: impl Fn(&str) -> bool) -> Result<Option<Id>, Error> {
    let damaged = || Error::damaged("packed-refs", "a line does not parse");
    let Some(bytes) = disk::read(&git.join("packed-refs"), PACKED_MAX_BYTES)? else {
        return Ok(None);
    };
    let text = String::from_utf8_lossy(&bytes);
    for line in text.lines().filter(|line| !line.starts_with(['#', '^'])) {
        let (id, name) = line.split_once(' ').ok_or_else(damaged)?;
        if fits(name) {
            return Id::parse(id).map(Some).ok_or_else(damaged);
        }
    }
    Ok(None)
}

/// A move of HEAD's branch.
pub(super) struct Move<'a> {
    /// Where HEAD was read.
    pub(super) from: &'a Head,
    /// The commit to move to.
    pub(super) to: Id,
    /// Who moves it, for the reflog.
    pub(super) who: &'a Ident,
    /// Why, in one line, for the reflog.
    pub(super) why: &'a str,
}

impl Move<'_> {
    /// Moves the branch if HEAD still names it and it is still where it was; it is on the disk afterwards.
    pub(super) fn run(&self, git: &Path, place: &Workplace) -> Result<(), Error> {
        let branch = self.from.branch.as_str();
        let _head = place.lock(git, "HEAD")?;
        let mut lock = place.lock(git, branch)?;
        let found = head(git)?;
        if found != *self.from {
            return Err(Error::Moved {
                branch: found.branch,
                found: found.commit,
            });
        }
        lock.write(format!("{}\n", self.to).as_bytes())?;
        let mut written = self.log(git)?;
        written.push(lock.path().to_owned());
        disk::flush(&written)?;
        lock.commit()?;
        let folder = git.join(branch);
        disk::flush(&[folder.parent().unwrap_or(git).to_owned()])
    }

    /// Adds a line to both logs; gives the files that were written.
    fn log(&self, git: &Path) -> Result<Vec<PathBuf>, Error> {
        let old = self.from.commit.unwrap_or(Id::from_bytes([0; 20]));
        let why: String = self
            .why
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect();
        let line = format!("{old} {} {}\t{why}\n", self.to, self.who);
        let logs = git.join("logs");
        let paths = vec![logs.join("HEAD"), logs.join(&self.from.branch)];
        let folder = Path::new("logs").join(&self.from.branch);
        disk::refuse_links(git, folder.parent().unwrap_or(Path::new("logs")))?;
        for path in &paths {
            disk::append(path, line.as_bytes())?;
        }
        Ok(paths)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_git_allows_too() {
        for name in ["refs/heads/main", "refs/remotes/origin/a.b", "refs/heads/é"] {
            assert!(is_safe(name), "{name}");
        }
        for name in [
            "HEAD",
            "refs/heads/",
            "refs//a",
            "refs/heads/../../x",
            "refs/heads/a.lock",
            "refs/heads/a b",
            "refs/heads/.a",
            "refs/heads/a\n",
        ] {
            assert!(!is_safe(name), "{name}");
        }
    }
}
