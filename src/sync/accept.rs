//! Commits that were made by hand: what they change, entry by entry, and adopting that in a sealed commit of our own.
//!
//! A commit made by hand is never followed, and no seal is put on it: what it changes is made anew on the newest sealed commit
//! below it. Only entries that verify are adopted; one under another name, or of an old revision, is made anew.

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
use crate::store::keeper::Keeper;
use crate::store::keeper::Unopened;
use crate::store::tree;
use crate::sync::Changed;
use crate::sync::Error;
use crate::sync::Fetched;
use crate::sync::Tools;
use crate::sync::remote::repo;
use crate::sync::round::take_in;
use crate::sync::verify;

/// What becomes of one change.
#[derive(Debug)]
pub enum Fate {
    /// The file is taken as it is, or goes.
    AsIs,
    /// The entry is made anew, for this reason.
    Anew(&'static str),
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
    propose(store, keeper, own, (&[shown], head), Where::Here(here))
}

/// The same for a remote's branch. Sealed commits below those made by hand are taken in first.
pub fn look_there(
    store: &Store,
    keeper: &dyn Keeper,
    fetched: &mut Fetched,
    tools: &mut Tools<'_>,
) -> Result<Option<Proposal>, Error> {
    let Some(head) = fetched.head else {
        return Ok(None);
    };
    let here = repo(store)?.head()?.commit;
    let known: Vec<Id> = here.into_iter().chain(fetched.seen).collect();
    if verify(&fetched.repo, &known, head, &|_| &store.epoch).is_ok() {
        return Ok(None);
    }
    let base = newest_sealed(store, &fetched.repo, &known, head)?;
    fetched.head = Some(base);
    let steps = super::check(store, fetched, None)?;
    take_in(
        store,
        fetched,
        &steps,
        tools,
        &mut super::Outcome::default(),
    )?;
    let found = propose(store, keeper, &fetched.repo, (&known, head), Where::There)?;
    fetched.head = Some(head);
    Ok(found)
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
    store: &Store,
    keeper: &dyn Keeper,
    repo: &Repo,
    (known, head): (&[Id], Id),
    place: Where,
) -> Result<Option<Proposal>, Error> {
    let base = newest_sealed(store, repo, known, head)?;
    let changes = repo.diff(Some(base), head)?;
    let mut items = Vec::with_capacity(changes.len());
    for change in &changes {
        items.push(judge(store, keeper, repo, change)?);
    }
    Ok(Some(Proposal {
        head,
        base,
        commits: repo.walk(head, [base])?,
        items,
        place,
    }))
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
/// the branch is moved from the commit made by hand to ours, if it is still there.
pub fn adopt(
    store: &Store,
    keeper: &dyn Keeper,
    proposal: Proposal,
    fetched: Option<&Fetched>,
    tools: &mut Tools<'_>,
) -> Result<Option<Id>, Error> {
    let own = repo(store)?;
    let read = fetched.map_or(own, |fetched| &fetched.repo);
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
    for item in proposal.items {
        let path = &item.changed.path;
        match (item.fate, item.changed.name, item.entry) {
            (Fate::Anew(_), Some(name), Some(entry)) => {
                let name = Name::parse(&name).map_err(store::Error::from)?;
                writer.put_as_is(&name, entry.header, &entry.secret)?;
            }
            (Fate::AsIs, ..) => {
                let bytes = item.blob.map(|blob| read.blob(blob, tree::max_bytes(path)));
                writer.place(path, bytes.transpose()?)?;
            }
            _ => {}
        }
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
