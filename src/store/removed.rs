//! Revisions of entries that are gone: whoever makes one of their names anew must begin above them (W-050), those that
//! another device has removed, and that this one has never opened, included.

use crate::format::Name;
use crate::format::layout;
use crate::format::layout::Place;
use crate::git::Id;
use crate::git::Repo;
use crate::store::Error;
use crate::store::Store;
use crate::store::keeper::Keeper;
use crate::sys::fs;

/// From this many commits on, how far history has been read is remembered.
const REMEMBER_FROM: usize = 16;
/// From this many commits on, reading them is shared among the cores.
const PARALLEL_FROM: usize = 64;

impl Store {
    /// Raises the revision of each entry that history has removed since it was last looked at, above what was removed.
    pub(super) fn account_for_removed(
        &self,
        repo: &Repo,
        keeper: &dyn Keeper,
    ) -> Result<(), Error> {
        let Some(head) = repo.head()?.commit else {
            return Ok(());
        };
        let known = self.state.accounted()?;
        let known = known.filter(|id| repo.commit(*id).is_ok());
        if known == Some(head) {
            return Ok(());
        }
        let new = repo.walk(head, known)?;
        let removed = fs::parallel(&new, PARALLEL_FROM, |id| removed_by(repo, *id));
        let mut revs = Vec::new();
        for (name, blob) in removed.into_iter().collect::<Result<Vec<_>, _>>()?.concat() {
            // What does not open was never this store's entry, and no device has seen a revision of it.
            if let Ok(header) = Self::look_version(keeper, repo, &name, blob) {
                revs.push((name.to_string(), header.rev + 1));
            }
        }
        self.state.raise_revs(&revs)?;
        if new.len() >= REMEMBER_FROM {
            self.state.set_accounted(head)?;
        }
        Ok(())
    }
}

/// The entries that a commit removes, and their last files.
fn removed_by(repo: &Repo, id: Id) -> Result<Vec<(Name, Id)>, Error> {
    let step = repo.step(id)?;
    let gone = step
        .changes
        .into_iter()
        .filter(|change| change.new.is_none());
    let named = gone.filter_map(|change| match layout::place_of(&change.path) {
        Ok(Place::Entry(name)) => Some((name, change.old?)),
        _ => None,
    });
    Ok(named.collect())
}
