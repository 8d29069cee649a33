//! A new epoch: new keys, everything encrypted and signed anew, in one change (section 10).
//!
//! Lives here: making it, and finishing it after a death. Never here: following one that another device has made (`trust`).

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

use jiff::Timestamp;

use crate::format::Epoch;
use crate::format::Header;
use crate::format::Name;
use crate::format::document::Domain;
use crate::format::keys::Ended;
use crate::format::keys::KeyFile;
use crate::format::layout;
use crate::format::layout::Place;
use crate::format::members::Member;
use crate::format::members::Members;
use crate::git::Head;
use crate::git::Id;
use crate::git::Ident;
use crate::git::Repo;
use crate::git::object::commit_text;
use crate::git::run::Author;
use crate::store::Error;
use crate::store::Store;
use crate::store::changes::Changes;
use crate::store::changes::Edits;
use crate::store::changes::Staged;
use crate::store::changes::apply_all;
use crate::store::changes::write_blobs;
use crate::store::keeper::Keeper;
use crate::store::people::Unfit;
use crate::store::people::key_file;
use crate::store::people::list_file;
use crate::store::state::State;
use crate::store::state::Turn;
use crate::store::write::rev_after;
use crate::sys::fs;
use crate::sys::fs::Lock;

/// From this many entries on, they are shared among the cores.
const PARALLEL_FROM: usize = 8;
/// The highest number of an epoch.
const NUMBER_MAX: u32 = i32::MAX.unsigned_abs();

/// Told how many entries of how many are done; on any thread.
pub type Progress<'p> = &'p (dyn Fn(usize, usize) + Sync);

/// A new epoch to be made.
pub struct Renewal<'r> {
    /// The member that leaves, if one does.
    pub remove: Option<&'r str>,
    /// Now.
    pub now: Timestamp,
    /// Told how far it is.
    pub progress: Progress<'r>,
}

/// A new epoch that was made.
pub struct Renewed {
    /// Its keys.
    pub keys: KeyFile,
    /// The member that left.
    pub removed: Option<Member>,
    /// The headers of all entries, by name.
    pub headers: Vec<Header>,
}

impl Store {
    /// Makes a new epoch. Afterwards this device has pinned it, and this `Store` is of an epoch that is over.
    pub fn renew(
        &self,
        keys: &KeyFile,
        plan: &Renewal<'_>,
        author: impl FnOnce() -> Author,
        on_wait: impl FnOnce(),
    ) -> Result<Renewed, Error> {
        if !keys.can_write() {
            return Err(Error::ReadOnly);
        }
        let author = self.repo.is_some().then(author);
        let lock = self.state.lock(on_wait)?;
        let left = self.settle_locked(&lock)?.left;
        if !left.is_empty() {
            return Err(Error::Diverged(left));
        }
        self.check_current()?;
        let head = self.repo.as_ref().map(Repo::head).transpose()?;
        let last = head.as_ref().and_then(|head| head.commit);
        let last = last.map(|id| id.to_string()).unwrap_or_default();
        if keys.epoch.number == NUMBER_MAX {
            return Err(Unfit::LastEpoch.into());
        }
        let next = keys.succeed(&last)?;
        let (mut changes, removed) = self.people(keys, &next, plan.remove)?;
        let entries = self.entries(head.as_ref())?;
        let made = self.made_anew(keys, &next, &entries, plan.progress)?;
        let mut headers = Vec::with_capacity(made.len());
        for (entry, (header, file)) in entries.iter().zip(made) {
            changes.insert(layout::path_of(&entry.name), Some(file));
            headers.push(header);
        }
        let message = match &removed {
            Some(member) => format!("remove the member {}, new keys", member.name),
            None => "replace the keys".to_owned(),
        };
        mark(&self.state, &lock)?;
        match (&self.repo, head) {
            (Some(repo), Some(head)) => {
                let who = author.map_or_else(
                    || Ident::new("", "", plan.now.as_second(), 0),
                    |author| author.at(plan.now),
                );
                self.renew_git((repo, &head), &next, &changes, (&who, &message))?;
            }
            _ => self.renew_plain(&next, &changes)?,
        }
        self.state.clear_turn()?;
        self.remember_all(&headers);
        // The mark only makes the next command look for left-overs: there are none now.
        let _ = lock.clear();
        Ok(Renewed {
            keys: next,
            removed,
            headers,
        })
    }

    /// The new format file, key files and member list, and who left.
    fn people(
        &self,
        keys: &KeyFile,
        next: &KeyFile,
        remove: Option<&str>,
    ) -> Result<(Changes, Option<Member>), Error> {
        let mut members: Members = self.members(keys)?;
        let removed = remove.map(|name| members.expel(name)).transpose()?;
        let seen = self.state.rev(layout::MEMBERS)?.max(members.rev);
        members.rev = rev_after(layout::MEMBERS, seen)?;
        let mut changes = Changes::new();
        // A key file of somebody who is not on the list opens nothing any more.
        for file in self.key_files()? {
            changes.insert(layout::key_path(&file), None);
        }
        for member in &members.list {
            let file = key_file(next, member)?;
            changes.insert(layout::key_path(&member.name), Some(file));
        }
        let clear = next.epoch.to_text().into_bytes();
        changes.insert(layout::FORMAT.to_owned(), Some(clear));
        changes.insert(layout::MEMBERS.to_owned(), Some(list_file(next, &members)?));
        Ok((changes, removed))
    }

    /// Every entry, and its committed blob. What is not as it was committed is somebody's work and stops it.
    fn entries(&self, head: Option<&Head>) -> Result<Vec<Committed>, Error> {
        let names = self.names()?;
        let Some((repo, head)) = self.repo.as_ref().zip(head) else {
            let plain = |name| Committed { name, blob: None };
            return Ok(names.into_iter().map(plain).collect());
        };
        let files = head.commit.map(|id| repo.files(id)).transpose()?;
        let mut blobs = BTreeMap::new();
        for file in files.unwrap_or_default() {
            if let Ok(Place::Entry(name)) = layout::place_of(&file.path) {
                blobs.insert(name, file.id);
            }
        }
        let mut entries = Vec::with_capacity(names.len());
        let mut diverged = Vec::new();
        for name in names {
            match blobs.remove(&name) {
                Some(blob) => entries.push(Committed {
                    name,
                    blob: Some(blob),
                }),
                None => diverged.push(layout::path_of(&name)),
            }
        }
        diverged.extend(blobs.keys().map(layout::path_of));
        if diverged.is_empty() {
            Ok(entries)
        } else {
            Err(Error::Diverged(diverged))
        }
    }

    /// Every entry under the new keys: its header, and the new file.
    fn made_anew(
        &self,
        keys: &KeyFile,
        next: &KeyFile,
        entries: &[Committed],
        progress: Progress<'_>,
    ) -> Result<Vec<(Header, Vec<u8>)>, Error> {
        let done = AtomicUsize::new(0);
        let seen = self.state.revs()?;
        let made = fs::parallel(entries, PARALLEL_FROM, |entry| {
            let seen = seen.get(entry.name.as_str()).copied().unwrap_or(0);
            let made = self.one_anew((keys, next), entry, seen);
            progress(done.fetch_add(1, Ordering::Relaxed) + 1, entries.len());
            made
        });
        made.into_iter().collect()
    }

    fn one_anew(
        &self,
        (keys, next): (&KeyFile, &KeyFile),
        entry: &Committed,
        seen: u64,
    ) -> Result<(Header, Vec<u8>), Error> {
        let Committed { name, blob } = entry;
        let bytes = self.ciphertext(name)?;
        if blob.is_some() && Some(Repo::blob_id(&bytes)?) != *blob {
            return Err(Error::Diverged(vec![layout::path_of(name)]));
        }
        let (document, header) = Self::opened(keys, name, &bytes)?;
        Self::check_rev(name, header.rev, seen)?;
        let file = next.make(&document.header, &document.body, Domain::Entry)?;
        Ok((header, file))
    }

    /// The commit, then the pin, the work tree, the index and the local state.
    fn renew_git(
        &self,
        (repo, head): (&Repo, &Head),
        next: &KeyFile,
        changes: &Changes,
        (who, message): (&Ident, &str),
    ) -> Result<(), Error> {
        let (commit, edits) = commit(repo, head.commit, next, changes, (who, message))?;
        let turn = turn_to(next, Some(commit));
        self.state.set_turn(&turn)?;
        repo.move_head(head, commit, who, message)?;
        self.state.finish_turn(&turn)?;
        apply_all(&self.dir, changes)?;
        repo.update_index(&edits)?;
        self.state.set_shown(&commit.to_string())
    }

    /// The same without git: one rename makes it the truth (W-113).
    fn renew_plain(&self, next: &KeyFile, changes: &Changes) -> Result<(), Error> {
        let turn = turn_to(next, None);
        self.state.set_turn(&turn)?;
        let staged = Staged::write(&self.dir, changes)?;
        self.state.finish_turn(&turn)?;
        staged.apply(&self.dir)?;
        Staged::finish(&self.dir)
    }

    /// Puts the headers into the index. It is a hint: failing to write it loses nothing.
    pub(super) fn remember_all(&self, headers: &[Header]) {
        let stat = |header: &Header| {
            let stat = self
                .dir
                .stat_at(Path::new(&format!("{}.age", header.name)))?;
            Some((header.clone(), stat))
        };
        let fresh: Vec<_> = headers.iter().filter_map(stat).collect();
        let _ = self.remember(&fresh);
    }

    /// Finishes showing a head that does not descend from what is shown: beside that, work was carried over to it.
    fn show_through(&self, turn: &Turn, lock: &Lock) -> Result<(), Error> {
        let shown = self.state.shown()?.and_then(|hex| Id::parse(&hex));
        let (Some(repo), Some(shown), Some(through)) = (&self.repo, shown, turn.through) else {
            return Ok(());
        };
        let last = turn.commit.unwrap_or(through);
        if repo.is_ancestor(shown, last)? {
            return Ok(());
        }
        if lock.is_marked() {
            self.clean()?;
        }
        self.show_on_way(repo, Some(shown), through, last).map(drop)
    }

    /// Whether the change that a move to another epoch was remembered for has become the truth.
    fn has_turned(&self, turn: &Turn) -> Result<bool, Error> {
        match (&self.repo, turn.commit) {
            (Some(repo), Some(commit)) => match repo.head()?.commit {
                Some(head) if head == commit => Ok(true),
                Some(head) if repo.commit(commit).is_ok() => Ok(repo.is_ancestor(commit, head)?),
                _ => Ok(false),
            },
            (None, None) => {
                let is_staged = self.dir.stat(Path::new(layout::NEXT))?.is_some();
                Ok(is_staged || super::clear_of(&self.dir)?.as_deref() == Some(&*turn.clear))
            }
            _ => Ok(false),
        }
    }
}

/// An entry, and the blob that the last commit has for it.
struct Committed {
    name: Name,
    blob: Option<Id>,
}

/// The last steps to an epoch that another device has made, under the writers' lock.
pub struct Landing<'k> {
    /// The store in the new epoch.
    store: Store,
    keys: &'k KeyFile,
    clear: Vec<u8>,
    lock: Lock,
}

impl<'k> Landing<'k> {
    /// Takes the lock and finishes what was interrupted. Where the branch `has_moved` to the new epoch already, nothing can be
    /// finished in the old one.
    pub fn begin(
        old: &Store,
        keys: &'k KeyFile,
        clear: &[u8],
        has_moved: bool,
    ) -> Result<Self, Error> {
        let lock = old.state.lock(|| {})?;
        if !has_moved {
            old.settle_locked(&lock)?;
        } else if lock.is_marked() {
            old.clean()?;
        }
        Ok(Self {
            store: old.of_epoch(keys.epoch.clone())?,
            keys,
            clear: clear.to_vec(),
            lock,
        })
    }

    /// The repository to write to: no other may have its workplace meanwhile.
    pub fn repo(&self) -> Result<&Repo, Error> {
        self.store.repo.as_ref().ok_or(Error::NoRepository)
    }

    /// A file that is neither as it is shown nor as it will be stops everything.
    pub fn refuse_diverged(&self, lender: &Repo, shown: Option<Id>, head: Id) -> Result<(), Error> {
        let mut diverged = Vec::new();
        for change in lender.diff(shown, head)? {
            if ![change.old, change.new].contains(&self.store.blob_here(&change.path)?) {
                diverged.push(change.path);
            }
        }
        if diverged.is_empty() {
            Ok(())
        } else {
            Err(Error::Diverged(diverged))
        }
    }

    /// From here on the next command has to look for left-overs.
    pub fn mark(&self) -> Result<(), Error> {
        mark(&self.store.state, &self.lock)
    }

    /// Writes the commit with what is carried over, on top of the new head; that itself where there is nothing.
    pub fn commit_on(
        &self,
        head: Id,
        changes: &Changes,
        (who, message): (&Ident, &str),
    ) -> Result<Id, Error> {
        if changes.is_empty() {
            return Ok(head);
        }
        let repo = self.repo()?;
        let made = commit(repo, Some(head), self.keys, changes, (who, message))?.0;
        self.store.state.note_made(made)?;
        Ok(made)
    }

    /// Moves the branch, the pin and the work tree; the paths that were left alone.
    pub fn land(
        &self,
        here: &Head,
        (shown, head, to): (Option<Id>, Id, Id),
        (who, why): (&Ident, &str),
        headers: &[Header],
    ) -> Result<Vec<String>, Error> {
        let repo = self.repo()?;
        let turn = Turn {
            clear: self.clear.clone(),
            through: Some(head),
            ..turn_to(self.keys, Some(to))
        };
        let state = &self.store.state;
        state.set_turn(&turn)?;
        repo.settle()?;
        if here.commit != Some(to) {
            repo.move_head(here, to, who, why)?;
        }
        state.finish_turn(&turn)?;
        let mut left = self.store.show_on_way(repo, shown, head, to)?.left;
        if to != head {
            left.extend(self.store.show(repo, Some(head), to)?.left);
        }
        self.remember(headers)?;
        state.clear_turn()?;
        Ok(left)
    }

    /// All is done. The mark only makes the next command look for left-overs: there are none now.
    pub fn done(self) {
        let _ = self.lock.clear();
    }

    /// The same without git, where the files are there already.
    pub fn land_plain(&self, headers: &[Header]) -> Result<(), Error> {
        self.store.state.finish_turn(&Turn {
            clear: self.clear.clone(),
            ..turn_to(self.keys, None)
        })?;
        self.remember(headers)
    }

    fn remember(&self, headers: &[Header]) -> Result<(), Error> {
        let state = &self.store.state;
        let revs = headers.iter().map(|one| (one.name.clone(), one.rev));
        state.raise_revs(&revs.collect::<Vec<_>>())?;
        state.set_member(&self.keys.member)?;
        state.set_role(self.keys.role())?;
        self.store.remember_all(headers);
        Ok(())
    }
}

/// Finishes the move to another epoch whose writer has died, or forgets one that has not happened. Waits for one that is alive.
pub(super) fn resume(real: &Path, state: &State) -> Result<(), Error> {
    if !state.is_busy() || state.turn()?.is_none() {
        return Ok(());
    }
    let lock = state.lock(|| {})?;
    let Some(turn) = state.turn()? else {
        return Ok(());
    };
    let store = Store::in_epoch(real, state.again(), Epoch::parse(&turn.clear)?)?;
    if store.has_turned(&turn)? {
        state.finish_turn(&turn)?;
        store.show_through(&turn, &lock)?;
        store.finish_locked(&lock)?;
        Ok(())
    } else {
        state.clear_turn()
    }
}

/// Marks the lock as being worked under.
pub(super) fn mark(state: &State, lock: &Lock) -> Result<(), Error> {
    let failed = |source| fs::Error {
        action: "write",
        path: state.path().join("lock"),
        source,
    };
    Ok(lock.mark().map_err(failed)?)
}

/// What is remembered of a move to the epoch of these keys.
pub(super) fn turn_to(keys: &KeyFile, commit: Option<Id>) -> Turn {
    Turn {
        commit,
        through: None,
        past: Ended::list_text(keys.ended()),
        clear: keys.epoch.to_text().into_bytes(),
    }
}

/// Writes a sealed commit of these changes; its id, and the changes as git's index takes them.
pub(super) fn commit(
    repo: &Repo,
    parent: Option<Id>,
    keys: &KeyFile,
    changes: &Changes,
    (who, message): (&Ident, &str),
) -> Result<(Id, Edits), Error> {
    let edits = write_blobs(repo, changes)?;
    let tree = repo.edit_tree(parent, &edits)?;
    let parents: Vec<Id> = parent.into_iter().collect();
    let raw = commit_text(&tree, &parents, who, message);
    Ok((repo.write_commit(&keys.seal(&raw)?)?, edits))
}
