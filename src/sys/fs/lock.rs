//! A lock that the kernel releases when its holder dies, with a mark that outlives it.

use std::fs::File;
use std::io;
use std::io::Write;
use std::path::Path;

use rustix::fs::FlockOperation;
use rustix::fs::Mode;
use rustix::fs::OFlags;

use super::Result;
use super::fail;

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

    /// A lock that this process has from another image of itself.
    pub fn inherited(file: File) -> Self {
        Self(file)
    }

    /// A handle to the lock, which is held as long as any of them is open.
    pub fn handle(&self) -> io::Result<std::os::fd::OwnedFd> {
        Ok(self.0.try_clone()?.into())
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
pub(super) fn lock_file(path: &Path) -> io::Result<File> {
    let append = OFlags::RDWR | OFlags::APPEND;
    let flags = append | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    Ok(File::from(rustix::fs::open(
        path,
        flags,
        Mode::RUSR | Mode::WUSR,
    )?))
}
