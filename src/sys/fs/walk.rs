//! Everything below a folder, listed folder by folder on all cores, links not followed.
//!
//! What is found is made into what the caller needs while its folder is open, on the thread that found it: looking at a file
//! is then one step from its folder, and ten thousand files cost little more than their listing.

use std::ffi::OsStr;
use std::io;
use std::os::fd::BorrowedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::path::PathBuf;

use rustix::fs::AtFlags;
use rustix::fs::FileType;
use rustix::fs::Mode;
use rustix::fs::OFlags;

use super::Kind;
use super::Result;
use super::Stat;

/// From this many folders on, listing them is shared among the cores.
const PARALLEL_FROM: usize = 16;

/// The most folders within folders, and bytes of a folder's path, that are looked into: a name has at most 32 components and
/// 1000 bytes. Deeper ones could make a path that is too long to be opened.
const DEPTH_MAX: usize = 32;
const PATH_MAX_BYTES: usize = 1000;

/// Whether a folder below the one that is walked lies deeper than is looked into.
pub fn is_too_deep(folder: &Path) -> bool {
    folder.as_os_str().len() > PATH_MAX_BYTES || folder.components().count() > DEPTH_MAX
}

/// One thing found below a folder.
#[derive(Clone, Debug)]
pub struct Found {
    /// The path below the folder that was walked.
    pub path: PathBuf,
    /// What it is.
    pub kind: Kind,
    /// Its inode, as the folder's listing gives it.
    pub inode: u64,
}

/// One thing, while the folder that holds it is open.
pub struct Seen<'w> {
    /// The folder, below the one that is walked; empty for that one.
    pub folder: &'w Path,
    /// Its name in that folder.
    pub name: &'w OsStr,
    /// What it is.
    pub kind: Kind,
    /// Its inode, as the folder's listing gives it.
    pub inode: u64,
    at: BorrowedFd<'w>,
}

impl Seen<'_> {
    /// The path below the folder that is walked.
    pub fn path(&self) -> PathBuf {
        self.folder.join(self.name)
    }

    /// Its state; `None` if it is gone by now.
    pub fn stat(&self) -> Option<Stat> {
        let stat = rustix::fs::statat(self.at, self.name, AtFlags::SYMLINK_NOFOLLOW);
        stat.ok().as_ref().map(super::stat_of)
    }
}

/// Everything below a folder, in no order, links not followed; folders named in `skip` at the top are passed over.
///
/// What lies too deep for anything of ours is passed over. A part that cannot be listed is an error: a listing that silently lacks entries is worse than none.
pub fn walk(root: &Path, skip: &[&str]) -> Result<Vec<Found>> {
    let found = |seen: &Seen<'_>| {
        Some(Found {
            path: seen.path(),
            kind: seen.kind,
            inode: seen.inode,
        })
    };
    walk_with(root, skip, found)
}

/// The same, with what `make` makes of each thing.
pub fn walk_with<T: Send>(
    root: &Path,
    skip: &[&str],
    make: impl Fn(&Seen<'_>) -> Option<T> + Sync,
) -> Result<Vec<T>> {
    let mut all = Vec::new();
    let mut level = vec![PathBuf::new()];
    while !level.is_empty() {
        let listed = super::parallel(&level, PARALLEL_FROM, |folder| {
            let skip = if folder.as_os_str().is_empty() {
                skip
            } else {
                &[]
            };
            let listed = list(root, folder, skip, &make);
            listed.map_err(|error| super::fail("list", &root.join(folder), error))
        });
        let mut next = Vec::new();
        for folder in listed {
            let (things, folders) = folder?;
            all.extend(things);
            next.extend(folders.into_iter().filter(|folder| !is_too_deep(folder)));
        }
        level = next;
    }
    Ok(all)
}

/// What is made of the things in one folder, and the folders among them.
fn list<T>(
    root: &Path,
    folder: &Path,
    skip: &[&str],
    make: &impl Fn(&Seen<'_>) -> Option<T>,
) -> io::Result<(Vec<T>, Vec<PathBuf>)> {
    let nofollow = if folder.as_os_str().is_empty() {
        OFlags::empty()
    } else {
        OFlags::NOFOLLOW
    };
    let whole = root.join(folder);
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | nofollow;
    let fd = match rustix::fs::open(&whole, flags, Mode::empty()) {
        // Another process removed it since it was listed.
        Err(rustix::io::Errno::NOENT) if !nofollow.is_empty() => return Ok(Default::default()),
        opened => opened?,
    };
    let mut dir = rustix::fs::Dir::new(fd)?;
    let (mut things, mut folders) = (Vec::new(), Vec::new());
    while let Some(item) = dir.read() {
        let item = item?;
        let name = OsStr::from_bytes(item.file_name().to_bytes());
        if name == "." || name == ".." || skip.iter().any(|skipped| name == *skipped) {
            continue;
        }
        let at = dir.fd()?;
        let kind = match item.file_type() {
            // Not every file system tells it in the listing.
            FileType::Unknown => {
                let stat = rustix::fs::statat(at, name, AtFlags::SYMLINK_NOFOLLOW)?;
                super::stat::kind_of(stat.st_mode)
            }
            known => super::stat::kind_from(known),
        };
        if kind == Kind::Folder {
            folders.push(folder.join(name));
        }
        things.extend(make(&Seen {
            folder,
            name,
            kind,
            inode: item.ino(),
            at,
        }));
    }
    Ok((things, folders))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree() -> tempfile::TempDir {
        let temp = tempfile::tempdir().unwrap();
        for number in 0..40 {
            let folder = temp.path().join(format!("a/{number}"));
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(folder.join("x"), "12345").unwrap();
        }
        std::fs::create_dir_all(temp.path().join(".git/objects")).unwrap();
        std::fs::create_dir_all(temp.path().join("a/.git")).unwrap();
        std::os::unix::fs::symlink("a", temp.path().join("link")).unwrap();
        temp
    }

    #[test]
    fn all_is_found_once_and_links_are_not_followed() {
        let temp = tree();
        let found = walk(temp.path(), &[".git"]).unwrap();
        let count = |kind| found.iter().filter(|one| one.kind == kind).count();
        assert_eq!(count(Kind::File), 40);
        assert_eq!(
            count(Kind::Folder),
            42,
            "only the top's .git is passed over"
        );
        assert_eq!(count(Kind::Link), 1);
        assert!(found.iter().any(|one| one.path == Path::new("a/7/x")));
    }

    #[test]
    fn the_state_is_that_of_the_file() {
        let temp = tree();
        let sizes = walk_with(temp.path(), &[".git"], |seen| {
            let stat = seen.stat()?;
            (seen.kind == Kind::File).then_some((stat.size, stat.inode == seen.inode))
        });
        assert_eq!(sizes.unwrap(), vec![(5, true); 40]);
    }

    #[test]
    fn what_cannot_be_listed_is_an_error() {
        assert!(walk(Path::new("/nonexistent/x"), &[]).is_err());
        let temp = tempfile::tempdir().unwrap();
        std::fs::write(temp.path().join("file"), "").unwrap();
        assert!(walk(&temp.path().join("file"), &[]).is_err());
    }
}
