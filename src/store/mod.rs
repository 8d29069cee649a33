//! A directory, as entries: reading, writing, history and health of one store.
//!
//! Lives here: the order of reading and of writing (sections 9 and 11 of the format) and what a device remembers
//! (section 12). Never here: prompts, printing, or the choice of entries for a use. Called by `session` and above.

pub mod changes;
mod create;
pub mod doctor;
mod epochs;
pub mod history;
pub mod index;
pub mod keeper;
pub mod offers;
pub mod people;
mod read;
mod removed;
mod settle;
mod stamps;
pub mod state;
pub mod tree;
pub mod turn;
pub mod uses;
mod write;

use std::fmt;
use std::path::Path;
use std::path::PathBuf;
use std::sync::OnceLock;

use crate::crypto;
use crate::format::Epoch;
use crate::format::FORMAT_MAX_BYTES;
use crate::format::Header;
use crate::format::Name;
use crate::format::Refusal;
use crate::format::Stage;
use crate::format::layout;
use crate::format::name::BadName;
use crate::git;
use crate::git::Repo;
use crate::store::keeper::Unopened;
use crate::store::people::Unfit;
use crate::store::state::Sight;
use crate::store::state::State;
use crate::sys::fs;
use crate::sys::fs::Dir;

pub use create::Founding;
pub use create::Plan;
pub use create::in_place;
pub use epochs::Former;
pub use read::Entry;
pub use settle::Settled;
pub use settle::check_seal;
pub use settle::unread;
pub use write::Writer;
pub use write::rev_after;

/// An opened store: its folder, what it says of itself, and what this device remembers of it. Nothing is unlocked yet.
pub struct Store {
    /// The store's folder, held open.
    pub dir: Dir,
    /// Store id, epoch and public writer key, as `.vault/format` says and the pin confirms.
    pub epoch: Epoch,
    /// The local state.
    pub state: State,
    /// The repository, if the store has one.
    pub repo: Option<Repo>,
    /// Whether its keys were pinned just now.
    pub sight: Sight,
    /// The commits of earlier epochs, found at first need.
    former: OnceLock<Former>,
}

impl Store {
    /// Opens the store at a path and holds it against this device's pin; a store without a pin is pinned.
    ///
    /// `state_home` is the folder of all local state; `expected` a fingerprint that it must have.
    pub fn open(path: &Path, state_home: &Path, expected: Option<&str>) -> Result<Self, Error> {
        let real = fs::canonical(path).ok_or_else(|| Error::NoStore(path.to_owned()))?;
        let dir = Dir::open(&real)?;
        let state = State::of_store(state_home, &real);
        turn::resume(&real, &state)?;
        let clear = clear_of(&dir)?.ok_or_else(|| Error::NoStore(path.to_owned()))?;
        let epoch = Epoch::parse(&clear)?;
        let sight = state.check_pin(&epoch, &clear, expected)?;
        let repo = Repo::open(&real)?;
        Ok(Self {
            dir,
            epoch,
            state,
            repo,
            sight,
            former: OnceLock::new(),
        })
    }

    /// Opens the store at a path in the epoch that this device has pinned, whatever its files say by now.
    pub fn open_pinned(path: &Path, state_home: &Path) -> Result<Self, Error> {
        let real = fs::canonical(path).ok_or_else(|| Error::NoStore(path.to_owned()))?;
        let state = State::of_store(state_home, &real);
        turn::resume(&real, &state)?;
        match state.pinned()? {
            Some(pinned) => Self::in_epoch(&real, state, Epoch::parse(&pinned)?),
            // Seen for the first time, it is pinned as it is.
            None => Self::open(path, state_home, None),
        }
    }

    /// The same store in another epoch.
    pub fn of_epoch(&self, epoch: Epoch) -> Result<Self, Error> {
        Self::in_epoch(self.path(), self.state.again(), epoch)
    }

    /// Opens the store at a canonical path in an epoch that is known already.
    pub(super) fn in_epoch(real: &Path, state: State, epoch: Epoch) -> Result<Self, Error> {
        Ok(Self {
            dir: Dir::open(real)?,
            epoch,
            state,
            repo: Repo::open(real)?,
            sight: Sight::Known,
            former: OnceLock::new(),
        })
    }

    /// The bytes of `.vault/format` in the work tree.
    pub fn clear(&self) -> Result<Vec<u8>, Error> {
        clear_of(&self.dir)?.ok_or_else(|| Error::NoStore(self.path().to_owned()))
    }

    /// The store's folder.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Whether this device has seen the store with a repository, and now there is none.
    pub fn has_lost_repository(&self) -> Result<bool, Error> {
        Ok(self.repo.is_none() && self.state.shown()?.is_some())
    }
}

/// The bytes of `.vault/format`; `None` if there is no store at all.
fn clear_of(dir: &Dir) -> Result<Option<Vec<u8>>, Error> {
    let stages = (Stage::Version, Stage::Version);
    let clear = dir.read(Path::new(layout::FORMAT), FORMAT_MAX_BYTES);
    let clear = clear.map_err(|error| read::refuse_kind(error, layout::FORMAT, stages))?;
    if clear.is_none() && dir.stat(Path::new(layout::OWN))?.is_some() {
        let refusal = Refusal::new(Stage::Version, "it is missing");
        return Err(refusal.of(layout::FORMAT).into());
    }
    Ok(clear)
}

/// The names of the entries of the store at a path, sorted, from its files alone: for completion.
pub fn names_at(path: &Path) -> Result<Vec<Name>, Error> {
    let real = fs::canonical(path).ok_or_else(|| Error::NoStore(path.to_owned()))?;
    let mut names = read::entries_at(&real, |name, _| Some(name))?;
    names.sort_unstable();
    Ok(names)
}

/// The members who have a key file in the store at a path: for completion.
pub fn members_at(path: &Path) -> Result<Vec<String>, Error> {
    let real = fs::canonical(path).ok_or_else(|| Error::NoStore(path.to_owned()))?;
    read::key_files_at(&Dir::open(&real)?)
}

/// The headers that this device remembers of the store at a path, from the index alone: for completion.
pub fn headers_at(path: &Path, state_home: &Path) -> Result<Vec<Header>, Error> {
    let real = fs::canonical(path).ok_or_else(|| Error::NoStore(path.to_owned()))?;
    index::headers(&State::of_store(state_home, &real))
}

/// What can go wrong with a store.
#[derive(Debug)]
pub enum Error {
    /// There is no store at this path.
    NoStore(PathBuf),
    /// There is a store, or something else, where one is to be made.
    Occupied(PathBuf),
    /// No entry of this name.
    NoEntry(String),
    /// An entry of this name is there already.
    Exists(Name),
    /// A name that another differs from in case only.
    Clash {
        /// The new name.
        name: Name,
        /// The one that is there.
        other: String,
    },
    /// A text that is no name.
    BadName(BadName),
    /// Something that is not believed.
    Refused(Refusal),
    /// An entry is opened with a person's consent only, and there is none: the entry, and why.
    Denied(String, String),
    /// Whoever held the keys is gone, or holds them no longer.
    KeeperGone,
    /// The keys at hand can read only.
    ReadOnly,
    /// The store has moved to another epoch since it was opened.
    Renewed,
    /// A change of the members that makes no sense.
    Unfit(Unfit),
    /// A file in the work tree is neither the committed one nor the one before; it is not overwritten.
    Diverged(Vec<String>),
    /// The secret is larger than the format allows.
    TooLarge,
    /// The header is larger than the format allows.
    HeaderTooLarge,
    /// A file could not be read or written.
    File(fs::Error),
    /// Encryption or decryption failed.
    Crypto(crypto::Error),
    /// The repository failed.
    Git(git::Error),
    /// There is no history without a repository.
    NoRepository,
    /// The store had a repository when it was last used, and now it has none.
    RepositoryGone,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoStore(path) => write!(f, "there is no store at {}", path.display()),
            Self::Occupied(path) => write!(
                f,
                "{} is there already and is left as it is",
                path.display()
            ),
            Self::NoEntry(name) => write!(f, "there is no entry \"{}\"", name.escape_debug()),
            Self::Exists(name) => write!(f, "\"{name}\" is there already"),
            Self::Clash { name, other } => {
                write!(
                    f,
                    "\"{name}\" differs from \"{}\" in upper and lower case only",
                    other.escape_debug()
                )
            }
            Self::BadName(bad) => bad.fmt(f),
            Self::Refused(refusal) => refusal.fmt(f),
            Self::Denied(entry, why) => {
                write!(f, "\"{}\" is not opened: {why}", entry.escape_debug())
            }
            Self::KeeperGone => write!(f, "the agent has forgotten the keys meanwhile"),
            Self::ReadOnly => write!(f, "this member may read the store and not write to it"),
            Self::Renewed => write!(
                f,
                "the store's keys were replaced meanwhile: a new epoch began"
            ),
            Self::Unfit(unfit) => unfit.fmt(f),
            Self::Diverged(paths) => {
                write!(
                    f,
                    "{} differs from the last commit and is left as it is",
                    paths.join(", ")
                )
            }
            Self::TooLarge => write!(f, "the secret is larger than 64 MiB"),
            Self::HeaderTooLarge => write!(f, "the metadata is larger than 64 KiB"),
            Self::File(error) => error.fmt(f),
            Self::Crypto(error) => error.fmt(f),
            Self::Git(error) => error.fmt(f),
            Self::RepositoryGone => write!(
                f,
                "the store's repository is gone: a change would have no history"
            ),
            Self::NoRepository => {
                write!(f, "the store has no git repository, so it keeps no history")
            }
        }
    }
}

impl std::error::Error for Error {}

impl From<fs::Error> for Error {
    fn from(error: fs::Error) -> Self {
        Self::File(error)
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<Unopened> for Error {
    fn from(unopened: Unopened) -> Self {
        match unopened {
            Unopened::Refused(refusal) => Self::Refused(refusal),
            Unopened::Denied(entry, why) => Self::Denied(entry, why),
            Unopened::Gone => Self::KeeperGone,
        }
    }
}

impl From<crypto::Error> for Error {
    fn from(error: crypto::Error) -> Self {
        Self::Crypto(error)
    }
}

impl From<git::Error> for Error {
    fn from(error: git::Error) -> Self {
        Self::Git(error)
    }
}

impl From<BadName> for Error {
    fn from(bad: BadName) -> Self {
        Self::BadName(bad)
    }
}
