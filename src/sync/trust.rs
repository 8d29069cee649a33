//! Following a new epoch that another device has made, on a person's word (section 10, F-090 to F-094).
//!
//! Lives here: finding the epoch, in the store itself or at its remote, and everything that is asked of it before the pin moves. What
//! this device had committed and nobody else has seen is carried over (`carry`). Never here: comparing words, printing.

use std::path::Path;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

use jiff::Timestamp;

use crate::crypto::sign::parse_fingerprint;
use crate::format::Epoch;
use crate::format::Header;
use crate::format::Name;
use crate::format::Refusal;
use crate::format::Stage;
use crate::format::document::Domain;
use crate::format::keys::Ended;
use crate::format::keys::KeyFile;
use crate::format::layout;
use crate::format::layout::Place;
use crate::format::members::Members;
use crate::git::Id;
use crate::git::Ident;
use crate::git::Repo;
use crate::store;
use crate::store::Former;
use crate::store::Store;
use crate::store::keeper::Keeper;
use crate::store::tree;
use crate::store::turn::Landing;
use crate::store::turn::Progress;
use crate::sync::Error;
use crate::sync::Fetched;
use crate::sync::Remote;
use crate::sync::carry;
use crate::sync::carry::Carried;
use crate::sync::foreign::Foreign;
use crate::sync::remote::repo;
use crate::sync::round::is_named;
use crate::sync::verify::begun_apart;
use crate::sync::verify::verify;
use crate::sys::fs;

/// From this many entries on, opening them is shared among the cores.
const PARALLEL_FROM: usize = 8;

/// A new epoch that nobody has confirmed here yet.
pub struct Offer {
    /// The store, in the epoch that is pinned.
    pub store: Store,
    /// The new epoch.
    pub epoch: Epoch,
    clear: Vec<u8>,
    found: Found,
}

/// Where it was found.
enum Found {
    /// The branch has moved to it: by a pull, or by a program that copies files.
    Head(Id),
    /// The remote has it.
    Remote(Box<Fetched>, Id),
    /// The files themselves, in a store without git.
    Files,
}

/// How it is to be followed.
pub struct Following<'f> {
    /// Now.
    pub now: Timestamp,
    /// Who commits what is carried over.
    pub who: Ident,
    /// Told how far opening the entries is.
    pub progress: Progress<'f>,
    /// The newest commit from elsewhere that a person gives up, with all such that the new epoch was begun without.
    pub without: Option<&'f str>,
}

/// What following it has done.
pub struct Followed {
    /// What this device had committed and nobody had seen.
    pub carried: Carried,
    /// How many entries there are.
    pub entries: usize,
    /// Paths that are neither as before nor as now, and were left alone.
    pub left: Vec<String>,
}

/// Finds a new epoch: in the store, else at its remote, which `fetch` asks. `None` if there is none.
pub fn find(
    path: &Path,
    state_home: &Path,
    fetch: impl FnOnce(&Store) -> Result<Option<Fetched>, Error>,
) -> Result<Option<Offer>, Error> {
    let store = Store::open_pinned(path, state_home)?;
    let Some(own) = &store.repo else {
        let clear = store.clear()?;
        return offer(store, clear, Found::Files);
    };
    if let Some(head) = own.head()?.commit {
        let clear = clear_at(own, head)?;
        if Epoch::parse(&clear)? != store.epoch {
            return offer(store, clear, Found::Head(head));
        }
    }
    let Some(fetched) = fetch(&store)? else {
        return Ok(None);
    };
    let Some(head) = fetched.head else {
        return Ok(None);
    };
    let clear = clear_at(&fetched.repo, head)?;
    offer(store, clear, Found::Remote(Box::new(fetched), head))
}

fn offer(store: Store, clear: Vec<u8>, found: Found) -> Result<Option<Offer>, Error> {
    let epoch = Epoch::parse(&clear)?;
    Ok((epoch != store.epoch).then_some(Offer {
        store,
        epoch,
        clear,
        found,
    }))
}

/// The bytes of `.vault/format` in a commit.
fn clear_at(repo: &Repo, commit: Id) -> Result<Vec<u8>, Error> {
    let missing = || Refusal::new(Stage::Version, "it is missing").of(layout::FORMAT);
    let blob = repo.blob_at(commit, layout::FORMAT)?.ok_or_else(missing)?;
    Ok(repo.blob(blob, tree::max_bytes(layout::FORMAT))?)
}

impl Offer {
    /// Refuses an epoch that cannot come after the pinned one, and one that has not these words (F-090).
    pub fn check(&self, words: Option<&str>) -> Result<(), Error> {
        let (old, new) = (&self.store.epoch, &self.epoch);
        let refuse = |reason: String| Refusal::new(Stage::Pin, reason).of(layout::FORMAT);
        if old.store != new.store {
            return Err(
                refuse("it is another store than the one this device knows".to_owned()).into(),
            );
        }
        if new.number == old.number {
            return Err(refuse(begun_apart(new.number)).into());
        }
        if new.number < old.number {
            let reason = format!(
                "its epoch {} is not after epoch {}, in which this device knows the store",
                new.number, old.number
            );
            return Err(refuse(reason).into());
        }
        match words.map(parse_fingerprint) {
            Some(Ok(words)) if words != new.fingerprint() => {
                let reason = "the new epoch has another fingerprint than the one given";
                Err(refuse(reason.to_owned()).into())
            }
            Some(Err(error)) => Err(store::Error::from(error).into()),
            _ => Ok(()),
        }
    }

    /// The key files of the new epoch, each with its member.
    pub fn key_files(&self) -> Result<Vec<(String, Vec<u8>)>, Error> {
        let Some((repo, head)) = self.lender()? else {
            let members = self.store.key_files()?.into_iter();
            let file = |member: String| Ok(Some((member.clone(), self.store.key_file(&member)?)));
            let files: Result<Vec<_>, store::Error> = members
                .filter_map(|member| file(member).transpose())
                .collect();
            let files = files?.into_iter();
            return Ok(files
                .filter_map(|(name, file)| Some((name, file?)))
                .collect());
        };
        let mut files = Vec::new();
        for file in repo.files(head)? {
            if let Ok(Place::Key(member)) = layout::place_of(&file.path) {
                files.push((member, repo.blob(file.id, tree::max_bytes(&file.path))?));
            }
        }
        Ok(files)
    }

    /// Where the new head and all below it can be read.
    fn lender(&self) -> Result<Option<(&Repo, Id)>, Error> {
        match &self.found {
            Found::Head(head) => Ok(Some((repo(&self.store)?, *head))),
            Found::Remote(fetched, head) => Ok(Some((&fetched.repo, *head))),
            Found::Files => Ok(None),
        }
    }

    /// Moves this device to the new epoch. `keys` come from this member's key file in it. Whatever is refused, nothing has changed.
    pub fn follow(self, keys: &KeyFile, how: &Following<'_>) -> Result<Followed, Error> {
        self.check(None)?;
        let before = self.check_past(keys)?;
        let has_moved = matches!(self.found, Found::Head(_));
        let landing = Landing::begin(&self.store, keys, &self.clear, has_moved)?;
        if self.lender()?.is_some() {
            let followed = self.follow_git(keys, &before, &landing, how)?;
            landing.done();
            return Ok(followed);
        }
        let entries = self.check_files(keys, how.progress)?;
        landing.land_plain(&entries)?;
        Ok(Followed {
            carried: Carried::default(),
            entries: entries.len(),
            left: Vec::new(),
        })
    }

    fn follow_git(
        &self,
        keys: &KeyFile,
        before: &Ended,
        landing: &Landing<'_>,
        how: &Following<'_>,
    ) -> Result<Followed, Error> {
        let own = repo(&self.store)?;
        let (lender, head) = self.lender()?.unwrap_or((own, Id::from_bytes([0; 20])));
        let here = own.head()?;
        let shown = match &self.found {
            Found::Remote(..) => here.commit,
            _ => self.store.state.shown()?.and_then(|hex| Id::parse(&hex)),
        };
        Self::check_descent(lender, head, before, keys)?;
        let foreign = self.foreign(lender, shown, head)?;
        if let Some(newest) = foreign.commits.first()
            && !is_named(how.without, *newest)
        {
            return Err(refuse_without(&foreign, *newest));
        }
        let past: Vec<Ended> = keys.ended().cloned().collect();
        let former = Former::find(lender, &self.epoch.store, &past)?;
        let epoch_of = |id: &Id| former.epoch_of(*id).unwrap_or(&self.epoch);
        let known: Vec<Id> = shown.into_iter().collect();
        let steps = verify(lender, &known, head, &epoch_of)?;
        let files = lender.files(head)?;
        let own_work = match shown {
            Some(own) => carry::Sides::part(lender, common(lender, own, head)?, own, head)?,
            None => None,
        };
        let mut entries = self.check_tree((lender, head), keys, own_work.as_ref(), how.progress)?;
        let (changes, carried) = match &own_work {
            Some(sides) => carry::over(&self.store, keys, lender, (sides, &foreign))?,
            None => Default::default(),
        };
        let paths = files.iter().map(|file| &file.path);
        let gone = |path: &&String| !matches!(changes.get(*path), Some(None));
        let paths = paths.chain(changes.keys()).filter(gone);
        tree::check_clashes(paths.map(String::as_str))?;
        if matches!(self.found, Found::Remote(..)) {
            landing.refuse_diverged(lender, shown, head)?;
        }
        entries.extend(carried.headers.iter().cloned());
        landing.mark()?;
        if matches!(self.found, Found::Remote(..)) {
            landing.repo()?.bring(lender, &steps, &tree::max_bytes)?;
        }
        let message = carried.message(self.epoch.number);
        let to = landing.commit_on(head, &changes, (&how.who, &message))?;
        let why = format!("follow epoch {}", self.epoch.number);
        let left = landing.land(&here, (shown, head, to), (&how.who, &why), &entries)?;
        if let Found::Remote(fetched, head) = &self.found {
            let seconds = how.now.as_second();
            self.store
                .state
                .set_remote(&fetched.remote.name, *head, seconds)?;
        }
        Ok(Followed {
            carried,
            entries: entries.len(),
            left,
        })
    }

    /// The epoch of the pin, as the new keys know it (F-091).
    fn check_past(&self, keys: &KeyFile) -> Result<Ended, Error> {
        let old = &self.store.epoch;
        let same = |ended: &&Ended| (ended.number, ended.writer) == (old.number, old.writer);
        keys.ended().find(same).cloned().ok_or_else(|| {
            let reason = format!(
                "it does not know epoch {}, in which this device knows the store: it was not made from it",
                old.number
            );
            let path = layout::key_path(&keys.member);
            Refusal::new(Stage::Member, reason).of(&path).into()
        })
    }

    /// The last commits of the epochs before are in the new head's history (F-092).
    fn check_descent(repo: &Repo, head: Id, before: &Ended, keys: &KeyFile) -> Result<(), Error> {
        let refuse = |reason: String| {
            Error::from(Refusal::new(Stage::Descent, reason).of(&head.to_string()))
        };
        let is_below =
            |id: Id, of: Id| Ok::<_, Error>(repo.commit(id).is_ok() && repo.is_ancestor(id, of)?);
        for ended in keys.ended().filter(|ended| ended.number >= before.number) {
            let is_there = match Id::parse(&ended.last) {
                Some(last) => is_below(last, head)?,
                None => false,
            };
            if !is_there {
                return Err(refuse(format!(
                    "the last commit of epoch {} is not in its history",
                    ended.number
                )));
            }
        }
        Ok(())
    }

    /// What this device shows, or has seen at remotes, that the new head has not and that it has not made itself (F-092).
    fn foreign(&self, repo: &Repo, shown: Option<Id>, head: Id) -> Result<Foreign, Error> {
        let mut tips: Vec<Id> = shown.into_iter().collect();
        for remote in Remote::all(&self.store)? {
            let Some((seen, _)) = self.store.state.remote(&remote.name)? else {
                continue;
            };
            if repo.commit(seen).is_err() {
                let reason = format!("{seen}, last seen at \"{}\", is gone", remote.name);
                return Err(Refusal::new(Stage::Descent, reason)
                    .of(&head.to_string())
                    .into());
            }
            tips.push(seen);
        }
        Foreign::find(&self.store, repo, &tips, head)
    }

    /// Opens the member list and every entry of the new head (F-094).
    fn check_tree(
        &self,
        (repo, head): (&Repo, Id),
        keys: &KeyFile,
        own_work: Option<&carry::Sides>,
        progress: Progress<'_>,
    ) -> Result<Vec<Header>, Error> {
        let mut entries = Vec::new();
        let mut list = None;
        for file in repo.files(head)? {
            match layout::place_of(&file.path) {
                Ok(Place::Entry(name)) => entries.push((name, file.id)),
                Ok(Place::Members) => list = Some(file.id),
                _ => {}
            }
        }
        let missing = || Refusal::new(Stage::Member, "the member list is missing");
        let list = list.ok_or_else(missing)?;
        let bytes = repo.blob(list, tree::max_bytes(layout::MEMBERS))?;
        let is_own = own_work.is_some_and(carry::Sides::has_changed_list);
        self.check_list(keys, &bytes, is_own)?;
        let done = AtomicUsize::new(0);
        let opened = fs::parallel(&entries, PARALLEL_FROM, |(name, blob)| {
            let bytes = repo.blob(*blob, tree::max_bytes(&layout::path_of(name)))?;
            let header = Store::open_bytes(keys, name, &bytes)?.header;
            // What this device itself has changed is held against where the sides parted, when it is carried over.
            if !own_work.is_some_and(|sides| sides.has_changed(name)) {
                self.store.check_fresh(name, header.rev)?;
            }
            let count = done.fetch_add(1, Ordering::Relaxed) + 1;
            progress(count, entries.len());
            Ok::<_, store::Error>(header)
        });
        Ok(opened.into_iter().collect::<Result<_, _>>()?)
    }

    fn check_list(&self, keys: &KeyFile, bytes: &[u8], is_own: bool) -> Result<(), Error> {
        let of_list = |refusal: Refusal| Error::from(refusal.of(layout::MEMBERS));
        let document = keys.open(bytes, Domain::Members);
        let document = document.map_err(|unopened| unopened.of(layout::MEMBERS))?;
        let list = Members::of_document(&document).map_err(of_list)?;
        if !is_own && list.rev < self.store.state.rev(layout::MEMBERS)? {
            let reason = "it is older than one seen before";
            return Err(of_list(Refusal::new(Stage::Revision, reason)));
        }
        Ok(())
    }

    /// The same in a store without git, where the files are all there is.
    fn check_files(&self, keys: &KeyFile, progress: Progress<'_>) -> Result<Vec<Header>, Error> {
        let store = self.store.of_epoch(self.epoch.clone())?;
        store.members(keys)?;
        let names = store.names()?;
        let done = AtomicUsize::new(0);
        let opened = fs::parallel(&names, PARALLEL_FROM, |name| {
            let header = Store::open_bytes(keys, name, &store.ciphertext(name)?)?.header;
            store.check_fresh(name, header.rev)?;
            let count = done.fetch_add(1, Ordering::Relaxed) + 1;
            progress(count, names.len());
            Ok::<_, store::Error>(header)
        });
        Ok(opened.into_iter().collect::<Result<_, _>>()?)
    }
}

/// Why an epoch is not followed that was begun without what others have made.
fn refuse_without(foreign: &Foreign, newest: Id) -> Error {
    let names: Vec<String> = foreign.names().iter().map(Name::to_string).collect();
    let (count, names) = match foreign.commits.len() {
        1 => ("1 commit".to_owned(), names.join(", ")),
        count => (format!("{count} commits"), names.join(", ")),
    };
    let reason = format!(
        "the new epoch was begun without {count} which this device has taken in and not made itself; changed there: {names}"
    );
    let refusal = Refusal::new(Stage::Descent, reason).of(&newest.to_string());
    Error::Without { refusal, newest }
}

/// The newest commit that both have; histories that never met are refused (F-092).
fn common(repo: &Repo, own: Id, head: Id) -> Result<Id, Error> {
    repo.common(own, head)?.ok_or_else(|| {
        let reason = "its history has nothing in common with what this device has seen";
        Refusal::new(Stage::Descent, reason)
            .of(&head.to_string())
            .into()
    })
}
