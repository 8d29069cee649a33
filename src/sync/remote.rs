//! Which remote is meant. Its address is read by this program's own parser; git is told it, and nothing else of the
//! repository's configuration.

use crate::git::Repo;
use crate::git::run::Git;
use crate::store;
use crate::store::Store;
use crate::sync::Error;

/// The usual name of a remote.
pub const USUAL: &str = "origin";

/// A remote of a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remote {
    /// Its name.
    pub name: String,
    /// Its address.
    pub url: String,
}

impl Remote {
    /// Every remote of a store, by name.
    pub fn all(store: &Store) -> Result<Vec<Self>, Error> {
        let remotes = repo(store)?.remotes()?.into_iter();
        Ok(remotes.map(|(name, url)| Self { name, url }).collect())
    }

    /// The named remote; else the one that the branch is set to follow, `origin`, or the only one.
    pub fn choose(store: &Store, named: Option<&str>) -> Result<Self, Error> {
        let mut remotes = Self::all(store)?;
        let repo = repo(store)?;
        let followed = repo.followed(&repo.head()?.branch)?;
        let find = |name: &str| remotes.iter().position(|remote| remote.name == name);
        let at = match named {
            Some(name) => Some(find(name).ok_or_else(|| Error::UnknownRemote(name.to_owned()))?),
            None => followed
                .and_then(|name| find(&name))
                .or_else(|| find(USUAL))
                .or((remotes.len() == 1).then_some(0)),
        };
        match at {
            Some(at) => Ok(remotes.swap_remove(at)),
            None if remotes.is_empty() => Err(Error::NoRemote),
            None => Err(Error::SeveralRemotes(
                remotes.into_iter().map(|remote| remote.name).collect(),
            )),
        }
    }

    /// Writes it into the repository's configuration, in place of one of the same name, and forgets what was seen of that.
    pub fn add(&self, store: &Store, git: &Git) -> Result<(), Error> {
        refuse_dangerous(store)?;
        let known = Self::all(store)?;
        match known.iter().find(|remote| remote.name == self.name) {
            Some(remote) if remote.url == self.url => return Ok(()),
            Some(_) => git.output(&["remote", "set-url", "--", &self.name, &self.url])?,
            None => git.output(&["remote", "add", "--", &self.name, &self.url])?,
        };
        Ok(store.state.forget_remote(&self.name)?)
    }

    /// Takes it out of the repository's configuration, and forgets what was seen of it.
    pub fn remove(&self, store: &Store, git: &Git) -> Result<(), Error> {
        refuse_dangerous(store)?;
        git.output(&["remote", "remove", "--", &self.name])?;
        Ok(store.state.forget_remote(&self.name)?)
    }
}

/// The store's repository.
pub(super) fn repo(store: &Store) -> Result<&Repo, Error> {
    Ok(store.repo.as_ref().ok_or(store::Error::NoRepository)?)
}

/// Refuses a repository whose settings could make git run other programs.
pub(super) fn refuse_dangerous(store: &Store) -> Result<(), Error> {
    let found = repo(store)?.dangerous_config()?;
    if found.is_empty() {
        Ok(())
    } else {
        Err(Error::Dangerous(found))
    }
}
