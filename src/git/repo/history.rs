//! Commits and their ancestors.
//!
//! Lives here: walking from commit to parents. Never here: seals; whoever walks checks them.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::collections::BinaryHeap;

use crate::git::Error;
use crate::git::object::Commit;
use crate::git::object::Id;
use crate::git::repo::Repo;

/// The most commits that one walk reads.
const WALK_MAX: usize = 2_000_000;

/// Marks of a commit while a common one is looked for: the sides that have it.
const ONE: u8 = 1;
const OTHER: u8 = 2;
/// Below a commit that both have.
const BELOW: u8 = 4;

/// What a walk knows of a commit.
struct Seen {
    parents: Vec<Id>,
    seconds: i64,
    /// Reachable from where the walk ends.
    old: bool,
}

impl Repo {
    /// Whether `old` is `new` or one of its ancestors.
    pub fn is_ancestor(&self, old: Id, new: Id) -> Result<bool, Error> {
        let mut seen = BTreeSet::from([new]);
        let mut next = BinaryHeap::from([(i64::MAX, new)]);
        while let Some((_, id)) = next.pop() {
            if id == old {
                return Ok(true);
            }
            let commit = self.commit(id)?;
            for parent in commit.parents {
                // By the child's time: a parent need not be read to be put in order.
                if seen.insert(parent) {
                    next.push((commit.seconds, parent));
                }
            }
            check_count(seen.len())?;
        }
        Ok(false)
    }

    /// The commits that `from` has and none of `until` has, each before its parents, newer ones first. With `until` they
    /// are never too few; where clocks were wrong there may be some that `until` has too.
    pub fn walk(&self, from: Id, until: impl IntoIterator<Item = Id>) -> Result<Vec<Id>, Error> {
        let mut seen: BTreeMap<Id, Seen> = BTreeMap::new();
        // By time; with the mark it is pushed for, and what has been read of it.
        let mut next = BinaryHeap::new();
        let read = |id, old| {
            self.commit(id)
                .map(|commit| (commit.seconds, id, old, commit.parents))
        };
        next.push(read(from, false)?);
        for until in until {
            next.push(read(until, true)?);
        }
        let mut new_left = 1_usize;
        // The time of the oldest that was once taken for a new one: what waits and is not older may be its descendant.
        let mut oldest_new = i64::MAX;
        while let Some((seconds, id, old, parents)) = next.pop() {
            new_left -= usize::from(!old);
            if !old {
                oldest_new = oldest_new.min(seconds);
            }
            let known = seen.get(&id).map(|seen| seen.old);
            if known.is_none_or(|known| old && !known) {
                for parent in &parents {
                    next.push(read(*parent, old)?);
                    new_left += usize::from(!old);
                }
                seen.insert(
                    id,
                    Seen {
                        parents,
                        seconds,
                        old,
                    },
                );
                check_count(seen.len())?;
            }
            let repaints = || {
                next.iter()
                    .any(|(_, id, ..)| seen.get(id).is_some_and(is_new))
            };
            let is_past = next
                .peek()
                .is_none_or(|(seconds, ..)| *seconds < oldest_new);
            if new_left == 0 && is_past && !repaints() {
                break;
            }
        }
        seen.retain(|_, seen| is_new(seen));
        Ok(children_first(from, &seen))
    }

    /// The newest commit that both have, or that is both; none if their histories never met. Of several that do not descend
    /// from one another, one.
    pub fn common(&self, one: Id, other: Id) -> Result<Option<Id>, Error> {
        let mut seen: BTreeMap<Id, u8> = BTreeMap::new();
        let mut next = BinaryHeap::new();
        for (id, side) in [(one, ONE), (other, OTHER)] {
            next.push((self.commit(id)?.seconds, id, side));
        }
        let mut met = Vec::new();
        // How many of those that wait are not below a meeting.
        let mut open = 2_usize;
        while let Some((_, id, marks)) = next.pop() {
            open -= usize::from(marks & BELOW == 0);
            let known = seen.entry(id).or_default();
            if *known | marks == *known {
                continue;
            }
            *known |= marks;
            let mut marks = *known;
            if marks == ONE | OTHER {
                met.push(id);
                marks |= BELOW;
            }
            for parent in self.commit(id)?.parents {
                next.push((self.commit(parent)?.seconds, parent, marks));
                open += usize::from(marks & BELOW == 0);
            }
            check_count(seen.len())?;
            // One place where they met, and nothing but what lies below it is left.
            if open == 0 && met.len() == 1 {
                break;
            }
        }
        met.retain(|id| seen.get(id).is_some_and(|marks| marks & BELOW == 0));
        Ok(met.first().copied())
    }

    /// The newest commits below `from` that change a path, at most `limit` of them, newest first.
    pub fn history(&self, from: Id, path: &str, limit: usize) -> Result<Vec<(Id, Commit)>, Error> {
        let mut found = Vec::new();
        for id in self.walk(from, None)? {
            let commit = self.commit(id)?;
            let here = self.entry_at(commit.tree, path)?.map(|entry| entry.id);
            let mut changed = here.is_some() || !commit.parents.is_empty();
            for parent in &commit.parents {
                let before = self.commit(*parent)?.tree;
                let same = before == commit.tree
                    || self.entry_at(before, path)?.map(|entry| entry.id) == here;
                changed &= !same;
            }
            if changed {
                found.push((id, commit));
            }
            if found.len() >= limit {
                break;
            }
        }
        Ok(found)
    }
}

const fn is_new(seen: &Seen) -> bool {
    !seen.old
}

fn check_count(count: usize) -> Result<(), Error> {
    if count > WALK_MAX {
        return Err(Error::damaged("the history", "it has too many commits"));
    }
    Ok(())
}

/// Sorts commits so that each stands before its parents, and newer ones first.
fn children_first(from: Id, commits: &BTreeMap<Id, Seen>) -> Vec<Id> {
    let mut children: BTreeMap<Id, usize> = BTreeMap::new();
    for parent in commits.values().flat_map(|seen| &seen.parents) {
        *children.entry(*parent).or_default() += 1;
    }
    let mut sorted = Vec::with_capacity(commits.len());
    let mut ready = BinaryHeap::from([(i64::MAX, Reverse(from))]);
    while let Some((_, Reverse(id))) = ready.pop() {
        let Some(seen) = commits.get(&id) else {
            continue;
        };
        sorted.push(id);
        for parent in &seen.parents {
            let Some(left) = children.get_mut(parent) else {
                continue;
            };
            *left -= 1;
            if let (0, Some(seen)) = (*left, commits.get(parent)) {
                ready.push((seen.seconds, Reverse(*parent)));
            }
        }
    }
    sorted
}
