//! What this device remembers of dotfiles: what each one's verified header said, what was last applied and from which ciphertext,
//! and the encrypted backups. Digests are keyed by random bytes that never leave the device.

use std::collections::BTreeMap;
use std::path::Path;
use std::path::PathBuf;

use serde::Deserialize;
use serde::Serialize;

use crate::crypto::keyed;
use crate::crypto::sign::digest_hex;
use crate::dotfiles::Error;
use crate::format::ENTRY_MAX_BYTES;
use crate::format::Header;
use crate::secret::Secret;
use crate::sys::clock;
use crate::sys::fs;
use crate::sys::fs::Dir;
use crate::sys::fs::Kind;
use crate::sys::fs::Lock;
use crate::sys::fs::Stat;
use crate::sys::fs::TEMP_PREFIX;

/// The folder in the store's local state.
const FOLDER: &str = "dotfiles";
/// The key of the digests.
const KEY: &str = "key";
/// What is remembered of one root.
const FILES: &str = "files";
/// The places of files that are being written.
const PENDING: &str = "pending";
/// The folder of the backups.
const BACKUP: &str = "backup";
/// Most bytes of one of these files.
const MAX_BYTES: u64 = 256 << 20;
/// A state that is younger than this, in nanoseconds, may change once more and look the same.
const SETTLED_NANOS: i128 = 100_000_000;
/// The same where times are coarse: FAT counts in two seconds.
const SETTLED_COARSE_NANOS: i128 = 2_000_000_000;
/// A time that is no multiple of this, in nanoseconds, was kept by a file system with fine times.
const COARSE_NANOS: i128 = 1_000_000;

/// A file's state, by which it is known again without being read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    size: u64,
    mtime_nanos: i128,
    ctime_nanos: i128,
    inode: u64,
    /// Whether it was old enough to be trusted when it was taken.
    is_settled: bool,
}

impl Stamp {
    /// The stamp of a state.
    pub fn of(stat: &Stat) -> Self {
        let changed = stat.mtime_nanos.max(stat.ctime_nanos);
        let wait = if changed % COARSE_NANOS == 0 {
            SETTLED_COARSE_NANOS
        } else {
            SETTLED_NANOS
        };
        Self {
            size: stat.size,
            mtime_nanos: stat.mtime_nanos,
            ctime_nanos: stat.ctime_nanos,
            inode: stat.inode,
            is_settled: changed + wait < clock::now().as_nanosecond(),
        }
    }

    /// Whether this is the file's state still, beyond doubt.
    pub fn holds(&self, stat: &Stat) -> bool {
        self.is_settled
            && (self.size, self.inode) == (stat.size, stat.inode)
            && (self.mtime_nanos, self.ctime_nanos) == (stat.mtime_nanos, stat.ctime_nanos)
    }
}

/// An entry's file: the git blob of its ciphertext, and its state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cipher {
    /// The blob's id, in hex.
    pub blob: String,
    /// The file's state.
    pub stamp: Stamp,
}

/// What a verified header says about a dotfile.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// The header's `target`.
    pub target: String,
    /// The header's `mode`.
    pub mode: Option<String>,
    /// Whether it is a symbolic link.
    pub link: bool,
    /// Whether it holds references.
    pub template: bool,
    /// The machines that it is for.
    pub hosts: Vec<String>,
    /// The systems that it is for.
    pub systems: Vec<String>,
    /// Its tags.
    pub tags: Vec<String>,
}

impl Facts {
    /// What a header says; none if it is no dotfile's.
    pub fn of(header: &Header) -> Option<Self> {
        let target = header.target.clone();
        let target = target.filter(|_| header.kind() == super::KIND)?;
        Some(Self {
            target,
            mode: header.mode.clone(),
            link: header.link,
            template: header.template,
            hosts: header.hosts.clone(),
            systems: header.systems.clone(),
            tags: header.tags.clone(),
        })
    }
}

/// The entries that a template was filled in from: their names, and their ciphertexts then. A missing one has no ciphertext.
pub type Needs = Vec<(String, Option<Cipher>)>;

/// What was put in place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Applied {
    /// The blob that it came from.
    pub blob: String,
    /// The entries that a template was filled in from.
    pub needs: Needs,
    /// The keyed digest of what was written.
    pub digest: [u8; keyed::BYTES],
    /// The file's state.
    pub stamp: Stamp,
}

/// What is remembered of one entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    /// The ciphertext that the facts are from.
    pub cipher: Cipher,
    /// What its header said; none of an entry that is no dotfile.
    pub facts: Option<Facts>,
    /// What was put in place of it, if anything was.
    pub applied: Option<Applied>,
}

/// All of it, for one root, by the entries' names.
pub type Files = BTreeMap<String, Known>;

/// The folder with what is remembered for one root, and the key.
pub struct Memory {
    /// The folder of all roots.
    home: PathBuf,
    /// That of this root.
    path: PathBuf,
    key: [u8; keyed::BYTES],
    saved: Files,
}

impl Memory {
    /// What is remembered in a store's local state for a root. Nothing is made yet, but for the key.
    pub fn open(state: &Path, root: &Path) -> Result<(Self, Files), Error> {
        let home = state.join(FOLDER);
        let digest = digest_hex(root.as_os_str().as_encoded_bytes());
        let path = home.join(digest.get(..24).unwrap_or(&digest));
        let key = key(&home)?;
        let files: Option<Files> =
            read(&path, FILES)?.and_then(|bytes| postcard::from_bytes(&bytes).ok());
        let files = files.unwrap_or_default();
        let memory = Self {
            home,
            path,
            key,
            saved: files.clone(),
        };
        Ok((memory, files))
    }

    /// The keyed digest of a file's content, or of what a link says.
    pub fn digest(&self, kind: Kind, bytes: &Secret) -> [u8; keyed::BYTES] {
        let kind: &[u8] = if kind == Kind::Link { b"link" } else { b"file" };
        keyed::digest(&self.key, &[kind, bytes.expose()])
    }

    /// Remembers, where that is news.
    pub fn save(&mut self, files: &Files) -> Result<(), Error> {
        if *files == self.saved {
            return Ok(());
        }
        let bytes = postcard::to_stdvec(files).map_err(|_| Error::TooMuch)?;
        self.dir()?.replace(Path::new(FILES), &bytes)?;
        self.saved.clone_from(files);
        Ok(())
    }

    /// Takes the lock of those who change files below this root.
    pub fn lock(&self, on_wait: impl FnOnce()) -> Result<Lock, Error> {
        self.dir()?;
        Ok(Lock::acquire(&self.path.join("lock"), on_wait)?)
    }

    /// The same if it is free.
    pub fn try_lock(&self) -> Result<Option<Lock>, Error> {
        self.dir()?;
        Ok(Lock::try_acquire(&self.path.join("lock"))?)
    }

    /// Removes what a process that died has left among these files; under the lock.
    pub fn clean(&self) -> Result<(), Error> {
        let dir = self.dir()?;
        for folder in [Path::new(""), Path::new(BACKUP)] {
            for (name, _) in dir.names(folder)? {
                if name.to_string_lossy().starts_with(TEMP_PREFIX) {
                    dir.remove(&folder.join(name))?;
                }
            }
        }
        Ok(())
    }

    /// The places of files that were being written when a process died.
    pub fn pending(&self) -> Result<Vec<PathBuf>, Error> {
        let bytes = read(&self.path, PENDING)?.unwrap_or_default();
        Ok(postcard::from_bytes(&bytes).unwrap_or_default())
    }

    /// Remembers the places of files that are about to be written; none of them forgets.
    pub fn set_pending(&self, places: &[PathBuf]) -> Result<(), Error> {
        let dir = self.dir()?;
        if places.is_empty() {
            return Ok(dir.remove(Path::new(PENDING))?);
        }
        let bytes = postcard::to_stdvec(places).map_err(|_| Error::TooMuch)?;
        Ok(dir.replace(Path::new(PENDING), &bytes)?)
    }

    /// Keeps the ciphertext of what is about to be replaced.
    pub fn back_up(&self, target: &str, ciphertext: &[u8]) -> Result<PathBuf, Error> {
        let dir = self.dir()?;
        let begin = backup_name(target);
        let number = self
            .backups(target)?
            .last()
            .map_or(0, |(number, _)| *number);
        let file = Path::new(BACKUP).join(format!("{begin}-{:06}.age", number + 1));
        dir.create(&file, ciphertext)?;
        Ok(file)
    }

    /// The ciphertext of the newest backup of a target.
    pub fn backup(&self, target: &str) -> Result<Option<Vec<u8>>, Error> {
        let Some((_, file)) = self.backups(target)?.pop() else {
            return Ok(None);
        };
        Ok(self.dir()?.read(&file, ENTRY_MAX_BYTES)?)
    }

    /// Removes all backups but some.
    pub fn forget_backups(&self, kept: &[PathBuf]) -> Result<(), Error> {
        if !self.has_folder() {
            return Ok(());
        }
        let dir = self.dir()?;
        for (name, _) in dir.names(Path::new(BACKUP))? {
            let file = Path::new(BACKUP).join(name);
            if !kept.contains(&file) {
                dir.remove(&file)?;
            }
        }
        Ok(())
    }

    /// The backups of a target with their numbers, oldest first.
    fn backups(&self, target: &str) -> Result<Vec<(u64, PathBuf)>, Error> {
        if !self.has_folder() {
            return Ok(Vec::new());
        }
        let begin = backup_name(target);
        let names = self.dir()?.names(Path::new(BACKUP))?;
        let mut found: Vec<(u64, PathBuf)> = names
            .into_iter()
            .filter_map(|(name, _)| {
                let text = name.to_str()?;
                let number = text.strip_prefix(&begin)?.strip_prefix('-')?;
                let number = number.strip_suffix(".age")?.parse().ok()?;
                Some((number, Path::new(BACKUP).join(name)))
            })
            .collect();
        found.sort_unstable();
        Ok(found)
    }

    fn has_folder(&self) -> bool {
        fs::kind(&self.path).is_some()
    }

    fn dir(&self) -> Result<Dir, Error> {
        fs::make_private(&self.home)?;
        Ok(fs::make_private(&self.path)?)
    }
}

/// A target may be anything, so its backups are called by a digest.
fn backup_name(target: &str) -> String {
    let digest = digest_hex(target.as_bytes());
    digest.get(..24).unwrap_or(&digest).to_owned()
}

fn read(folder: &Path, file: &str) -> Result<Option<Vec<u8>>, Error> {
    if fs::kind(folder).is_none() {
        return Ok(None);
    }
    Ok(Dir::open(folder)?.read(Path::new(file), MAX_BYTES)?)
}

/// The key of this device, made at first need. A device that can keep none has another one each time, and knows nothing again.
fn key(home: &Path) -> Result<[u8; keyed::BYTES], Error> {
    let known = |bytes: Option<Vec<u8>>| bytes.and_then(|bytes| bytes.try_into().ok());
    if let Some(key) = known(read(home, KEY)?) {
        return Ok(key);
    }
    let mut key = [0; keyed::BYTES];
    getrandom::fill(&mut key).map_err(|_| Error::NoRandom)?;
    let made = fs::make_private(home).and_then(|dir| dir.create(Path::new(KEY), &key));
    match made {
        Err(error) if error.source.kind() == std::io::ErrorKind::AlreadyExists => {
            if let Some(key) = known(read(home, KEY)?) {
                return Ok(key);
            }
            // It is damaged: what it knew again is compared anew.
            Dir::open(home)?.replace(Path::new(KEY), &key)?;
            Ok(key)
        }
        Err(error) if !error.is_read_only() => Err(error.into()),
        _ => Ok(key),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_has_one_key_and_a_root_its_own_files() {
        let temp = tempfile::tempdir().unwrap();
        let open = |root: &str| Memory::open(temp.path(), Path::new(root)).unwrap();
        let (mut one, mut files) = open("/home/one");
        let digest = one.digest(Kind::File, &Secret::copy_of(b"x"));
        assert_ne!(digest, one.digest(Kind::Link, &Secret::copy_of(b"x")));
        let stamp = Stamp {
            size: 1,
            mtime_nanos: 2,
            ctime_nanos: 3,
            inode: 4,
            is_settled: true,
        };
        let blob = "ab".to_owned();
        let cipher = Cipher { blob, stamp };
        let known = Known {
            cipher,
            facts: Some(Facts::default()),
            applied: None,
        };
        files.insert("dotfiles/a".to_owned(), known);
        one.save(&files).unwrap();
        let (again, same) = open("/home/one");
        assert_eq!(same, files);
        assert_eq!(again.digest(Kind::File, &Secret::copy_of(b"x")), digest);
        assert!(open("/home/two").1.is_empty());
        let key = temp.path().join(FOLDER).join(KEY);
        assert_eq!(crate::sys::path::mode(&key), Some(0o600));
        fs::Dir::open(&temp.path().join(FOLDER))
            .unwrap()
            .replace(Path::new(KEY), b"short")
            .unwrap();
        assert_ne!(
            open("/home/one")
                .0
                .digest(Kind::File, &Secret::copy_of(b"x")),
            digest
        );
    }

    #[test]
    fn backups_are_numbered_and_forgotten() {
        let temp = tempfile::tempdir().unwrap();
        let (memory, _) = Memory::open(temp.path(), Path::new("/home/one")).unwrap();
        assert!(memory.backup(".x").unwrap().is_none());
        memory.back_up(".x", b"one").unwrap();
        let kept = memory.back_up(".x", b"two").unwrap();
        memory.back_up(".y", b"other").unwrap();
        assert_eq!(memory.backup(".x").unwrap().unwrap(), b"two");
        memory.forget_backups(&[kept]).unwrap();
        assert_eq!(memory.backup(".x").unwrap().unwrap(), b"two");
        assert!(memory.backup(".y").unwrap().is_none());
        memory.set_pending(&["a/b".into()]).unwrap();
        assert_eq!(memory.pending().unwrap(), [Path::new("a/b")]);
        memory.set_pending(&[]).unwrap();
        assert!(memory.pending().unwrap().is_empty());
    }
}
