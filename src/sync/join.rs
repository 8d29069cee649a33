//! Merging two commits: whole trees, path by path; where both sides have changed one, by meaning.
//!
//! Lives here: which paths each side has changed, renames, the names of conflicts, and the merge commit. Never here: what
//! two values of one entry become (`merge`).

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use crate::format::ENTRY_MAX_BYTES;
use crate::format::Name;
use crate::format::Refusal;
use crate::format::document::Domain;
use crate::format::layout;
use crate::format::layout::Place;
use crate::format::members::Members;
use crate::git::Change;
use crate::git::Id;
use crate::git::Repo;
use crate::secret::Secret;
use crate::store;
use crate::store::Entry;
use crate::store::Store;
use crate::store::Writer;
use crate::store::keeper::Keeper;
use crate::store::tree;
use crate::sync::Error;
use crate::sync::merge;
use crate::sync::merge::Merged;

/// Two commits to be joined, the keys, and a repository that has the objects of both.
pub struct Join<'j> {
    /// The store.
    pub store: &'j Store,
    /// Opens what both have changed.
    pub keeper: &'j dyn Keeper,
    /// Reads the objects of both.
    pub repo: &'j Repo,
    /// The commit of this device.
    pub ours: Id,
    /// The other one, verified.
    pub theirs: Id,
}

/// What the merge has to do in our tree.
#[derive(Default)]
struct Plan {
    /// Values to be made, by name.
    made: BTreeMap<String, Entry>,
    /// Paths to take from theirs, or to remove.
    taken: BTreeMap<String, Option<Id>>,
    members: Option<Members>,
    report: Joined,
}

/// What a merge has done that neither side had.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Joined {
    /// Entries that are now made of both sides.
    pub merged: Vec<String>,
    /// Losing sides: where they are kept.
    pub conflicts: Vec<String>,
}

/// The two sides' changes since their common commit, by path.
struct Sides {
    base: Option<Id>,
    ours: BTreeMap<String, Change>,
    theirs: BTreeMap<String, Change>,
    /// Every path that a commit of ours, and of theirs, has touched on the way.
    touched: [BTreeSet<String>; 2],
}

impl Join<'_> {
    /// Prepares the merge in a writer; the caller commits.
    pub fn prepare(&self, writer: &mut Writer<'_>) -> Result<Joined, Error> {
        let base = self.repo.common(self.ours, self.theirs)?;
        let side = |commit| {
            let changes = self.repo.diff(base, commit)?.into_iter();
            Ok::<_, Error>(
                changes
                    .map(|change| (change.path.clone(), change))
                    .collect(),
            )
        };
        let (ours, theirs) = (side(self.ours)?, side(self.theirs)?);
        let touched = [
            touched(self.repo, base, self.ours)?,
            touched(self.repo, base, self.theirs)?,
        ];
        let sides = Sides {
            base,
            ours,
            theirs,
            touched,
        };
        let mut plan = Plan::default();
        self.plan(&sides, &mut plan)?;
        self.respell(&mut plan)?;
        self.carry_out(plan, writer)
    }

    /// Decides about each path.
    fn plan(&self, sides: &Sides, plan: &mut Plan) -> Result<(), Error> {
        let mut later = Vec::new();
        let [by_us, by_them] = &sides.touched;
        for (path, ours) in &sides.ours {
            if !sides.theirs.contains_key(path) && by_them.contains(path) {
                self.renew(sides, ours, plan)?;
            }
        }
        for (path, theirs) in &sides.theirs {
            match sides.ours.get(path) {
                None if by_us.contains(path) && theirs.new.is_some() => {
                    plan.taken.insert(path.clone(), theirs.new);
                    self.renew(sides, theirs, plan)?;
                }
                None => drop(plan.taken.insert(path.clone(), theirs.new)),
                Some(ours) if ours.new == theirs.new => {}
                Some(ours) => later.push((path, ours, theirs)),
            }
        }
        for (path, ours, theirs) in later {
            match layout::place_of(path) {
                Ok(Place::Entry(name)) => self.entry(sides, &name, (ours, theirs), plan)?,
                Ok(Place::Members) => plan.members = self.members(ours, theirs)?,
                // Of a key file, or of what the format file says beside its keys, theirs is what others know.
                _ if theirs.new.is_some() => drop(plan.taken.insert(path.clone(), theirs.new)),
                _ => {}
            }
        }
        Ok(())
    }

    /// An entry that one side has changed, and that the other had for a while in between and has no more: it is made anew, so
    /// that whoever saw it removed takes it.
    fn renew(&self, sides: &Sides, change: &Change, plan: &mut Plan) -> Result<(), Error> {
        let (Some(blob), Ok(Place::Entry(name))) = (change.new, layout::place_of(&change.path))
        else {
            return Ok(());
        };
        let mut entry = self.open(&name, blob)?;
        entry.header.rev = entry.header.rev.max(self.highest(&name, sides.base)?) + 1;
        plan.made.insert(name.to_string(), entry);
        Ok(())
    }

    /// An entry that both have changed.
    fn entry(
        &self,
        sides: &Sides,
        name: &Name,
        (ours, theirs): (&Change, &Change),
        plan: &mut Plan,
    ) -> Result<(), Error> {
        let base = ours.old.map(|blob| self.open_old(name, blob)).transpose()?;
        match (ours.new, theirs.new) {
            (Some(one), Some(other)) => {
                let (one, other) = (self.open(name, one)?, self.open(name, other)?);
                self.settle(
                    name,
                    merge::entries(base.as_ref(), one, other),
                    theirs,
                    plan,
                )
            }
            (Some(edit), None) => {
                let edit = self.open(name, edit)?;
                self.kept(name, (base, edit), (sides, true), plan)
            }
            (None, Some(edit)) => {
                let edit = self.open(name, edit)?;
                self.kept(name, (base, edit), (sides, false), plan)
            }
            (None, None) => Ok(()),
        }
    }

    /// Puts the outcome of a merge under its name, and a losing side beside it.
    fn settle(
        &self,
        name: &Name,
        merged: Merged,
        theirs: &Change,
        plan: &mut Plan,
    ) -> Result<(), Error> {
        let made = match merged {
            Merged::Same { takes_theirs } => {
                if takes_theirs {
                    plan.taken.insert(theirs.path.clone(), theirs.new);
                }
                return Ok(());
            }
            Merged::One(one) => one,
            Merged::Two { winner, loser } => {
                self.keep_beside(name, loser, plan)?;
                winner
            }
        };
        plan.report.merged.push(name.to_string());
        plan.made.insert(name.to_string(), made);
        Ok(())
    }

    /// One side, ours or theirs, has changed the entry and the other has removed it: the change stays, and follows a renaming.
    fn kept(
        &self,
        name: &Name,
        (base, mut edit): (Option<Entry>, Entry),
        (sides, is_ours): (&Sides, bool),
        plan: &mut Plan,
    ) -> Result<(), Error> {
        let (editing, removing) = if is_ours {
            (&sides.ours, &sides.theirs)
        } else {
            (&sides.theirs, &sides.ours)
        };
        if let Some(base) = &base
            && let Some((to, moved, change)) = self.renamed(base, removing, editing)?
        {
            plan.taken.insert(layout::path_of(name), None);
            let (ours, theirs) = if is_ours {
                (edit, moved)
            } else {
                (moved, edit)
            };
            return self.settle(&to, merge::entries(Some(base), ours, theirs), change, plan);
        }
        // The removal had a revision, too: one more than what it removed.
        edit.header.rev = edit.header.rev.max(self.highest(name, sides.base)?) + 1;
        plan.report.merged.push(name.to_string());
        plan.made.insert(name.to_string(), edit);
        Ok(())
    }

    /// Where the side that has removed an entry has put it, if it has: an entry that only this side has, of the same secret and
    /// made at the same time.
    fn renamed<'s>(
        &self,
        base: &Entry,
        removing: &'s BTreeMap<String, Change>,
        editing: &BTreeMap<String, Change>,
    ) -> Result<Option<(Name, Entry, &'s Change)>, Error> {
        for change in removing.values().filter(|change| change.old.is_none()) {
            let Some(blob) = change.new.filter(|_| !editing.contains_key(&change.path)) else {
                continue;
            };
            let Ok(Place::Entry(to)) = layout::place_of(&change.path) else {
                continue;
            };
            let moved = self.open(&to, blob)?;
            if is_moved(base, &moved) {
                return Ok(Some((to, moved, change)));
            }
        }
        Ok(None)
    }

    /// The highest revision of an entry on either side since they parted.
    fn highest(&self, name: &Name, common: Option<Id>) -> Result<u64, Error> {
        let path = layout::path_of(name);
        let mut blobs = BTreeSet::new();
        for side in [self.ours, self.theirs] {
            for id in self.repo.walk(side, common)? {
                blobs.extend(self.repo.blob_at(id, &path)?);
            }
        }
        if let Some(common) = common {
            blobs.extend(self.repo.blob_at(common, &path)?);
        }
        let mut highest = 0;
        for blob in blobs {
            let header = Store::look_version(self.keeper, self.repo, name, blob)?;
            highest = highest.max(header.rev);
        }
        Ok(highest)
    }

    /// Keeps a losing side under a name of its own, unless it is kept there already.
    fn keep_beside(&self, name: &Name, loser: Entry, plan: &mut Plan) -> Result<(), Error> {
        for number in 1.. {
            let beside = Name::parse(&merge::conflict_name(name.as_str(), &loser.header, number));
            let beside = beside.map_err(store::Error::from)?;
            let path = layout::path_of(&beside);
            let mut there = Vec::new();
            for commit in [self.ours, self.theirs] {
                let blob = self.repo.blob_at(commit, &path)?;
                there.extend(blob.map(|blob| self.open(&beside, blob)).transpose()?);
            }
            let queued = plan.made.get(beside.as_str());
            let is_kept = there
                .iter()
                .chain(queued)
                .any(|entry| entry.secret == loser.secret);
            if is_kept {
                return Ok(());
            }
            if there.is_empty() && queued.is_none() {
                plan.report.conflicts.push(beside.to_string());
                let mut loser = loser;
                loser.header.rev = 0;
                plan.made.insert(beside.to_string(), loser);
                return Ok(());
            }
        }
        Ok(())
    }

    /// Where theirs spells a folder or a name as ours does but for case, it comes to ours: some systems cannot hold both.
    fn respell(&self, plan: &mut Plan) -> Result<(), Error> {
        let mut spelled: BTreeMap<String, String> = BTreeMap::new();
        for file in self.repo.files(self.ours)? {
            if plan.taken.get(&file.path) != Some(&None) {
                for prefix in tree::prefixes(&file.path) {
                    spelled
                        .entry(prefix.to_lowercase())
                        .or_insert_with(|| prefix.to_owned());
                }
            }
        }
        let coming: Vec<(String, Id)> = plan
            .taken
            .iter()
            .filter_map(|(path, blob)| Some((path.clone(), (*blob)?)))
            .collect();
        for (path, blob) in coming {
            let Ok(Place::Entry(from)) = layout::place_of(&path) else {
                continue;
            };
            let ours = respelled(&path, &mut spelled);
            if ours == path {
                continue;
            }
            let Ok(Place::Entry(to)) = layout::place_of(&ours) else {
                continue;
            };
            let mut theirs = self.open(&from, blob)?;
            theirs.header.name = to.to_string();
            plan.taken.remove(&path);
            let here = self.repo.blob_at(self.ours, &ours)?;
            match here.map(|blob| self.open(&to, blob)).transpose()? {
                None => {
                    theirs.header.rev = 0;
                    plan.report.merged.push(to.to_string());
                    plan.made.insert(to.to_string(), theirs);
                }
                Some(here) => match merge::entries(None, here, theirs) {
                    Merged::Same { .. } => {}
                    Merged::One(one) => drop(plan.made.insert(to.to_string(), one)),
                    Merged::Two { winner, loser } => {
                        self.keep_beside(&to, loser, plan)?;
                        plan.made.insert(to.to_string(), winner);
                    }
                },
            }
        }
        Ok(())
    }

    fn carry_out(&self, plan: Plan, writer: &mut Writer<'_>) -> Result<Joined, Error> {
        for (path, blob) in plan.taken {
            let here = self.repo.blob_at(self.ours, &path)?;
            if here == blob {
                continue;
            }
            let bytes = blob.map(|blob| self.repo.blob(blob, tree::max_bytes(&path)));
            writer.place(&path, bytes.transpose()?)?;
        }
        for (name, entry) in plan.made {
            let name = Name::parse(&name).map_err(store::Error::from)?;
            writer.put_as_is(&name, entry.header, &entry.secret)?;
        }
        if let Some(members) = plan.members {
            let rev = members.rev.max(self.store.state.rev(layout::MEMBERS)?) + 1;
            let (header, body) = Members { rev, ..members }.to_texts();
            let body = Secret::new(body.into_bytes());
            let bytes = self.keeper.make(&header, &body, Domain::Members)?;
            writer.place(layout::MEMBERS, Some(bytes))?;
            writer.saw_members(rev);
        }
        writer.merge_with(self.theirs);
        Ok(plan.report)
    }

    /// The member list of both.
    fn members(&self, ours: &Change, theirs: &Change) -> Result<Option<Members>, Error> {
        let open = |blob: Option<Id>| {
            let Some(blob) = blob else { return Ok(None) };
            let bytes = self.repo.blob(blob, tree::max_bytes(layout::MEMBERS))?;
            let document = self.keeper.open(&bytes, Domain::Members);
            let document = document.map_err(|unopened| unopened.of(layout::MEMBERS))?;
            let members = Members::of_document(&document);
            let of_list = |refusal: Refusal| refusal.of(layout::MEMBERS);
            Ok::<_, Error>(Some(members.map_err(of_list)?))
        };
        // A list of an earlier epoch is not needed, and does not open.
        let base = open(ours.old).unwrap_or(None);
        Ok(match (open(ours.new)?, open(theirs.new)?) {
            (Some(ours), Some(theirs)) => Some(merge::members(base, ours, theirs)),
            (one, other) => one.or(other),
        })
    }

    /// A current value, every check but the revision's.
    fn open(&self, name: &Name, blob: Id) -> Result<Entry, Error> {
        let bytes = self.repo.blob(blob, ENTRY_MAX_BYTES)?;
        Ok(Store::open_bytes(self.keeper, name, &bytes)?)
    }

    /// A value from history, of an earlier epoch too.
    fn open_old(&self, name: &Name, blob: Id) -> Result<Entry, Error> {
        Ok(Store::open_version(self.keeper, self.repo, name, blob)?)
    }
}

/// Every path that the commits of one side have changed since the common one.
pub(super) fn touched(repo: &Repo, base: Option<Id>, side: Id) -> Result<BTreeSet<String>, Error> {
    let mut paths = BTreeSet::new();
    for id in repo.walk(side, base)? {
        paths.extend(repo.step(id)?.changes.into_iter().map(|change| change.path));
    }
    Ok(paths)
}

/// Whether an entry is another one under a new name.
pub(super) fn is_moved(before: &Entry, after: &Entry) -> bool {
    let (before_header, after_header) = (&before.header, &after.header);
    before.secret == after.secret
        && before_header.created.is_some()
        && before_header.created == after_header.created
}

/// A path with each folder, and itself, as it is spelled already; what is new is remembered as it is.
fn respelled(path: &str, spelled: &mut BTreeMap<String, String>) -> String {
    let mut ours = String::new();
    for component in path.split('/') {
        if !ours.is_empty() {
            ours.push('/');
        }
        ours.push_str(component);
        ours = spelled
            .entry(ours.to_lowercase())
            .or_insert_with(|| ours.clone())
            .clone();
    }
    ours
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_comes_to_the_spelling_that_is_there() {
        let mut spelled = BTreeMap::new();
        assert_eq!(respelled("GitHub/x.age", &mut spelled), "GitHub/x.age");
        assert_eq!(respelled("github/y.age", &mut spelled), "GitHub/y.age");
        assert_eq!(respelled("github/Y.age", &mut spelled), "GitHub/y.age");
        assert_eq!(respelled("other/z.age", &mut spelled), "other/z.age");
    }
}
