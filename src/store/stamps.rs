//! The folders of a store as they were when the index was written anew: while each is still so, the index is the listing.
//!
//! A file that is made, removed or replaced changes its folder's times, so ten thousand entries need not be looked at one by one to
//! see that nothing has happened. A file changed in place, which no writer of a store does, shows when its entry is opened: the
//! index is a hint. Lives here: taking, keeping and comparing these stamps. Only `index` uses them.

use std::path::Path;
use std::path::PathBuf;

use jiff::Timestamp;
use serde::Deserialize;
use serde::Serialize;

use crate::store::Error;
use crate::store::state::State;
use crate::sys::clock;
use crate::sys::fs;
use crate::sys::fs::Dir;
use crate::sys::fs::Kind;
use crate::sys::fs::Stat;

/// The file's name in the local state.
pub(super) const FILE: &str = "folders";
/// Most bytes of it that are read.
const FILE_MAX_BYTES: u64 = 256 << 20;
/// A folder that changed more recently than this, in nanoseconds, is not stamped: a second change may bear the same time.
/// This long where times are coarse: FAT counts in two seconds.
const SETTLED_NANOS: i128 = 2_000_000_000;
/// This long where they are fine: as fine as the kernel's tick, at most ten milliseconds.
const SETTLED_FINE_NANOS: i128 = 100_000_000;
/// A time that is no multiple of this, in nanoseconds, was kept by a file system with fine times.
const COARSE_NANOS: i128 = 1_000_000;
/// From this many folders on, looking at them is shared among the cores.
const PARALLEL_FROM: usize = 256;

/// One folder below the store, as it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Stamp {
    path: PathBuf,
    inode: u64,
    mtime_nanos: i128,
    ctime_nanos: i128,
}

/// All folders, and the index file that was written when they were so.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Stamps {
    index_inode: u64,
    index_size: u64,
    folders: Vec<Stamp>,
}

impl Stamps {
    /// The stamps, if they were taken with this index.
    pub(super) fn load(state: &State, index: &Stat) -> Result<Option<Self>, Error> {
        let Some(dir) = state.folder()? else {
            return Ok(None);
        };
        let Some(bytes) = dir.read(Path::new(FILE), FILE_MAX_BYTES)? else {
            return Ok(None);
        };
        let stamps: Option<Self> = postcard::from_bytes(&bytes).ok();
        Ok(stamps.filter(|stamps| {
            (stamps.index_inode, stamps.index_size) == (index.inode, index.size)
                && !stamps.folders.is_empty()
        }))
    }

    /// Whether every folder of the store is as it was.
    pub(super) fn hold(&self, store: &Dir) -> bool {
        let same = fs::parallel(&self.folders, PARALLEL_FROM, |stamp| {
            let stat = if stamp.path.as_os_str().is_empty() {
                store.stat_self()
            } else {
                store.stat_at(&stamp.path)
            };
            stat.is_some_and(|stat| Stamp::of(&stamp.path, &stat) == *stamp)
        });
        same.iter().all(|same| *same)
    }

    /// Writes the index anew, then the stamps of folders that were looked at before they were listed. Nothing is kept where
    /// one has changed only now.
    pub(super) fn keep(
        state: &State,
        index: (&str, &[u8]),
        folders: &[(PathBuf, Stat)],
    ) -> Result<(), Error> {
        let now = nanos(clock::now());
        let is_settled = |stat: &Stat| {
            let changed = stat.mtime_nanos.max(stat.ctime_nanos);
            changed + settled_after(changed) < now
        };
        if !folders.iter().all(|(_, stat)| is_settled(stat)) {
            return Ok(());
        }
        let (name, bytes) = index;
        let dir = fs::make_private(state.path())?;
        // First, so that they never stand beside an index that they were not taken with.
        dir.remove(Path::new(FILE))?;
        dir.replace(Path::new(name), bytes)?;
        let Some(index) = dir.stat(Path::new(name))? else {
            return Ok(());
        };
        let stamps = Self {
            index_inode: index.inode,
            index_size: bytes.len() as u64,
            folders: folders
                .iter()
                .map(|(path, stat)| Stamp::of(path, stat))
                .collect(),
        };
        match postcard::to_stdvec(&stamps) {
            Ok(bytes) => Ok(dir.replace(Path::new(FILE), &bytes)?),
            Err(_) => Ok(()),
        }
    }
}

impl Stamp {
    fn of(path: &Path, stat: &Stat) -> Self {
        Self {
            path: path.to_owned(),
            // What is no folder any more fits no stamp.
            inode: if stat.kind == Kind::Folder {
                stat.inode
            } else {
                0
            },
            mtime_nanos: stat.mtime_nanos,
            ctime_nanos: stat.ctime_nanos,
        }
    }
}

/// How long a folder that changed at this time may still change unseen.
const fn settled_after(changed: i128) -> i128 {
    if changed % COARSE_NANOS == 0 {
        SETTLED_NANOS
    } else {
        SETTLED_FINE_NANOS
    }
}

fn nanos(time: Timestamp) -> i128 {
    time.as_nanosecond()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamps(dir: &Dir, folders: &[&str]) -> Stamps {
        let stamp = |path: &&str| {
            let stat = if path.is_empty() {
                dir.stat_self()
            } else {
                dir.stat_at(Path::new(path))
            };
            Stamp::of(Path::new(path), &stat.unwrap())
        };
        Stamps {
            index_inode: 1,
            index_size: 1,
            folders: folders.iter().map(stamp).collect(),
        }
    }

    type Change = fn(&Dir);

    #[test]
    fn any_change_of_a_listing_shows() {
        let temp = tempfile::tempdir().unwrap();
        let dir = Dir::open(temp.path()).unwrap();
        dir.replace(Path::new("a/x.age"), b"1").unwrap();
        let changes: [Change; 4] = [
            |dir| dir.replace(Path::new("a/x.age"), b"1").unwrap(),
            |dir| dir.create(Path::new("a/y.age"), b"1").unwrap(),
            |dir| dir.remove(Path::new("a/y.age")).unwrap(),
            |dir| dir.create(Path::new("z.age"), b"1").unwrap(),
        ];
        for change in changes {
            let before = stamps(&dir, &["", "a"]);
            assert!(before.hold(&dir));
            // Times of files stand still for some milliseconds.
            std::thread::sleep(std::time::Duration::from_millis(20));
            change(&dir);
            assert!(!before.hold(&dir));
        }
    }

    #[test]
    fn a_folder_that_changed_only_now_is_not_stamped() {
        let temp = tempfile::tempdir().unwrap();
        let state = State::of_store(temp.path(), Path::new("/some/store"));
        let dir = fs::make_private(temp.path()).unwrap();
        let folders = [(PathBuf::new(), dir.stat_self().unwrap())];
        Stamps::keep(&state, ("index", b"x"), &folders).unwrap();
        assert!(!state.path().join(FILE).exists());
    }

    #[test]
    fn coarse_times_settle_late() {
        let second = 1_000_000_000;
        assert_eq!(settled_after(7 * second), SETTLED_NANOS);
        assert_eq!(settled_after(7 * second + 10_000_000), SETTLED_NANOS);
        assert_eq!(settled_after(7 * second + 10_000_001), SETTLED_FINE_NANOS);
    }

    #[test]
    fn stamps_belong_to_one_index() {
        let temp = tempfile::tempdir().unwrap();
        let state = State::of_store(temp.path(), Path::new("/some/store"));
        let dir = fs::make_private(temp.path()).unwrap();
        let old = Stat {
            mtime_nanos: 0,
            ctime_nanos: 0,
            ..dir.stat_self().unwrap()
        };
        Stamps::keep(&state, ("index", b"x"), &[(PathBuf::new(), old)]).unwrap();
        let dir = Dir::open(state.path()).unwrap();
        let index = |dir: &Dir| dir.stat(Path::new("index")).unwrap().unwrap();
        assert!(Stamps::load(&state, &index(&dir)).unwrap().is_some());
        fs::append(&state.path().join("index"), b"y").unwrap();
        assert!(Stamps::load(&state, &index(&dir)).unwrap().is_none());
    }
}
