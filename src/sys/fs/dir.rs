//! A folder and what is below it, reached without following a link, and replaced atomically.

use std::fs::File;
use std::io;
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
use rustix::fs::Mode;
use rustix::fs::OFlags;
#[cfg(target_os = "linux")]
use rustix::fs::ResolveFlags;

use super::Kind;
use super::Result;
use super::Stat;
use super::TEMP_PREFIX;
use super::fail;
use super::read_regular;
use super::stat::kind_from;
use super::stat::kind_of;
use super::stat::regular;
use super::stat::stat_of;

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
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        if let Some(fd) = self.open_whole(below, flags) {
            return read_regular(&mut File::from(fd), max_bytes)
                .map(Some)
                .map_err(err);
        }
        let Some((folder, name)) = self.parent(below).map_err(err)? else {
            return Ok(None);
        };
        match rustix::fs::openat(&folder, name, flags, Mode::empty()) {
            Ok(fd) => read_regular(&mut File::from(fd), max_bytes)
                .map(Some)
                .map_err(err),
            Err(rustix::io::Errno::NOENT) => Ok(None),
            Err(errno) => {
                // A link or a socket is called that, whatever the system says of it.
                if let Ok(stat) = rustix::fs::statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW) {
                    regular(kind_of(stat.st_mode)).map_err(err)?;
                }
                Err(err(errno.into()))
            }
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

    /// What this folder itself is now.
    pub fn stat_self(&self) -> Option<Stat> {
        rustix::fs::fstat(&self.fd).ok().as_ref().map(stat_of)
    }

    /// What stands at a path, in one step: for hints, since a folder on the way may be a link.
    pub fn stat_at(&self, below: &Path) -> Option<Stat> {
        let stat = rustix::fs::statat(&self.fd, below, AtFlags::SYMLINK_NOFOLLOW);
        stat.ok().as_ref().map(stat_of)
    }

    /// Replaces or makes a private file: beside it first, then renamed over it; both reach the disk.
    /// Folders on the way are made, 0700.
    pub fn replace(&self, below: &Path, bytes: &[u8]) -> Result<()> {
        let whole = self.path.join(below);
        let err = |e| fail("write", &whole, e);
        let (folder, name) = self.make_parent(below).map_err(err)?;
        put(&folder, name, bytes, Over::Replace).map_err(err)
    }

    /// The same for many files. A great many reach the disk together, and only then get their names.
    pub fn replace_all(&self, files: &[(&Path, &[u8])]) -> Result<()> {
        if files.len() < TOGETHER_FROM || !cfg!(target_os = "linux") {
            let mut files = files.iter();
            return files.try_for_each(|(below, bytes)| self.replace(below, bytes));
        }
        let write = |folder: &Folder<'_>, below: &Path, bytes: &[u8]| {
            Ok(below.with_file_name(write_beside(folder, bytes)?))
        };
        let items: Vec<_> = files
            .iter()
            .map(|(below, bytes)| (*below, *bytes))
            .collect();
        let written = self.by_folder(&items, true, write);
        let done = self.name_all(files, &written);
        if done.is_err() {
            for temp in written.iter().flatten() {
                let _ = self.unlink(temp);
            }
        }
        done.and_then(|()| written.into_iter().try_for_each(|one| one.map(drop)))
    }

    /// Gives written files their names, if all are written: what was there is replaced.
    fn name_all(&self, files: &[(&Path, &[u8])], written: &[Result<PathBuf>]) -> Result<()> {
        let temps: Option<Vec<&PathBuf>> = written.iter().map(|one| one.as_ref().ok()).collect();
        let Some(temps) = temps else {
            return Ok(());
        };
        self.flush_all()?;
        let pairs: Vec<_> = files
            .iter()
            .zip(temps)
            .map(|((below, _), temp)| (*below, temp))
            .collect();
        let named = self.by_folder(&pairs, false, |folder, below, temp: &PathBuf| {
            let (old, new) = (temp.file_name(), below.file_name());
            let (old, new) = (old.unwrap_or_default(), new.unwrap_or_default());
            Ok(rustix::fs::renameat(folder, old, folder, new)?)
        });
        named.into_iter().collect::<Result<Vec<()>>>()?;
        self.flush_all()
    }

    /// Does something with each path, on all cores; a folder that has several in a row is opened once.
    fn by_folder<T: Copy + Sync, R: Send>(
        &self,
        items: &[(&Path, T)],
        make: bool,
        work: impl Fn(&Folder<'_>, &Path, T) -> io::Result<R> + Sync,
    ) -> Vec<Result<R>> {
        let shares: Vec<_> = items.chunks(SHARE).collect();
        let done = super::parallel(&shares, 2, |share| {
            let mut open: Option<(&Path, Folder<'_>)> = None;
            let mut done = Vec::with_capacity(share.len());
            for (below, item) in *share {
                let err = |e| fail("write", &self.path.join(below), e);
                let parent = below.parent().unwrap_or(Path::new(""));
                let folder = match open.take() {
                    Some((path, folder)) if path == parent => Ok(folder),
                    _ => self
                        .open_below(parent, make)
                        .and_then(|folder| folder.ok_or(io::ErrorKind::NotFound.into())),
                };
                done.push(folder.map_err(err).and_then(|folder| {
                    let one = work(&folder, below, *item).map_err(err);
                    open = Some((parent, folder));
                    one
                }));
            }
            done
        });
        done.into_iter().flatten().collect()
    }

    /// Brings everything on this folder's file system to the disk.
    #[cfg(target_os = "linux")]
    fn flush_all(&self) -> Result<()> {
        let flushed = rustix::fs::syncfs(&self.fd);
        flushed.map_err(|errno| fail("flush", &self.path, errno.into()))
    }

    #[cfg(not(target_os = "linux"))]
    fn flush_all(&self) -> Result<()> {
        let flushed = rustix::fs::fsync(&self.fd);
        flushed.map_err(|errno| fail("flush", &self.path, errno.into()))
    }

    fn unlink(&self, below: &Path) -> io::Result<()> {
        if let Some((folder, name)) = self.parent(below)? {
            rustix::fs::unlinkat(&folder, name, AtFlags::empty())?;
        }
        Ok(())
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
                let kind = match item.file_type() {
                    // Some file systems do not tell in their listings.
                    FileType::Unknown => {
                        let stat = rustix::fs::statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW);
                        kind_of(stat.map_err(|e| err(e.into()))?.st_mode)
                    }
                    known => kind_from(known),
                };
                names.push((name.to_owned(), kind));
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

    /// Opens a path of several components in one step where the system can, no link followed. Whoever gets `None` walks down, and finds
    /// out why.
    #[cfg(target_os = "linux")]
    fn open_whole(&self, below: &Path, flags: OFlags) -> Option<OwnedFd> {
        let is_plain = |part| matches!(part, Component::Normal(_));
        if below.components().count() < 2 || !below.components().all(is_plain) {
            return None;
        }
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
        rustix::fs::openat2(&self.fd, below, flags, Mode::empty(), resolve).ok()
    }

    #[cfg(not(target_os = "linux"))]
    fn open_whole(&self, _below: &Path, _flags: OFlags) -> Option<OwnedFd> {
        None
    }

    /// Walks down one component at a time; `None` if one is missing and `make` is not set.
    fn open_below(&self, below: &Path, make: bool) -> io::Result<Option<Folder<'_>>> {
        if let Some(fd) = self.open_whole(below, FOLDER | OFlags::NOFOLLOW) {
            return Ok(Some(Folder::Below(fd)));
        }
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

pub(super) const FOLDER: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::CLOEXEC);

/// From this many files on, one flush of the file system is cheaper than one a file.
const TOGETHER_FROM: usize = 16;
/// How many of them are one thread's share at a time.
const SHARE: usize = 256;

#[derive(Clone, Copy)]
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

/// Writes a temporary file; its name. It need not have reached the disk.
fn write_beside(folder: &Folder<'_>, bytes: &[u8]) -> io::Result<String> {
    let temp = temp_name()?;
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let fd = rustix::fs::openat(folder, &temp, flags, Mode::RUSR | Mode::WUSR)?;
    if let Err(error) = File::from(fd).write_all(bytes) {
        let _ = rustix::fs::unlinkat(folder, &temp, AtFlags::empty());
        return Err(error);
    }
    Ok(temp)
}

/// A new name for a temporary file: the prefix and 16 hex digits.
pub(super) fn temp_name() -> io::Result<String> {
    let mut random = [0_u8; 8];
    getrandom::fill(&mut random).map_err(|_| io::Error::other("no random bytes"))?;
    Ok(format!("{TEMP_PREFIX}{:016x}", u64::from_le_bytes(random)))
}
