//! What can go wrong between a store and its remotes.

use std::fmt;

use crate::format::Epoch;
use crate::format::Refusal;
use crate::git;
use crate::store;
use crate::store::keeper::Unopened;

/// Why a sync did not come to its end. Nothing has changed in the store unless the variant says so.
#[derive(Debug)]
pub enum Error {
    /// The store has no remote.
    NoRemote,
    /// There is no store at this address.
    NoStoreThere(String),
    /// There is no remote of this name.
    UnknownRemote(String),
    /// There are several, and none is called `origin` or set to be followed.
    SeveralRemotes(Vec<String>),
    /// The repository has settings that could make git run other programs.
    Dangerous(Vec<String>),
    /// The remote has begun another epoch than the one that is pinned here.
    OtherEpoch {
        /// Why it is refused.
        refusal: Refusal,
        /// What the remote's `.vault/format` says.
        epoch: Box<Epoch>,
    },
    /// The remote's head does not descend from the one last seen.
    Rewound {
        /// Why it is refused.
        refusal: Refusal,
        /// The head that the remote has now; none if the branch is gone.
        head: Option<git::Id>,
    },
    /// The remote's head is of an epoch that is over.
    Over {
        /// Why it is refused.
        refusal: Refusal,
        /// The head.
        head: git::Id,
    },
    /// A new epoch was begun without commits that this device has taken in from elsewhere.
    Without {
        /// Why it is refused.
        refusal: Refusal,
        /// The newest of them.
        newest: git::Id,
    },
    /// The keys are needed and could not be had.
    Locked,
    /// Others pushed again and again in between; everything of theirs has been taken in.
    NotPushed,
    /// Anything else about the store.
    Store(store::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoRemote => write!(f, "the store has no remote"),
            Self::NoStoreThere(url) => {
                write!(f, "there is no store at {}", url.escape_debug())
            }
            Self::UnknownRemote(name) => {
                write!(f, "there is no remote \"{}\"", name.escape_debug())
            }
            Self::SeveralRemotes(names) => write!(
                f,
                "the store has several remotes and none is called origin: {}",
                names.join(", ")
            ),
            Self::Dangerous(found) => write!(
                f,
                "git is not started, the repository could make it run other programs: {}",
                found.join(", ")
            ),
            Self::OtherEpoch { refusal, .. }
            | Self::Rewound { refusal, .. }
            | Self::Over { refusal, .. }
            | Self::Without { refusal, .. } => refusal.fmt(f),
            Self::Locked => write!(f, "both sides have changes, and the store is locked"),
            Self::NotPushed => write!(
                f,
                "not pushed: others pushed in between each time; what they pushed is in this store"
            ),
            Self::Store(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Error {}

impl From<store::Error> for Error {
    fn from(error: store::Error) -> Self {
        Self::Store(error)
    }
}

impl From<git::Error> for Error {
    fn from(error: git::Error) -> Self {
        Self::Store(error.into())
    }
}

impl From<Unopened> for Error {
    fn from(unopened: Unopened) -> Self {
        Self::Store(unopened.into())
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        Self::Store(refusal.into())
    }
}
