//! Work of this device that nobody else has seen, carried over to a new epoch: encrypted and signed anew, by meaning.
//!
//! Lives here: what becomes of each change. Where the other side has changed the same entry to something else, the later value keeps the
//! name and the other stays beside it: nothing is dropped. Never here: making the commit (`store::turn`).

use crate::format::Header;
use crate::format::Name;
use crate::format::document::Domain;
use crate::format::keys::KeyFile;
use crate::format::layout;
use crate::format::layout::Place;
use crate::format::members::Members;
use crate::git::Change;
use crate::git::Id;
use crate::git::Repo;
use crate::store;
use crate::store::Entry;
use crate::store::Store;
use crate::store::changes::Changes;
use crate::store::keeper::Keeper;
use crate::store::people;
use crate::store::tree;
use crate::sync::Error;
use crate::sync::foreign::Foreign;
use crate::sync::foreign::Whose;
use crate::sync::merge;
use crate::sync::merge::Merged;

/// Three commits: where the two sides parted, what this device has, and the new head.
pub struct Sides {
    /// The last that both have.
    pub base: Id,
    /// This device's.
    pub own: Id,
    /// The new epoch's.
    pub head: Id,
    /// What this device has changed since.
    changes: Vec<Change>,
}

impl Sides {
    /// The sides, if this device has anything that the new head has not.
    pub fn part(repo: &Repo, base: Id, own: Id, head: Id) -> Result<Option<Self>, Error> {
        if base == own {
            return Ok(None);
        }
        let changes = repo.diff(Some(base), own)?;
        Ok(Some(Self {
            base,
            own,
            head,
            changes,
        }))
    }

    /// Whether this device has changed an entry since.
    pub fn has_changed(&self, name: &Name) -> bool {
        let path = layout::path_of(name);
        let found = self
            .changes
            .binary_search_by(|change| change.path.as_str().cmp(&path));
        found.is_ok()
    }

    /// Whether this device has changed the member list since.
    pub fn has_changed_list(&self) -> bool {
        self.changes.iter().any(|one| one.path == layout::MEMBERS)
    }
}

/// What was carried over.
#[derive(Debug, Default)]
pub struct Carried {
    /// Entries with a new value, or a value beside the other side's.
    pub changed: Vec<String>,
    /// Entries that were removed.
    pub removed: Vec<String>,
    /// Members that the old epoch has more, and that were not carried over.
    pub members: Vec<String>,
    /// Entries that others have changed in the old epoch: not carried over.
    pub left_out: Vec<String>,
    /// Entries that others and this device have changed there, each with the name under which this device's value is kept.
    pub beside: Vec<(String, String)>,
    /// The headers of what was written.
    pub headers: Vec<Header>,
}

impl Carried {
    /// Whether there was nothing to carry over.
    pub fn is_empty(&self) -> bool {
        self.changed.is_empty() && self.removed.is_empty() && self.beside.is_empty()
    }

    /// What the commit says.
    pub fn message(&self, epoch: u32) -> String {
        let mut lines = vec![format!("carry work over to epoch {epoch}\n")];
        lines.extend(self.changed.iter().map(|name| format!("change {name}")));
        lines.extend(self.beside.iter().map(|(_, name)| format!("change {name}")));
        lines.extend(self.removed.iter().map(|name| format!("remove {name}")));
        lines.join("\n")
    }
}

/// What is to be done on top of the new head so that nothing of this device's is lost.
pub fn over(
    store: &Store,
    keys: &KeyFile,
    repo: &Repo,
    (sides, foreign): (&Sides, &Foreign),
) -> Result<(Changes, Carried), Error> {
    let mut work = Work {
        store,
        keys,
        repo,
        sides,
        changes: Changes::new(),
        carried: Carried::default(),
    };
    for change in &sides.changes {
        match layout::place_of(&change.path) {
            Ok(Place::Entry(name)) => match foreign.whose(&change.path) {
                Whose::Own => work.entry(&name)?,
                whose => work.leave_out(&name, whose == Whose::Both)?,
            },
            Ok(Place::Members) => work.members()?,
            _ => {}
        }
    }
    if !work.changes.is_empty() && !keys.can_write() {
        return Err(store::Error::ReadOnly.into());
    }
    Ok((work.changes, work.carried))
}

struct Work<'w> {
    store: &'w Store,
    keys: &'w KeyFile,
    repo: &'w Repo,
    sides: &'w Sides,
    changes: Changes,
    carried: Carried,
}

impl Work<'_> {
    /// An entry as a commit has it, of whatever epoch.
    fn at(&self, commit: Id, name: &Name) -> Result<Option<Entry>, Error> {
        let blob = self.repo.blob_at(commit, &layout::path_of(name))?;
        let open = |blob| Store::open_version(self.keys, self.repo, name, blob);
        Ok(blob.map(open).transpose()?)
    }

    fn entry(&mut self, name: &Name) -> Result<(), Error> {
        let base = self.at(self.sides.base, name)?;
        let own = self.at(self.sides.own, name)?;
        let theirs = self.at(self.sides.head, name)?;
        if let (Some(base), Some(theirs)) = (&base, &theirs) {
            Store::check_rev(name, theirs.header.rev, base.header.rev)?;
        }
        if same(own.as_ref(), theirs.as_ref()) || same(own.as_ref(), base.as_ref()) {
            return self.keep(name, theirs);
        }
        let theirs_stand = !same(theirs.as_ref(), base.as_ref());
        match (own, theirs) {
            (None, theirs @ Some(_)) if theirs_stand => self.keep(name, theirs),
            (None, _) => {
                self.changes.insert(layout::path_of(name), None);
                self.carried.removed.push(name.to_string());
                Ok(())
            }
            (Some(own), Some(theirs)) if theirs_stand => {
                self.both(name, base.as_ref(), own, theirs)
            }
            (Some(own), theirs) => {
                let above = theirs.map_or(0, |theirs| theirs.header.rev);
                self.put(name, own, above)
            }
        }
    }

    /// What others have changed in the old epoch stays there. What this device has made of it is kept beside, for a person to look at.
    fn leave_out(&mut self, name: &Name, is_both: bool) -> Result<(), Error> {
        let own = self.at(self.sides.own, name)?;
        let theirs = self.at(self.sides.head, name)?;
        let own = own.filter(|own| !same(Some(own), theirs.as_ref()));
        match own {
            Some(own) if is_both => {
                let beside = self.beside(name, &own)?;
                self.write(&beside, own, 0)?;
                let names = (name.to_string(), beside.to_string());
                self.carried.beside.push(names);
            }
            _ => self.carried.left_out.push(name.to_string()),
        }
        self.keep(name, theirs)
    }

    /// The other side's value stays. Its revision must not be below this device's own, or it would be taken for an old one.
    fn keep(&mut self, name: &Name, theirs: Option<Entry>) -> Result<(), Error> {
        match theirs {
            Some(theirs) if theirs.header.rev < self.store.state.rev(name.as_str())? => {
                self.write(name, theirs, 0)
            }
            _ => Ok(()),
        }
    }

    /// Both sides have another value: they are merged by meaning (W-120 to W-122).
    fn both(
        &mut self,
        name: &Name,
        base: Option<&Entry>,
        own: Entry,
        theirs: Entry,
    ) -> Result<(), Error> {
        let above = theirs.header.rev;
        match merge::entries(base, own, theirs) {
            Merged::Same { .. } => Ok(()),
            Merged::One(entry) => self.put(name, entry, above),
            Merged::Two { winner, loser } => {
                let beside = self.beside(name, &loser)?;
                self.put(&beside, loser, 0)?;
                self.put(name, winner, above)
            }
        }
    }

    /// A free name beside an entry, for the value that loses it.
    fn beside(&self, name: &Name, loser: &Entry) -> Result<Name, Error> {
        for number in 1_u32.. {
            let beside = merge::conflict_name(name.as_str(), &loser.header, number);
            let beside = Name::parse(&beside).map_err(store::Error::from)?;
            let path = layout::path_of(&beside);
            let is_free = !self.changes.contains_key(&path)
                && self.repo.blob_at(self.sides.head, &path)?.is_none();
            if is_free {
                return Ok(beside);
            }
        }
        Ok(name.clone())
    }

    fn put(&mut self, name: &Name, entry: Entry, above: u64) -> Result<(), Error> {
        self.carried.changed.push(name.to_string());
        self.write(name, entry, above)
    }

    /// Signs and encrypts a value under the new keys, with a revision above all that were seen.
    fn write(&mut self, name: &Name, entry: Entry, above: u64) -> Result<(), Error> {
        let seen = self.store.state.rev(name.as_str())?;
        let rev = store::rev_after(name.as_str(), seen.max(entry.header.rev).max(above))?;
        let header = Header {
            name: name.to_string(),
            rev,
            ..entry.header
        };
        let file = self
            .keys
            .make(&header.to_text(), &entry.secret, Domain::Entry)?;
        self.changes.insert(layout::path_of(name), Some(file));
        self.carried.headers.push(header);
        Ok(())
    }

    /// The list is the other side's. A member whom only the old epoch has is named and not carried over: whoever was removed holds
    /// the old keys and could have sealed his own return; a person adds members.
    fn members(&mut self) -> Result<(), Error> {
        let before = self.list(self.sides.base)?;
        let own = self.list(self.sides.own)?;
        let mut list = self.list(self.sides.head)?;
        let is_of = |list: &Members, name: &str| list.list.iter().any(|one| one.name == name);
        let names = own.list.into_iter().map(|member| member.name);
        let left = names.filter(|name| !is_of(&before, name) && !is_of(&list, name));
        self.carried.members.extend(left);
        let known = self.store.state.rev(layout::MEMBERS)?;
        if list.rev < known {
            list.rev = store::rev_after(layout::MEMBERS, known)?;
            let file = people::list_file(self.keys, &list)?;
            self.changes.insert(layout::MEMBERS.to_owned(), Some(file));
        }
        Ok(())
    }

    /// The member list as a commit has it.
    fn list(&self, commit: Id) -> Result<Members, Error> {
        let blob = self.repo.blob_at(commit, layout::MEMBERS)?;
        let Some(blob) = blob else {
            let list = Vec::new();
            return Ok(Members { rev: 0, list });
        };
        let bytes = self.repo.blob(blob, tree::max_bytes(layout::MEMBERS))?;
        let mut opened = self.keys.open(&bytes, Domain::Members);
        for ended in self.keys.ended() {
            if let (Err(_), Some(past)) = (&opened, self.keys.of_past(ended.number)) {
                opened = past.open(&bytes, Domain::Members);
            }
        }
        let document = opened.map_err(|unopened| unopened.of(layout::MEMBERS))?;
        let list = Members::of_document(&document);
        Ok(list.map_err(|refusal| refusal.of(layout::MEMBERS))?)
    }
}

/// Whether two values mean the same, or there is none on either side.
fn same(one: Option<&Entry>, other: Option<&Entry>) -> bool {
    match (one, other) {
        (None, None) => true,
        (Some(one), Some(other)) => one.header.same_as(&other.header) && one.secret == other.secret,
        _ => false,
    }
}
