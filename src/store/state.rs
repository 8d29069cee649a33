//! What this device remembers of a store (section 12): the pin, the highest revisions, the commit that the work tree shows.
//!
//! Lives here: the layout of the local state folder, but for the index. Losing it loses the protection against
//! rollback, and no entry. Every file is replaced atomically.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;
use std::path::PathBuf;
use std::sync::OnceLock;

use crate::crypto::sign::digest_hex;
use crate::crypto::sign::parse_fingerprint;
use crate::format::Epoch;
use crate::format::Refusal;
use crate::format::Stage;
use crate::format::keys::Ended;
use crate::format::layout;
use crate::format::members::Role;
use crate::git::Id;
use crate::store::Error;
use crate::sys::fs;
use crate::sys::fs::Dir;
use crate::sys::fs::Lock;

/// Most bytes of one small file of the state.
const SMALL_MAX_BYTES: u64 = 64 << 10;
/// Most bytes of one shard of revisions.
const SHARD_MAX_BYTES: u64 = 64 << 20;

/// The file with the commit that the work tree shows.
pub(super) const SHOWN: &str = "shown";

/// The file with the commits that this device has made, one a line.
const MADE: &str = "made";

/// Whether this device knew a store's keys before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sight {
    /// They have just been pinned: a person should compare the fingerprint.
    First,
    /// They were pinned before, or nothing can be remembered here.
    Known,
}

/// A move to another epoch, as it is remembered until it is finished.
pub(super) struct Turn {
    /// The commit that makes it the truth; none in a store without git.
    pub(super) commit: Option<Id>,
    /// The head of the epoch below that, which the work tree shows first, where work was carried over to it.
    pub(super) through: Option<Id>,
    /// The epochs before it, as one line.
    pub(super) past: String,
    /// The `.vault/format` to pin.
    pub(super) clear: Vec<u8>,
}

/// The folder with what is remembered of one store.
pub struct State {
    path: PathBuf,
    store: PathBuf,
    /// The folder, opened at its first use.
    dir: OnceLock<Dir>,
}

impl State {
    /// The state of the store at a canonical path. Nothing is made yet.
    pub fn of_store(state_home: &Path, store: &Path) -> Self {
        let digest = digest_hex(store.as_os_str().as_bytes());
        let path = state_home
            .join("stores")
            .join(digest.get(..24).unwrap_or(&digest));
        Self {
            path,
            store: store.to_owned(),
            dir: OnceLock::new(),
        }
    }

    /// The same state once more.
    pub(super) fn again(&self) -> Self {
        Self {
            path: self.path.clone(),
            store: self.store.clone(),
            dir: OnceLock::new(),
        }
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Holds `.vault/format` against the pin, and against an expected fingerprint; pins what has no pin yet (F-070).
    pub fn check_pin(
        &self,
        epoch: &Epoch,
        clear: &[u8],
        expected: Option<&str>,
    ) -> Result<Sight, Error> {
        if let Some(words) = expected {
            let expected = parse_fingerprint(words);
            if expected.ok() != Some(epoch.fingerprint()) {
                let reason = format!(
                    "its fingerprint is {}, not the expected one",
                    epoch.fingerprint()
                );
                return Err(Refusal::new(Stage::Pin, reason).of(layout::FORMAT).into());
            }
        }
        // The pin is a copy of the accepted file, so that the usual case is one comparison of bytes.
        match self.small("pin")? {
            Some(pinned) if pinned == clear => Ok(Sight::Known),
            Some(pinned) => {
                if Epoch::parse(&pinned)? == *epoch {
                    self.set("pin", clear)?;
                    return Ok(Sight::Known);
                }
                Err(other_keys(&Epoch::parse(&pinned)?, epoch).into())
            }
            // A device that can remember nothing sees every store for the first time, each time.
            None => match self.pin(clear) {
                Err(Error::File(error)) if error.is_read_only() => Ok(Sight::Known),
                other => other.map(|()| Sight::First),
            },
        }
    }

    /// Remembers `.vault/format` as the store's.
    pub fn pin(&self, clear: &[u8]) -> Result<(), Error> {
        self.set("pin", clear)?;
        let path = self.store.to_string_lossy().into_owned();
        self.set("path", path.as_bytes())
    }

    /// Forgets everything: a new store has come to the place of one that is gone. The lock stays.
    pub(super) fn forget(&self) -> Result<(), Error> {
        for name in [
            "pin",
            "path",
            "member",
            "role",
            "identity",
            "known-keys",
            "past",
            "turn",
            "shown",
            "accounted",
            "made",
            "index",
            "folders",
            "offers",
            "offers-key",
        ] {
            if let Some(dir) = self.folder()? {
                dir.remove(Path::new(name))?;
            }
        }
        fs::remove_tree(&self.path.join("remotes"))?;
        Ok(fs::remove_tree(&self.path.join("revs"))?)
    }

    /// Which member this device is, as far as it has found out.
    pub fn member(&self) -> Option<String> {
        String::from_utf8(self.small("member").ok()??).ok()
    }

    /// Remembers which member this device is.
    pub fn set_member(&self, member: &str) -> Result<(), Error> {
        if self.member().as_deref() == Some(member) {
            Ok(())
        } else {
            self.set("member", member.as_bytes())
        }
    }

    /// What that member may do, by the key file that was verified last.
    pub fn role(&self) -> Option<Role> {
        match self.small("role").ok()??.as_slice() {
            b"writer" => Some(Role::Writer),
            b"reader" => Some(Role::Reader),
            _ => None,
        }
    }

    /// Remembers what this device's member may do.
    pub fn set_role(&self, role: Role) -> Result<(), Error> {
        if self.role() == Some(role) {
            Ok(())
        } else {
            self.set("role", role.word().as_bytes())
        }
    }

    /// The identity file that the store was made with, where it is not the usual one.
    pub fn identity(&self) -> Option<PathBuf> {
        Some(PathBuf::from(OsString::from_vec(
            self.small("identity").ok()??,
        )))
    }

    /// Remembers the identity file that the store was made with: the next command needs it, too.
    pub fn set_identity(&self, path: &Path) -> Result<(), Error> {
        self.set("identity", path.as_os_str().as_bytes())
    }

    /// Whether these are the encrypted bytes of the key file that was verified last, in this epoch.
    pub fn knows_keys(&self, epoch: &Epoch, path: &str, bytes: &[u8]) -> bool {
        let known = self.small("known-keys").ok().flatten();
        known.is_some_and(|known| known == known_keys(epoch, path, bytes))
    }

    /// Remembers a key file that has been verified.
    pub fn set_known_keys(&self, epoch: &Epoch, path: &str, bytes: &[u8]) -> Result<(), Error> {
        self.set("known-keys", &known_keys(epoch, path, bytes))
    }

    /// The epochs before `epoch`, as the key file that was verified last has them.
    pub fn past(&self, epoch: &Epoch) -> Result<Vec<Ended>, Error> {
        let text = self.small("past")?.unwrap_or_default();
        let text = String::from_utf8(text).ok();
        let past = text.and_then(|text| Ended::parse_list(&text, epoch.number));
        past.ok_or_else(|| damaged(&self.path.join("past")))
    }

    /// Remembers the epochs before the pinned one.
    pub fn set_past<'e>(&self, past: impl Iterator<Item = &'e Ended>) -> Result<(), Error> {
        let text = Ended::list_text(past);
        match self.small("past")? {
            None if text.is_empty() => Ok(()),
            Some(known) if known == text.as_bytes() => Ok(()),
            _ => self.set("past", text.as_bytes()),
        }
    }

    /// The pinned `.vault/format`.
    pub fn pinned(&self) -> Result<Option<Vec<u8>>, Error> {
        self.small("pin")
    }

    /// The move to another epoch that this device has begun, if there is one.
    pub(super) fn turn(&self) -> Result<Option<Turn>, Error> {
        let Some(bytes) = self.small("turn")? else {
            return Ok(None);
        };
        let text = String::from_utf8(bytes).map_err(|_| damaged(&self.path.join("turn")))?;
        let mut parts = text.splitn(3, '\n');
        let mut part = || parts.next().unwrap_or_default().to_owned();
        let heads = part();
        let (commit, through) = heads.split_once(' ').unwrap_or((&heads, ""));
        Ok(Some(Turn {
            commit: Id::parse(commit),
            through: Id::parse(through),
            past: part(),
            clear: part().into_bytes(),
        }))
    }

    /// Remembers a move to another epoch before it happens (W-092).
    pub(super) fn set_turn(&self, turn: &Turn) -> Result<(), Error> {
        let hex = |id: Option<Id>| id.map(|id| id.to_string()).unwrap_or_default();
        let (commit, through) = (hex(turn.commit), hex(turn.through));
        let lines = format!("{commit} {through}\n{}\n", turn.past.trim_end());
        let text = [lines.as_bytes(), &turn.clear].concat();
        self.set("turn", &text)
    }

    /// Moves the pin to the epoch of a move that has happened.
    pub(super) fn finish_turn(&self, turn: &Turn) -> Result<(), Error> {
        self.set("pin", &turn.clear)?;
        self.set("past", turn.past.as_bytes())
    }

    /// Forgets a move to another epoch, which has happened or will not.
    pub(super) fn clear_turn(&self) -> Result<(), Error> {
        if let Some(dir) = self.folder()? {
            dir.remove(Path::new("turn"))?;
        }
        Ok(())
    }

    /// The commit that the work tree shows, as hex.
    pub fn shown(&self) -> Result<Option<String>, Error> {
        Ok(self
            .small(SHOWN)?
            .and_then(|bytes| String::from_utf8(bytes).ok()))
    }

    /// Remembers the commit that the work tree shows.
    pub fn set_shown(&self, commit: &str) -> Result<(), Error> {
        self.set(SHOWN, commit.as_bytes())
    }

    /// Notes a commit that this device is about to make. What is not noted counts as come from elsewhere.
    pub fn note_made(&self, commit: Id) -> Result<(), Error> {
        fs::make_private(&self.path)?;
        fs::append(&self.path.join(MADE), format!("{commit}\n").as_bytes())?;
        Ok(())
    }

    /// The commits that this device has made.
    pub fn made(&self) -> Result<BTreeSet<Id>, Error> {
        let bytes = match self.folder()? {
            Some(dir) => dir.read(Path::new(MADE), SHARD_MAX_BYTES)?,
            None => None,
        };
        let bytes = bytes.unwrap_or_default();
        let lines = String::from_utf8_lossy(&bytes);
        Ok(lines.lines().filter_map(Id::parse).collect())
    }

    /// The head last seen of a remote, and when, in seconds since 1970.
    pub fn remote(&self, name: &str) -> Result<Option<(Id, i64)>, Error> {
        let text = self.small(&remote_file(name))?;
        let text = text.and_then(|bytes| String::from_utf8(bytes).ok());
        Ok(text.and_then(|text| {
            let (id, seconds) = text.trim_end().split_once(' ')?;
            Some((Id::parse(id)?, seconds.parse().ok()?))
        }))
    }

    /// Remembers the head last seen of a remote; everything it has is in this store, verified.
    pub fn set_remote(&self, name: &str, head: Id, seconds: i64) -> Result<(), Error> {
        let text = format!("{head} {seconds}\n");
        self.at_work(|| self.set(&remote_file(name), text.as_bytes()))
    }

    /// Does what must leave a mark if the process dies meanwhile, so that the next command cleans up after it. Where the lock of
    /// writers is held, by this process or another, whoever holds it has marked it.
    pub fn at_work<T>(&self, work: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
        let failed = |source| fs::Error {
            action: "write",
            path: self.path.join("lock"),
            source,
        };
        let lock = self.try_lock()?.filter(|lock| !lock.is_marked());
        if let Some(lock) = &lock {
            lock.mark().map_err(failed)?;
        }
        let done = work()?;
        if let Some(lock) = &lock {
            lock.clear().map_err(failed)?;
        }
        Ok(done)
    }

    /// Forgets a remote.
    pub fn forget_remote(&self, name: &str) -> Result<(), Error> {
        match self.folder()? {
            Some(dir) => Ok(dir.remove(Path::new(&remote_file(name)))?),
            None => Ok(()),
        }
    }

    /// The commit up to which the revisions of removed entries are known.
    pub fn accounted(&self) -> Result<Option<Id>, Error> {
        let text = self.small("accounted")?;
        Ok(text.and_then(|bytes| Id::parse(std::str::from_utf8(&bytes).ok()?)))
    }

    /// Remembers it.
    pub fn set_accounted(&self, commit: Id) -> Result<(), Error> {
        self.set("accounted", commit.to_string().as_bytes())
    }

    /// Takes the lock of those who talk to remotes. Writing is free meanwhile.
    pub fn lock_sync(&self, on_wait: impl FnOnce()) -> Result<Lock, Error> {
        fs::make_private(&self.path)?;
        Ok(Lock::acquire(&self.path.join("sync.lock"), on_wait)?)
    }

    /// Whether nobody is talking to a remote.
    pub fn is_sync_free(&self) -> bool {
        let lock = Lock::try_acquire(&self.path.join("sync.lock"));
        matches!(lock, Ok(Some(_)))
    }

    /// The folder for what remotes send, until it has been verified.
    pub fn quarantine(&self) -> PathBuf {
        self.path.join("quarantine")
    }

    /// The highest revision seen of a name; 0 if none was.
    pub fn rev(&self, name: &str) -> Result<u64, Error> {
        let (shard, _) = self.shard(name)?;
        Ok(rev_in(&shard, name))
    }

    /// The highest revision seen of every name, for who needs many.
    pub fn revs(&self) -> Result<BTreeMap<String, u64>, Error> {
        let mut revs = BTreeMap::new();
        for shard in 0..=u8::MAX {
            let text = self.text(&format!("revs/{shard:02x}"))?;
            for line in text.lines() {
                let Some((rev, name)) = line.split_once(' ') else {
                    continue;
                };
                let rev = rev.parse().unwrap_or(0);
                let known: &mut u64 = revs.entry(name.to_owned()).or_default();
                *known = rev.max(*known);
            }
        }
        Ok(revs)
    }

    /// Remembers revisions; one that is not higher than what is known changes nothing.
    pub fn raise_revs(&self, seen: &[(String, u64)]) -> Result<(), Error> {
        if seen.is_empty() {
            return Ok(());
        }
        // Readers raise revisions too, several at once: none may write over what another has just raised.
        fs::make_private(&self.path)?;
        let _lock = Lock::acquire(&self.path.join("revs.lock"), || {})?;
        let mut by_shard: BTreeMap<String, Vec<&(String, u64)>> = BTreeMap::new();
        for pair in seen {
            by_shard.entry(shard_file(&pair.0)).or_default().push(pair);
        }
        for (file, pairs) in by_shard {
            let old = self.text(&file)?;
            let higher: Vec<_> = pairs
                .into_iter()
                .filter(|(name, rev)| rev_in(&old, name) < *rev)
                .collect();
            if higher.is_empty() {
                continue;
            }
            let keep = |line: &&str| !higher.iter().any(|(name, _)| name_of(line) == Some(name));
            let mut text: String = old.split_inclusive('\n').filter(keep).collect();
            for (name, rev) in higher {
                text.push_str(&format!("{rev} {name}\n"));
            }
            self.set(&file, text.as_bytes())?;
        }
        Ok(())
    }

    /// Takes the lock of writers; `on_wait` is called if another process has it.
    pub fn lock(&self, on_wait: impl FnOnce()) -> Result<Lock, Error> {
        fs::make_private(&self.path)?;
        Ok(Lock::acquire(&self.path.join("lock"), on_wait)?)
    }

    /// Takes the lock of writers if it is free.
    pub fn try_lock(&self) -> Result<Option<Lock>, Error> {
        fs::make_private(&self.path)?;
        Ok(Lock::try_acquire(&self.path.join("lock"))?)
    }

    /// Whether a writer is at work, or died at work.
    pub fn is_busy(&self) -> bool {
        let lock = self
            .folder()
            .ok()
            .flatten()
            .and_then(|dir| dir.stat(Path::new("lock")).ok().flatten());
        lock.is_some_and(|lock| lock.size > 0)
    }

    /// The folder, opened; `None` if it was never made.
    pub(super) fn folder(&self) -> Result<Option<&Dir>, Error> {
        if let Some(dir) = self.dir.get() {
            return Ok(Some(dir));
        }
        match Dir::open(&self.path) {
            Ok(dir) => Ok(Some(self.dir.get_or_init(|| dir))),
            Err(error) if error.source.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn shard(&self, name: &str) -> Result<(String, String), Error> {
        let file = shard_file(name);
        Ok((self.text(&file)?, file))
    }

    fn text(&self, file: &str) -> Result<String, Error> {
        let Some(dir) = self.folder()? else {
            return Ok(String::new());
        };
        let bytes = dir
            .read(Path::new(file), SHARD_MAX_BYTES)?
            .unwrap_or_default();
        String::from_utf8(bytes).map_err(|_| damaged(&self.path.join(file)))
    }

    fn small(&self, file: &str) -> Result<Option<Vec<u8>>, Error> {
        let Some(dir) = self.folder()? else {
            return Ok(None);
        };
        Ok(dir.read(Path::new(file), SMALL_MAX_BYTES)?)
    }

    fn set(&self, file: &str, bytes: &[u8]) -> Result<(), Error> {
        Ok(fs::make_private(&self.path)?.replace(Path::new(file), bytes)?)
    }
}

/// Why a store that is not the pinned one is refused. Its words are not shown here: they would be copied, not compared.
pub(super) fn other_keys(pinned: &Epoch, epoch: &Epoch) -> Refusal {
    let reason = match epoch.number {
        number if epoch.store != pinned.store => {
            format!("it is another store than the one this device knows, in its epoch {number}")
        }
        number if number > pinned.number => format!(
            "a new epoch, {number}, began, and this device knows the store in epoch {}",
            pinned.number
        ),
        number => format!(
            "this device knows the store with other keys, in epoch {}, and not in this epoch {number}",
            pinned.number
        ),
    };
    Refusal::new(Stage::Pin, reason).of(layout::FORMAT)
}

/// What is compared to know a key file again: a comparison of bytes costs less than a digest of them.
fn known_keys(epoch: &Epoch, path: &str, bytes: &[u8]) -> Vec<u8> {
    [epoch.to_text().as_bytes(), path.as_bytes(), b"\n", bytes].concat()
}

/// A remote's name may be anything that git takes, so its file is called by the digest.
fn remote_file(name: &str) -> String {
    let digest = digest_hex(name.as_bytes());
    format!("remotes/{}", digest.get(..24).unwrap_or(&digest))
}

/// Revisions lie in 256 files, so that looking one up, or raising it, does not read them all.
fn shard_file(name: &str) -> String {
    let digest = digest_hex(name.as_bytes());
    format!("revs/{}", digest.get(..2).unwrap_or("00"))
}

/// The name on a line `REV NAME`.
fn name_of(line: &str) -> Option<&str> {
    line.strip_suffix('\n')?
        .split_once(' ')
        .map(|(_, name)| name)
}

fn rev_in(shard: &str, name: &str) -> u64 {
    let lines = shard
        .split_inclusive('\n')
        .filter(|line| name_of(line) == Some(name));
    lines
        .filter_map(|line| line.split_once(' ')?.0.parse().ok())
        .max()
        .unwrap_or(0)
}

fn damaged(path: &Path) -> Error {
    let source = std::io::Error::new(std::io::ErrorKind::InvalidData, "it is not text");
    fs::Error {
        action: "read",
        path: path.to_owned(),
        source,
    }
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state() -> (tempfile::TempDir, State) {
        let temp = tempfile::tempdir().unwrap();
        let state = State::of_store(temp.path(), Path::new("/some/store"));
        (temp, state)
    }

    #[test]
    fn a_revision_only_rises() {
        let (_temp, state) = state();
        assert_eq!(state.rev("a/b").unwrap(), 0);
        state
            .raise_revs(&[("a/b".into(), 3), ("a/c".into(), 1), ("b".into(), 9)])
            .unwrap();
        state
            .raise_revs(&[("a/b".into(), 2), ("a/c".into(), 5)])
            .unwrap();
        assert_eq!(state.rev("a/b").unwrap(), 3);
        assert_eq!(state.rev("a/c").unwrap(), 5);
        assert_eq!(state.rev("b").unwrap(), 9);
    }

    #[test]
    fn many_names_share_the_shards() {
        let (temp, state) = state();
        let all: Vec<_> = (1..2000).map(|n| (format!("name {n}"), n)).collect();
        state.raise_revs(&all).unwrap();
        assert!(
            all.iter()
                .all(|(name, rev)| state.rev(name).unwrap() == *rev)
        );
        assert!(fs::walk(&temp.path().join("stores"), &[]).unwrap().len() < 300);
    }
}
