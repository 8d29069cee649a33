//! A person's own folder, such as the home: links on the way are followed only where they stay below it, nothing is written that
//! another user could put his hand on, and nothing is written over but what was seen.
//!
//! Lives here: finding a place below such a folder, reading there, and replacing atomically. Never here: which files, or why.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::io;
use std::io::Write;
use std::os::fd::AsFd;
use std::os::fd::BorrowedFd;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::ffi::OsStringExt;
use std::path::Component;
use std::path::Path;
use std::path::PathBuf;

use rustix::fs::AtFlags;
use rustix::fs::Mode;
use rustix::fs::OFlags;
use rustix::io::Errno;

use super::Kind;
use super::Stat;
use super::dir::FOLDER;
use super::dir::temp_name;
use super::read_bounded;
use super::stat::stat_of;
use crate::secret::Secret;

/// More links on the way to one file are a circle.
const LINKS_MAX: usize = 40;
/// So many files are written before they get their names together.
pub const CHUNK: usize = 128;
/// From this many on, one flush of the file system is cheaper than one a file.
const TOGETHER_FROM: usize = 16;

/// Why nothing is read or written at a place.
#[derive(Debug)]
pub enum Unfit {
    /// A link on the way leads out of the folder.
    Leaves(PathBuf),
    /// What should be a folder is something else.
    NoFolder(PathBuf),
    /// It belongs to another user.
    Foreign(PathBuf),
    /// It is a folder, a socket, a pipe or a device.
    Kind(Kind),
    /// It is not what it was when it was looked at.
    Changed,
    /// The system said no.
    Io(io::Error),
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Leaves(path) => write!(f, "the link {} on its way leads elsewhere", shown(path)),
            Self::NoFolder(path) => write!(f, "{} on its way is no folder", shown(path)),
            Self::Foreign(path) => write!(f, "{} belongs to another user", shown(path)),
            Self::Kind(Kind::Folder) => write!(f, "there is a folder in its place"),
            Self::Kind(_) => write!(f, "there is a socket, pipe or device in its place"),
            Self::Changed => write!(f, "it was changed meanwhile"),
            Self::Io(error) => error.fmt(f),
        }
    }
}

fn shown(path: &Path) -> String {
    format!("\"{}\"", path.to_string_lossy().escape_debug())
}

impl From<Errno> for Unfit {
    fn from(errno: Errno) -> Self {
        Self::Io(errno.into())
    }
}

impl From<io::Error> for Unfit {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// What is found or done at a place.
pub type Found<T> = std::result::Result<T, Unfit>;

/// A folder below which everything stays.
pub struct Root {
    fd: OwnedFd,
    path: PathBuf,
    user: u32,
}

/// What stands at a place, and which place that is with every link on the way resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Look {
    /// The place below the root, as it is on the disk.
    pub real: PathBuf,
    /// What stands there; none if nothing does.
    pub stat: Option<Stat>,
}

/// What is to be written.
pub enum What<'c> {
    /// A regular file, with its permission bits.
    File(&'c Secret, u32),
    /// A symbolic link, with what it says.
    Link(&'c Secret),
}

/// One file to be written.
pub struct Writing<'c> {
    /// The place below the root with every link on the way resolved, as [`Root::look`] tells it: a link on it by now is not followed.
    pub below: PathBuf,
    /// What is to be there.
    pub what: What<'c>,
    /// What was there when it was looked at.
    pub seen: Option<Stat>,
    /// The file's name until it is whole.
    pub temp: String,
}

impl<'c> Writing<'c> {
    /// One file, under a new name until it is whole.
    pub fn new(below: &Path, what: What<'c>, seen: Option<Stat>) -> io::Result<Self> {
        Ok(Self {
            below: below.to_owned(),
            what,
            seen,
            temp: temp_name()?,
        })
    }

    /// The place of the file until it is whole.
    pub fn temp_place(&self) -> PathBuf {
        self.below.with_file_name(&self.temp)
    }
}

/// The folder that holds a place, and what the place is really called.
struct Parent<'r> {
    folder: Held<'r>,
    name: OsString,
    real: PathBuf,
}

enum Held<'r> {
    Root(BorrowedFd<'r>),
    Below(OwnedFd),
}

impl AsFd for Held<'_> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Root(fd) => *fd,
            Self::Below(fd) => fd.as_fd(),
        }
    }
}

/// Where a walk has come to.
enum Walked<'r> {
    /// To its end.
    There(Held<'r>, PathBuf),
    /// To a folder that is missing: what the whole would be called.
    Missing(PathBuf),
}

impl Root {
    /// Opens the folder; links on the way to it are followed.
    pub fn open(path: &Path) -> super::Result<Self> {
        let err = |e: io::Error| super::fail("open", path, e);
        let real = std::fs::canonicalize(path).map_err(err)?;
        let fd = rustix::fs::open(&real, FOLDER, Mode::empty()).map_err(|e| err(e.into()))?;
        Ok(Self {
            fd,
            path: real,
            user: rustix::process::geteuid().as_raw(),
        })
    }

    /// The folder, with every link resolved.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What stands at a place, in one step: to compare with what was seen there, since a folder on the way may be a link.
    pub fn glance(&self, below: &Path) -> Option<Stat> {
        let stat = rustix::fs::statat(&self.fd, below, AtFlags::SYMLINK_NOFOLLOW);
        stat.ok().as_ref().map(stat_of)
    }

    /// What stands at a place, if it is one where something of ours may be put.
    pub fn look(&self, below: &Path) -> Found<Look> {
        let (folder, name) = split(below)?;
        let (folder, mut real) = match self.walk(folder, false)? {
            Walked::There(folder, real) => (folder, real),
            Walked::Missing(mut real) => {
                real.push(name);
                return Ok(Look { real, stat: None });
            }
        };
        real.push(&name);
        let stat = self.stat_in(&folder, &name, &real)?;
        Ok(Look { real, stat })
    }

    /// The bytes of the regular file, or what the link says, with its state; none if nothing is there.
    pub fn read(&self, below: &Path, max_bytes: u64) -> Found<Option<(Secret, Stat)>> {
        let Some(parent) = self.parent(below, false)? else {
            return Ok(None);
        };
        let Some(stat) = self.stat_in(&parent.folder, &parent.name, &parent.real)? else {
            return Ok(None);
        };
        if stat.kind == Kind::Link {
            let text = rustix::fs::readlinkat(&parent.folder, &parent.name, Vec::new())?;
            return Ok(Some((Secret::new(text.into_bytes()), stat)));
        }
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(&parent.folder, &parent.name, flags, Mode::empty())?;
        // The state of what is read, not of what a look has found.
        let stat = self.fit(stat_of(&rustix::fs::fstat(&fd)?), &parent.real)?;
        let bytes = read_bounded(&mut File::from(fd), max_bytes)?;
        Ok(Some((Secret::new(bytes), stat)))
    }

    /// Sets the permission bits of the file that was seen, and tells its state then.
    pub fn set_mode(&self, below: &Path, mode: u32, seen: &Stat) -> Found<Option<Stat>> {
        let parent = self.parent(below, false)?.ok_or(Unfit::Changed)?;
        if self.stat_in(&parent.folder, &parent.name, &parent.real)? != Some(*seen) {
            return Err(Unfit::Changed);
        }
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let bits = Mode::from_raw_mode(mode & 0o777);
        match rustix::fs::openat(&parent.folder, &parent.name, flags, Mode::empty()) {
            Ok(fd) => rustix::fs::fchmod(&fd, bits)?,
            // One that its owner may not read cannot be opened; it is no link, or the error would be another.
            Err(Errno::ACCESS) => {
                rustix::fs::chmodat(&parent.folder, &parent.name, bits, AtFlags::empty())?;
            }
            Err(errno) => return Err(errno.into()),
        }
        self.stat_in(&parent.folder, &parent.name, &parent.real)
    }

    /// Writes many files: all beside their places first, then each gets its name, if what is there is still what was seen.
    /// One answer a file, with its state. At most [`CHUNK`] at a time.
    pub fn write(&self, writings: &[Writing<'_>]) -> Vec<Found<Stat>> {
        let is_many = writings.len() >= TOGETHER_FROM && cfg!(target_os = "linux");
        let begun: Vec<Found<Parent<'_>>> = writings
            .iter()
            .map(|writing| self.begin(writing, !is_many))
            .collect();
        if is_many && let Err(error) = self.flush() {
            for (parent, writing) in begun.iter().zip(writings) {
                if let Ok(parent) = parent {
                    discard(parent, &writing.temp);
                }
            }
            let again = |_| Err(Unfit::Io(io::Error::from(error.kind())));
            return writings.iter().map(again).collect();
        }
        let done: Vec<Found<Stat>> = begun
            .into_iter()
            .zip(writings)
            .map(|(parent, writing)| self.finish(&parent?, writing, !is_many))
            .collect();
        if is_many && let Err(error) = self.flush() {
            let again = |_| Err(Unfit::Io(io::Error::from(error.kind())));
            return writings.iter().map(again).collect();
        }
        done
    }

    /// Removes a file that did not become whole.
    pub fn remove_temp(&self, below: &Path) -> Found<()> {
        if let Some(parent) = self.parent(below, false)? {
            discard(&parent, &parent.name.to_string_lossy());
        }
        Ok(())
    }

    #[cfg(target_os = "linux")]
    fn flush(&self) -> io::Result<()> {
        Ok(rustix::fs::syncfs(&self.fd)?)
    }

    #[cfg(not(target_os = "linux"))]
    fn flush(&self) -> io::Result<()> {
        Ok(rustix::fs::fsync(&self.fd)?)
    }

    /// Writes the file beside its place.
    fn begin(&self, writing: &Writing<'_>, flush: bool) -> Found<Parent<'_>> {
        let parent = self.parent(&writing.below, true)?;
        let parent = parent.ok_or(Unfit::Io(io::ErrorKind::NotFound.into()))?;
        if self.stat_in(&parent.folder, &parent.name, &parent.real)? != writing.seen {
            return Err(Unfit::Changed);
        }
        let done = match &writing.what {
            What::Link(text) => {
                let text = Path::new(std::ffi::OsStr::from_bytes(text.expose()));
                rustix::fs::symlinkat(text, &parent.folder, &writing.temp).map_err(Unfit::from)
            }
            What::File(bytes, mode) => write_temp(&parent, &writing.temp, (bytes, *mode), flush),
        };
        if let Err(error) = done {
            discard(&parent, &writing.temp);
            return Err(error);
        }
        Ok(parent)
    }

    /// Gives a written file its name.
    fn finish(&self, parent: &Parent<'_>, writing: &Writing<'_>, flush: bool) -> Found<Stat> {
        let now = self.stat_in(&parent.folder, &parent.name, &parent.real);
        let done = match now {
            Ok(now) if now != writing.seen => Err(Unfit::Changed),
            Ok(_) => name_temp(parent, writing),
            Err(error) => Err(error),
        };
        if let Err(error) = done {
            discard(parent, &writing.temp);
            return Err(error);
        }
        if flush {
            rustix::fs::fsync(&parent.folder)?;
        }
        let stat = self.stat_in(&parent.folder, &parent.name, &parent.real)?;
        stat.ok_or(Unfit::Changed)
    }

    /// What stands in a folder under a name, if that may be ours.
    fn stat_in(&self, folder: &Held<'_>, name: &OsString, real: &Path) -> Found<Option<Stat>> {
        match rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => self.fit(stat_of(&stat), real).map(Some),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(errno.into()),
        }
    }

    fn fit(&self, stat: Stat, real: &Path) -> Found<Stat> {
        match stat.kind {
            Kind::Folder | Kind::Special => Err(Unfit::Kind(stat.kind)),
            _ if stat.owner != self.user => Err(Unfit::Foreign(real.to_owned())),
            _ => Ok(stat),
        }
    }

    /// The folder that holds a place; none if it is missing and not made. Where it is made no link is followed.
    fn parent(&self, below: &Path, make: bool) -> Found<Option<Parent<'_>>> {
        let (folder, name) = split(below)?;
        match self.walk(folder, make)? {
            Walked::Missing(_) => Ok(None),
            Walked::There(folder, real) => Ok(Some(Parent {
                folder,
                real: real.join(&name),
                name,
            })),
        }
    }

    /// Goes down one component at a time. A link is replaced by what it says, as long as that is below the root.
    fn walk(&self, below: &Path, make: bool) -> Found<Walked<'_>> {
        let mut ahead = components(below);
        let mut stack: Vec<(OwnedFd, OsString)> = Vec::new();
        let mut links = 0;
        while let Some(name) = ahead.pop_front() {
            if name == ".." {
                if stack.pop().is_none() {
                    return Err(Unfit::Leaves(below.to_owned()));
                }
                continue;
            }
            let here = stack.last().map_or(self.fd.as_fd(), |(fd, _)| fd.as_fd());
            let path = || real(&stack).join(&name);
            match rustix::fs::openat(here, &name, FOLDER | OFlags::NOFOLLOW, Mode::empty()) {
                Ok(fd) => {
                    self.own(&fd, path)?;
                    stack.push((fd, name));
                }
                Err(Errno::NOENT) if !make => {
                    let rest: PathBuf = ahead.iter().collect();
                    if ahead.iter().any(|name| name == "..") {
                        return Err(Unfit::NoFolder(path()));
                    }
                    return Ok(Walked::Missing(path().join(rest)));
                }
                Err(Errno::NOENT) => {
                    match rustix::fs::mkdirat(here, &name, Mode::RWXU) {
                        Ok(()) => rustix::fs::fsync(here)?,
                        Err(Errno::EXIST) => {}
                        Err(errno) => return Err(errno.into()),
                    }
                    let fd =
                        rustix::fs::openat(here, &name, FOLDER | OFlags::NOFOLLOW, Mode::empty())?;
                    self.own(&fd, path)?;
                    stack.push((fd, name));
                }
                // Where something is made no link was on the way when it was looked at.
                Err(Errno::LOOP | Errno::NOTDIR) if make => return Err(Unfit::Changed),
                Err(Errno::LOOP | Errno::NOTDIR) => {
                    let text = match rustix::fs::readlinkat(here, &name, Vec::new()) {
                        Ok(text) => PathBuf::from(OsString::from_vec(text.into_bytes())),
                        Err(Errno::INVAL) => return Err(Unfit::NoFolder(path())),
                        Err(errno) => return Err(errno.into()),
                    };
                    links += 1;
                    if links > LINKS_MAX {
                        return Err(Unfit::NoFolder(path()));
                    }
                    let mut next = if text.is_absolute() {
                        let inside = text.strip_prefix(&self.path);
                        let inside = inside.map_err(|_| Unfit::Leaves(path()))?.to_owned();
                        stack.clear();
                        components(&inside)
                    } else {
                        components(&text)
                    };
                    next.append(&mut ahead);
                    ahead = next;
                }
                Err(errno) => return Err(errno.into()),
            }
        }
        let real = real(&stack);
        let folder = match stack.pop() {
            Some((fd, _)) => Held::Below(fd),
            None => Held::Root(self.fd.as_fd()),
        };
        Ok(Walked::There(folder, real))
    }

    /// A folder of another user may become anything under our hands.
    fn own(&self, fd: &OwnedFd, path: impl FnOnce() -> PathBuf) -> Found<()> {
        let stat = stat_of(&rustix::fs::fstat(fd)?);
        if stat.owner == self.user {
            return Ok(());
        }
        Err(Unfit::Foreign(path()))
    }
}

/// Writes a file under its temporary name.
fn write_temp(
    parent: &Parent<'_>,
    temp: &str,
    (bytes, mode): (&Secret, u32),
    flush: bool,
) -> Found<()> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let fd = rustix::fs::openat(&parent.folder, temp, flags, Mode::RUSR | Mode::WUSR)?;
    let mut file = File::from(fd);
    file.write_all(bytes.expose())?;
    rustix::fs::fchmod(&file, Mode::from_raw_mode(mode & 0o777))?;
    if flush {
        file.sync_all()?;
    }
    Ok(())
}

/// Gives a temporary file its name. Where nothing was seen, nothing is replaced.
fn name_temp(parent: &Parent<'_>, writing: &Writing<'_>) -> Found<()> {
    let (folder, temp, name) = (&parent.folder, &writing.temp, &parent.name);
    if writing.seen.is_some() {
        return Ok(rustix::fs::renameat(folder, temp, folder, name)?);
    }
    match rename_new(folder, temp, name) {
        Err(Errno::EXIST) => Err(Unfit::Changed),
        // Not every file system knows how; there it was not there a moment ago.
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {
            Ok(rustix::fs::renameat(folder, temp, folder, name)?)
        }
        other => Ok(other?),
    }
}

#[cfg(any(target_os = "linux", target_vendor = "apple"))]
fn rename_new(folder: &Held<'_>, temp: &str, name: &OsString) -> rustix::io::Result<()> {
    let flags = rustix::fs::RenameFlags::NOREPLACE;
    rustix::fs::renameat_with(folder, temp, folder, name, flags)
}

#[cfg(not(any(target_os = "linux", target_vendor = "apple")))]
fn rename_new(_: &Held<'_>, _: &str, _: &OsString) -> rustix::io::Result<()> {
    Err(Errno::NOSYS)
}

fn discard(parent: &Parent<'_>, temp: &str) {
    let _ = rustix::fs::unlinkat(&parent.folder, temp, AtFlags::empty());
}

/// The path of a row of folders.
fn real(stack: &[(OwnedFd, OsString)]) -> PathBuf {
    stack.iter().map(|(_, name)| name).collect()
}

/// The folder and the last component of a place.
fn split(below: &Path) -> Found<(&Path, OsString)> {
    let invalid = || Unfit::Io(io::ErrorKind::InvalidInput.into());
    let is_plain = |component| matches!(component, Component::Normal(_));
    if !below.components().all(is_plain) {
        return Err(invalid());
    }
    let name = below.file_name().ok_or_else(invalid)?.to_owned();
    Ok((below.parent().unwrap_or(Path::new("")), name))
}

fn components(path: &Path) -> VecDeque<OsString> {
    path.components()
        .filter_map(|component| match component {
            Component::Normal(name) => Some(name.to_owned()),
            Component::ParentDir => Some("..".into()),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests;
