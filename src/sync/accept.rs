//! Commits that were made by hand: what they change, entry by entry, and adopting that in a sealed commit of our own.
//!
//! A commit made by hand is never followed, and no seal is put on it: what it changes is made anew on the newest sealed commit
//! below it. Only entries that verify are adopted; one under another name, or of an old revision, is made anew. What this store
//! has changed itself is merged with it, as a sync would do, and follows a renaming. Looking changes nothing.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use crate::format::Header;
use crate::format::Name;
use crate::format::Refusal;
use crate::format::document::Domain;
use crate::format::layout;
use crate::format::layout::Place;
use crate::git::Change;
use crate::git::Head;
use crate::git::Id;
use crate::git::Repo;
use crate::store;
use crate::store::Entry;
use crate::store::Store;
use crate::store::Writer;
use crate::store::keeper::Keeper;
use crate::store::keeper::Unopened;
use crate::store::tree;
use crate::sync::Changed;
use crate::sync::Error;
use crate::sync::Fetched;
use crate::sync::How;
use crate::sync::Tools;
use crate::sync::copies::put_merged;
use crate::sync::join::is_moved;
use crate::sync::join::touched;
use crate::sync::merge;
use crate::sync::merge::Merged;
use crate::sync::remote::repo;
use crate::sync::round::Next;
use crate::sync::round::take_in;
use crate::sync::verify;

/// How often what is below the commits made by hand is taken in anew because this store has moved meanwhile.
const ATTEMPTS: usize = 10;

/// What becomes of one change.
#[derive(Debug)]
pub enum Fate {
    /// The file is taken as it is, or goes.
    AsIs,
    /// The entry is made anew, for this reason.
    Anew(&'static str),
    /// This store has changed the entry, too: both are merged by what they mean.
    Merged,
    /// The entry goes on at this path, with what this store has changed.
    Moved(String),
    /// It is not adopted, for this reason.
    LeftOut(String),
}

/// One change of a commit made by hand.
pub struct Item {
    /// What it changes.
    pub changed: Changed,
    /// What becomes of it.
    pub fate: Fate,
    blob: Option<Id>,
    entry: Option<Entry>,
}

/// What commits made by hand change.
pub struct Proposal {
    /// The newest of them.
    pub head: Id,
    /// The newest sealed commit below them.
    pub base: Id,
    /// Every commit between, newest first.
    pub commits: Vec<Id>,
    /// What they change in all.
    pub items: Vec<Item>,
    /// Where they are.
    pub place: Where,
}

/// Where the commits made by hand are.
pub enum Where {
    /// On this store's own branch.
    Here(Head),
    /// At the remote.
    There,
}

/// Looks for commits made by hand on this store's own branch; none if every new commit is sealed.
pub fn look_here(store: &Store, keeper: &dyn Keeper) -> Result<Option<Proposal>, Error> {
    let own = repo(store)?;
    let here = own.head()?;
    let shown = store.state.shown()?.and_then(|hex| Id::parse(&hex));
    let (Some(head), Some(shown)) = (here.commit, shown) else {
        return Ok(None);
    };
    if verify(own, &[shown], head, &|_| &store.epoch).is_ok() {
        return Ok(None);
    }
    let base = newest_sealed(store, own, &[shown], head)?;
    propose((store, keeper, own), (base, head), Where::Here(here))
}

/// The same for a remote's branch. Nothing is taken in yet.
pub fn look_there(
    store: &Store,
    keeper: &dyn Keeper,
    fetched: &mut Fetched,
) -> Result<Option<Proposal>, Error> {
    let Some(head) = fetched.head else {
        return Ok(None);
    };
    let here = repo(store)?.head()?.commit;
    let seen = fetched.seen.filter(|id| fetched.repo.commit(*id).is_ok());
    let known: Vec<Id> = here.into_iter().chain(seen).collect();
    if verify(&fetched.repo, &known, head, &|_| &store.epoch).is_ok() {
        return Ok(None);
    }
    let base = newest_sealed(store, &fetched.repo, &known, head)?;
    fetched.head = Some(base);
    let checked = super::check(store, fetched, None);
    fetched.head = Some(head);
    checked?;
    propose((store, keeper, &fetched.repo), (base, head), Where::There)
}

/// The newest commit on the way back along first parents below which everything is sealed.
fn newest_sealed(store: &Store, repo: &Repo, known: &[Id], head: Id) -> Result<Id, Error> {
    let mut next = Some(head);
    while let Some(id) = next {
        match verify(repo, known, id, &|_| &store.epoch) {
            Ok(_) => return Ok(id),
            Err(Error::Store(store::Error::Refused(_))) => {
                next = repo.commit(id)?.parents.first().copied();
            }
            Err(error) => return Err(error),
        }
    }
    let reason = "no sealed commit lies below it";
    Err(Refusal::new(crate::format::Stage::Descent, reason)
        .of(&head.to_string())
        .into())
}

fn propose(
    (store, keeper, repo): (&Store, &dyn Keeper, &Repo),
    (base, head): (Id, Id),
    place: Where,
) -> Result<Option<Proposal>, Error> {
    let changes = repo.diff(Some(base), head)?;
    // What this store has changed since the sealed commit, or beside it.
    let own = super::remote::repo(store)?.head()?.commit;
    let own = own.filter(|_| matches!(place, Where::There));
    let ours = match own {
        Some(own) => touched(repo, repo.common(own, base)?, own)?,
        None => BTreeSet::new(),
    };
    let mut items = Vec::with_capacity(changes.len());
    for change in &changes {
        let item = judge(store, keeper, repo, change)?;
        let is_both = ours.contains(&change.path) && !matches!(item.fate, Fate::LeftOut(_));
        let fate = if is_both { Fate::Merged } else { item.fate };
        items.push(Item { fate, ..item });
    }
    if let Some(own) = own {
        find_moves((keeper, repo), (base, own), &ours, &mut items)?;
    }
    Ok(Some(Proposal {
        head,
        base,
        commits: repo.walk(head, [base])?,
        items,
        place,
    }))
}

/// Finds where entries that were removed by hand, and that this store has changed, go on: an added one of the same secret, made
/// at the same time.
fn find_moves(
    (keeper, repo): (&dyn Keeper, &Repo),
    (base, own): (Id, Id),
    ours: &BTreeSet<String>,
    items: &mut [Item],
) -> Result<(), Error> {
    let mut moves: BTreeMap<String, usize> = BTreeMap::new();
    for (at, gone) in items.iter().enumerate() {
        let (Fate::Merged, None, Some(name)) = (&gone.fate, gone.blob, &gone.changed.name) else {
            continue;
        };
        let path = &gone.changed.path;
        let name = Name::parse(name).map_err(store::Error::from)?;
        let (Some(before), Some(_)) = (repo.blob_at(base, path)?, repo.blob_at(own, path)?) else {
            continue;
        };
        let before = Store::open_version(keeper, repo, &name, before)?;
        let is_it = |item: &&Item| {
            let is_free =
                !ours.contains(&item.changed.path) && !moves.contains_key(&item.changed.path);
            let is_taken = item.changed.how == How::Added && !matches!(item.fate, Fate::LeftOut(_));
            let entry = item.entry.as_ref().filter(|_| is_free && is_taken);
            entry.is_some_and(|entry| is_moved(&before, entry))
        };
        let found = items.iter().find(is_it);
        if let Some(to) = found.map(|item| item.changed.path.clone()) {
            moves.insert(to, at);
        }
    }
    for (to, at) in moves {
        if let Some(gone) = items.get_mut(at) {
            gone.fate = Fate::Moved(to);
        }
    }
    Ok(())
}

/// What becomes of one change.
fn judge(store: &Store, keeper: &dyn Keeper, repo: &Repo, change: &Change) -> Result<Item, Error> {
    let item = |fate, entry| Item {
        changed: Changed::from(change),
        blob: change.new,
        fate,
        entry,
    };
    let left_out = |why: String| Ok(item(Fate::LeftOut(why), None));
    let name = match layout::place_of(&change.path) {
        Ok(Place::Entry(name)) => name,
        Ok(_) => return left_out("only vault itself changes this".to_owned()),
        Err(why) => return left_out(why.to_owned()),
    };
    let Some(blob) = change.new else {
        return Ok(item(Fate::AsIs, None));
    };
    let sound = tree::check_path(change).and_then(|()| tree::check_size(repo, change));
    if let Err(store::Error::Refused(refusal)) = sound {
        return left_out(refusal.reason);
    }
    let bytes = repo.blob(blob, tree::max_bytes(&change.path))?;
    let opened = keeper.open(&bytes, Domain::Entry);
    let opened = opened.and_then(|document| {
        let header = Header::parse(&document.header)?;
        let secret = document.body;
        Ok(Entry { header, secret })
    });
    let entry = match opened {
        Ok(entry) => entry,
        Err(Unopened::Refused(refusal)) => return left_out(refusal.reason),
        Err(unopened) => return Err(unopened.of(name.as_str()).into()),
    };
    let seen = store.state.rev(name.as_str())?;
    let fate = if entry.header.name != name.as_str() {
        Fate::Anew("it was made under another name")
    } else if entry.header.rev < seen {
        Fate::Anew("it is an old value, brought back")
    } else {
        Fate::AsIs
    };
    Ok(item(fate, Some(entry)))
}

/// Adopts what a proposal has and is not left out, in one sealed commit; its id, none if nothing is left to adopt. At a remote
/// the sealed commits below are taken in first, and the branch is moved from the commit made by hand to ours, if it is
/// still there.
pub fn adopt(
    store: &Store,
    keeper: &dyn Keeper,
    proposal: Proposal,
    mut fetched: Option<&mut Fetched>,
    tools: &mut Tools<'_>,
) -> Result<Option<Id>, Error> {
    if let Some(fetched) = &mut fetched {
        fetched.head = Some(proposal.base);
        let taken = take_in_base(store, fetched, tools);
        fetched.head = Some(proposal.head);
        taken?;
    }
    let own = repo(store)?;
    let read = fetched.as_ref().map_or(own, |fetched| &fetched.repo);
    let on_wait = || (tools.on_wait)();
    let mut writer = match &proposal.place {
        Where::Here(head) => store.writer_over(
            (keeper, tools.now),
            tools.author,
            (head, proposal.base),
            on_wait,
        )?,
        Where::There => store.writer(keeper, tools.now, tools.author, on_wait)?,
    };
    check_clashes(own, read, &proposal)?;
    // On this store's own branch what is adopted goes onto the sealed commit itself.
    let ours = match &proposal.place {
        Where::Here(_) => proposal.base,
        Where::There => own.head()?.commit.unwrap_or(proposal.base),
    };
    let adopting = Adopting {
        store,
        keeper,
        read,
        base: proposal.base,
        ours,
        moves: proposal.items.iter().filter_map(move_of).collect(),
    };
    for item in proposal.items {
        adopting.take(item, &mut writer)?;
    }
    let short: String = proposal.head.to_string().chars().take(10).collect();
    let made = writer.commit(&format!("accept {short}"))?;
    if let Some(fetched) = fetched {
        let now = own.head()?.commit;
        let target = made.or(now).ok_or(Error::NotPushed)?;
        let (url, branch) = (&fetched.remote.url, fetched.branch.as_str());
        fetched
            .quarantine
            .push(url, (target, branch), Some(proposal.head), tools.heard)?;
        let seconds = tools.now.as_second();
        store
            .state
            .set_remote(&fetched.remote.name, target, seconds)?;
    }
    Ok(made)
}

/// Of an entry that goes on elsewhere: to where, and from where.
fn move_of(item: &Item) -> Option<(String, String)> {
    match &item.fate {
        Fate::Moved(to) => Some((to.clone(), item.changed.path.clone())),
        _ => None,
    }
}

/// Takes in the sealed commits below those made by hand.
fn take_in_base(store: &Store, fetched: &Fetched, tools: &mut Tools<'_>) -> Result<(), Error> {
    for _ in 0..ATTEMPTS {
        let steps = super::check(store, fetched, None)?;
        let mut outcome = super::Outcome::default();
        if let Next::Done = take_in(store, fetched, &steps, tools, &mut outcome)? {
            return Ok(());
        }
    }
    let head = repo(store)?.head()?;
    let (branch, found) = (head.branch, head.commit);
    Err(crate::git::Error::Moved { branch, found }.into())
}

/// How each change of a proposal is made anew on this store's own head.
struct Adopting<'a> {
    store: &'a Store,
    keeper: &'a dyn Keeper,
    read: &'a Repo,
    base: Id,
    ours: Id,
    /// From where an entry was moved by hand, by where it is now.
    moves: BTreeMap<String, String>,
}

impl Adopting<'_> {
    fn take(&self, item: Item, writer: &mut Writer<'_>) -> Result<(), Error> {
        let path = &item.changed.path;
        if let Fate::Moved(_) = item.fate {
            return Ok(writer.place(path, None)?);
        }
        let here = self.read.blob_at(self.ours, path)?;
        let before = self.read.blob_at(self.base, path)?;
        if matches!(item.fate, Fate::LeftOut(_)) || here == item.blob {
            return Ok(());
        }
        let Some(name) = item.changed.name else {
            return Ok(());
        };
        let name = Name::parse(&name).map_err(store::Error::from)?;
        if let Some(from) = self.moves.get(path) {
            return self.follow(from, &name, item.entry, writer);
        }
        if here != before {
            return self.merge(&name, (before, here), item.entry, writer);
        }
        // Merged with a change of this store that came to nothing, too.
        if let (Fate::Anew(_) | Fate::Merged, Some(entry)) = (item.fate, item.entry) {
            writer.put_as_is(&name, entry.header, &entry.secret)?;
        } else {
            let read = |blob| self.read.blob(blob, tree::max_bytes(path));
            writer.place(path, item.blob.map(read).transpose()?)?;
        }
        Ok(())
    }

    /// This store has changed the entry as well: an edit outlives a removal, and two edits are merged.
    fn merge(
        &self,
        name: &Name,
        (before, here): (Option<Id>, Option<Id>),
        theirs: Option<Entry>,
        writer: &mut Writer<'_>,
    ) -> Result<(), Error> {
        let Some(mut theirs) = theirs else {
            return Ok(());
        };
        theirs.header.name = name.to_string();
        let open = |blob| Store::open_version(self.keeper, self.read, name, blob);
        let before = before.map(open).transpose()?;
        let (name, here) = match here {
            Some(here) => (name.clone(), open(here)?),
            None => match self.renamed(before.as_ref())? {
                Some(found) => found,
                None => return Ok(writer.put_as_is(name, theirs.header, &theirs.secret)?),
            },
        };
        theirs.header.name = name.to_string();
        let merged = merge::entries(before.as_ref(), here, theirs);
        Ok(put_merged(
            self.store,
            self.keeper,
            writer,
            (&name, merged),
        )?)
    }

    /// Where this store has put an entry that it has no more under its name.
    fn renamed(&self, before: Option<&Entry>) -> Result<Option<(Name, Entry)>, Error> {
        let Some(before) = before else {
            return Ok(None);
        };
        for change in self.read.diff(Some(self.base), self.ours)? {
            let (None, Some(blob), Ok(Place::Entry(to))) =
                (change.old, change.new, layout::place_of(&change.path))
            else {
                continue;
            };
            let moved = Store::open_version(self.keeper, self.read, &to, blob)?;
            if is_moved(before, &moved) {
                return Ok(Some((to, moved)));
            }
        }
        Ok(None)
    }

    /// The entry was renamed by hand, and this store has changed it under its old name: that goes on under the new one.
    fn follow(
        &self,
        from: &str,
        to: &Name,
        theirs: Option<Entry>,
        writer: &mut Writer<'_>,
    ) -> Result<(), Error> {
        let open = |commit| {
            let (Ok(Place::Entry(name)), Some(blob)) =
                (layout::place_of(from), self.read.blob_at(commit, from)?)
            else {
                return Ok(None);
            };
            let mut entry = Store::open_version(self.keeper, self.read, &name, blob)?;
            entry.header.name = to.to_string();
            Ok::<_, Error>(Some(entry))
        };
        let (before, Some(here), Some(mut theirs)) = (open(self.base)?, open(self.ours)?, theirs)
        else {
            return Ok(());
        };
        theirs.header.name = to.to_string();
        let merged = match merge::entries(before.as_ref(), here, theirs) {
            // Nothing has the new name yet.
            Merged::Same { .. } => open(self.ours)?.map(Merged::One),
            other => Some(other),
        };
        match merged {
            Some(merged) => Ok(put_merged(self.store, self.keeper, writer, (to, merged))?),
            None => Ok(()),
        }
    }
}

/// What is adopted must not clash with what is there.
fn check_clashes(own: &Repo, read: &Repo, proposal: &Proposal) -> Result<(), Error> {
    let base = match &proposal.place {
        Where::Here(_) => Some(proposal.base),
        Where::There => own.head()?.commit,
    };
    let files = match base {
        Some(base) => read.files(base)?,
        None => Vec::new(),
    };
    let is_taken = |item: &&Item| item.blob.is_some() && !matches!(item.fate, Fate::LeftOut(_));
    let goes = |path: &str| {
        let mut items = proposal.items.iter();
        items.any(|item| item.changed.path == path && item.blob.is_none())
    };
    let stay = files.iter().map(|file| file.path.as_str());
    let come = proposal.items.iter().filter(is_taken);
    let come = come.map(|item| item.changed.path.as_str());
    Ok(tree::check_clashes(
        stay.filter(|path| !goes(path)).chain(come),
    )?)
}
