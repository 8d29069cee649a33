//! One way to touch a file: private, bounded, atomic, and never through a link.
//!
//! Lives here: reading with a limit, replacing atomically, locking, and walking a store. Never here: what the bytes mean.
//! Any layer may use it; clippy refuses the standard calls everywhere else.

#![allow(clippy::disallowed_methods, reason = "the home of file access")]

mod walk;

use std::fmt;
use std::fs::File;
use std::io;
use std::io::Read;
use std::io::Write;
use std::os::fd::AsFd;
use std::os::fd::BorrowedFd;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Component;
use std::path::Path;
use std::path::PathBuf;

use rustix::fs::AtFlags;
use rustix::fs::FileType;
use rustix::fs::FlockOperation;
use rustix::fs::Mode;
use rustix::fs::OFlags;

pub use self::walk::Found;
pub use self::walk::Seen;
pub use self::walk::walk;
pub use self::walk::walk_with;

use crate::secret::Secret;

/// Prefix of the temporary files that this program makes (W-114).
pub const TEMP_PREFIX: &str = ".vault-tmp-";

/// What could not be done, and to which file.
#[derive(Debug)]
pub struct Error {
    /// The verb of the sentence: "read", "write", …
    pub action: &'static str,
    /// The file or folder.
    pub path: PathBuf,
    /// What the system said.
    pub source: io::Error,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "cannot {} {}: {}",
            self.action,
            self.path.display(),
            self.source
        )
    }
}

impl Error {
    /// Whether this user may not write there at all.
    pub fn is_read_only(&self) -> bool {
        let kind = self.source.kind();
        matches!(
            kind,
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem
        )
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

/// The outcome of something done to a file.
pub type Result<T> = std::result::Result<T, Error>;

/// What tells one state of a file from another without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    /// Length in bytes.
    pub size: u64,
    /// Last change of the content, in nanoseconds since 1970.
    pub mtime_nanos: i128,
    /// Inode number.
    pub inode: u64,
    /// Permission bits.
    pub mode: u32,
    /// Regular file, folder, link, …
    pub kind: Kind,
}

/// What stands at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// A folder.
    Folder,
    /// A symbolic link; never followed.
    Link,
    /// A socket, pipe or device.
    Special,
}

/// A folder held open. Everything below it is reached one component at a time, and never through a link.
pub struct Dir {
    fd: OwnedFd,
    path: PathBuf,
}

impl Dir {
    /// Opens a folder; links on the way to it are followed, it is the user who named it.
    pub fn open(path: &Path) -> Result<Self> {
        let fd = rustix::fs::open(path, FOLDER, Mode::empty());
        let fd = fd.map_err(|errno| fail("open", path, errno.into()))?;
        Ok(Self {
            fd,
            path: path.to_owned(),
        })
    }

    /// The path by which the folder was opened.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The bytes of a regular file of at most `max_bytes`; `None` if nothing is there.
    pub fn read(&self, below: &Path, max_bytes: u64) -> Result<Option<Vec<u8>>> {
        let whole = self.path.join(below);
        let err = |e| fail("read", &whole, e);
        let Some((folder, name)) = self.parent(below).map_err(err)? else {
            return Ok(None);
        };
        let stat = match rustix::fs::statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            Err(rustix::io::Errno::NOENT) => return Ok(None),
            Err(errno) => return Err(err(errno.into())),
        };
        regular(kind_of(stat.st_mode)).map_err(err)?;
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        match rustix::fs::openat(&folder, name, flags, Mode::empty()) {
            Ok(fd) => read_bounded(&mut File::from(fd), max_bytes)
                .map(Some)
                .map_err(err),
            Err(rustix::io::Errno::NOENT) => Ok(None),
            Err(errno) => Err(err(errno.into())),
        }
    }

    /// What stands at a path, without following a link; `None` if nothing does.
    pub fn stat(&self, below: &Path) -> Result<Option<Stat>> {
        let whole = self.path.join(below);
        let err = |e| fail("look at", &whole, e);
        let Some((folder, name)) = self.parent(below).map_err(err)? else {
            return Ok(None);
        };
        match rustix::fs::statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(stat_of(&stat))),
            Err(rustix::io::Errno::NOENT) => Ok(None),
            Err(errno) => Err(err(errno.into())),
        }
    }

    /// Replaces or makes a private file: beside it first, then renamed over it; both reach the disk.
    /// Folders on the way are made, 0700.
    pub fn replace(&self, below: &Path, bytes: &[u8]) -> Result<()> {
        let whole = self.path.join(below);
        let err = |e| fail("write", &whole, e);
        let (folder, name) = self.make_parent(below).map_err(err)?;
        put(&folder, name, bytes, Over::Replace).map_err(err)
    }

    /// Makes a private file that must not be there yet; else `AlreadyExists`, and nothing changes.
    pub fn create(&self, below: &Path, bytes: &[u8]) -> Result<()> {
        let whole = self.path.join(below);
        let err = |e| fail("make", &whole, e);
        let (folder, name) = self.make_parent(below).map_err(err)?;
        put(&folder, name, bytes, Over::Refuse).map_err(err)
    }

    /// Moves a file or folder within this folder; what stands at `to` is replaced.
    pub fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        let whole = self.path.join(to);
        let err = |e| fail("move", &whole, e);
        let Some((source, old)) = self.parent(from).map_err(err)? else {
            return Err(err(io::ErrorKind::NotFound.into()));
        };
        let (target, new) = self.make_parent(to).map_err(err)?;
        rustix::fs::renameat(&source, old, &target, new).map_err(|e| err(e.into()))?;
        rustix::fs::fsync(&target).map_err(|e| err(e.into()))?;
        rustix::fs::fsync(&source).map_err(|e| err(e.into()))
    }

    /// Removes a file, then the folders that are empty without it. Nothing there is no error.
    pub fn remove(&self, below: &Path) -> Result<()> {
        let whole = self.path.join(below);
        let err = |e| fail("remove", &whole, e);
        let Some((folder, name)) = self.parent(below).map_err(err)? else {
            return Ok(());
        };
        match rustix::fs::unlinkat(&folder, name, AtFlags::empty()) {
            Ok(()) => rustix::fs::fsync(&folder).map_err(|e| err(e.into()))?,
            Err(rustix::io::Errno::NOENT) => {}
            Err(errno) => return Err(err(errno.into())),
        }
        for parent in below
            .ancestors()
            .skip(1)
            .filter(|p| !p.as_os_str().is_empty())
        {
            let Some((folder, name)) = self.parent(parent).map_err(err)? else {
                continue;
            };
            if rustix::fs::unlinkat(&folder, name, AtFlags::REMOVEDIR).is_err() {
                break;
            }
        }
        Ok(())
    }

    /// The names in a folder below this one, unsorted; empty if there is no such folder.
    pub fn names(&self, below: &Path) -> Result<Vec<(PathBuf, Kind)>> {
        let whole = self.path.join(below);
        let err = |e| fail("list", &whole, e);
        let folder = match self.open_below(below, false) {
            Ok(Some(folder)) => folder,
            Ok(None) => return Ok(Vec::new()),
            Err(error) => return Err(err(error)),
        };
        let mut names = Vec::new();
        for item in rustix::fs::Dir::read_from(&folder).map_err(|e| err(e.into()))? {
            let item = item.map_err(|e| err(e.into()))?;
            let name = Path::new(std::ffi::OsStr::from_bytes(item.file_name().to_bytes()));
            if name != Path::new(".") && name != Path::new("..") {
                names.push((name.to_owned(), kind_from(item.file_type())));
            }
        }
        Ok(names)
    }

    /// Makes a folder below this one, 0700, with those on the way.
    pub fn make_folder(&self, below: &Path) -> Result<()> {
        let made = self.open_below(below, true);
        made.map(|_| ())
            .map_err(|e| fail("make", &self.path.join(below), e))
    }

    /// Sets the permission bits of a file or folder that is not a link.
    pub fn set_mode(&self, below: &Path, mode: u32) -> Result<()> {
        let whole = self.path.join(below);
        let err = |e| fail("set the mode of", &whole, e);
        let Some((folder, name)) = self.parent(below).map_err(err)? else {
            return Ok(());
        };
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let mode = Mode::from_raw_mode(mode);
        let done = match rustix::fs::openat(&folder, name, flags, Mode::empty()) {
            Ok(fd) => rustix::fs::fchmod(&fd, mode),
            // One that its owner may not read cannot be opened; it is no link, or the error would be another.
            Err(rustix::io::Errno::ACCESS) => {
                rustix::fs::chmodat(&folder, name, mode, AtFlags::empty())
            }
            Err(errno) => Err(errno),
        };
        done.map_err(|e| err(e.into()))
    }

    /// The folder that holds a path, and the last component; `None` if a folder on the way is missing.
    fn parent<'p>(&self, below: &'p Path) -> io::Result<Option<(Folder<'_>, &'p Path)>> {
        let name = below.file_name().ok_or(io::ErrorKind::InvalidInput)?;
        let folder = self.open_below(below.parent().unwrap_or(Path::new("")), false)?;
        Ok(folder.map(|folder| (folder, Path::new(name))))
    }

    fn make_parent<'p>(&self, below: &'p Path) -> io::Result<(Folder<'_>, &'p Path)> {
        let name = below.file_name().ok_or(io::ErrorKind::InvalidInput)?;
        let folder = self.open_below(below.parent().unwrap_or(Path::new("")), true)?;
        folder
            .map(|folder| (folder, Path::new(name)))
            .ok_or(io::ErrorKind::NotFound.into())
    }

    /// Walks down one component at a time; `None` if one is missing and `make` is not set.
    fn open_below(&self, below: &Path, make: bool) -> io::Result<Option<Folder<'_>>> {
        let mut folder = Folder::This(self.fd.as_fd());
        for component in below.components() {
            let Component::Normal(name) = component else {
                return Err(io::ErrorKind::InvalidInput.into());
            };
            let next =
                match rustix::fs::openat(&folder, name, FOLDER | OFlags::NOFOLLOW, Mode::empty()) {
                    Err(rustix::io::Errno::NOENT) if make => {
                        match rustix::fs::mkdirat(&folder, name, Mode::RWXU) {
                            Ok(()) => rustix::fs::fsync(&folder)?,
                            Err(rustix::io::Errno::EXIST) => {}
                            Err(errno) => return Err(errno.into()),
                        }
                        rustix::fs::openat(&folder, name, FOLDER | OFlags::NOFOLLOW, Mode::empty())?
                    }
                    Err(rustix::io::Errno::NOENT) => return Ok(None),
                    other => other?,
                };
            folder = Folder::Below(next);
        }
        Ok(Some(folder))
    }
}

/// A folder that is held open already, or was opened on the way.
enum Folder<'d> {
    This(BorrowedFd<'d>),
    Below(OwnedFd),
}

impl AsFd for Folder<'_> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::This(fd) => *fd,
            Self::Below(fd) => fd.as_fd(),
        }
    }
}

const FOLDER: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::CLOEXEC);

/// A lock on a file, held until dropped or until the process ends, however it ends.
///
/// Whoever works under it marks it and clears the mark in the end: a mark on a lock that is free tells that one died at work.
pub struct Lock(File);

impl Lock {
    /// Marks the lock as being worked under.
    pub fn mark(&self) -> io::Result<()> {
        (&self.0).write_all(b"busy\n")
    }

    /// Clears the mark.
    pub fn clear(&self) -> io::Result<()> {
        self.0.set_len(0)
    }

    /// Whether somebody died at work under it.
    pub fn is_marked(&self) -> bool {
        self.0.metadata().is_ok_and(|meta| meta.len() > 0)
    }

    /// Takes the lock; `on_wait` is called once if another process holds it.
    pub fn acquire(path: &Path, on_wait: impl FnOnce()) -> Result<Self> {
        let err = |e| fail("lock", path, e);
        let file = lock_file(path).map_err(err)?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(Self(file)),
            Err(rustix::io::Errno::WOULDBLOCK) => on_wait(),
            Err(errno) => return Err(err(errno.into())),
        }
        loop {
            match rustix::fs::flock(&file, FlockOperation::LockExclusive) {
                Ok(()) => return Ok(Self(file)),
                Err(rustix::io::Errno::INTR) => {}
                Err(errno) => return Err(err(errno.into())),
            }
        }
    }

    /// Takes the lock if it is free.
    pub fn try_acquire(path: &Path) -> Result<Option<Self>> {
        let err = |e| fail("lock", path, e);
        let file = lock_file(path).map_err(err)?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(Self(file))),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
            Err(errno) => Err(err(errno.into())),
        }
    }
}

/// Opens or makes a lock file.
fn lock_file(path: &Path) -> io::Result<File> {
    let append = OFlags::RDWR | OFlags::APPEND;
    let flags = append | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    Ok(File::from(rustix::fs::open(
        path,
        flags,
        Mode::RUSR | Mode::WUSR,
    )?))
}

/// The bytes of a file that the user named; links are followed, anything but a regular file is refused.
pub fn read(path: &Path, max_bytes: u64) -> Result<Vec<u8>> {
    let err = |e| fail("read", path, e);
    let mut file = open_named(path).map_err(err)?;
    read_bounded(&mut file, max_bytes).map_err(err)
}

/// The same into a buffer that is wiped.
pub fn read_secret(path: &Path, max_bytes: u64) -> Result<Secret> {
    read(path, max_bytes).map(Secret::new)
}

/// Everything from a stream of unknown length, up to a limit, leaving no copy behind while the buffer grows.
pub fn read_stream(stream: &mut dyn Read, max_bytes: u64) -> io::Result<Secret> {
    let mut whole = zeroize::Zeroizing::new(Vec::with_capacity(1 << 16));
    loop {
        if whole.len() == whole.capacity() {
            let mut larger = zeroize::Zeroizing::new(Vec::with_capacity(whole.capacity() * 4));
            larger.extend_from_slice(&whole);
            whole = larger;
        }
        let room = (whole.capacity() - whole.len()) as u64;
        if stream.take(room).read_to_end(&mut whole)? == 0 {
            return Ok(Secret::new(std::mem::take(&mut *whole)));
        }
        if whole.len() as u64 > max_bytes {
            return Err(too_large(max_bytes));
        }
    }
}

/// What stands at a path that the user named, links followed; `None` if nothing does.
pub fn kind(path: &Path) -> Option<Kind> {
    let kind = std::fs::metadata(path).ok()?;
    Some(if kind.is_file() {
        Kind::File
    } else if kind.is_dir() {
        Kind::Folder
    } else {
        Kind::Special
    })
}

/// The path with every link resolved; `None` if something on it is missing.
pub fn canonical(path: &Path) -> Option<PathBuf> {
    std::fs::canonicalize(path).ok()
}

/// Makes a folder for this user alone, with those on the way; an existing one is left as it is.
pub fn make_private(path: &Path) -> Result<Dir> {
    use std::os::unix::fs::DirBuilderExt;
    let made = std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path);
    made.map_err(|e| fail("make", path, e))?;
    Dir::open(path)
}

/// Removes a folder of our own making and everything in it; links in it are removed, not followed.
pub fn remove_tree(path: &Path) -> Result<()> {
    match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(fail("remove", path, error)),
        _ => Ok(()),
    }
}

/// Adds a record to the end of a private file in one write; a write cut short is taken back.
pub fn append(path: &Path, bytes: &[u8]) -> Result<()> {
    let err = |e| fail("write", path, e);
    let mut file = lock_file(path).map_err(err)?;
    let before = file.metadata().map_err(err)?.len();
    file.write_all(bytes).map_err(|error| {
        let _ = file.set_len(before);
        err(error)
    })
}

/// Applies a function to every item, in order, on all cores once there are more than `least` items.
pub fn parallel<T: Sync, R: Send>(
    items: &[T],
    least: usize,
    work: impl Fn(&T) -> R + Sync,
) -> Vec<R> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    if items.len() < least || cores == 1 {
        return items.iter().map(work).collect();
    }
    let share = items.len().div_ceil(cores).max(1);
    let work = &work;
    std::thread::scope(|scope| {
        let threads: Vec<_> = items
            .chunks(share)
            .map(|chunk| scope.spawn(move || chunk.iter().map(work).collect::<Vec<_>>()))
            .collect();
        threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap_or_default())
            .collect()
    })
}

enum Over {
    Replace,
    Refuse,
}

/// Writes beside the target, makes it reach the disk, then gives it its name.
fn put(folder: &Folder<'_>, name: &Path, bytes: &[u8], over: Over) -> io::Result<()> {
    let temp = temp_name()?;
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let fd = rustix::fs::openat(folder, &temp, flags, Mode::RUSR | Mode::WUSR)?;
    let mut file = File::from(fd);
    let done = file
        .write_all(bytes)
        .and_then(|()| file.sync_all())
        .and_then(|()| match over {
            Over::Replace => Ok(rustix::fs::renameat(folder, &temp, folder, name)?),
            Over::Refuse => {
                rustix::fs::linkat(folder, &temp, folder, name, AtFlags::empty())?;
                Ok(rustix::fs::unlinkat(folder, &temp, AtFlags::empty())?)
            }
        });
    if let Err(error) = done {
        let _ = rustix::fs::unlinkat(folder, &temp, AtFlags::empty());
        return Err(error);
    }
    Ok(rustix::fs::fsync(folder)?)
}

/// A new name for a temporary file: the prefix and 16 hex digits.
fn temp_name() -> io::Result<String> {
    let mut random = [0_u8; 8];
    getrandom::fill(&mut random).map_err(|_| io::Error::other("no random bytes"))?;
    Ok(format!("{TEMP_PREFIX}{:016x}", u64::from_le_bytes(random)))
}

/// Opens a file that the user named, if it is a regular one. A pipe is let through: `--from-file <(...)`.
fn open_named(path: &Path) -> io::Result<File> {
    let file = File::open(path)?;
    if file.metadata()?.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    Ok(file)
}

/// Reads a whole file into a buffer that is as large as it will get before it is filled.
fn read_bounded(file: &mut File, max_bytes: u64) -> io::Result<Vec<u8>> {
    let stat = rustix::fs::fstat(&*file)?;
    if kind_of(stat.st_mode) != Kind::File {
        let secret = read_stream(file, max_bytes)?;
        return Ok(secret.expose().to_vec());
    }
    let size = stat_of(&stat).size;
    if size > max_bytes {
        return Err(too_large(max_bytes));
    }
    let size = usize::try_from(size).map_err(|_| too_large(max_bytes))?;
    // The size that it had when it was opened: what is appended meanwhile belongs to the next reading.
    let mut bytes = vec![0; size];
    let mut filled = 0;
    while let Some(free) = bytes.get_mut(filled..).filter(|free| !free.is_empty()) {
        match file.read(free) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    bytes.truncate(filled);
    Ok(bytes)
}

fn too_large(max_bytes: u64) -> io::Error {
    let limit = match (max_bytes % (1 << 20), max_bytes % (1 << 10)) {
        (0, _) => format!("{} MiB", max_bytes >> 20),
        (_, 0) => format!("{} KiB", max_bytes >> 10),
        _ => format!("{max_bytes} bytes"),
    };
    let text = format!("larger than the limit of {limit}");
    io::Error::new(io::ErrorKind::FileTooLarge, text)
}

fn regular(kind: Kind) -> io::Result<()> {
    let what = match kind {
        Kind::File => return Ok(()),
        Kind::Folder => "is a folder",
        Kind::Link => "is a symbolic link",
        Kind::Special => "is a socket, pipe or device",
    };
    Err(io::Error::new(io::ErrorKind::InvalidInput, what))
}

fn kind_of(mode: rustix::fs::RawMode) -> Kind {
    kind_from(FileType::from_raw_mode(mode))
}

fn kind_from(file_type: FileType) -> Kind {
    match file_type {
        FileType::RegularFile => Kind::File,
        FileType::Directory => Kind::Folder,
        FileType::Symlink => Kind::Link,
        _ => Kind::Special,
    }
}

#[allow(
    clippy::unnecessary_cast,
    reason = "the fields' widths differ between systems"
)]
#[allow(
    clippy::cast_sign_loss,
    clippy::cast_lossless,
    reason = "sizes are not negative"
)]
fn stat_of(stat: &rustix::fs::Stat) -> Stat {
    Stat {
        size: stat.st_size as u64,
        mtime_nanos: i128::from(stat.st_mtime) * 1_000_000_000 + stat.st_mtime_nsec as i128,
        inode: stat.st_ino as u64,
        mode: stat.st_mode as u32 & 0o7777,
        kind: kind_of(stat.st_mode),
    }
}

fn fail(action: &'static str, path: &Path, source: io::Error) -> Error {
    Error {
        action,
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests;
