//! Finishing what was interrupted: the next command after a death makes the work tree follow the truth (section 11).

use std::path::Path;

use crate::format::ENTRY_MAX_BYTES;
use crate::format::Epoch;
use crate::format::Refusal;
use crate::format::Stage;
use crate::format::layout;
use crate::format::layout::Place;
use crate::format::seal;
use crate::git;
use crate::git::Change;
use crate::git::Commit;
use crate::git::Head;
use crate::git::Id;
use crate::git::Ident;
use crate::git::Repo;
use crate::git::Step;
use crate::store::Error;
use crate::store::Store;
use crate::store::changes::Staged;
use crate::store::tree;
use crate::sys::fs;
use crate::sys::fs::Kind;
use crate::sys::fs::Lock;
use crate::sys::fs::TEMP_PREFIX;

/// How many commits without a seal are passed over in search of one that has it.
const LOOK_BACK: usize = 1000;

/// What settling found.
#[derive(Debug, Default)]
pub struct Settled {
    /// Paths that are neither the old nor the new commit's and were left alone.
    pub left: Vec<String>,
}

impl Store {
    /// Finishes an interrupted change, if there is one and no writer is at work. Cheap when there is none.
    pub fn settle(&self) -> Result<Settled, Error> {
        if !self.is_unsettled()? {
            return Ok(Settled::default());
        }
        match self.state.try_lock()? {
            Some(lock) => self.settle_locked(&lock),
            None => Ok(Settled::default()),
        }
    }

    /// The same under the lock.
    pub(super) fn settle_locked(&self, lock: &Lock) -> Result<Settled, Error> {
        // A move to another epoch is finished where the store is opened.
        if lock.is_marked() && self.state.turn()?.is_some() {
            return Err(Error::Renewed);
        }
        self.finish_locked(lock)
    }

    /// The same, a move to another epoch included.
    pub(super) fn finish_locked(&self, lock: &Lock) -> Result<Settled, Error> {
        if lock.is_marked() {
            self.clean()?;
        }
        let settled = if let Some(repo) = &self.repo {
            self.follow_head(repo)?
        } else {
            self.follow_staged()?;
            Settled::default()
        };
        if lock.is_marked() {
            self.state.clear_turn()?;
            lock.clear().map_err(|source| fs::Error {
                action: "write",
                path: self.state.path().join("lock"),
                source,
            })?;
        }
        Ok(settled)
    }

    /// Whether a change was interrupted, or the branch has moved without this program.
    pub fn is_unsettled(&self) -> Result<bool, Error> {
        if self.state.is_busy() {
            return Ok(true);
        }
        match &self.repo {
            Some(repo) => {
                let head = repo.head()?.commit.map(|id| id.to_string());
                Ok(head.is_some() && head != self.state.shown()?)
            }
            None => Ok(self.dir.stat(Path::new(layout::NEXT))?.is_some()),
        }
    }

    /// Moves the work tree from the commit that it shows to the head, once the way there is verified.
    fn follow_head(&self, repo: &Repo) -> Result<Settled, Error> {
        let Some(head) = repo.head()?.commit else {
            return Ok(Settled::default());
        };
        let shown = self.state.shown()?.and_then(|hex| Id::parse(&hex));
        if shown == Some(head) {
            return Ok(Settled::default());
        }
        self.verify_way(repo, shown, head)?;
        tree::check(repo, &repo.diff(shown, head)?, head)?;
        self.show(repo, shown, head)
    }

    /// Moves the work tree and git's index from the commit that it shows to a verified one.
    pub(super) fn show(&self, repo: &Repo, shown: Option<Id>, head: Id) -> Result<Settled, Error> {
        self.show_on_way(repo, shown, head, head)
    }

    /// The same on the way to `last`: what that has is not gone for good, and its revision stays as it is.
    pub(super) fn show_on_way(
        &self,
        repo: &Repo,
        shown: Option<Id>,
        head: Id,
        last: Id,
    ) -> Result<Settled, Error> {
        let changes = repo.diff(shown, head)?;
        let mut left = Vec::new();
        // What goes is gone first: where case does not count, a name that only changes its case is one file.
        let (going, coming): (Vec<_>, Vec<_>) =
            changes.iter().partition(|change| change.new.is_none());
        // What is no part of a store stays where a person has put it.
        let is_ours = |change: &&Change| layout::place_of(&change.path).is_ok();
        for change in going.into_iter().chain(coming).filter(is_ours) {
            if !self.follow(repo, change)? {
                left.push(change.path.clone());
            }
        }
        let mut removed = Vec::new();
        for change in changes.iter().filter(|change| change.new.is_none()) {
            if last == head || repo.blob_at(last, &change.path)?.is_none() {
                removed.push(change.path.as_str());
            }
        }
        self.raise_removed(removed.into_iter())?;
        let moved: Vec<_> = changes
            .into_iter()
            .map(|change| (change.path, change.new))
            .collect();
        repo.update_index(&moved)?;
        self.state.set_shown(&head.to_string())?;
        Ok(Settled { left })
    }

    /// Moves the branch from `from` to a verified commit that descends from it, and the work tree after it. What the
    /// verified `steps` bring is read through `lender` and becomes the store's own. A file that is neither the old nor
    /// the new one stops it before anything has been written.
    pub fn fast_forward(
        &self,
        from: &Head,
        to: Id,
        (who, why): (&Ident, &str),
        (lender, steps): (&Repo, &[Step]),
    ) -> Result<(), Error> {
        let repo = self.repo.as_ref().ok_or(Error::NoRepository)?;
        let lock = self.state.lock(|| {})?;
        self.settle_locked(&lock)?;
        let found = repo.head()?;
        if found != *from {
            let (branch, found) = (found.branch, found.commit);
            return Err(git::Error::Moved { branch, found }.into());
        }
        let changes = lender.diff(from.commit, to)?;
        let mut diverged = Vec::new();
        for change in &changes {
            if ![change.old, change.new].contains(&self.blob_here(&change.path)?) {
                diverged.push(change.path.clone());
            }
        }
        if !diverged.is_empty() {
            return Err(Error::Diverged(diverged));
        }
        lock.mark().map_err(|source| fs::Error {
            action: "write",
            path: self.state.path().join("lock"),
            source,
        })?;
        repo.bring(lender, steps, &tree::max_bytes)?;
        repo.move_head(from, to, who, why)?;
        self.show(repo, from.commit, to)?;
        // The mark only makes the next command look for left-overs: there are none now.
        let _ = lock.clear();
        Ok(())
    }

    /// What was removed does not come back: its revision is one higher than the highest seen, as its writer meant (W-115).
    /// Done twice it only leaves a gap.
    fn raise_removed<'p>(&self, paths: impl Iterator<Item = &'p str>) -> Result<(), Error> {
        let mut revs = Vec::new();
        for path in paths {
            if let Ok(Place::Entry(name)) = layout::place_of(path) {
                revs.push((name.to_string(), self.state.rev(name.as_str())? + 1));
            }
        }
        self.state.raise_revs(&revs)
    }

    /// Every new commit is sealed, and the head descends from the one shown (F-080, F-081, F-083).
    fn verify_way(&self, repo: &Repo, shown: Option<Id>, head: Id) -> Result<(), Error> {
        if let Some(shown) = shown
            && !repo.is_ancestor(shown, head)?
        {
            let reason = "the branch was rewound or rewritten: it does not descend from the commit last seen";
            return Err(Refusal::new(Stage::Descent, reason)
                .of(&head.to_string())
                .into());
        }
        let new = match shown {
            Some(_) => repo.walk(head, shown)?,
            // A first sight trusts what it sees; the head's seal shows that it is this store's.
            None => vec![head],
        };
        for id in new {
            if let Err(error) = self.verify_seal(repo, id) {
                self.check_epoch_of_head(repo, head)?;
                return Err(error);
            }
        }
        Ok(())
    }

    /// The newest sealed commit on the way back from the head along first parents, and when it was made, in seconds since
    /// 1970; `None` if there is none near.
    pub fn newest_sealed(&self) -> Result<Option<(Id, i64)>, Error> {
        let Some(repo) = &self.repo else {
            return Ok(None);
        };
        let mut next = repo.head()?.commit;
        for _ in 0..LOOK_BACK {
            let Some(id) = next else { break };
            match self.verify_seal(repo, id) {
                Ok(seconds) => return Ok(Some((id, seconds))),
                Err(Error::Refused(_)) => next = repo.commit(id)?.parents.first().copied(),
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    /// Brings one path to its new state, if it is in the old one; whether it is in the new one then.
    fn follow(&self, repo: &Repo, change: &Change) -> Result<bool, Error> {
        let path = Path::new(&change.path);
        let now = match self.dir.stat(path)? {
            Some(stat) if stat.kind != Kind::File => return Ok(false),
            _ => self.blob_here(&change.path)?,
        };
        if now == change.new {
            return Ok(true);
        }
        if now != change.old {
            return Ok(false);
        }
        match change.new {
            Some(id) => self.dir.replace(path, &repo.blob(id, ENTRY_MAX_BYTES)?)?,
            None => self.dir.remove(path)?,
        }
        Ok(true)
    }

    /// The blob that a file of the work tree would be; none if there is no such file.
    pub fn blob_here(&self, path: &str) -> Result<Option<Id>, Error> {
        let bytes = self.dir.read(Path::new(path), ENTRY_MAX_BYTES)?;
        Ok(bytes.map(|bytes| Repo::blob_id(&bytes)).transpose()?)
    }

    /// Finishes or drops a staged change of a store without git (W-113).
    fn follow_staged(&self) -> Result<(), Error> {
        if self.dir.stat(Path::new(layout::NEXT))?.is_some() {
            let staged = Staged::read(&self.dir)?;
            staged.apply(&self.dir)?;
            self.raise_removed(staged.removed())?;
            Staged::finish(&self.dir)?;
        }
        Ok(fs::remove_tree(&self.path().join(layout::NEXT_TEMP))?)
    }

    /// Removes the temporary files that a writer which died has left (W-114).
    pub(super) fn clean(&self) -> Result<(), Error> {
        for root in [self.path(), self.state.path()] {
            let dir = fs::Dir::open(root)?;
            for found in fs::walk(root, &[layout::GIT])? {
                let name = found.path.file_name().and_then(|name| name.to_str());
                if found.kind == Kind::File
                    && name.is_some_and(|name| name.starts_with(TEMP_PREFIX))
                {
                    dir.remove(&found.path)?;
                }
            }
        }
        match &self.repo {
            Some(repo) => Ok(repo.remove_leftovers()?),
            None => Ok(()),
        }
    }
}

/// A commit's headers and seal (F-080, F-081).
pub fn check_seal(id: Id, commit: &Commit, epoch: &Epoch) -> Result<(), Error> {
    let of_commit = |refusal: Refusal| refusal.of(&id.to_string());
    if let Some(foreign) = &commit.foreign {
        let reason = format!("it has what no commit of vault has: {foreign}");
        return Err(of_commit(Refusal::new(Stage::Seal, reason)).into());
    }
    Ok(seal::verify(&commit.raw, epoch).map_err(of_commit)?)
}

/// What cannot be read for what it is, is refused; what the system said is told as it is.
pub fn unread(id: Id, error: git::Error, stage: Stage) -> Error {
    match error {
        git::Error::Damaged { .. } | git::Error::TooLarge { .. } | git::Error::NotText(_) => {
            Refusal::new(stage, error.to_string())
                .of(&id.to_string())
                .into()
        }
        other => other.into(),
    }
}
