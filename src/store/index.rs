//! Headers remembered on this device, for look-up while locked. A hint: no decision about a secret rests on it.
//!
//! The file is a row of records, each a length and a postcard value; the last one of a path counts. A change adds
//! a record; a refresh writes the file anew.

use std::collections::HashMap;
use std::path::Path;
use std::path::PathBuf;

use serde::Deserialize;
use serde::Serialize;

use crate::format::Header;
use crate::format::Name;
use crate::format::layout;
use crate::store::Error;
use crate::store::Store;
use crate::store::keeper::Keeper;
use crate::store::read::entry_of;
use crate::store::stamps::Stamps;
use crate::store::state::State;
use crate::sys::fs;
use crate::sys::fs::Kind;
use crate::sys::fs::Stat;

/// The index file's name in the local state.
const FILE: &str = "index";
/// Most bytes of the index that are read.
const INDEX_MAX_BYTES: u64 = 1 << 30;
/// So many headers are judged by a core at a time.
const CHUNK: usize = 512;
/// From this many unread entries on, opening them is shared among the cores.
const PARALLEL_FROM: usize = 8;

/// The header of an entry's file as it was when it was read.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Record {
    path: String,
    size: u64,
    mtime_nanos: i64,
    inode: u64,
    header: Header,
}

/// The same as it lies in the file, its header not read yet.
struct Raw<'b> {
    path: &'b str,
    size: u64,
    mtime_nanos: i64,
    inode: u64,
    header: &'b [u8],
    /// The whole record.
    value: &'b [u8],
}

/// What a file or folder is, compared with the index.
enum Compared<'b> {
    /// A folder, as it was before it was listed.
    Folder(PathBuf, Box<Stat>),
    /// An entry that is as the index knows it: its record, and its header if that is asked for.
    Known(&'b [u8], Option<Box<Header>>),
    /// An entry that was not read in its present state.
    Unread(Name),
}

impl<'b> Raw<'b> {
    fn parse(value: &'b [u8]) -> Option<Self> {
        type Head<'b> = (&'b str, u64, i64, u64);
        let (head, header) = postcard::take_from_bytes::<Head<'b>>(value).ok()?;
        let (path, size, mtime_nanos, inode) = head;
        Some(Self {
            path,
            size,
            mtime_nanos,
            inode,
            header,
            value,
        })
    }

    fn is_of(&self, stat: &Stat) -> bool {
        (self.size, self.inode) == (stat.size, stat.inode)
            && i128::from(self.mtime_nanos) == stat.mtime_nanos
    }
}

/// Everything that is known of a store without opening an entry.
pub struct Catalogue {
    /// Entries whose header is known, by name.
    pub known: Vec<Header>,
    /// Entries that this device has not read in their present state, by name.
    pub unread: Vec<Name>,
}

impl Store {
    /// Reads the index and compares it with the files.
    pub fn catalogue(&self) -> Result<Catalogue, Error> {
        let mut catalogue = self.catalogue_of(|_| true)?;
        catalogue.known.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        Ok(catalogue)
    }

    /// The same with the headers that fit only, in no order.
    pub fn catalogue_of(&self, fits: impl Fn(&Header) -> bool + Sync) -> Result<Catalogue, Error> {
        let (bytes, stat) = load(&self.state)?;
        if let Some(stat) = stat
            && let Some(stamps) = Stamps::load(&self.state, &stat)?
            && stamps.hold(&self.dir)
        {
            return Ok(all_known(&bytes, &fits));
        }
        let root = self.dir.stat_self();
        let found = self.compared(&bytes, &fits)?;
        let mut catalogue = Catalogue {
            known: Vec::new(),
            unread: Vec::new(),
        };
        let mut index = Vec::with_capacity(bytes.len());
        let mut folders = Vec::new();
        folders.extend(root.map(|root| (PathBuf::new(), root)));
        for one in found {
            match one {
                Compared::Folder(path, stat) => folders.push((path, *stat)),
                Compared::Known(value, header) => {
                    push_record(&mut index, value);
                    catalogue.known.extend(header.map(|header| *header));
                }
                Compared::Unread(name) => catalogue.unread.push(name),
            }
        }
        if catalogue.unread.is_empty() {
            // A hint: a device that cannot keep it compares again the next time.
            let _ = Stamps::keep(&self.state, (FILE, &index), &folders);
        }
        catalogue.unread.sort_unstable();
        Ok(catalogue)
    }

    /// Every folder and entry; each file is looked up, and its header read and judged, on the thread that lists its folder.
    fn compared<'b>(
        &self,
        bytes: &'b [u8],
        fits: &(impl Fn(&Header) -> bool + Sync),
    ) -> Result<Vec<Compared<'b>>, Error> {
        let records: HashMap<&str, Raw<'_>> =
            raw(bytes).map(|record| (record.path, record)).collect();
        let skip = [layout::GIT, layout::OWN];
        let found = fs::walk_with(self.path(), &skip, |seen| {
            if seen.kind == Kind::Folder {
                return Some(Compared::Folder(seen.path(), Box::new(seen.stat()?)));
            }
            let name = entry_of(seen)?;
            let stat = seen.stat()?;
            let record = records.get(layout::path_of(&name).as_str());
            let record = record.filter(|record| record.is_of(&stat));
            let known = record.and_then(|record| Some((record.value, header_of(record)?)));
            Some(match known {
                Some((value, header)) => {
                    Compared::Known(value, Some(header).filter(|h| fits(h)).map(Box::new))
                }
                None => Compared::Unread(name),
            })
        });
        Ok(found?)
    }

    /// Opens the entries that are not known yet and remembers their headers. Those that are refused stay unread and are returned.
    pub fn refresh(
        &self,
        keeper: &dyn Keeper,
        catalogue: &mut Catalogue,
    ) -> Result<Vec<(Name, Error)>, Error> {
        if catalogue.unread.is_empty() {
            return Ok(Vec::new());
        }
        let unread = std::mem::take(&mut catalogue.unread);
        let opened = fs::parallel(&unread, PARALLEL_FROM, |name| {
            self.header_for_index(keeper, name)
        });
        let mut fresh = Vec::new();
        let mut refused = Vec::new();
        for (name, outcome) in unread.into_iter().zip(opened) {
            match outcome {
                Ok((header, stat)) => fresh.push((header, stat)),
                Err(error) => {
                    catalogue.unread.push(name.clone());
                    refused.push((name, error));
                }
            }
        }
        let revs: Vec<_> = fresh
            .iter()
            .map(|(header, _)| (header.name.clone(), header.rev))
            .collect();
        self.remember_revs(&revs)?;
        // The index is a hint: a device that cannot write it can still read the store.
        let _ = self.remember(&fresh);
        catalogue
            .known
            .extend(fresh.into_iter().map(|(header, _)| header));
        catalogue.known.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        Ok(refused)
    }

    /// Opens one entry for the index; the file's state is taken before it is read, so that a change in between shows.
    fn header_for_index(&self, keeper: &dyn Keeper, name: &Name) -> Result<(Header, Stat), Error> {
        let missing = || Error::NoEntry(name.to_string());
        let stat = self
            .dir
            .stat(Path::new(&layout::path_of(name)))?
            .ok_or_else(missing)?;
        Ok((self.verified(keeper, name)?, stat))
    }

    /// Adds records to the index; many at once, or a file that has outgrown its entries, write it anew.
    pub(super) fn remember(&self, fresh: &[(Header, Stat)]) -> Result<(), Error> {
        let records: Vec<Record> = fresh
            .iter()
            .filter_map(|(header, stat)| record(header, stat))
            .collect();
        let added = encode(records.iter());
        let path = self.state.path().join(FILE);
        let old = self
            .state
            .folder()?
            .and_then(|dir| dir.stat(Path::new(FILE)).ok().flatten());
        if old.is_some_and(|old| old.size > GROWN_BYTES) && fresh.len() > 1 {
            let mut all = records_of(&load(&self.state)?.0);
            all.extend(
                records
                    .into_iter()
                    .map(|record| (record.path.clone(), record)),
            );
            let dir = fs::make_private(self.state.path())?;
            return Ok(dir.replace(Path::new(FILE), &encode(all.values()))?);
        }
        fs::make_private(self.state.path())?;
        fs::append(&path, &added)?;
        Ok(())
    }
}

impl Store {
    /// The variables that entries name and that are asked about, from the index alone. Entries that are gone do not count.
    pub fn variables(&self, is_asked: impl Fn(&str) -> bool) -> Result<Vec<String>, Error> {
        /// The fields of a header up to `env`, borrowed.
        type Lead<'b> = (
            &'b str,
            u64,
            Option<&'b str>,
            Option<&'b str>,
            Vec<&'b str>,
            Option<i64>,
            Option<&'b str>,
        );
        let (bytes, _) = load(&self.state)?;
        let mut found: HashMap<&str, &str> = HashMap::new();
        for record in raw(&bytes) {
            let lead = postcard::take_from_bytes::<Lead<'_>>(record.header);
            let env = lead.ok().and_then(|(lead, _)| lead.6);
            match env.filter(|env| is_asked(env)) {
                Some(env) => drop(found.insert(record.path, env)),
                // The last record of a path counts.
                None => drop(found.remove(record.path)),
            }
        }
        let is_there = |path: &&str| self.dir.stat_at(Path::new(path)).is_some();
        found.retain(|path, _| is_there(path));
        let mut variables: Vec<String> = found.into_values().map(str::to_owned).collect();
        variables.sort_unstable();
        variables.dedup();
        Ok(variables)
    }
}

/// From this size on, an index is written anew when several records are added at once.
const GROWN_BYTES: u64 = 4 << 20;

fn record(header: &Header, stat: &Stat) -> Option<Record> {
    let name = Name::parse(&header.name).ok()?;
    Some(Record {
        path: layout::path_of(&name),
        size: stat.size,
        mtime_nanos: i64::try_from(stat.mtime_nanos).ok()?,
        inode: stat.inode,
        header: header.clone(),
    })
}

fn encode<'r>(records: impl Iterator<Item = &'r Record>) -> Vec<u8> {
    let mut out = Vec::new();
    for record in records {
        let Ok(bytes) = postcard::to_stdvec(record) else {
            continue;
        };
        push_record(&mut out, &bytes);
    }
    out
}

/// The headers of all records, whatever has become of their entries since.
pub(super) fn headers(state: &State) -> Result<Vec<Header>, Error> {
    Ok(records_of(&load(state)?.0)
        .into_values()
        .map(|record| record.header)
        .collect())
}

/// The file's bytes, and which file it is; none where there is no file.
fn load(state: &State) -> Result<(Vec<u8>, Option<Stat>), Error> {
    let Some(dir) = state.folder()? else {
        return Ok((Vec::new(), None));
    };
    // Before it is read: what is added in between makes its size another than that of what was read.
    let stat = dir.stat(Path::new(FILE))?;
    let bytes = dir.read(Path::new(FILE), INDEX_MAX_BYTES)?;
    let bytes = bytes.unwrap_or_default();
    let stat = stat.filter(|stat| stat.size == bytes.len() as u64);
    Ok((bytes, stat))
}

/// The headers that fit, of an index that is known to be the listing.
fn all_known(bytes: &[u8], fits: &(impl Fn(&Header) -> bool + Sync)) -> Catalogue {
    let records: Vec<Raw<'_>> = raw(bytes).collect();
    let chunks: Vec<&[Raw<'_>]> = records.chunks(CHUNK).collect();
    let fitting = fs::parallel(&chunks, 2, |chunk| {
        let headers = chunk.iter().filter_map(header_of);
        headers.filter(|header| fits(header)).collect::<Vec<_>>()
    });
    Catalogue {
        known: fitting.into_iter().flatten().collect(),
        unread: Vec::new(),
    }
}

fn header_of(record: &Raw<'_>) -> Option<Header> {
    postcard::from_bytes(record.header).ok()
}

fn push_record(out: &mut Vec<u8>, value: &[u8]) {
    if let Ok(length) = u32::try_from(value.len()) {
        out.extend_from_slice(&length.to_le_bytes());
        out.extend_from_slice(value);
    }
}

/// The records in the order of the file. What cannot be read is as if it had never been written: those entries count as unread.
fn raw(bytes: &[u8]) -> impl Iterator<Item = Raw<'_>> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let (length, tail) = rest.split_first_chunk::<4>()?;
        let length = u32::from_le_bytes(*length) as usize;
        let (value, tail) = tail.split_at_checked(length)?;
        rest = tail;
        Raw::parse(value)
    })
}

/// The records by path, the last one of each.
fn records_of(bytes: &[u8]) -> HashMap<String, Record> {
    let whole = raw(bytes).filter_map(|raw| {
        let record = Record {
            path: raw.path.to_owned(),
            size: raw.size,
            mtime_nanos: raw.mtime_nanos,
            inode: raw.inode,
            header: postcard::from_bytes(raw.header).ok()?,
        };
        Some((record.path.clone(), record))
    });
    whole.collect()
}

/// Parses the bytes of an index: for the fuzz target.
#[doc(hidden)]
pub fn parses(bytes: &[u8]) -> bool {
    postcard::from_bytes::<Record>(bytes).is_ok()
}
