//! One round with a remote: fetch, verify, then fast-forward, merge or push, until both are the same.

use jiff::Timestamp;

use crate::format::layout;
use crate::format::layout::Place;
use crate::git;
use crate::git::Change;
use crate::git::Id;
use crate::git::Step;
use crate::git::run::Author;
use crate::git::run::Git;
use crate::store;
use crate::store::Store;
use crate::store::keeper::Keeper;
use crate::store::tree;
use crate::sync::Error;
use crate::sync::Fetched;
use crate::sync::Join;
use crate::sync::Joined;
use crate::sync::Remote;
use crate::sync::check;
use crate::sync::fetch;
use crate::sync::join::touched;
use crate::sync::remote::repo;
use crate::sync::revisions;

/// How often a round begins anew because others have pushed in between.
const ATTEMPTS: usize = 10;

/// What a round works with.
pub struct Tools<'t> {
    /// git in the store.
    pub git: &'t Git,
    /// Now.
    pub now: Timestamp,
    /// Starts asking for the author's name.
    pub author: &'t dyn Fn() -> Author,
    /// The keys; a person may be asked only if the argument says so.
    pub unlock: &'t mut dyn FnMut(bool) -> Option<Box<dyn Keeper>>,
    /// What git says meanwhile, and how far the round is.
    pub heard: &'t mut dyn FnMut(&str),
    /// Called while another process has a lock.
    pub on_wait: &'t dyn Fn(),
}

/// What a change does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// It is new.
    Added,
    /// It is another one.
    Changed,
    /// It is gone.
    Removed,
}

/// One entry, or one of the store's own files, that comes or goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    /// The entry's name; none for the store's own files.
    pub name: Option<String>,
    /// Its path.
    pub path: String,
    /// What happens to it.
    pub how: How,
}

impl From<&Change> for Changed {
    fn from(change: &Change) -> Self {
        let name = match layout::place_of(&change.path) {
            Ok(Place::Entry(name)) => Some(name.to_string()),
            _ => None,
        };
        let how = match (change.old, change.new) {
            (None, _) => How::Added,
            (_, None) => How::Removed,
            _ => How::Changed,
        };
        Self {
            name,
            path: change.path.clone(),
            how,
        }
    }
}

/// What a round has done, or would do.
#[derive(Debug, Default)]
pub struct Outcome {
    /// What came from the remote.
    pub came: Vec<Changed>,
    /// What went to the remote.
    pub went: Vec<Changed>,
    /// Commits that came, each verified.
    pub commits_in: usize,
    /// Commits that went.
    pub commits_out: usize,
    /// Entries that both sides had changed, before a merge.
    pub both: Vec<String>,
    /// What merging made.
    pub joined: Joined,
    /// Why nothing was pushed, where something came all the same.
    pub failed: Option<Error>,
}

impl Outcome {
    /// The failure, where not all was done.
    pub fn whole(self) -> Result<Self, Error> {
        match self.failed {
            Some(error) => Err(error),
            None => Ok(self),
        }
    }

    /// What has come is told, even where pushing then fails.
    fn but(mut self, error: Error) -> Result<Self, Error> {
        if self.commits_in == 0 {
            return Err(error);
        }
        self.failed = Some(error);
        Ok(self)
    }
}

/// Whether to begin anew.
pub(super) enum Next {
    Done,
    Again,
}

/// Brings store and remote to the same state. With `dry_run` nothing changes, here or there, and the outcome is what would
/// be. `accepted` is a remote's head that need not descend from the one last seen; if it is of an epoch that is over, this
/// store's takes its place.
pub fn run(
    store: &Store,
    remote: &Remote,
    tools: &mut Tools<'_>,
    (dry_run, accepted): (bool, Option<&str>),
) -> Result<Outcome, Error> {
    let mut outcome = Outcome::default();
    let mut failed: Option<(Option<Id>, Error)> = None;
    for _ in 0..ATTEMPTS {
        store.settle()?;
        let fetched = fetch(store, tools.git, remote, tools.heard, || (tools.on_wait)())?;
        if let Some((head, error)) = failed.take()
            && fetched.head == head
        {
            return outcome.but(error);
        }
        (tools.heard)("verifying what came");
        let (steps, over) = match check(store, &fetched, accepted) {
            Err(Error::Over { head, .. }) if is_named(accepted, head) => (Vec::new(), Some(head)),
            other => (other?, None),
        };
        if dry_run {
            return preview(store, &fetched, &steps, over);
        }
        if over.is_none()
            && let Next::Again = take_in(store, &fetched, &steps, tools, &mut outcome)?
        {
            continue;
        }
        match push(store, &fetched, over, tools, &mut outcome) {
            Ok(()) => return Ok(outcome),
            // Others may have pushed in between: the next fetch tells.
            Err(error @ Error::Store(store::Error::Git(git::Error::Git { .. }))) => {
                failed = Some((fetched.head, error));
            }
            Err(error) => return outcome.but(error),
        }
    }
    outcome.but(failed.map_or(Error::NotPushed, |(_, error)| error))
}

/// Whether a person has named this commit.
pub(super) fn is_named(named: Option<&str>, id: Id) -> bool {
    named.is_some_and(|hex| id.to_string().starts_with(&hex.to_ascii_lowercase()))
}

/// Both heads.
fn heads(store: &Store, fetched: &Fetched) -> Result<(git::Head, Option<Id>), Error> {
    Ok((repo(store)?.head()?, fetched.head))
}

/// What a round would do.
fn preview(
    store: &Store,
    fetched: &Fetched,
    steps: &[Step],
    over: Option<Id>,
) -> Result<Outcome, Error> {
    let (here, there) = heads(store, fetched)?;
    if let (Some(here), Some(over)) = (here.commit, over) {
        return Ok(Outcome {
            went: fetched
                .repo
                .diff(Some(over), here)?
                .iter()
                .map(Changed::from)
                .collect(),
            commits_out: fetched.repo.walk(here, [over])?.len(),
            ..Outcome::default()
        });
    }
    let read = &fetched.repo;
    let common = match (here.commit, there) {
        (Some(here), Some(there)) => read.common(here, there)?,
        _ => None,
    };
    let side = |commit: Option<Id>| match commit {
        Some(commit) => read.diff(common, commit),
        None => Ok(Vec::new()),
    };
    let (ours, theirs) = (side(here.commit)?, side(there)?);
    let is_ours = |change: &&Change| ours.iter().any(|other| other.path == change.path);
    let both = theirs.iter().filter(is_ours);
    let both = both.filter_map(|change| Changed::from(change).name);
    let out = match here.commit {
        Some(here) => read.walk(here, there)?.len(),
        None => 0,
    };
    Ok(Outcome {
        both: both.collect(),
        came: theirs.iter().map(Changed::from).collect(),
        went: ours.iter().map(Changed::from).collect(),
        commits_in: steps.len(),
        commits_out: out,
        ..Outcome::default()
    })
}

/// Takes in what the remote has: nothing, forward, or by a merge.
pub(super) fn take_in(
    store: &Store,
    fetched: &Fetched,
    steps: &[Step],
    tools: &mut Tools<'_>,
    outcome: &mut Outcome,
) -> Result<Next, Error> {
    let (here, there) = heads(store, fetched)?;
    let Some(there) = there else {
        return Ok(Next::Done);
    };
    let read = &fetched.repo;
    let is_known = match here.commit {
        Some(here) => read.is_ancestor(there, here)?,
        None => false,
    };
    if !is_known {
        let is_behind = match here.commit {
            Some(here) => read.is_ancestor(here, there)?,
            None => true,
        };
        let next = if is_behind {
            forward(store, &here, (fetched, there, steps), tools, outcome)?
        } else {
            join(store, &here, (fetched, there, steps), tools, outcome)?
        };
        if matches!(next, Next::Again) {
            return Ok(next);
        }
        outcome.commits_in += steps.len();
    }
    let now = tools.now.as_second();
    store.state.set_remote(&fetched.remote.name, there, now)?;
    Ok(Next::Done)
}

/// Moves the branch forward. Needs no keys; where they are at hand, revisions are held against those seen.
fn forward(
    store: &Store,
    here: &git::Head,
    (fetched, there, steps): (&Fetched, Id, &[Step]),
    tools: &mut Tools<'_>,
    outcome: &mut Outcome,
) -> Result<Next, Error> {
    let author = (tools.author)();
    let changes = fetched.repo.diff(here.commit, there)?;
    let revs = match (tools.unlock)(false) {
        Some(keeper) => revisions(store, &*keeper, &fetched.repo, &changes)?,
        None => Vec::new(),
    };
    let who = author.at(tools.now);
    let why = format!("sync: fast-forward from {}", fetched.remote.name);
    match store.fast_forward(here, there, (&who, &why), (&fetched.repo, steps)) {
        Err(store::Error::Git(git::Error::Moved { .. })) => return Ok(Next::Again),
        other => other?,
    }
    store.state.at_work(|| store.state.raise_revs(&revs))?;
    outcome.came.extend(changes.iter().map(Changed::from));
    Ok(Next::Done)
}

/// Merges both sides into a sealed commit.
fn join(
    store: &Store,
    here: &git::Head,
    (fetched, there, steps): (&Fetched, Id, &[Step]),
    tools: &mut Tools<'_>,
    outcome: &mut Outcome,
) -> Result<Next, Error> {
    let Some(ours) = here.commit else {
        return Ok(Next::Again);
    };
    let keeper = (tools.unlock)(true).ok_or(Error::Locked)?;
    let common = fetched.repo.common(ours, there)?;
    let changes = fetched.repo.diff(common, there)?;
    // What both sides have touched is opened and judged by the merge.
    let by_us = touched(&fetched.repo, common, ours)?;
    let (_, theirs_alone): (Vec<Change>, Vec<Change>) = changes
        .iter()
        .cloned()
        .partition(|change| by_us.contains(&change.path));
    let revs = revisions(store, &*keeper, &fetched.repo, &theirs_alone)?;
    let mut writer = store.writer(&*keeper, tools.now, tools.author, || (tools.on_wait)())?;
    let own = repo(store)?;
    if own.head()? != *here {
        return Ok(Next::Again);
    }
    let join = Join {
        store,
        keeper: &*keeper,
        repo: &fetched.repo,
        ours,
        theirs: there,
    };
    (tools.heard)("merging");
    let joined = join.prepare(&mut writer)?;
    own.bring(&fetched.repo, steps, &tree::max_bytes)?;
    writer.commit(&format!("merge {}", fetched.remote.name))?;
    store.state.at_work(|| store.state.raise_revs(&revs))?;
    let is_merged = |name: &String| joined.merged.contains(name);
    let came = changes.iter().map(Changed::from);
    outcome
        .came
        .extend(came.filter(|one| !one.name.as_ref().is_some_and(is_merged)));
    outcome.joined.merged.extend(joined.merged);
    outcome.joined.conflicts.extend(joined.conflicts);
    Ok(Next::Done)
}

/// Pushes what the remote does not have. Only what the work tree shows has been verified, and nothing else goes out.
fn push(
    store: &Store,
    fetched: &Fetched,
    over: Option<Id>,
    tools: &mut Tools<'_>,
    outcome: &mut Outcome,
) -> Result<(), Error> {
    let here = repo(store)?.head()?;
    let Some(commit) = here.commit.filter(|id| Some(*id) != fetched.head) else {
        return Ok(());
    };
    if store.state.shown()? != Some(commit.to_string()) {
        let (branch, found) = (here.branch, here.commit);
        return Err(git::Error::Moved { branch, found }.into());
    }
    let (url, branch) = (&fetched.remote.url, fetched.branch.as_str());
    fetched
        .quarantine
        .push(url, (commit, branch), over, tools.heard)?;
    let now = tools.now.as_second();
    store.state.set_remote(&fetched.remote.name, commit, now)?;
    let went = fetched.repo.diff(fetched.head, commit)?;
    outcome.went = went.iter().map(Changed::from).collect();
    outcome.commits_out = fetched.repo.walk(commit, fetched.head)?.len();
    Ok(())
}
