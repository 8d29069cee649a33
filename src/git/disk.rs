//! Files inside `.git`, touched without following links.
//!
//! Lives here: the few operations on files that the git layer needs, and how new files reach the disk. Never here: what the
//! files mean. Called by the git layer alone.
#![allow(
    clippy::disallowed_methods,
    reason = "git's own files have their home here"
)]

use std::fs;
use std::fs::File;
use std::fs::OpenOptions;
use std::io;
use std::io::Read;
use std::io::Write;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::fs::MetadataExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::path::PathBuf;
use std::thread;

use rustix::fs::OFlags;

use crate::git::Error;

/// Above so many files, one flush of the file system is cheaper than one a file.
const FLUSH_ALL_FROM: usize = 64;
/// How many files are flushed at the same time; the file system joins such requests.
const FLUSH_AT_ONCE: usize = 8;

/// Opens a file for reading; none if there is none. A link is an error.
pub(super) fn open(path: &Path) -> Result<Option<File>, Error> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let opened = OpenOptions::new()
        .read(true)
        .custom_flags(flags.bits().cast_signed())
        .open(path);
    let file = match opened {
        Ok(file) => file,
        Err(source) if is_absent(&source) => return Ok(None),
        Err(source) => return Err(Error::io("open", path)(source)),
    };
    let found = file.metadata().map_err(Error::io("read", path))?;
    if !found.is_file() {
        return Err(Error::Unusual {
            path: path.to_owned(),
            what: "not a regular file",
        });
    }
    Ok(Some(file))
}

/// Reads a whole file; none if there is none.
pub(super) fn read(path: &Path, max_bytes: u64) -> Result<Option<Vec<u8>>, Error> {
    let Some(mut file) = open(path)? else {
        return Ok(None);
    };
    let size = file.metadata().map_err(Error::io("read", path))?.len();
    if size > max_bytes {
        return Err(Error::TooLarge {
            what: format!("\"{}\"", path.display()),
            max_bytes,
        });
    }
    let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0) + 1);
    Read::take(&mut file, max_bytes)
        .read_to_end(&mut bytes)
        .map_err(Error::io("read", path))?;
    Ok(Some(bytes))
}

/// What lies at a path, without following a link at its end; none if nothing does.
pub(super) fn stat(path: &Path) -> Result<Option<fs::Metadata>, Error> {
    match fs::symlink_metadata(path) {
        Ok(found) => Ok(Some(found)),
        Err(source) if is_absent(&source) => Ok(None),
        Err(source) => Err(Error::io("look at", path)(source)),
    }
}

/// Whether nothing lies there.
fn is_absent(source: &io::Error) -> bool {
    matches!(
        source.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

/// The names in a folder; none if there is no such folder.
pub(super) fn names(folder: &Path) -> Result<Vec<String>, Error> {
    let listing = match fs::read_dir(folder) {
        Ok(listing) => listing,
        Err(source) if is_absent(&source) => return Ok(Vec::new()),
        Err(source) => return Err(Error::io("list", folder)(source)),
    };
    let mut names = Vec::new();
    for found in listing {
        let found = found.map_err(Error::io("list", folder))?;
        names.push(found.file_name().to_string_lossy().into_owned());
    }
    Ok(names)
}

/// Makes a new file; an existing one is an error of kind `AlreadyExists`.
pub(super) fn create(path: &Path, mode: u32) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)
}

/// Opens a file to write at its end, with its folders, made where missing.
pub(super) fn append(path: &Path, bytes: &[u8]) -> Result<File, Error> {
    if let Some(folder) = path.parent() {
        make_folders(folder)?;
    }
    let flags = OFlags::NOFOLLOW.bits().cast_signed();
    let opened = OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o644)
        .custom_flags(flags)
        .open(path);
    let mut file = opened.map_err(Error::io("open", path))?;
    file.write_all(bytes).map_err(Error::io("write", path))?;
    Ok(file)
}

/// Opens or makes a file that serves as a lock of this program.
pub(super) fn open_lock(path: &Path) -> Result<File, Error> {
    let flags = OFlags::NOFOLLOW.bits().cast_signed();
    let opened = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(flags)
        .open(path);
    opened.map_err(Error::io("open", path))
}

/// Makes a folder and those above it.
pub(super) fn make_folders(folder: &Path) -> Result<(), Error> {
    if stat(folder)?.is_some_and(|found| found.is_dir()) {
        return Ok(());
    }
    let made = fs::DirBuilder::new()
        .recursive(true)
        .mode(0o755)
        .create(folder);
    made.map_err(Error::io("make the folder", folder))
}

/// Removes a folder of this program's own and everything in it; links in it are removed, not followed.
pub(super) fn remove_tree(folder: &Path) -> Result<(), Error> {
    match fs::remove_dir_all(folder) {
        Err(source) if !is_absent(&source) => Err(Error::io("remove", folder)(source)),
        _ => Ok(()),
    }
}

/// Copies a file to a new one; an existing one is an error of kind `AlreadyExists`.
pub(super) fn copy(from: &Path, to: &Path) -> Result<(), Error> {
    let mut source =
        open(from)?.ok_or_else(|| Error::io("read", from)(io::ErrorKind::NotFound.into()))?;
    let mut copy = create(to, 0o444).map_err(Error::io("make", to))?;
    io::copy(&mut source, &mut copy).map_err(Error::io("write", to))?;
    Ok(())
}

/// Gives a file its final name, in place of what had it.
pub(super) fn rename(from: &Path, to: &Path) -> io::Result<()> {
    fs::rename(from, to)
}

/// Gives a file a second name; an existing one is an error of kind `AlreadyExists`.
pub(super) fn link(from: &Path, to: &Path) -> io::Result<()> {
    fs::hard_link(from, to)
}

/// Removes a file; one that is not there is fine.
pub(super) fn remove(path: &Path) -> Result<(), Error> {
    match fs::remove_file(path) {
        Err(source) if !is_absent(&source) => Err(Error::io("remove", path)(source)),
        _ => Ok(()),
    }
}

/// Whether a path, links followed, lies in a folder or is it; one that cannot be followed is taken to.
pub(super) fn is_below(path: &Path, folder: &Path) -> bool {
    match (fs::canonicalize(path), fs::canonicalize(folder)) {
        (Ok(path), Ok(folder)) => path.starts_with(folder),
        (Err(source), _) if is_absent(&source) => path.starts_with(folder),
        _ => true,
    }
}

/// Refuses a link among the folders from `git` down to `below`, itself included: what is written or removed there would be
/// written or removed elsewhere.
pub(super) fn refuse_links(git: &Path, below: &Path) -> Result<(), Error> {
    let mut path = git.to_owned();
    for component in below.components() {
        path.push(component);
        if stat(&path)?.is_some_and(|found| !found.is_dir()) {
            return Err(Error::Unusual {
                path,
                what: "not a folder",
            });
        }
    }
    Ok(())
}

/// Whether two names are the same file.
pub(super) fn is_same(one: &Path, other: &Path) -> Result<bool, Error> {
    let (Some(one), Some(other)) = (stat(one)?, stat(other)?) else {
        return Ok(false);
    };
    Ok(one.dev() == other.dev() && one.ino() == other.ino())
}

/// Brings files or folders to the disk, before anything rests on them.
pub(super) fn flush(paths: &[PathBuf]) -> Result<(), Error> {
    if let [one] = paths {
        return flush_one(one);
    }
    if cfg!(target_os = "linux") && paths.len() >= FLUSH_ALL_FROM {
        return paths.first().map_or(Ok(()), |path| flush_all(path));
    }
    let share = paths.len().div_ceil(FLUSH_AT_ONCE).max(1);
    thread::scope(|scope| {
        let (first, others) = paths.split_at(share.min(paths.len()));
        let flush_share = |part: &[PathBuf]| part.iter().try_for_each(|path| flush_one(path));
        let running: Vec<_> = others
            .chunks(share)
            .map(|part| scope.spawn(move || flush_share(part)))
            .collect();
        let mut result = flush_share(first);
        for thread in running {
            let ended = thread.join().unwrap_or_else(|_| {
                Err(Error::io("flush", PathBuf::new())(io::Error::other(
                    "a thread ended",
                )))
            });
            result = result.and(ended);
        }
        result
    })
}

/// Brings one file or folder to the disk.
fn flush_one(path: &Path) -> Result<(), Error> {
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
    let opened = OpenOptions::new().read(true).custom_flags(flags).open(path);
    opened
        .and_then(|file| file.sync_all())
        .map_err(Error::io("flush", path))
}

/// Brings everything on the file system of `path` to the disk.
#[cfg(target_os = "linux")]
fn flush_all(path: &Path) -> Result<(), Error> {
    let file = File::open(path).map_err(Error::io("flush", path))?;
    rustix::fs::syncfs(&file).map_err(|code| Error::io("flush", path)(code.into()))
}

#[cfg(not(target_os = "linux"))]
fn flush_all(path: &Path) -> Result<(), Error> {
    flush_one(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flushing_any_number_works_and_tells_of_failure() {
        let folder = tempfile::tempdir().unwrap();
        for count in [0, 1, 2, 9, 63, 64, 70] {
            let mut paths: Vec<_> = (0..count)
                .map(|n| folder.path().join(n.to_string()))
                .collect();
            for path in &paths {
                fs::write(path, b"x").unwrap();
            }
            flush(&paths).unwrap();
            if (1..63).contains(&count) {
                paths.push(folder.path().join("absent"));
                assert!(flush(&paths).is_err());
            }
        }
    }

    #[test]
    fn links_and_folders_are_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("link");
        std::os::unix::fs::symlink("/etc/passwd", &link).unwrap();
        assert!(open(&link).is_err());
        assert!(open(folder.path()).is_err());
        assert!(open(&link.join("below")).unwrap().is_none());
        assert!(read(&folder.path().join("absent"), 9).unwrap().is_none());
        fs::write(folder.path().join("ten"), b"0123456789").unwrap();
        assert!(matches!(
            read(&folder.path().join("ten"), 9),
            Err(Error::TooLarge { .. })
        ));
    }
}
