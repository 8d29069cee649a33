//! What is asked of commits that come from elsewhere, in this order: that they descend from what was seen (F-083), that they are
//! of the pinned keys (F-070), that each is sealed (F-080, F-081), and that their trees hold nothing but a store (F-082 to
//! F-085). None of it needs the keys.

use crate::format::Epoch;
use crate::format::FORMAT_MAX_BYTES;
use crate::format::Refusal;
use crate::format::Stage;
use crate::format::document::Domain;
use crate::format::layout;
use crate::format::layout::Place;
use crate::git;
use crate::git::Change;
use crate::git::Id;
use crate::git::Repo;
use crate::git::Step;
use crate::store;
use crate::store::Store;
use crate::store::check_seal;
use crate::store::keeper::Keeper;
use crate::store::tree;
use crate::store::unread;
use crate::sync::Error;
use crate::sync::Fetched;
use crate::sync::remote::repo;
use crate::sync::round::is_named;
use crate::sys::fs;

/// From this many commits on, verifying is shared among the cores.
const PARALLEL_FROM: usize = 8;

/// Whether a fetched head may be followed: everything that is asked while locked. `accepted` is a head that the person has
/// named as one that need not descend from the last one seen. Gives the new commits, children first.
pub fn check(store: &Store, fetched: &Fetched, accepted: Option<&str>) -> Result<Vec<Step>, Error> {
    let is_accepted = fetched.head.is_some_and(|head| is_named(accepted, head));
    if !is_accepted {
        check_descent(fetched).map_err(|error| told_of_epoch(store, fetched, error))?;
    }
    let Some(head) = fetched.head else {
        return Ok(Vec::new());
    };
    check_epoch(store, &fetched.repo, head)?;
    let own = repo(store)?.head()?.commit;
    let seen = fetched.seen.filter(|id| fetched.repo.commit(*id).is_ok());
    let known: Vec<Id> = own.into_iter().chain(seen).collect();
    let steps = verify(&fetched.repo, &known, head, &|_| &store.epoch)?;
    tree::check_clashes(
        fetched
            .repo
            .files(head)?
            .iter()
            .map(|file| file.path.as_str()),
    )?;
    Ok(steps)
}

/// A remote whose history was left for a new epoch is refused for that, and the way on is to trust the epoch.
fn told_of_epoch(store: &Store, fetched: &Fetched, error: Error) -> Error {
    match (error, fetched.head) {
        (Error::Rewound { refusal, head }, Some(found)) => {
            match check_epoch(store, &fetched.repo, found) {
                Err(Error::OtherEpoch { epoch, .. }) => Error::OtherEpoch { refusal, epoch },
                Err(Error::Over { head, .. }) => Error::Over { refusal, head },
                _ => Error::Rewound { refusal, head },
            }
        }
        (error, _) => error,
    }
}

/// The head descends from the one last seen of this remote (F-083).
fn check_descent(fetched: &Fetched) -> Result<(), Error> {
    let Some(seen) = fetched.seen else {
        return Ok(());
    };
    let reason = match fetched.head {
        Some(head) if fetched.repo.is_ancestor(seen, head)? => return Ok(()),
        Some(_) => {
            format!("it was rewound or rewritten: it does not descend from {seen}, last seen there")
        }
        None => format!("its branch is gone, {seen} was last seen there"),
    };
    let refusal = Refusal::new(Stage::Descent, reason).of(&fetched.remote.name);
    Err(Error::Rewound {
        refusal,
        head: fetched.head,
    })
}

/// The head is of the store and the epoch that this device has pinned (F-070).
fn check_epoch(store: &Store, repo: &Repo, head: Id) -> Result<(), Error> {
    let missing = || Refusal::new(Stage::Version, "it is missing").of(layout::FORMAT);
    let unread = |error| unread(head, error, Stage::Seal);
    let blob = repo.blob_at(head, layout::FORMAT).map_err(unread)?;
    let clear = match repo.blob(blob.ok_or_else(missing)?, FORMAT_MAX_BYTES) {
        Err(git::Error::TooLarge { .. }) => {
            let refusal = Refusal::new(Stage::Version, "it is larger than 4 KiB");
            return Err(refusal.of(layout::FORMAT).into());
        }
        other => other?,
    };
    let epoch = Epoch::parse(&clear)?;
    if epoch == store.epoch {
        return Ok(());
    }
    let refuse = |reason: &str| Refusal::new(Stage::Pin, reason).of(layout::FORMAT);
    if epoch.store != store.epoch.store {
        return Err(refuse("the remote has another store").into());
    }
    if epoch.number < store.epoch.number {
        // What this device itself came from is no news; the remote does not know the new epoch yet.
        return match super::remote::repo(store)?.head()?.commit {
            Some(own) if repo.is_ancestor(head, own)? => Ok(()),
            _ => {
                let reason = "the remote has changes made with the keys of an epoch that is over";
                let refusal = refuse(reason);
                Err(Error::Over { refusal, head })
            }
        };
    }
    if epoch.number == store.epoch.number {
        return Err(refuse(&begun_apart(epoch.number)).into());
    }
    let refusal = refuse("the remote has other keys than this device knows: a new epoch began");
    let epoch = Box::new(epoch);
    Err(Error::OtherEpoch { refusal, epoch })
}

/// Why an epoch with the number of the pinned one, and other keys, is never followed; and the way out, on which nothing is lost.
pub(super) fn begun_apart(number: u32) -> String {
    format!(
        "it is another epoch {number} than this device knows: two devices began it apart, or somebody else made it. If the other one is \
        to stay, compare its fingerprint on the device that began it, and clone to another folder with \
        \"vault clone URL DIR --expect WORDS\"; this store stays as it is, so take over from it what was not pushed"
    )
}

/// Verifies every commit that `head` has and none of `known` has: its seal, by the keys of the epoch that `epoch_of` gives for
/// it, and the paths, modes and sizes that it changes. `known` are commits that were verified before. Gives them children
/// first, with what they bring.
pub fn verify<'e>(
    repo: &Repo,
    known: &[Id],
    head: Id,
    epoch_of: &(dyn Fn(&Id) -> &'e Epoch + Sync),
) -> Result<Vec<Step>, Error> {
    let unread_seal = |error| unread(head, error, Stage::Seal);
    let new = repo
        .walk(head, known.iter().copied())
        .map_err(unread_seal)?;
    // The oldest is judged first: what it makes wrong is told, and not what rests on it.
    let oldest_first: Vec<Id> = new.into_iter().rev().collect();
    let judged = fs::parallel(&oldest_first, PARALLEL_FROM, |id| {
        let commit = repo
            .commit(*id)
            .map_err(|error| unread(*id, error, Stage::Seal))?;
        check_seal(*id, &commit, epoch_of(id))?;
        let step = repo
            .step(*id)
            .map_err(|error| unread(*id, error, Stage::Name))?;
        for change in &step.changes {
            tree::check_path(change)?;
            tree::check_size(repo, change)?;
        }
        Ok::<Step, store::Error>(step)
    });
    let mut steps = judged.into_iter().collect::<Result<Vec<_>, _>>()?;
    steps.reverse();
    Ok(steps)
}

/// Opens every entry that changes and holds its revision against what this device has seen (F-050 to F-055); gives the revisions. This
/// is the part that needs the keys: without them it is asked when the entry is opened.
pub fn revisions(
    store: &Store,
    keeper: &dyn Keeper,
    repo: &Repo,
    changes: &[Change],
) -> Result<Vec<(String, u64)>, Error> {
    let opened = fs::parallel(changes, PARALLEL_FROM, |change| {
        let (Some(blob), Ok(Place::Entry(name))) = (change.new, layout::place_of(&change.path))
        else {
            return Ok(None);
        };
        let bytes = repo.blob(blob, tree::max_bytes(&change.path))?;
        let (header, _) = Store::look_at_bytes(keeper, &name, &bytes)?;
        store.check_fresh(&name, header.rev)?;
        Ok::<_, store::Error>(Some((name.to_string(), header.rev)))
    });
    let mut revs: Vec<(String, u64)> = Vec::new();
    for one in opened {
        revs.extend(one?);
    }
    let list = changes
        .iter()
        .find(|change| change.path == layout::MEMBERS)
        .and_then(|change| change.new);
    if let Some(blob) = list {
        let bytes = repo.blob(blob, tree::max_bytes(layout::MEMBERS))?;
        let opened = keeper.open(&bytes, Domain::Members);
        opened.map_err(|unopened| unopened.of(layout::MEMBERS))?;
    }
    Ok(revs)
}
