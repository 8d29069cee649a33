//! Which epoch a commit is of (F-081), and what a refusal means when the keys have changed meanwhile.
//!
//! Lives here: the commits of epochs that are over, told by the `last` of each. Never here: moving from one to the next (`turn`,
//! `trust`).

use std::collections::BTreeMap;
use std::path::Path;

use crate::format::Epoch;
use crate::format::FORMAT_MAX_BYTES;
use crate::format::Refusal;
use crate::format::Stage;
use crate::format::keys::Ended;
use crate::format::layout;
use crate::git::Id;
use crate::git::Repo;
use crate::store::Error;
use crate::store::Store;
use crate::store::check_seal;
use crate::store::state::other_keys;
use crate::store::unread;

/// The commits of the epochs before the present one.
#[derive(Default)]
pub struct Former {
    epochs: Vec<Epoch>,
    /// Which of them a commit is of.
    of: BTreeMap<Id, usize>,
}

impl Former {
    /// Finds them below the `last` of each epoch. One whose last commit is not here has none here.
    pub fn find(repo: &Repo, store: &str, past: &[Ended]) -> Result<Self, Error> {
        let mut former = Self::default();
        let mut before = None;
        // Oldest first: what an earlier epoch has is not a later one's.
        for ended in past.iter().rev() {
            let nth = former.epochs.len();
            former.epochs.push(ended.epoch(store));
            let Some(last) = Id::parse(&ended.last).filter(|last| repo.commit(*last).is_ok())
            else {
                continue;
            };
            for id in repo.walk(last, before)? {
                former.of.entry(id).or_insert(nth);
            }
            before = Some(last);
        }
        Ok(former)
    }

    /// The epoch before the present one that a commit is of.
    pub fn epoch_of(&self, id: Id) -> Option<&Epoch> {
        self.epochs.get(*self.of.get(&id)?)
    }
}

impl Store {
    /// The epoch that a commit is of, as far as this device knows the earlier ones (F-081).
    pub fn epoch_of(&self, id: Id) -> Result<&Epoch, Error> {
        let former = match (self.former.get(), &self.repo) {
            (Some(former), _) => former,
            (None, None) => return Ok(&self.epoch),
            (None, Some(repo)) => {
                let past = self.state.past(&self.epoch)?;
                let former = Former::find(repo, &self.epoch.store, &past)?;
                self.former.get_or_init(|| former)
            }
        };
        Ok(former.epoch_of(id).unwrap_or(&self.epoch))
    }

    /// One commit's headers and seal (F-080, F-081); when it was made, in seconds since 1970.
    pub(super) fn verify_seal(&self, repo: &Repo, id: Id) -> Result<i64, Error> {
        let commit = repo
            .commit(id)
            .map_err(|error| unread(id, error, Stage::Seal))?;
        // Most are of the present epoch: the earlier ones are looked for only when one is not.
        if check_seal(id, &commit, &self.epoch).is_err() {
            check_seal(id, &commit, self.epoch_of(id)?)?;
        }
        Ok(commit.seconds)
    }

    /// Refuses a head that is of an epoch which nobody has confirmed here, as what it is (F-090).
    pub(super) fn check_epoch_of_head(&self, repo: &Repo, head: Id) -> Result<(), Error> {
        let Some(clear) = repo.blob_at(head, layout::FORMAT)? else {
            return Ok(());
        };
        match Epoch::parse(&repo.blob(clear, FORMAT_MAX_BYTES)?) {
            Ok(epoch) if epoch != self.epoch => Err(other_keys(&self.epoch, &epoch).into()),
            _ => Ok(()),
        }
    }

    /// Fails if the store has moved to another epoch since it was opened.
    pub(super) fn check_current(&self) -> Result<(), Error> {
        let clear = self
            .dir
            .read(Path::new(layout::FORMAT), FORMAT_MAX_BYTES)?
            .unwrap_or_default();
        if Epoch::parse(&clear).is_ok_and(|epoch| epoch == self.epoch) {
            Ok(())
        } else {
            Err(Error::Renewed)
        }
    }

    /// What to say of something that is refused: if the store has moved to another epoch meanwhile, that. This device's own pin
    /// tells it, which only a person's word moves, so nobody else can turn a refusal into this.
    pub(super) fn renewed_instead(&self, error: Error) -> Error {
        let is_of_keys =
            |refusal: &Refusal| matches!(refusal.stage, Stage::Envelope | Stage::Signature);
        match &error {
            Error::Refused(refusal) if is_of_keys(refusal) => {
                let pinned = self.state.pinned().ok().flatten().unwrap_or_default();
                match Epoch::parse(&pinned) {
                    Ok(pinned) if pinned != self.epoch => Error::Renewed,
                    _ => error,
                }
            }
            _ => error,
        }
    }
}
