//! The object database: loose files and packs to read, loose files to write.
//!
//! Lives here: finding an object, checking its digest, and writing new ones so that they are whole and on the disk before
//! they have a name. Never here: what an object says. Called by `repo`.
//!
//! New objects begin in the workplace and get their names in `settle`, after a flush: a name never stands for a file that a
//! power cut could leave empty. Until then they can be read through this same database.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::io;
use std::io::Read;
use std::io::Write;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

use flate2::Compression;
use flate2::bufread::ZlibDecoder;
use flate2::write::ZlibEncoder;

use crate::git::Error;
use crate::git::disk;
use crate::git::lock::Workplace;
use crate::git::object::Id;
use crate::git::object::Kind;
use crate::git::object::id_of;
use crate::git::pack::Pack;
use crate::git::packing::Packing;

/// An object's header is shorter than this, in bytes.
const HEADER_MAX_BYTES: u64 = 40;

/// From this many blobs on, they are written as one pack.
const PACK_FROM: usize = 64;

/// The objects of one repository.
pub(super) struct Odb {
    git: PathBuf,
    objects: PathBuf,
    /// Another repository's folder of objects, whose packs are read too.
    lender: Option<PathBuf>,
    state: Mutex<State>,
    /// Taken at first need. Apart from the state: objects are read while the place is in use.
    place: Mutex<Option<Workplace>>,
}

/// What is opened at first need.
#[derive(Default)]
struct State {
    /// New objects without a name yet, and where they lie.
    new: BTreeMap<Id, PathBuf>,
    /// New packs and their indexes, where they lie and what they will be called.
    new_packs: Vec<(PathBuf, PathBuf)>,
    packs: Option<Packs>,
}

/// Open packs, shared by whoever reads from them.
type Packs = Arc<[Pack]>;

impl Odb {
    /// Of the repository at `git`.
    pub(super) fn new(git: &Path) -> Self {
        let objects = git.join("objects");
        Self {
            git: git.to_owned(),
            objects,
            lender: None,
            state: Mutex::default(),
            place: Mutex::default(),
        }
    }

    /// The same, reading from the packs of another repository as well.
    pub(super) fn lent_by(git: &Path, lender: &Path) -> Self {
        let mut odb = Self::new(git);
        odb.lender = Some(lender.join("objects"));
        odb
    }

    /// The other repository's folder of objects.
    pub(super) fn lender(&self) -> Option<&Path> {
        self.lender.as_deref()
    }

    /// Looks for packs again at the next need.
    pub(super) fn forget_packs(&self) {
        self.state().packs = None;
    }

    /// The packs, opened at first need, and again if `again` says so.
    fn packs(&self, again: bool) -> Result<Packs, Error> {
        let mut state = self.state();
        match &state.packs {
            Some(packs) if !again => Ok(Arc::clone(packs)),
            _ => {
                let mut packs = open_packs(&self.objects)?;
                if let Some(lender) = &self.lender {
                    packs.extend(open_packs(lender)?);
                }
                let packs = Packs::from(packs);
                state.packs = Some(Arc::clone(&packs));
                Ok(packs)
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `work` with the workplace, taken at first need and kept until this is dropped.
    pub(super) fn with_place<T>(
        &self,
        work: impl FnOnce(&Workplace) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut held = self.place.lock().unwrap_or_else(PoisonError::into_inner);
        let place = match held.take() {
            Some(place) => place,
            None => Workplace::take(&self.git)?,
        };
        work(held.insert(place))
    }

    /// Lets other processes write, unless objects wait for `settle`.
    pub(super) fn release(&self) {
        let is_settled = {
            let state = self.state();
            state.new.is_empty() && state.new_packs.is_empty()
        };
        if is_settled {
            *self.place.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
    }

    /// Reads an object of a kind and checks its digest.
    pub(super) fn read(&self, id: Id, kind: Kind, max_bytes: u64) -> Result<Vec<u8>, Error> {
        let what = || format!("{} {id}", kind.word());
        let (found, bytes) = match self.find(id, max_bytes) {
            Err(Error::TooLarge { .. }) => {
                return Err(Error::TooLarge {
                    what: what(),
                    max_bytes,
                });
            }
            other => other?,
        };
        if found != kind {
            return Err(Error::damaged(what(), "it is of another kind"));
        }
        if id_of(kind, &bytes) != Some(id) {
            return Err(Error::damaged(what(), "its digest is another"));
        }
        Ok(bytes)
    }

    /// New, loose or packed; packs are looked for again once, since git may just have tidied.
    fn find(&self, id: Id, max_bytes: u64) -> Result<(Kind, Vec<u8>), Error> {
        let new = self.state().new.get(&id).cloned();
        let path = new.unwrap_or_else(|| self.path(&id));
        if let Some(found) = read_loose(&path, id, max_bytes)? {
            return Ok(found);
        }
        for again in [false, true] {
            for pack in self.packs(again)?.iter() {
                if let Some(at) = pack.find(&id)? {
                    return pack.read(at, max_bytes);
                }
            }
        }
        read_loose(&path, id, max_bytes)?.ok_or(Error::Missing(id))
    }

    /// Where a loose object lies.
    fn path(&self, id: &Id) -> PathBuf {
        let hex = id.to_string();
        let (folder, rest) = hex.split_at_checked(2).unwrap_or_default();
        self.objects.join(folder).join(rest)
    }

    /// Whether the repository has the object, named or new.
    fn has(&self, id: &Id) -> Result<bool, Error> {
        if self.state().new.contains_key(id) || disk::stat(&self.path(id))?.is_some() {
            return Ok(true);
        }
        for pack in self.packs(false)?.iter() {
            if pack.find(id)?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Writes an object, unless it is there. It has no name, and is not safe from a power cut, before `settle`.
    pub(super) fn write(&self, kind: Kind, body: &[u8]) -> Result<Id, Error> {
        let id = id_of(kind, body)
            .ok_or_else(|| Error::damaged("a new object", "it is made for a SHA-1 collision"))?;
        if self.has(&id)? {
            return Ok(id);
        }
        let path = self.with_place(|place| Ok(place.fresh()))?;
        let packed = deflate(kind, body).map_err(Error::io("write", &path))?;
        let mut file = disk::create(&path, 0o444).map_err(Error::io("make", &path))?;
        file.write_all(&packed).map_err(Error::io("write", &path))?;
        self.state().new.insert(id, path);
        Ok(id)
    }

    /// Writes many blobs, a great many as one pack, which can be read after `settle` only.
    pub(super) fn write_blobs(&self, contents: &[&[u8]]) -> Result<Vec<Id>, Error> {
        let packing = if contents.len() < PACK_FROM {
            None
        } else {
            Packing::of(contents)?
        };
        let Some(packing) = packing else {
            let write = |body: &&[u8]| self.write(Kind::Blob, body);
            return contents.iter().map(write).collect();
        };
        let folder = self.objects.join("pack");
        for (bytes, ending) in [(&packing.pack, "pack"), (&packing.index, "idx")] {
            let path = self.with_place(|place| Ok(place.fresh()))?;
            let mut file = disk::create(&path, 0o444).map_err(Error::io("make", &path))?;
            file.write_all(bytes).map_err(Error::io("write", &path))?;
            let to = folder.join(format!("pack-{}.{ending}", packing.name));
            self.state().new_packs.push((path, to));
        }
        Ok(packing.ids)
    }

    /// Brings all new objects to the disk and gives them their names.
    pub(super) fn settle(&self) -> Result<(), Error> {
        let mut state = self.state();
        let packs = state.new_packs.iter().map(|(from, _)| from);
        let files: Vec<PathBuf> = state.new.values().chain(packs).cloned().collect();
        disk::flush(&files)?;
        let mut folders = BTreeSet::new();
        // The pack before its index: a pack is looked for by its index.
        for (from, to) in &state.new_packs {
            disk::refuse_links(&self.git, Path::new("objects/pack"))?;
            let folder = self.objects.join("pack");
            disk::make_folders(&folder)?;
            disk::rename(from, to).map_err(Error::io("name", to))?;
            folders.insert(folder);
        }
        if !state.new_packs.is_empty() {
            state.new_packs.clear();
            state.packs = None;
        }
        for (id, from) in &state.new {
            let to = self.path(id);
            let folder = to.parent().unwrap_or(&self.objects);
            if let Ok(below) = folder.strip_prefix(&self.git) {
                disk::refuse_links(&self.git, below)?;
            }
            if disk::rename(from, &to).is_err() {
                disk::make_folders(folder)?;
                disk::rename(from, &to).map_err(Error::io("name", &to))?;
                folders.insert(self.objects.clone());
            }
            folders.insert(folder.to_owned());
        }
        state.new.clear();
        disk::flush(&folders.into_iter().collect::<Vec<_>>())
    }
}

impl Drop for Odb {
    fn drop(&mut self) {
        let state = self.state();
        let packs = state.new_packs.iter().map(|(from, _)| from);
        for path in state.new.values().chain(packs) {
            let _ = disk::remove(path);
        }
    }
}

/// Opens every pack.
fn open_packs(objects: &Path) -> Result<Vec<Pack>, Error> {
    let folder = objects.join("pack");
    let mut packs = Vec::new();
    for name in disk::names(&folder)? {
        if Path::new(&name)
            .extension()
            .is_some_and(|ending| ending == "idx")
        {
            packs.extend(Pack::open(&folder.join(name))?);
        }
    }
    Ok(packs)
}

/// Reads a loose object; none if there is none.
fn read_loose(path: &Path, id: Id, max_bytes: u64) -> Result<Option<(Kind, Vec<u8>)>, Error> {
    let what = || format!("object {id}");
    // Deflate makes incompressible bytes longer by less than this.
    let file_max_bytes = max_bytes
        .saturating_add(max_bytes / 100)
        .saturating_add(4096);
    let Some(packed) = disk::read(path, file_max_bytes)? else {
        return Ok(None);
    };
    let mut bytes = Vec::with_capacity(packed.len() + 64);
    let mut reader = ZlibDecoder::new(packed.as_slice()).take(max_bytes + HEADER_MAX_BYTES);
    if reader.read_to_end(&mut bytes).is_err() {
        return Err(Error::damaged(what(), "it does not unpack"));
    }
    let header = bytes.iter().take(40).position(|byte| *byte == 0);
    let parsed = header.and_then(|nul| {
        let header = bytes.get(..nul)?;
        let space = header.iter().position(|byte| *byte == b' ')?;
        let size = std::str::from_utf8(header.get(space + 1..)?)
            .ok()?
            .parse::<u64>()
            .ok()?;
        Some((Kind::from_word(header.get(..space)?)?, size, nul + 1))
    });
    let Some((kind, size, start)) = parsed else {
        return Err(Error::damaged(what(), "its header does not parse"));
    };
    if size > max_bytes {
        return Err(Error::TooLarge {
            what: what(),
            max_bytes,
        });
    }
    bytes.drain(..start);
    if bytes.len() as u64 != size {
        return Err(Error::damaged(what(), "it has another size than it says"));
    }
    Ok(Some((kind, bytes)))
}

/// An object's file. Blobs are encrypted, so squeezing them would only cost time.
fn deflate(kind: Kind, body: &[u8]) -> io::Result<Vec<u8>> {
    let level = if kind == Kind::Blob {
        Compression::none()
    } else {
        Compression::fast()
    };
    let mut encoder = ZlibEncoder::new(Vec::with_capacity(body.len() + 64), level);
    write!(encoder, "{} {}\0", kind.word(), body.len())?;
    encoder.write_all(body)?;
    encoder.finish()
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests make and read files")]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn objects_have_no_name_before_they_settle() {
        let folder = tempfile::tempdir().unwrap();
        let odb = Odb::new(folder.path());
        let large = vec![7; 100_000];
        let id = odb.write(Kind::Blob, &large).unwrap();
        assert_eq!(odb.write(Kind::Blob, &large).unwrap(), id);
        assert!(!odb.path(&id).exists());
        assert_eq!(odb.read(id, Kind::Blob, 100_000).unwrap(), large);
        assert!(matches!(
            odb.read(id, Kind::Blob, 99_999),
            Err(Error::TooLarge { .. })
        ));
        odb.settle().unwrap();
        assert!(odb.path(&id).exists());
        assert_eq!(odb.read(id, Kind::Blob, 100_000).unwrap(), large);
        assert!(matches!(
            odb.read(id, Kind::Tree, 100_000),
            Err(Error::Damaged { .. })
        ));
        let lost = odb.write(Kind::Blob, b"never settled").unwrap();
        drop(odb);
        assert_eq!(
            disk::names(&folder.path().join("vault-tmp")).unwrap(),
            ["lock"]
        );
        let odb = Odb::new(folder.path());
        assert!(matches!(
            odb.read(lost, Kind::Blob, 99),
            Err(Error::Missing(_))
        ));
    }

    #[test]
    fn every_flipped_or_missing_byte_is_noticed_or_harmless() {
        let folder = tempfile::tempdir().unwrap();
        let odb = Odb::new(folder.path());
        let id = odb.write(Kind::Tree, b"some bytes of a tree").unwrap();
        odb.settle().unwrap();
        let path = odb.path(&id);
        let good = fs::read(&path).unwrap();
        fs::remove_file(&path).unwrap();
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1;
            for bytes in [&bad, &good[..at]] {
                fs::write(&path, bytes).unwrap();
                let read = odb.read(id, Kind::Tree, 1000);
                assert!(read.is_err() || read.unwrap() == b"some bytes of a tree");
            }
        }
    }
}
