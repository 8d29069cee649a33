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

    /// The commits that `from` has and `until` has not, each before its parents, newer ones first. With `until` they are
    /// never too few; where clocks were wrong there may be some that `until` has too.
    pub fn walk(&self, from: Id, until: Option<Id>) -> Result<Vec<Id>, Error> {
        let mut seen: BTreeMap<Id, Seen> = BTreeMap::new();
        // By time; with the mark it is pushed for, and what has been read of it.
        let mut next = BinaryHeap::new();
        let read = |id, old| {
            self.commit(id)
                .map(|commit| (commit.seconds, id, old, commit.parents))
        };
        next.push(read(from, false)?);
        if let Some(until) = until {
            next.push(read(until, true)?);
        }
        let mut new_left = 1_usize;
        while let Some((seconds, id, old, parents)) = next.pop() {
            new_left -= usize::from(!old);
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
            if new_left == 0 && !repaints() {
                break;
            }
        }
        seen.retain(|_, seen| is_new(seen));
        Ok(children_first(from, &seen))
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
