//! Fetching into a quarantine. Nothing that came is believed yet.

use crate::git::Id;
use crate::git::Quarantine;
use crate::git::Repo;
use crate::git::quarantine::Heard;
use crate::git::run::Git;
use crate::store::Store;
use crate::sync::Error;
use crate::sync::Remote;
use crate::sync::remote::refuse_dangerous;
use crate::sync::remote::repo;
use crate::sys::fs::Lock;

/// What a remote has, in quarantine. Dropped, it is gone; until then no other process talks to a remote of this store.
pub struct Fetched {
    /// The remote.
    pub remote: Remote,
    /// The full name of the branch, here and there.
    pub branch: String,
    /// The remote's head; none if it has no such branch.
    pub head: Option<Id>,
    /// The head that was seen there the last time.
    pub seen: Option<Id>,
    /// The store's repository, reading what is in quarantine, too.
    pub repo: Repo,
    /// The git and the folder with which to push.
    pub quarantine: Quarantine,
    _lock: Lock,
}

/// Fetches the branch of HEAD from a remote. `heard` is given what git says meanwhile, `on_wait` is called if another
/// process is talking to a remote of this store. The store is not touched.
pub fn fetch(
    store: &Store,
    git: &Git,
    remote: &Remote,
    heard: Heard<'_>,
    on_wait: impl FnOnce(),
) -> Result<Fetched, Error> {
    refuse_dangerous(store)?;
    let own = repo(store)?;
    let lock = store.state.lock_sync(on_wait)?;
    let here = own.head()?;
    let seen = store.state.remote(&remote.name)?.map(|(id, _)| id);
    let seen = seen.filter(|id| own.commit(*id).is_ok());
    let known = here.commit.into_iter().chain(seen);
    let quarantine = Quarantine::make(git, &store.state.quarantine(), own, known)?;
    let head = quarantine.fetch(&remote.url, &here.branch, heard)?;
    Ok(Fetched {
        remote: remote.clone(),
        branch: here.branch,
        head,
        seen: store.state.remote(&remote.name)?.map(|(id, _)| id),
        repo: own.with(&quarantine),
        quarantine,
        _lock: lock,
    })
}
