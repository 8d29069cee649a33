//! Git's index, kept in line with the work tree.
//!
//! Lives here: bringing `.git/index` to a commit, with what git remembers of each changed file. Never here: writing the work
//! tree; the store does that.

use std::collections::BTreeMap;
use std::io::Read;
use std::os::unix::fs::MetadataExt;

use crate::git::Error;
use crate::git::disk;
use crate::git::index;
use crate::git::index::Edit;
use crate::git::index::Stat;
use crate::git::object::Id;
use crate::git::repo::Repo;
use crate::sys::fs::parallel;

/// The most bytes of an index: some millions of entries.
const INDEX_MAX_BYTES: u64 = 1024 * 1024 * 1024;
/// From this many files on, looking at them is shared among the cores.
const PARALLEL_FROM: usize = 64;
/// The most bytes of a file that is compared with its blob; git compares larger ones itself.
const FILE_MAX_BYTES: u64 = 128 * 1024 * 1024;

impl Repo {
    /// Brings git's index in line: each path gets its blob, or leaves the index. Entries of other paths stay. An index that is
    /// missing or not understood is made anew from the commit at HEAD.
    pub fn update_index(&self, changes: &[(String, Option<Id>)]) -> Result<(), Error> {
        // One edit a path, the last one, in the order of bytes.
        let changes: BTreeMap<&str, Option<Id>> = changes
            .iter()
            .map(|(path, id)| (path.as_str(), *id))
            .collect();
        let changes: Vec<_> = changes.into_iter().collect();
        let edits = parallel(&changes, PARALLEL_FROM, |(path, id)| {
            let to = id.map(|id| Ok((id, self.stat_if_equal(path, id)?)));
            let to = to.transpose()?;
            Ok::<_, Error>(Edit { path, to })
        });
        let edits = edits.into_iter().collect::<Result<Vec<_>, _>>()?;
        self.odb()?.with_place(|place| {
            let mut lock = place.lock(&self.git, "index")?;
            let new = match self.edited_index(&edits)? {
                Some(new) => Some(new),
                None => self.rebuilt_index(edits)?,
            };
            lock.write(&new.ok_or_else(|| Error::damaged("the index", "it is too large"))?)?;
            lock.commit()
        })?;
        self.odb.release();
        Ok(())
    }

    /// The index with the edits; none if there is no index that is understood.
    fn edited_index(&self, edits: &[Edit<'_>]) -> Result<Option<Vec<u8>>, Error> {
        let path = self.git.join("index");
        let Some(old) = disk::read(&path, INDEX_MAX_BYTES)? else {
            return Ok(None);
        };
        let written = disk::stat(&path)?.map_or(i64::MAX, |found| found.mtime());
        Ok(index::edit(&old, written, edits))
    }

    /// An index of the commit at HEAD, with the stat data that the edits bring.
    fn rebuilt_index(&self, edits: Vec<Edit<'_>>) -> Result<Option<Vec<u8>>, Error> {
        let files = match self.head()?.commit {
            Some(commit) => self.files(commit)?,
            None => Vec::new(),
        };
        let mut entries: BTreeMap<&str, (Id, Stat)> = BTreeMap::new();
        for file in &files {
            entries.insert(&file.path, (file.id, Stat::default()));
        }
        for edit in edits {
            match edit.to {
                Some(to) => entries.insert(edit.path, to),
                None => entries.remove(edit.path),
            };
        }
        let edits: Vec<_> = entries
            .into_iter()
            .map(|(path, to)| Edit { path, to: Some(to) })
            .collect();
        Ok(index::make(&edits))
    }

    /// The stat data of a file that has this blob's bytes; else zeros, so that git looks for itself and shows the difference.
    fn stat_if_equal(&self, path: &str, id: Id) -> Result<Stat, Error> {
        let path = self.store.join(path);
        let Ok(Some(mut file)) = disk::open(&path) else {
            return Ok(Stat::default());
        };
        let found = file.metadata().map_err(Error::io("read", &path))?;
        if found.len() > FILE_MAX_BYTES {
            return Ok(Stat::default());
        }
        let mut bytes = Vec::with_capacity(usize::try_from(found.len()).unwrap_or(0) + 1);
        let read = Read::take(&mut file, FILE_MAX_BYTES).read_to_end(&mut bytes);
        read.map_err(Error::io("read", &path))?;
        if Self::blob_id(&bytes).ok() != Some(id) {
            return Ok(Stat::default());
        }
        Ok(Stat {
            changed: (low(found.ctime()), low(found.ctime_nsec())),
            modified: (low(found.mtime()), low(found.mtime_nsec())),
            place: (
                low(found.dev().cast_signed()),
                low(found.ino().cast_signed()),
            ),
            owner: (found.uid(), found.gid()),
            size: low(found.len().cast_signed()),
        })
    }
}

/// The lower 32 bits, as git keeps them.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the bits are kept"
)]
const fn low(number: i64) -> u32 {
    number as u32
}
