//! What is to be written: an entry opened and verified, its references filled in.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::dotfiles::Dotfiles;
use crate::dotfiles::Item;
use crate::dotfiles::Problem;
use crate::dotfiles::Standing;
use crate::dotfiles::memory::Cipher;
use crate::dotfiles::memory::Facts;
use crate::dotfiles::memory::Needs;
use crate::dotfiles::memory::Stamp;
use crate::dotfiles::template;
use crate::dotfiles::template::Hole;
use crate::exec::reference::Field;
use crate::exec::reference::Reference;
use crate::format::Header;
use crate::format::Name;
use crate::format::layout;
use crate::policy::release;
use crate::secret::Secret;
use crate::store;
use crate::store::Entry;
use crate::store::Store;
use crate::store::keeper::Keeper;
use crate::sys::fs;
use crate::sys::fs::Kind;

/// From this many entries on, opening them is shared among the cores.
const PARALLEL_FROM: usize = 8;

/// What is to be written, and what it was made of.
#[derive(Debug)]
pub struct Content {
    /// The verified header.
    pub header: Header,
    /// The secret as it is in the store: a template's own text.
    pub source: Secret,
    /// What is written.
    pub bytes: Secret,
    /// The entries that a template was filled in from, with their ciphertexts.
    pub needs: Needs,
}

impl Content {
    /// A link, or a file.
    pub fn kind(&self) -> Kind {
        if self.header.link {
            Kind::Link
        } else {
            Kind::File
        }
    }
}

/// An entry that is referred to, if it is there.
type Named = Result<Option<(Entry, Cipher)>, Problem>;

/// Fills references in from a store, each entry opened once.
pub struct Filling<'s> {
    store: &'s Store,
    keeper: &'s dyn Keeper,
    now: Timestamp,
    allow_expired: bool,
    named: BTreeMap<Name, Named>,
}

impl<'s> Filling<'s> {
    /// From this store.
    pub fn new(
        store: &'s Store,
        keeper: &'s dyn Keeper,
        now: Timestamp,
        allow_expired: bool,
    ) -> Self {
        Self {
            store,
            keeper,
            now,
            allow_expired,
            named: BTreeMap::new(),
        }
    }

    /// Whoever opens the entries.
    pub fn keeper(&self) -> &'s dyn Keeper {
        self.keeper
    }

    /// The value of a reference, and of each default the default.
    pub fn value(&mut self, hole: &Hole) -> Result<Secret, Problem> {
        let Reference { name, field, .. } = &hole.reference;
        let default = || {
            hole.default
                .as_ref()
                .map(|text| Secret::copy_of(text.as_bytes()))
        };
        if !self.named.contains_key(name) {
            let entry = named(self.store, self.keeper, name);
            self.named.insert(name.clone(), entry);
        }
        let entry = match self.named.get(name) {
            Some(Ok(Some((entry, _)))) => entry,
            Some(Err(_)) => return Err(self.taken(name)),
            _ => return default().ok_or_else(|| Problem::NoEntry(hole.reference.clone())),
        };
        release::check(&entry.header, self.now, self.allow_expired).map_err(Problem::Denied)?;
        value_of(entry, *field)
            .or_else(default)
            .ok_or_else(|| Problem::NoField(hole.reference.clone()))
    }

    /// The ciphertexts of the entries that holes refer to.
    pub fn needs<'h>(&self, holes: impl Iterator<Item = &'h Hole>) -> Needs {
        let mut needs: Needs = Vec::new();
        for hole in holes {
            let name = hole.reference.name.as_str();
            if needs.iter().any(|(known, _)| known == name) {
                continue;
            }
            let cipher = match self.named.get(&hole.reference.name) {
                Some(Ok(Some((_, cipher)))) => Some(cipher.clone()),
                _ => None,
            };
            needs.push((name.to_owned(), cipher));
        }
        needs
    }

    /// Why an entry could not be opened; the next one that asks opens it anew.
    fn taken(&mut self, name: &Name) -> Problem {
        match self.named.remove(name) {
            Some(Err(problem)) => problem,
            _ => Problem::Header(format!("\"{name}\" could not be opened")),
        }
    }

    /// Fills a text in; the text comes back with what it needed.
    pub fn fill(&mut self, text: &Secret) -> Result<(Secret, Needs), Problem> {
        let pieces = template::parse(text.expose()).map_err(Problem::Template)?;
        let other = template::holes(&pieces).find(|hole| hole.reference.store.is_some());
        if let Some(hole) = other {
            return Err(Problem::OtherStore(hole.reference.clone()));
        }
        let values = template::holes(&pieces).map(|hole| self.value(hole));
        let values: Vec<Secret> = values.collect::<Result<_, _>>()?;
        let bytes = template::fill(text.expose(), &pieces, &values);
        Ok((bytes, self.needs(template::holes(&pieces))))
    }
}

/// The value of an entry's field, as a part of a text: without one final line feed.
pub(super) fn value_of(entry: &Entry, field: Field) -> Option<Secret> {
    let secret = Secret::copy_of(entry.secret.as_line());
    field.of(&entry.header, secret)
}

fn named(store: &Store, keeper: &dyn Keeper, name: &Name) -> Named {
    match open(store, keeper, name) {
        Ok(opened) => Ok(Some(opened)),
        Err(Problem::Store(error)) if matches!(*error, store::Error::NoEntry(_)) => Ok(None),
        Err(problem) => Err(problem),
    }
}

/// Opens an entry, and tells which file it was.
pub(super) fn open(
    store: &Store,
    keeper: &dyn Keeper,
    name: &Name,
) -> Result<(Entry, Cipher), Problem> {
    let before = cipher(store, name)?;
    let entry = store.entry(keeper, name)?;
    // Another one may have come to its place between the two looks: then once more.
    let after = cipher(store, name)?;
    if before.as_ref().map(|one| &one.blob) == after.as_ref().map(|one| &one.blob)
        && let Some(cipher) = after
    {
        return Ok((entry, cipher));
    }
    let again = cipher(store, name)?;
    let entry = store.entry(keeper, name)?;
    let cipher = again.ok_or_else(|| store::Error::NoEntry(name.to_string()))?;
    Ok((entry, cipher))
}

/// Which file an entry is now, if it is there.
pub(super) fn cipher(store: &Store, name: &Name) -> Result<Option<Cipher>, store::Error> {
    let path = layout::path_of(name);
    // Before it is read: what changes in between shows the next time.
    let Some(stat) = store.dir.stat(std::path::Path::new(&path))? else {
        return Ok(None);
    };
    let blob = store.blob_here(&path)?;
    Ok(blob.map(|blob| Cipher {
        blob: blob.to_string(),
        stamp: Stamp::of(&stat),
    }))
}

/// An entry's header, secret and file; the item it is for.
type Opened = (usize, Result<(Entry, Cipher), Problem>);

impl Dotfiles<'_> {
    /// Opens the items that are asked for and have no content yet; what cannot be opened or filled in is refused. What their headers
    /// say and their files are is remembered.
    pub fn open_contents(
        &mut self,
        items: &mut [Item],
        filling: &mut Filling<'_>,
        is_asked: impl Fn(&Item) -> bool,
    ) {
        let wanted: Vec<usize> = items
            .iter()
            .enumerate()
            .filter(|(_, item)| item.content.is_none() && is_asked(item))
            .map(|(at, _)| at)
            .collect();
        let shown: &[Item] = items;
        let (store, keeper) = (self.store, filling.keeper);
        let opened: Vec<Opened> = fs::parallel(&wanted, PARALLEL_FROM, |at| {
            let entry = match shown.get(*at) {
                Some(item) => open(store, keeper, &item.name),
                None => Err(Problem::Header(String::new())),
            };
            (*at, entry)
        });
        for (at, entry) in opened {
            let Some(item) = items.get_mut(at) else {
                continue;
            };
            let entry = entry.map(|(entry, cipher)| {
                item.facts = Facts::of(&entry.header);
                self.learned(&item.name, cipher, item.facts.clone());
                entry
            });
            match entry.and_then(|entry| content(entry, filling)) {
                Ok(content) => item.content = Some(content),
                Err(problem) => item.standing = Standing::Refused(problem),
            }
        }
    }
}

/// What an entry's file is to be.
fn content(entry: Entry, filling: &mut Filling<'_>) -> Result<Content, Problem> {
    let Entry { header, secret } = entry;
    let (bytes, needs) = if header.template && !header.link {
        filling.fill(&secret)?
    } else {
        (Secret::copy_of(secret.expose()), Vec::new())
    };
    Ok(Content {
        header,
        source: secret,
        bytes,
        needs,
    })
}
