//! What can go wrong with a repository.
//!
//! Lives here: one enum for the layer and its sentences. Never here: file contents; a name, a reference, an id is all that
//! a message carries.

use std::fmt;
use std::io;
use std::path::PathBuf;

use crate::git::object::Id;

/// Why a repository could not be read or changed.
#[derive(Debug)]
pub enum Error {
    /// The system refused something on a file.
    Io {
        /// What was being done: "read", "write" …
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The repository is of a kind that is not followed: git would read other than what lies there, or in another format.
    Unusual {
        /// The file that makes it so.
        path: PathBuf,
        /// What it is.
        what: &'static str,
    },
    /// Something in the repository does not parse or has the wrong digest.
    Damaged {
        /// Which object, reference or file.
        what: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// An object that should be there is not.
    Missing(Id),
    /// An object or file is larger than what may be read.
    TooLarge {
        /// Which object or file.
        what: String,
        /// The most that is read, in bytes.
        max_bytes: u64,
    },
    /// HEAD is a commit and not a branch.
    Detached(String),
    /// The branch is not where it was expected: another program has moved it.
    Moved {
        /// The full name of the branch.
        branch: String,
        /// Where it is now.
        found: Option<Id>,
    },
    /// Another program holds a lock.
    Locked(PathBuf),
    /// A path would be both a file and a folder.
    Clash(String),
    /// A path in a tree is not text; shown with replacement characters.
    NotText(String),
    /// An address that git would take for something else, or that lies inside the store.
    Address(String),
    /// An address with a password or a token in it.
    AddressSecret(String),
    /// The git program could not be started.
    Start(io::Error),
    /// The git program failed.
    Git {
        /// The git command: "init", "config" …
        command: String,
        /// What it said on its standard error.
        said: String,
    },
}

impl Error {
    /// For `map_err` on an operation on one file.
    pub(super) fn io(
        doing: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io {
            doing,
            path,
            source,
        }
    }

    /// An object whose bytes are not what they should be.
    pub(super) fn damaged(what: impl fmt::Display, why: &'static str) -> Self {
        Self::Damaged {
            what: what.to_string(),
            why,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io {
                doing,
                path,
                source,
            } => {
                write!(f, "could not {doing} \"{}\": {source}", path.display())
            }
            Self::Unusual { path, what } => {
                write!(
                    f,
                    "\"{}\" is {what}, which is not followed here",
                    path.display()
                )
            }
            Self::Damaged { what, why } => {
                write!(f, "{what} in the git repository is damaged: {why}")
            }
            Self::Missing(id) => write!(f, "object {id} is missing from the git repository"),
            Self::TooLarge { what, max_bytes } => {
                write!(
                    f,
                    "{what} in the git repository is larger than {max_bytes} bytes"
                )
            }
            Self::Detached(at) => write!(
                f,
                "HEAD is detached at {at}; go back to a branch with \"git switch\""
            ),
            Self::Moved {
                branch,
                found: Some(id),
            } => {
                write!(
                    f,
                    "{branch} was moved to {id} by another program; try again"
                )
            }
            Self::Moved {
                branch,
                found: None,
            } => {
                write!(f, "{branch} was removed by another program; try again")
            }
            Self::Locked(path) => write!(
                f,
                "another program holds \"{}\"; remove that file if no git command is running",
                path.display()
            ),
            Self::Clash(path) => write!(f, "\"{path}\" would be both a file and a folder"),
            Self::NotText(path) => write!(f, "the path \"{path}\" in a commit is not UTF-8"),
            Self::Address(url) => write!(
                f,
                "\"{}\" is no address of a repository outside the store",
                crate::git::address::shown(url)
            ),
            Self::AddressSecret(url) => write!(
                f,
                "the address {} holds a password or a token, which any program on this machine could read",
                crate::git::address::shown(url)
            ),
            Self::Start(source) => write!(f, "could not start git: {source}"),
            Self::Git { command, said } if said.is_empty() => write!(f, "git {command} failed"),
            Self::Git { command, said } => write!(f, "git {command} failed: {said}"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { source, .. } | Self::Start(source) => Some(source),
            _ => None,
        }
    }
}
