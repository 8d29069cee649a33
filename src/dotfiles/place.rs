//! Putting dotfiles in their places: what is there is kept, encrypted; many are written at once; and what a death leaves behind is
//! removed by the next one.

use std::path::PathBuf;

use crate::dotfiles::Dotfiles;
use crate::dotfiles::Error;
use crate::dotfiles::Item;
use crate::dotfiles::Problem;
use crate::dotfiles::Standing;
use crate::dotfiles::memory::Facts;
use crate::dotfiles::mode_of;
use crate::dotfiles::target::Target;
use crate::format::Header;
use crate::format::Name;
use crate::format::SECRET_MAX_BYTES;
use crate::format::document::Domain;
use crate::git::Id;
use crate::git::Repo;
use crate::secret::Secret;
use crate::store::Store;
use crate::store::keeper::Keeper;
use crate::sys::fs;
use crate::sys::fs::Kind;
use crate::sys::fs::Lock;
use crate::sys::fs::Stat;
use crate::sys::fs::beneath::CHUNK;
use crate::sys::fs::beneath::Unfit;
use crate::sys::fs::beneath::What;
use crate::sys::fs::beneath::Writing;

/// From this many files on, encrypting backups is shared among the cores.
const PARALLEL_FROM: usize = 8;

/// A dotfile that was not put in its place, and why.
#[derive(Debug)]
pub struct Left {
    /// Where it belongs.
    pub target: String,
    /// Why not.
    pub problem: Problem,
}

/// What has been done.
#[derive(Debug, Default)]
pub struct Done {
    /// The targets that were written.
    pub written: Vec<String>,
    /// Those that were not.
    pub left: Vec<Left>,
    /// The backups of what was there before.
    pub backups: Vec<PathBuf>,
}

/// What is to be done with one place.
enum Step<'i> {
    Write(Writing<'i>),
    Mode(u32),
}

impl Dotfiles<'_> {
    /// Takes the lock of those who put files in place, and removes what one that died has left.
    pub fn begin(&self, on_wait: impl FnOnce()) -> Result<Lock, Error> {
        let lock = self.memory.lock(on_wait)?;
        self.memory.clean()?;
        let pending = self.memory.pending()?;
        for place in &pending {
            // One that cannot be reached any more is gone with its folder.
            let _ = self.root.remove_temp(place);
        }
        if !pending.is_empty() {
            self.memory.set_pending(&[])?;
        }
        Ok(lock)
    }

    /// Puts opened items in their places, under the lock. `keeper` encrypts what is there.
    pub fn put(&mut self, keeper: &dyn Keeper, items: Vec<&mut Item>) -> Result<Done, Error> {
        let mut done = Done::default();
        let mut items = items;
        for chunk in items.chunks_mut(CHUNK) {
            self.put_chunk(keeper, chunk, &mut done)?;
        }
        Ok(done)
    }

    fn put_chunk(
        &mut self,
        keeper: &dyn Keeper,
        items: &mut [&mut Item],
        done: &mut Done,
    ) -> Result<(), Error> {
        let kept = self.back_up_all(keeper, items, done)?;
        let mut steps: Vec<Result<Step<'_>, Problem>> = items
            .iter()
            .zip(kept)
            .map(|(item, kept)| kept.and_then(|()| step(item)))
            .collect();
        let places: Vec<PathBuf> = steps
            .iter()
            .filter_map(|step| match step {
                Ok(Step::Write(writing)) => Some(writing.temp_place()),
                _ => None,
            })
            .collect();
        if !places.is_empty() {
            self.memory.set_pending(&places)?;
        }
        let mut writings = Vec::with_capacity(places.len());
        let mut order = Vec::with_capacity(steps.len());
        for step in steps.drain(..) {
            order.push(match step {
                Ok(Step::Write(writing)) => {
                    writings.push(writing);
                    Ok(None)
                }
                Ok(Step::Mode(mode)) => Ok(Some(mode)),
                Err(problem) => Err(problem),
            });
        }
        let mut written = self.root.write(&writings).into_iter();
        drop(writings);
        for (item, what) in items.iter_mut().zip(order) {
            let outcome = match what {
                Ok(None) => written
                    .next()
                    .unwrap_or(Err(Unfit::Changed))
                    .map_err(Problem::from),
                Ok(Some(mode)) => self.set_mode(item, mode),
                Err(problem) => Err(problem),
            };
            match outcome {
                Ok(stat) => {
                    self.applied(item, &stat);
                    done.written.push(item.target().to_owned());
                }
                Err(problem) => done.left.push(Left {
                    target: item.target().to_owned(),
                    problem,
                }),
            }
        }
        self.memory.save(&self.files)?;
        if !places.is_empty() {
            self.memory.set_pending(&[])?;
        }
        Ok(())
    }

    fn set_mode(&self, item: &Item, mode: u32) -> Result<Stat, Problem> {
        let seen = item.seen.ok_or(Unfit::Changed)?;
        let target = Target::parse(item.target());
        let target = target.map_err(|why| Problem::Header(why.to_owned()))?;
        let stat = self.root.set_mode(target.as_path(), mode, &seen)?;
        Ok(stat.ok_or(Unfit::Changed)?)
    }

    /// Remembers that an item is in its place.
    fn applied(&mut self, item: &mut Item, stat: &Stat) {
        item.seen = Some(*stat);
        item.standing = Standing::Clean;
        if let Some(content) = &item.content {
            let digest = self.memory.digest(content.kind(), &content.bytes);
            let needs = content.needs.clone();
            self.set_applied(&item.name, (digest, stat), needs);
        } else if let Some(known) = self.files.get_mut(item.name.as_str())
            && let Some(applied) = &mut known.applied
        {
            applied.stamp = super::memory::Stamp::of(stat);
        }
    }

    /// Keeps what is in the places of items that would be written over.
    fn back_up_all(
        &self,
        keeper: &dyn Keeper,
        items: &[&mut Item],
        done: &mut Done,
    ) -> Result<Vec<Result<(), Problem>>, Error> {
        let shown: Vec<&Item> = items.iter().map(|item| &**item).collect();
        let made = fs::parallel(&shown, PARALLEL_FROM, |item| self.backup_of(keeper, item));
        let mut kept = Vec::with_capacity(made.len());
        for (item, made) in shown.iter().zip(made) {
            kept.push(match made {
                Ok(Some(ciphertext)) => {
                    let file = self.memory.back_up(item.target(), &ciphertext)?;
                    done.backups.push(file);
                    Ok(())
                }
                Ok(None) => Ok(()),
                Err(problem) => Err(problem),
            });
        }
        Ok(kept)
    }

    /// The ciphertext of what is in the place of an item, if it would be lost.
    fn backup_of(&self, keeper: &dyn Keeper, item: &Item) -> Result<Option<Vec<u8>>, Problem> {
        let (Some(seen), Some(content)) = (item.seen, &item.content) else {
            return Ok(None);
        };
        if matches!(item.standing, Standing::Mode) {
            return Ok(None);
        }
        let target = Target::parse(item.target());
        let target = target.map_err(|why| Problem::Header(why.to_owned()))?;
        let Some((bytes, stat)) = self.root.read(target.as_path(), SECRET_MAX_BYTES as u64)? else {
            return Err(Unfit::Changed.into());
        };
        if stat != seen {
            return Err(Unfit::Changed.into());
        }
        if stat.kind == content.kind() && bytes == content.bytes {
            return Ok(None);
        }
        if !keeper.can_write() {
            // What was put there is in the store's history.
            return match item.standing {
                Standing::Update => Ok(None),
                _ => Err(Problem::NoBackup),
            };
        }
        let header = Header {
            name: item.name.to_string(),
            rev: 1,
            kind: Some(super::KIND.to_owned()),
            target: Some(target.as_str().to_owned()),
            mode: (stat.kind == Kind::File).then(|| format!("{:03o}", stat.mode & 0o777)),
            link: stat.kind == Kind::Link,
            ..Header::default()
        };
        Ok(Some(keeper.make(
            &header.to_text(),
            &bytes,
            Domain::Entry,
        )?))
    }

    /// Forgets the backups of earlier times, and entries that are gone: everything is as it should be.
    pub fn finish(&mut self, kept: &[PathBuf]) -> Result<(), Error> {
        let store = self.store;
        self.files
            .retain(|name, _| Name::parse(name).is_ok_and(|name| store.has(&name).unwrap_or(true)));
        self.memory.save(&self.files)?;
        self.memory.forget_backups(kept)
    }

    /// Forgets one entry.
    pub fn forget(&mut self, name: &Name) {
        self.files.remove(name.as_str());
    }

    /// Remembers under the lock that the caller holds.
    pub fn save(&mut self) -> Result<(), Error> {
        self.memory.save(&self.files)
    }

    /// The newest backup of a target: what was there, and its header.
    pub fn backup(
        &self,
        keeper: &dyn Keeper,
        (name, target): (&Name, &str),
    ) -> Result<Option<(Header, Secret)>, Problem> {
        let read = self.memory.backup(target);
        let read = read.map_err(|error| Problem::Header(error.to_string()))?;
        let Some(ciphertext) = read else {
            return Ok(None);
        };
        // Made in this epoch or an earlier one.
        let opened = keeper.open_history(&ciphertext);
        let document = opened.map_err(|unopened| {
            Problem::from(crate::store::Error::from(unopened.of(name.as_str())))
        })?;
        let header = Header::parse(&document.header)
            .map_err(|refusal| Problem::from(crate::store::Error::from(refusal)))?;
        Ok(Some((header, document.body)))
    }

    /// Remembers that the file in its place is what the store has now: it was taken from there.
    pub fn took(&mut self, name: &Name, facts: &Facts, taken: Took<'_>) -> Result<(), Error> {
        let Some(cipher) = super::content::cipher(self.store, name)? else {
            return Ok(());
        };
        let kind = if facts.link { Kind::Link } else { Kind::File };
        let digest = self.memory.digest(kind, taken.bytes);
        let known = super::memory::Known {
            cipher,
            facts: Some(facts.clone()),
            applied: None,
        };
        let before = self.files.insert(name.to_string(), known);
        let before = before.and_then(|known| known.applied);
        let needs = match before {
            // The values that stand in it are still those of then.
            Some(before) if !taken.is_rendered => before.needs,
            _ => taken.needs,
        };
        if let Some(stat) = taken.stat {
            self.set_applied(name, (digest, &stat), needs);
        }
        let known = self.files.get_mut(name.as_str());
        if let Some(applied) = known.and_then(|known| known.applied.as_mut())
            && !taken.is_rendered
        {
            // It came from no ciphertext: the next apply puts there what does.
            applied.blob.clear();
        }
        Ok(())
    }

    /// What was last put in an entry's place.
    pub fn applied_of(&self, name: &Name) -> Option<&super::memory::Applied> {
        self.files.get(name.as_str())?.applied.as_ref()
    }

    /// Remembers what was last put there as it was before.
    pub fn set_back(&mut self, name: &Name, applied: Option<super::memory::Applied>) {
        if let Some(known) = self.files.get_mut(name.as_str()) {
            known.applied = applied;
        }
    }

    /// The blob that an entry's facts are from.
    pub(super) fn blob_of(&self, name: &Name) -> Option<&str> {
        Some(&self.files.get(name.as_str())?.cipher.blob)
    }
}

/// A file that was taken from its place.
pub struct Took<'t> {
    /// What it holds.
    pub bytes: &'t Secret,
    /// Its state; none if it is not in its place.
    pub stat: Option<Stat>,
    /// Whether it is what the entry becomes now; a template that holds its references still is not.
    pub is_rendered: bool,
    /// The entries that its template is filled in from.
    pub needs: super::memory::Needs,
}

/// What is to be done for an item.
fn step(item: &Item) -> Result<Step<'_>, Problem> {
    let facts = item.facts.as_ref();
    let facts = facts.ok_or_else(|| Problem::Header("it was not read".to_owned()))?;
    let mode = mode_of(facts)?;
    if matches!(item.standing, Standing::Mode) {
        return Ok(Step::Mode(mode));
    }
    let content = item.content.as_ref();
    let content = content.ok_or_else(|| Problem::Header("it was not opened".to_owned()))?;
    let what = match content.kind() {
        Kind::Link => What::Link(&content.bytes),
        _ => What::File(&content.bytes, mode),
    };
    // The place that was judged: a link that has come to its way since then leads somewhere else.
    let real = item.real.as_deref().ok_or(Unfit::Changed)?;
    let writing = Writing::new(real, what, item.seen);
    Ok(Step::Write(writing.map_err(Unfit::Io)?))
}

/// An earlier value of an entry, by its blob; none where the history does not have it.
pub(super) fn earlier(
    store: &Store,
    keeper: &dyn Keeper,
    (name, blob): (&Name, &str),
) -> Option<crate::store::Entry> {
    let repo: &Repo = store.repo.as_ref()?;
    let blob = Id::parse(blob)?;
    Store::open_version(keeper, repo, name, blob).ok()
}
