//! Git's locks, and this program's own workplace inside `.git`.
//!
//! Lives here: `.git/vault-tmp/`, held by one process at a time through a kernel lock, where every new file begins; and
//! `NAME.lock`, git's protocol. Never here: what is written. Called by the git layer alone.
//!
//! A lock file of git's outlives a killed process. So ours are made as a second name of a file in the workplace: whoever
//! holds the workplace next tells by that which locks were this program's, and removes them and no others.

use std::cell::Cell;
use std::fs::File;
use std::io;
use std::io::Write;
use std::path::Component;
use std::path::Path;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use rustix::fs::FlockOperation;

use crate::git::Error;
use crate::git::disk;

/// How often, and how far apart, a lock is asked for. Git itself gives up after a tenth of a second; an editor's
/// background "git status" holds the index for longer in a large store.
const TRIES: u32 = if cfg!(test) { 5 } else { 100 };
const PAUSE: Duration = Duration::from_millis(20);

/// The folder `.git/vault-tmp`, held until dropped.
pub(super) struct Workplace {
    folder: PathBuf,
    next: Cell<u64>,
    #[allow(dead_code, reason = "dropping it releases the kernel's lock")]
    held: File,
}

impl Workplace {
    /// Takes it, waiting up to two seconds for another process, and removes what a killed one left.
    pub(super) fn take(git: &Path) -> Result<Self, Error> {
        let folder = git.join("vault-tmp");
        disk::refuse_links(git, Path::new("vault-tmp"))?;
        disk::make_folders(&folder)?;
        let path = folder.join("lock");
        let held = disk::open_lock(&path)?;
        retry(&path, || {
            match rustix::fs::flock(&held, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => Ok(true),
                Err(rustix::io::Errno::WOULDBLOCK) => Ok(false),
                Err(code) => Err(Error::io("lock", &path)(code.into())),
            }
        })?;
        let place = Self {
            folder,
            next: Cell::new(0),
            held,
        };
        place.clear(git)?;
        Ok(place)
    }

    /// Removes left-overs: objects never named, and locks that are a second name of ours.
    fn clear(&self, git: &Path) -> Result<(), Error> {
        for name in disk::names(&self.folder)? {
            let path = self.folder.join(&name);
            if let Some(locked) = name.strip_prefix("lock-of-") {
                let lock = git.join(unescape(locked) + ".lock");
                let inside = !Path::new(&unescape(locked))
                    .components()
                    .any(|part| !matches!(part, Component::Normal(_)));
                if inside && disk::is_same(&path, &lock)? {
                    disk::remove(&lock)?;
                }
            }
            if name != "lock" {
                disk::remove(&path)?;
            }
        }
        Ok(())
    }

    /// A path in the workplace that nothing has.
    pub(super) fn fresh(&self) -> PathBuf {
        self.next.set(self.next.get() + 1);
        self.folder.join(format!("object-{}", self.next.get()))
    }

    /// Takes git's lock on the file `below` `.git`, waiting a while for another program.
    pub(super) fn lock(&self, git: &Path, below: &str) -> Result<Lock, Error> {
        let target = git.join(below);
        let lock = git.join(format!("{below}.lock"));
        let own = self.folder.join(format!("lock-of-{}", escape(below)));
        if let Some(folder) = target.parent() {
            disk::refuse_links(git, Path::new(below).parent().unwrap_or(Path::new("")))?;
            disk::make_folders(folder)?;
        }
        disk::remove(&own)?;
        let file = disk::create(&own, 0o644).map_err(Error::io("make", &own))?;
        let taken = retry(&lock, || match disk::link(&own, &lock) {
            Ok(()) => Ok(true),
            Err(source) if source.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(source) => Err(Error::io("lock", &lock)(source)),
        });
        if let Err(error) = taken {
            disk::remove(&own)?;
            return Err(error);
        }
        Ok(Lock {
            target,
            named: lock,
            own,
            file,
        })
    }
}

/// A path as one file name.
fn escape(below: &str) -> String {
    below.replace('%', "%25").replace('/', "%2F")
}

/// The inverse of `escape`.
fn unescape(name: &str) -> String {
    name.replace("%2F", "/").replace("%25", "%")
}

/// Asks until it is granted.
fn retry(path: &Path, mut ask: impl FnMut() -> Result<bool, Error>) -> Result<(), Error> {
    for _ in 0..TRIES {
        if ask()? {
            return Ok(());
        }
        thread::sleep(PAUSE);
    }
    Err(Error::Locked(path.to_owned()))
}

/// A lock of git's: nobody else changes the file until this is dropped, and it may be replaced.
pub(super) struct Lock {
    target: PathBuf,
    named: PathBuf,
    own: PathBuf,
    file: File,
}

impl Lock {
    /// Writes what the file shall be.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.file
            .write_all(bytes)
            .map_err(Error::io("write", &self.named))
    }

    /// Where the new content lies until `commit`.
    pub(super) fn path(&self) -> &Path {
        &self.named
    }

    /// Makes the new content the file's.
    pub(super) fn commit(self) -> Result<(), Error> {
        disk::rename(&self.named, &self.target).map_err(Error::io("replace", &self.target))
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // After `commit` the lock's name is gone; another program may already have made one of its own.
        let gone = match disk::is_same(&self.own, &self.named) {
            Ok(true) => disk::remove(&self.named),
            Ok(false) => Ok(()),
            Err(error) => Err(error),
        };
        // A lock that could not be removed keeps its second name: by that the next holder of the workplace removes it.
        if gone.is_ok() {
            let _ = disk::remove(&self.own);
        }
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests make and read files")]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_lock_replaces_its_file_and_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let place = Workplace::take(folder.path()).unwrap();
        let mut lock = place.lock(folder.path(), "refs/heads/main").unwrap();
        assert!(folder.path().join("refs/heads/main.lock").exists());
        lock.write(b"new").unwrap();
        lock.commit().unwrap();
        assert_eq!(
            fs::read(folder.path().join("refs/heads/main")).unwrap(),
            b"new"
        );
        drop(place.lock(folder.path(), "HEAD").unwrap());
        assert!(!folder.path().join("HEAD.lock").exists());
        assert_eq!(
            disk::names(&folder.path().join("vault-tmp")).unwrap(),
            ["lock"]
        );
    }

    #[test]
    fn a_lock_left_by_a_killed_process_is_removed_and_a_foreign_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let place = Workplace::take(folder.path()).unwrap();
        std::mem::forget(place.lock(folder.path(), "refs/heads/main").unwrap());
        fs::write(place.fresh(), b"left over").unwrap();
        drop(place);
        fs::write(folder.path().join("HEAD.lock"), b"git's").unwrap();
        let place = Workplace::take(folder.path()).unwrap();
        assert_eq!(
            disk::names(&folder.path().join("vault-tmp")).unwrap(),
            ["lock"]
        );
        drop(place.lock(folder.path(), "refs/heads/main").unwrap());
        assert!(matches!(
            place.lock(folder.path(), "HEAD"),
            Err(Error::Locked(_))
        ));
        assert!(folder.path().join("HEAD.lock").exists());
    }
}
