//! How each dotfile stands. What is unchanged on both sides is known from its files' state alone: nothing is opened for it.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::path::Path;
use std::path::PathBuf;

use crate::crypto::keyed;
use crate::dotfiles::Dotfiles;
use crate::dotfiles::Error;
use crate::dotfiles::Filling;
use crate::dotfiles::Item;
use crate::dotfiles::Problem;
use crate::dotfiles::Standing;
use crate::dotfiles::content::cipher;
use crate::dotfiles::memory::Applied;
use crate::dotfiles::memory::Cipher;
use crate::dotfiles::memory::Facts;
use crate::dotfiles::memory::Known;
use crate::dotfiles::memory::Needs;
use crate::dotfiles::memory::Stamp;
use crate::dotfiles::mode_of;
use crate::dotfiles::target::FOLDER;
use crate::dotfiles::target::Target;
use crate::dotfiles::target::folded;
use crate::dotfiles::target::sensitive_places;
use crate::format::Header;
use crate::format::Name;
use crate::format::SECRET_MAX_BYTES;
use crate::format::layout;
use crate::format::layout::Place;
use crate::store;
use crate::store::Store;
use crate::sys::fs;
use crate::sys::fs::Kind;
use crate::sys::fs::Stat;
use crate::sys::fs::beneath::Look;

/// What is in a dotfile's place, compared with what was put there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Here {
    /// Nothing.
    Missing,
    /// What was put there.
    Same,
    /// Something else, or what was there before anything was put there.
    Changed,
}

/// The keyed digest of what is in a dotfile's place.
type Digest = [u8; keyed::BYTES];

/// Whether a store has any dotfile at all: one look.
pub fn is_any(store: &Store) -> bool {
    store.dir.stat_at(Path::new(FOLDER)).is_some()
}

impl Dotfiles<'_> {
    /// Every dotfile, by its target, and how it stands. Without keys, what would have to be opened is told as such; `hints` are
    /// headers that the index remembers.
    pub fn survey(
        &mut self,
        mut filling: Option<&mut Filling<'_>>,
        hints: &[Header],
    ) -> Result<Vec<Item>, Error> {
        let mut items = Vec::new();
        for (name, stat) in listed(self.store)? {
            items.extend(self.found(name, &stat, hints)?);
        }
        if let Some(filling) = filling.as_deref_mut() {
            self.learn(&mut items, filling);
        }
        // An entry that was opened and is no dotfile is none of ours.
        items.retain(|item| {
            let is_open = matches!(item.standing, Standing::Unread | Standing::Refused(_));
            item.facts.is_some() || (is_open && item.content.is_none())
        });
        self.choose(&mut items);
        for item in &mut items {
            self.compare(item);
        }
        if let Some(filling) = filling {
            self.open_contents(&mut items, filling, |item| {
                matches!(item.standing, Standing::Stale | Standing::Both)
                    || matches!(item.standing, Standing::Add | Standing::Update)
            });
            for item in &mut items {
                self.compare_content(item);
            }
        }
        self.add_gone(&mut items);
        items.sort_by(|a, b| a.target().cmp(b.target()).then(a.name.cmp(&b.name)));
        Ok(items)
    }

    /// An entry below `dotfiles/`, as it is remembered.
    fn found(&mut self, name: Name, stat: &Stat, hints: &[Header]) -> Result<Option<Item>, Error> {
        let known = self.files.get_mut(name.as_str());
        let facts = match known {
            Some(known) if known.cipher.stamp.holds(stat) => Some(known.facts.clone()),
            Some(known) => {
                let now = cipher(self.store, &name)?;
                let same = now.filter(|now| now.blob == known.cipher.blob);
                same.map(|same| {
                    known.cipher = same;
                    known.facts.clone()
                })
            }
            None => None,
        };
        let hint = || {
            let header = hints.iter().find(|header| header.name == name.as_str())?;
            Facts::of(header)
        };
        let (facts, standing) = match facts {
            // Read, and no dotfile.
            Some(None) => return Ok(None),
            Some(facts) => (facts, Standing::Clean),
            None => (hint(), Standing::Unread),
        };
        Ok(Some(Item {
            name,
            facts,
            standing,
            seen: None,
            real: None,
            content: None,
        }))
    }

    /// Opens what was not read in its present state.
    fn learn(&mut self, items: &mut [Item], filling: &mut Filling<'_>) {
        self.open_contents(items, filling, |item| {
            matches!(item.standing, Standing::Unread)
        });
        for item in items {
            if item.content.is_some() && matches!(item.standing, Standing::Unread) {
                item.standing = Standing::Clean;
            }
        }
    }

    /// Remembers what an entry's verified header says, and which file it was.
    pub(super) fn learned(&mut self, name: &Name, cipher: Cipher, facts: Option<Facts>) {
        let target = |facts: &Option<Facts>| facts.as_ref().map(|facts| facts.target.clone());
        let known = self.files.remove(name.as_str());
        // What was put elsewhere says nothing about what is in the place that is meant now.
        let known = known.filter(|known| target(&known.facts) == target(&facts));
        let applied = known.and_then(|known| known.applied);
        let known = Known {
            cipher,
            facts,
            applied,
        };
        self.files.insert(name.to_string(), known);
    }

    /// Which of several entries with one target is meant on this machine (W-133).
    fn choose(&self, items: &mut [Item]) {
        let mut best: BTreeMap<String, (u8, Name, usize)> = BTreeMap::new();
        for item in items.iter_mut() {
            let Some(facts) = &item.facts else { continue };
            let Some(rank) = self.machine.rank(facts) else {
                item.standing = Standing::Elsewhere;
                continue;
            };
            let one = best
                .entry(facts.target.clone())
                .or_insert((rank, item.name.clone(), 0));
            match rank.cmp(&one.0) {
                std::cmp::Ordering::Less => {}
                std::cmp::Ordering::Equal => one.2 += 1,
                std::cmp::Ordering::Greater => *one = (rank, item.name.clone(), 1),
            }
        }
        for item in items.iter_mut() {
            let Some(facts) = &item.facts else { continue };
            let Some((rank, name, count)) = best.get(&facts.target) else {
                continue;
            };
            match self.machine.rank(facts) {
                Some(own) if own < *rank => item.standing = Standing::Elsewhere,
                Some(_) if *count > 1 => {
                    let other = if *name == item.name {
                        None
                    } else {
                        Some(name.clone())
                    };
                    let other = other.unwrap_or_else(|| item.name.clone());
                    item.standing = Standing::Refused(Problem::Twice(other));
                }
                _ => {}
            }
        }
    }

    /// How a dotfile stands as far as it can be told without opening it.
    fn compare(&mut self, item: &mut Item) {
        if !matches!(item.standing, Standing::Clean | Standing::Unread) {
            return;
        }
        let Some(facts) = item.facts.clone() else {
            return;
        };
        let is_read = matches!(item.standing, Standing::Clean);
        match self.compared(item, &facts, is_read) {
            Ok(standing) => item.standing = standing,
            Err(problem) => item.standing = Standing::Refused(problem),
        }
    }

    fn compared(
        &mut self,
        item: &mut Item,
        facts: &Facts,
        is_read: bool,
    ) -> Result<Standing, Problem> {
        let target = Target::parse(&facts.target).map_err(|why| Problem::Header(why.to_owned()))?;
        let mode = mode_of(facts)?;
        let known = self.files.get(item.name.as_str());
        let applied = known.and_then(|known| known.applied.clone());
        let blob = known.map(|known| known.cipher.blob.clone());
        // In one step: where all is as it was, nobody needs to know how the way there leads.
        item.seen = self.root.glance(target.as_path());
        let here = match (&applied, item.seen) {
            (_, None) => Here::Missing,
            (Some(applied), Some(seen)) if applied.stamp.holds(&seen) => Here::Same,
            _ => self.looked(item, &target, applied.as_ref())?,
        };
        let is_same = is_read
            && applied.as_ref().is_some_and(|applied| {
                blob.as_ref() == Some(&applied.blob)
                    && applied.needs.iter().all(|need| self.is_as_it_was(need))
            });
        Ok(match (is_same, here, applied.is_some()) {
            (true, Here::Same, _) => mode_standing(facts, mode, item.seen),
            (true, Here::Changed, _) => Standing::ChangedHere,
            (_, Here::Missing, _) => {
                self.fit(item, &target)?;
                Standing::Add
            }
            (_, Here::Changed, true) => Standing::Both,
            (..) => Standing::Stale,
        })
    }

    /// Reads what is in a place, and compares it with what was put there.
    fn looked(
        &mut self,
        item: &mut Item,
        target: &Target,
        applied: Option<&Applied>,
    ) -> Result<Here, Problem> {
        let read = self.root.read(target.as_path(), SECRET_MAX_BYTES as u64)?;
        let Some((bytes, stat)) = read else {
            item.seen = None;
            return Ok(Here::Missing);
        };
        item.seen = Some(stat);
        let digest = self.memory.digest(stat.kind, &bytes);
        if applied.is_none_or(|applied| applied.digest != digest) {
            return Ok(Here::Changed);
        }
        let applied = self
            .files
            .get_mut(item.name.as_str())
            .and_then(|known| known.applied.as_mut());
        if let Some(applied) = applied {
            applied.stamp = Stamp::of(&stat);
        }
        Ok(Here::Same)
    }

    /// Whether an entry that a template was filled in from is as it was.
    fn is_as_it_was(&self, (name, then): &(String, Option<Cipher>)) -> bool {
        let Ok(name) = Name::parse(name) else {
            return false;
        };
        let path = layout::path_of(&name);
        let now = self.store.dir.stat_at(Path::new(&path));
        match (then, now) {
            (None, None) => true,
            (Some(then), Some(now)) if then.stamp.holds(&now) => true,
            (Some(then), Some(_)) => cipher(self.store, &name)
                .is_ok_and(|now| now.is_some_and(|now| now.blob == then.blob)),
            _ => false,
        }
    }

    /// Finds the places of items that something may be done with, where they are not known yet; what may not be put there is refused.
    pub fn locate(&self, items: &mut [Item]) {
        for item in items.iter_mut().filter(|item| item.real.is_none()) {
            let is_changed = matches!(item.standing, Standing::ChangedHere | Standing::Both);
            if !item.standing.is_due() && !is_changed {
                continue;
            }
            let seen = item.seen;
            let target = Target::parse(item.target());
            let target = target.map_err(|why| Problem::Header(why.to_owned()));
            if let Err(problem) = target.and_then(|target| self.fit(item, &target)) {
                item.standing = Standing::Refused(problem);
            }
            item.seen = seen;
        }
    }

    /// The place with every link on the way resolved, if something may be put there.
    fn fit(&self, item: &mut Item, target: &Target) -> Result<(), Problem> {
        let Look { real, stat } = self.root.look(target.as_path())?;
        if self.is_own(&real) {
            return Err(Problem::Own);
        }
        item.seen = stat;
        item.real = Some(real);
        Ok(())
    }

    /// Where links in this home lead from the places that are asked about by name: whoever writes there writes what is run.
    pub fn led_to(&self) -> Vec<(PathBuf, &'static str)> {
        let root = self.root.path();
        let led = sensitive_places().filter_map(|(place, why)| {
            let real = fs::canonical(&root.join(place))?;
            let real = real.strip_prefix(root).ok()?;
            (real != place).then(|| (real.to_owned(), why))
        });
        led.collect()
    }

    /// Whether a place is among the program's own, or above them; in any case of letters, since that may lead to the same folder.
    fn is_own(&self, real: &Path) -> bool {
        let fold = |path: &Path| PathBuf::from(folded(path));
        let whole = fold(&self.root.path().join(real));
        self.own.iter().any(|own| {
            let own = fold(own);
            whole.starts_with(&own) || own.starts_with(&whole)
        })
    }

    /// How it stands, now that it is opened.
    fn compare_content(&mut self, item: &mut Item) {
        if item.standing.is_settled() || matches!(item.standing, Standing::Refused(_)) {
            return;
        }
        let Some(content) = item.content.take() else {
            return;
        };
        let digest = self.memory.digest(content.kind(), &content.bytes);
        let compared = self.compared_with(item, digest);
        if let Ok(standing) = &compared
            && matches!(standing, Standing::Clean | Standing::Mode)
            && let Some(stat) = item.seen
        {
            self.set_applied(&item.name, (digest, &stat), content.needs.clone());
        }
        item.content = Some(content);
        item.standing = compared.unwrap_or_else(Standing::Refused);
    }

    fn compared_with(&mut self, item: &mut Item, digest: Digest) -> Result<Standing, Problem> {
        let facts = item.facts.clone().unwrap_or_default();
        let target = Target::parse(&facts.target).map_err(|why| Problem::Header(why.to_owned()))?;
        self.fit(item, &target)?;
        let here = match self.root.read(target.as_path(), SECRET_MAX_BYTES as u64)? {
            None => None,
            Some((bytes, stat)) => {
                item.seen = Some(stat);
                Some(self.memory.digest(stat.kind, &bytes))
            }
        };
        let known = self.files.get(item.name.as_str());
        let applied = known.and_then(|known| known.applied.as_ref());
        Ok(match (here, applied) {
            (None, _) => Standing::Add,
            (Some(here), _) if here == digest => mode_standing(&facts, mode_of(&facts)?, item.seen),
            (Some(_), Some(applied)) if applied.digest == digest => Standing::ChangedHere,
            (Some(here), Some(applied)) if applied.digest == here => Standing::Update,
            _ => Standing::Both,
        })
    }

    /// Remembers what is in the place of an entry, as it is in the store now.
    pub(super) fn set_applied(
        &mut self,
        name: &Name,
        (digest, stat): (Digest, &Stat),
        needs: Needs,
    ) {
        if let Some(known) = self.files.get_mut(name.as_str()) {
            known.applied = Some(Applied {
                blob: known.cipher.blob.clone(),
                needs,
                digest,
                stamp: Stamp::of(stat),
            });
        }
    }

    /// What was put in place and is in the store no longer.
    fn add_gone(&mut self, items: &mut Vec<Item>) {
        // Under another name it is the same dotfile still.
        let listed: BTreeSet<&str> = items
            .iter()
            .flat_map(|item| [item.name.as_str(), item.target()])
            .collect();
        let gone = self.files.iter().filter(|(name, known)| {
            let target = known.facts.as_ref().map(|facts| facts.target.as_str());
            !listed.contains(name.as_str())
                && !target.is_some_and(|target| listed.contains(target))
                && known.applied.is_some()
        });
        let gone: Vec<Item> = gone
            .filter_map(|(name, known)| {
                let name = Name::parse(name).ok()?;
                if self.store.has(&name).unwrap_or(true) {
                    return None;
                }
                Some(Item {
                    name,
                    facts: known.facts.clone(),
                    standing: Standing::Gone,
                    seen: None,
                    real: None,
                    content: None,
                })
            })
            .collect();
        items.extend(gone);
    }
}

/// What is the same but for its permission bits, perhaps.
fn mode_standing(facts: &Facts, mode: u32, seen: Option<Stat>) -> Standing {
    let differs = seen.is_some_and(|seen| seen.kind == Kind::File && seen.mode != mode);
    if differs && !facts.link {
        Standing::Mode
    } else {
        Standing::Clean
    }
}

/// The entries below `dotfiles/`, with the state of their files.
fn listed(store: &Store) -> Result<Vec<(Name, Stat)>, Error> {
    if !is_any(store) {
        return Ok(Vec::new());
    }
    let folder = store.path().join(FOLDER);
    let mut listed = fs::walk_with(&folder, &[], |seen| {
        let path = format!("{FOLDER}/{}", seen.path().to_str()?);
        match layout::place_of(&path) {
            // The losing side of a merge is never selected.
            Ok(Place::Entry(name)) if seen.kind == Kind::File && !name.is_conflict() => {
                Some((name, seen.stat()?))
            }
            _ => None,
        }
    })
    .map_err(store::Error::from)?;
    listed.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    Ok(listed)
}
