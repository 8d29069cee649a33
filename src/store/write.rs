//! Writing, in the order of section 11: all or nothing, whatever kills the process or fills the disk.

use std::collections::BTreeMap;
use std::path::Path;

use jiff::Timestamp;

use crate::format::Header;
use crate::format::Name;
use crate::format::Refusal;
use crate::format::Stage;
use crate::format::document::Domain;
use crate::format::header::whole_seconds;
use crate::format::layout;
use crate::format::layout::Place;
use crate::git::Head;
use crate::git::Id;
use crate::git::Ident;
use crate::git::Repo;
use crate::git::object::commit_text;
use crate::git::run::Author;
use crate::secret::Secret;
use crate::store::Error;
use crate::store::Store;
use crate::store::changes::Changes;
use crate::store::changes::Staged;
use crate::store::changes::apply_all;
use crate::store::changes::write_blobs;
use crate::store::keeper::Keeper;
use crate::store::settle::Settled;
use crate::sys::fs;
use crate::sys::fs::Lock;

/// The names in a folder, by their lower-case form.
type Siblings = BTreeMap<String, String>;

/// A change being prepared, under the writers' lock. Dropped without `commit`, nothing has happened.
pub struct Writer<'s> {
    pub(super) store: &'s Store,
    keeper: &'s dyn Keeper,
    lock: Lock,
    now: Timestamp,
    author: Option<Author>,
    changes: Changes,
    headers: Vec<Header>,
    revs: BTreeMap<String, u64>,
    /// A second parent of the commit.
    merged: Option<Id>,
    /// A head made by hand that the commit takes the place of, and the sealed commit that it is made on.
    over: Option<(Head, Id)>,
    /// Whether the revisions of all removed entries are known.
    is_accounted: bool,
    /// What finishing an earlier change has found.
    pub settled: Settled,
}

impl Store {
    /// Takes the lock, finishes what was interrupted, and begins a change. `author` is asked for its name only when
    /// the commit is made; `on_wait` is called while another process has the lock.
    pub fn writer<'s>(
        &'s self,
        keeper: &'s dyn Keeper,
        now: Timestamp,
        author: impl FnOnce() -> Author,
        on_wait: impl FnOnce(),
    ) -> Result<Writer<'s>, Error> {
        if !keeper.can_write() {
            return Err(Error::ReadOnly);
        }
        if self.has_lost_repository()? {
            return Err(Error::RepositoryGone);
        }
        let author = self.repo.is_some().then(author);
        let lock = self.state.lock(on_wait)?;
        let settled = self.settle_locked(&lock)?;
        self.check_current()?;
        Ok(Writer {
            settled,
            ..self.begin(keeper, now, (lock, author))
        })
    }

    /// The same over a head that was made by hand and is not followed: the commit takes its place, on `base`, the newest
    /// sealed commit below it.
    pub fn writer_over<'s>(
        &'s self,
        (keeper, now): (&'s dyn Keeper, Timestamp),
        author: impl FnOnce() -> Author,
        (head, base): (&Head, Id),
        on_wait: impl FnOnce(),
    ) -> Result<Writer<'s>, Error> {
        if !keeper.can_write() {
            return Err(Error::ReadOnly);
        }
        let author = self.repo.is_some().then(author);
        let lock = self.state.lock(on_wait)?;
        Ok(Writer {
            over: Some((head.clone(), base)),
            ..self.begin(keeper, now, (lock, author))
        })
    }

    fn begin<'s>(
        &'s self,
        keeper: &'s dyn Keeper,
        now: Timestamp,
        (lock, author): (Lock, Option<Author>),
    ) -> Writer<'s> {
        let (changes, headers, revs) = (BTreeMap::new(), Vec::new(), BTreeMap::new());
        Writer {
            store: self,
            keeper,
            lock,
            now,
            author,
            changes,
            headers,
            revs,
            merged: None,
            over: None,
            is_accounted: false,
            settled: Settled::default(),
        }
    }
}

impl Writer<'_> {
    /// Adds or replaces an entry. The header's `rev` and `modified` are set here (W-050).
    pub fn put(&mut self, name: &Name, header: Header, secret: &Secret) -> Result<u64, Error> {
        self.check_clash(name)?;
        let rev = self.next_rev(name, header.rev)?;
        let header = Header {
            name: name.to_string(),
            rev,
            modified: Some(whole_seconds(self.now)),
            ..header
        };
        let file = self.keeper.make(&header.to_text(), secret, Domain::Entry)?;
        self.changes.insert(layout::path_of(name), Some(file));
        self.revs.insert(name.to_string(), rev);
        self.headers.push(header);
        Ok(rev)
    }

    /// Adds many entries, encrypting on all cores.
    pub fn put_all(&mut self, entries: Vec<(Name, Header, Secret)>) -> Result<(), Error> {
        let mut ready = Vec::with_capacity(entries.len());
        for (name, header, secret) in entries {
            let rev = self.next_rev(&name, header.rev)?;
            let modified = Some(whole_seconds(self.now));
            ready.push((
                Header {
                    name: name.to_string(),
                    rev,
                    modified,
                    ..header
                },
                secret,
                name,
            ));
        }
        let names: Vec<_> = ready.iter().map(|(_, _, name)| name.clone()).collect();
        self.check_clashes(&names)?;
        let made = fs::parallel(&ready, 8, |(header, secret, _)| {
            self.keeper.make(&header.to_text(), secret, Domain::Entry)
        });
        for ((header, _, name), file) in ready.into_iter().zip(made) {
            self.changes.insert(layout::path_of(&name), Some(file?));
            self.revs.insert(header.name.clone(), header.rev);
            self.headers.push(header);
        }
        Ok(())
    }

    /// Makes the commit a merge with another one, whose objects are the store's already or will be before `commit`.
    pub fn merge_with(&mut self, other: Id) {
        self.merged = Some(other);
    }

    /// Adds or replaces an entry as it is, but for its revision, which is raised above what was seen of the name.
    pub fn put_as_is(&mut self, name: &Name, header: Header, secret: &Secret) -> Result<(), Error> {
        let rev = self.next_rev(name, header.rev)?;
        let header = Header {
            name: name.to_string(),
            rev,
            ..header
        };
        let file = self.keeper.make(&header.to_text(), secret, Domain::Entry)?;
        self.changes.insert(layout::path_of(name), Some(file));
        self.revs.insert(name.to_string(), rev);
        self.headers.push(header);
        Ok(())
    }

    /// Puts verified bytes at a path, or takes the file away; an entry that goes leaves its revision behind (W-115).
    pub fn place(&mut self, path: &str, bytes: Option<Vec<u8>>) -> Result<(), Error> {
        if let (None, Ok(Place::Entry(name))) = (&bytes, layout::place_of(path)) {
            let rev = self.next_rev(&name, 0)?;
            self.revs.insert(name.to_string(), rev);
        }
        self.changes.insert(path.to_owned(), bytes);
        Ok(())
    }

    /// Remembers that this revision of the member list has been written.
    pub fn saw_members(&mut self, rev: u64) {
        self.revs.insert(layout::MEMBERS.to_owned(), rev);
    }

    /// Removes an entry; its revision stays remembered, one higher, so that the old file is refused (W-115).
    pub fn remove(&mut self, name: &Name, rev: u64) -> Result<(), Error> {
        let rev = self.next_rev(name, rev)?;
        self.changes.insert(layout::path_of(name), None);
        self.revs.insert(name.to_string(), rev);
        Ok(())
    }

    /// Makes the change the truth, then brings the work tree and the local state after it.
    pub fn commit(mut self, message: &str) -> Result<Option<Id>, Error> {
        if self.changes.is_empty() && self.merged.is_none() && self.over.is_none() {
            return Ok(None);
        }
        self.lock.mark().map_err(|source| fs::Error {
            action: "write",
            path: self.store.state.path().join("lock"),
            source,
        })?;
        let changes = std::mem::take(&mut self.changes);
        let commit = if let Some(repo) = &self.store.repo {
            Some(self.commit_git(repo, &changes, message)?)
        } else {
            self.commit_plain(&changes)?;
            None
        };
        self.remember()?;
        // The mark only makes the next command look for left-overs: there are none now.
        let _ = self.lock.clear();
        Ok(commit)
    }

    fn commit_git(&mut self, repo: &Repo, changes: &Changes, message: &str) -> Result<Id, Error> {
        let head = match &self.over {
            Some((head, _)) => head.clone(),
            None => repo.head()?,
        };
        let base = self.over.as_ref().map(|(_, base)| *base).or(head.commit);
        self.check_diverged(repo, (head.commit, base), changes)?;
        let edits = write_blobs(repo, changes)?;
        let tree = repo.edit_tree(base, &edits)?;
        let parents: Vec<Id> = base.into_iter().chain(self.merged).collect();
        let author = self.author.take().map_or_else(
            || Ident::new("", "", self.now.as_second(), 0),
            |author| author.at(self.now),
        );
        let raw = commit_text(&tree, &parents, &author, message);
        let commit = repo.write_commit(&self.keeper.seal(&raw)?)?;
        self.store.state.note_made(commit)?;
        repo.move_head(&head, commit, &author, message)?;
        if self.over.is_some() {
            // The work tree shows what was made by hand, in part or as a whole.
            self.store.show(repo, head.commit, commit)?;
            self.raise()?;
            return Ok(commit);
        }
        apply_all(&self.store.dir, changes)?;
        repo.update_index(&edits)?;
        self.raise()?;
        self.store.state.set_shown(&commit.to_string())?;
        Ok(commit)
    }

    fn commit_plain(&self, changes: &Changes) -> Result<(), Error> {
        // One removal is staged as well: what is staged tells the next command whose revision to raise (W-115).
        if changes.len() == 1 && changes.values().all(Option::is_some) {
            apply_all(&self.store.dir, changes)?;
            return self.raise();
        }
        let staged = Staged::write(&self.store.dir, changes)?;
        staged.apply(&self.store.dir)?;
        self.raise()?;
        Staged::finish(&self.store.dir)
    }

    /// Remembers the revisions of what was written and removed. This comes before the change counts as finished: whoever
    /// finishes it after a death raises those of what is removed (W-115).
    fn raise(&self) -> Result<(), Error> {
        let revs: Vec<_> = self
            .revs
            .iter()
            .map(|(name, rev)| (name.clone(), *rev))
            .collect();
        self.store.state.raise_revs(&revs)
    }

    /// A file that differs from the commit, or from both where one was made by hand, is somebody's work and is not
    /// overwritten.
    fn check_diverged(
        &self,
        repo: &Repo,
        (head, base): (Option<Id>, Option<Id>),
        changes: &Changes,
    ) -> Result<(), Error> {
        let mut diverged = Vec::new();
        for path in changes.keys() {
            let now = self.store.blob_here(path)?;
            let in_commit = |commit: Option<Id>| {
                let blob = commit.map(|commit| repo.blob_at(commit, path));
                Ok::<_, Error>(blob.transpose()?.flatten())
            };
            if now != in_commit(head)? && (head == base || now != in_commit(base)?) {
                diverged.push(path.clone());
            }
        }
        if diverged.is_empty() {
            Ok(())
        } else {
            Err(Error::Diverged(diverged))
        }
    }

    fn next_rev(&mut self, name: &Name, current: u64) -> Result<u64, Error> {
        // A name that is not there is new, or was removed once, here or elsewhere.
        if let (false, Some(repo)) = (self.is_accounted, &self.store.repo)
            && !self.store.has(name)?
        {
            self.store.account_for_removed(repo, self.keeper)?;
            self.is_accounted = true;
        }
        self.rev_above(name.as_str(), current)
    }

    /// A revision above all that were seen of a name, or of the member list.
    pub(super) fn rev_above(&self, name: &str, current: u64) -> Result<u64, Error> {
        let queued = self.revs.get(name).copied().unwrap_or(0);
        let highest = self.store.state.rev(name)?.max(current).max(queued);
        rev_after(name, highest)
    }

    /// Adds one of the store's own files to the change, or takes it out.
    pub(super) fn put_own(&mut self, path: String, content: Option<Vec<u8>>) {
        self.changes.insert(path, content);
    }

    /// Remembers a revision with the change.
    pub(super) fn saw(&mut self, name: &str, rev: u64) {
        self.revs.insert(name.to_owned(), rev);
    }

    fn check_clash(&self, name: &Name) -> Result<(), Error> {
        self.check_clashes(std::slice::from_ref(name))
    }

    /// No component may equal a sibling but for case (F-021). Each folder on the way is listed once.
    fn check_clashes(&self, names: &[Name]) -> Result<(), Error> {
        let mut listed: BTreeMap<String, Siblings> = BTreeMap::new();
        for name in names {
            let path = layout::path_of(name);
            let mut folder = String::new();
            for component in path.split('/') {
                if !listed.contains_key(&folder) {
                    listed.insert(folder.clone(), self.siblings(&folder)?);
                }
                let siblings = listed.entry(folder.clone()).or_default();
                let other = siblings
                    .entry(component.to_lowercase())
                    .or_insert_with(|| component.to_owned());
                if other != component {
                    let other = format!("{folder}{other}");
                    let other = other.strip_suffix(".age").unwrap_or(&other).to_owned();
                    return Err(Error::Clash {
                        name: name.clone(),
                        other,
                    });
                }
                folder.push_str(component);
                folder.push('/');
            }
        }
        Ok(())
    }

    /// What stands in a folder and is not about to be removed.
    fn siblings(&self, folder: &str) -> Result<Siblings, Error> {
        let names = self
            .store
            .dir
            .names(Path::new(folder.trim_end_matches('/')))?;
        let names = names
            .into_iter()
            .filter_map(|(name, _)| name.into_os_string().into_string().ok());
        let mut siblings = Siblings::new();
        for name in names {
            let path = format!("{folder}{name}");
            if !self.is_leaving(&path)? {
                siblings.insert(name.to_lowercase(), name);
            }
        }
        Ok(siblings)
    }

    /// Whether a file is about to be removed, or a folder with all that is in it.
    fn is_leaving(&self, path: &str) -> Result<bool, Error> {
        match self.changes.get(path) {
            Some(content) => return Ok(content.is_none()),
            None if !self.removes_below(path) => return Ok(false),
            None => {}
        }
        for (name, _) in self.store.dir.names(Path::new(path))? {
            let Some(name) = name.to_str() else {
                return Ok(false);
            };
            if !self.is_leaving(&format!("{path}/{name}"))? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether anything in a folder is about to be removed.
    fn removes_below(&self, folder: &str) -> bool {
        let below = format!("{folder}/");
        let mut after = self.changes.range(below.clone()..);
        after
            .next()
            .is_some_and(|(path, content)| path.starts_with(&below) && content.is_none())
    }

    /// Adds what was written to the index. It is a hint: failing to write it loses nothing.
    fn remember(&self) -> Result<(), Error> {
        let mut fresh = Vec::with_capacity(self.headers.len());
        for header in &self.headers {
            let path = format!("{}.age", header.name);
            if let Some(stat) = self.store.dir.stat(Path::new(&path))? {
                fresh.push((header.clone(), stat));
            }
        }
        let _ = self.store.remember(&fresh);
        Ok(())
    }
}

/// One more than the highest revision seen.
pub fn rev_after(name: &str, highest: u64) -> Result<u64, Error> {
    // One more would be a number that no reader takes: the entry would be written and lost.
    let next = highest.checked_add(1);
    next.filter(|next| i64::try_from(*next).is_ok())
        .ok_or_else(|| {
            let reason = "its revision is the highest there can be";
            Refusal::new(Stage::Revision, reason).of(name).into()
        })
}
