//! The store's keys, at hand: finding the identity, asking for its passphrase, opening the key file.
//!
//! Lives here: everything that may ask a person for a passphrase. Never here: what is done with the keys.

mod prompt;

use std::fmt;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use crate::crypto;
use crate::crypto::Identities;
use crate::crypto::IdentityKind;
use crate::crypto::Prompt;
use crate::crypto::Unattended;
use crate::crypto::file;
use crate::format::Epoch;
use crate::format::KEYS_MAX_BYTES;
use crate::format::Refusal;
use crate::format::Stage;
use crate::format::keys::KeyFile;
use crate::format::layout;
use crate::secret::Secret;
use crate::store;
use crate::store::Store;
use crate::store::keeper::Keeper;
use crate::sys::Env;
use crate::sys::fs;

pub use prompt::Asking;

/// Most bytes of an identity file.
const IDENTITY_MAX_BYTES: u64 = 1 << 20;
/// How often a wrong passphrase may be typed.
const ATTEMPTS: usize = 3;

/// Where the member's identity comes from.
pub enum Source {
    /// The variable `AGEVAULT_KEY` holds it.
    Variable(Secret),
    /// A file.
    File(PathBuf),
    /// It was typed, or came by stdin.
    Given(Secret),
}

/// Why the store is not unlocked.
#[derive(Debug)]
pub enum Error {
    /// There is no identity file at this path.
    NoIdentity(PathBuf),
    /// The identity at hand fits no key file: its source, and the members there are.
    NoKeyFits {
        /// Where the identity came from.
        source: String,
        /// The members that have a key file.
        members: Vec<String>,
    },
    /// The passphrase was wrong.
    WrongPassphrase(String),
    /// A passphrase is needed and nobody can be asked.
    CannotAsk(String),
    /// A passphrase is needed and whoever was asked gave none.
    Unanswered {
        /// Where the identity came from.
        source: String,
        /// Why there is none, as the end of a sentence.
        reason: String,
    },
    /// The identity could not be used.
    Identity {
        /// Where it came from.
        source: String,
        /// Why.
        error: crypto::Error,
    },
    /// The store itself.
    Store(store::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoIdentity(path) => write!(f, "there is no identity at {}", path.display()),
            Self::NoKeyFits { source, members } if members.is_empty() => {
                write!(f, "the store has no key file for the identity in {source}")
            }
            Self::NoKeyFits { source, members } => {
                write!(
                    f,
                    "the identity in {source} opens none of the store's key files ({})",
                    members.join(", ")
                )
            }
            Self::WrongPassphrase(source) => write!(f, "the passphrase does not open {source}"),
            Self::CannotAsk(source) => write!(
                f,
                "{source} needs a passphrase, and there is no terminal to ask on"
            ),
            Self::Unanswered { source, reason } => {
                write!(f, "{source} needs a passphrase, and {reason}")
            }
            Self::Identity { source, error } => {
                write!(f, "the identity in {source} cannot be used: {error}")
            }
            Self::Store(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Error {}

impl<E: Into<store::Error>> From<E> for Error {
    fn from(error: E) -> Self {
        Self::Store(error.into())
    }
}

impl Source {
    /// The first that applies: `AGEVAULT_KEY`, `AGEVAULT_IDENTITY`, the store's own (`configured`), the usual file.
    pub fn choose(env: &Env, configured: Option<&Path>) -> Self {
        if let Some(key) = env.var("AGEVAULT_KEY") {
            return Self::Variable(Secret::copy_of(key.as_bytes()));
        }
        let path = match (env.var_os("AGEVAULT_IDENTITY"), configured) {
            (Some(path), _) => env.absolute(Path::new(path)),
            (None, Some(path)) => env.absolute(path),
            (None, None) => usual_identity(env),
        };
        Self::File(path)
    }

    /// The source in words for a message: a path, or the variable's name.
    pub fn label(&self) -> String {
        match self {
            Self::Variable(_) => "AGEVAULT_KEY".to_owned(),
            Self::File(path) => path.display().to_string(),
            Self::Given(_) => "the key given".to_owned(),
        }
    }

    /// What kind of identity it is, without opening it; `None` where there is none to read.
    pub fn kind(&self) -> Option<IdentityKind> {
        match self {
            Self::Variable(key) | Self::Given(key) => Some(IdentityKind::of(key)),
            Self::File(path) => {
                let bytes = fs::read_secret(path, IDENTITY_MAX_BYTES).ok()?;
                Some(IdentityKind::of(&bytes))
            }
        }
    }

    /// Reads the identity, asking for its passphrase if it has one.
    pub fn load(&self, prompt: &Arc<dyn Prompt>) -> Result<Identities, Error> {
        let label = self.label();
        let loaded = match self {
            Self::Variable(key) => Identities::from_key(key),
            Self::Given(key) => from_file(key, &label, prompt),
            Self::File(path) => {
                let bytes = match fs::read_secret(path, IDENTITY_MAX_BYTES) {
                    Ok(bytes) => bytes,
                    Err(error) if error.source.kind() == std::io::ErrorKind::NotFound => {
                        return Err(Error::NoIdentity(path.clone()));
                    }
                    Err(error) => return Err(error.into()),
                };
                from_file(&bytes, &label, prompt)
            }
        };
        loaded.map_err(|error| unlocked_error(&label, error, prompt))
    }
}

/// The identity file that is meant when none is named.
pub fn usual_identity(env: &Env) -> PathBuf {
    env.places.config.join("identities")
}

/// Whoever holds the store's keys, asking where that is needed and possible.
pub fn unlock(env: &Env, store: &Store, source: &Source) -> Result<Box<dyn Keeper>, Error> {
    Ok(Box::new(open_keys(env, store, source)?))
}

/// The keys themselves, in this process, asking where that is needed and possible.
pub fn open_keys(env: &Env, store: &Store, source: &Source) -> Result<KeyFile, Error> {
    let prompt: Arc<dyn Prompt> = Arc::new(Asking::new(env));
    open(store, source, &prompt)
}

/// The keys in the one of several key files that the identity opens, asking where that is needed and possible. The files are given
/// with their members, and need not be the store's own; nothing is remembered of it.
pub fn open_one_of(
    env: &Env,
    source: &Source,
    epoch: &Epoch,
    files: &[(String, Vec<u8>)],
) -> Result<KeyFile, Error> {
    let prompt: Arc<dyn Prompt> = Arc::new(Asking::new(env));
    let identities = source.load(&prompt)?;
    for (member, bytes) in files {
        let path = layout::key_path(member);
        if let Some(plain) = decrypt((source, &identities, &prompt), &path, bytes)? {
            let keys = KeyFile::parse(plain, epoch, member);
            return Ok(keys.map_err(|refusal| refusal.of(&path))?);
        }
    }
    Err(Error::NoKeyFits {
        source: source.label(),
        members: files.iter().map(|(member, _)| member.clone()).collect(),
    })
}

/// Whoever holds the store's keys, if nobody needs to be asked for them.
pub fn unlock_silently(store: &Store, source: &Source) -> Option<Box<dyn Keeper>> {
    let prompt: Arc<dyn Prompt> = Arc::new(Unattended);
    Some(Box::new(open(store, source, &prompt).ok()?))
}

fn open(store: &Store, source: &Source, prompt: &Arc<dyn Prompt>) -> Result<KeyFile, Error> {
    open_by(store, source, &source.load(prompt)?, prompt)
}

/// Opens the store's keys by identities that are loaded already.
pub fn open_by(
    store: &Store,
    source: &Source,
    identities: &Identities,
    prompt: &Arc<dyn Prompt>,
) -> Result<KeyFile, Error> {
    if let Some(member) = store.state.member()
        && let Some(keys) = try_member(store, (source, identities, prompt), &member)?
    {
        return Ok(keys);
    }
    let members = store.key_files()?;
    for member in &members {
        if let Some(keys) = try_member(store, (source, identities, prompt), member)? {
            // Only a hint: a device that cannot write it tries the key files one by one the next time, too.
            let _ = store.state.set_member(member);
            return Ok(keys);
        }
    }
    Err(Error::NoKeyFits {
        source: source.label(),
        members,
    })
}

/// The keys, if the identities open this member's key file.
fn try_member(
    store: &Store,
    (source, identities, prompt): (&Source, &Identities, &Arc<dyn Prompt>),
    member: &str,
) -> Result<Option<KeyFile>, Error> {
    let Some(bytes) = store.key_file(member)? else {
        return Ok(None);
    };
    let path = layout::key_path(member);
    let Some(plain) = decrypt((source, identities, prompt), &path, &bytes)? else {
        return Ok(None);
    };
    let of_file = |refusal: Refusal| refusal.of(&path);
    if store.state.knows_keys(&store.epoch, &path, &bytes) {
        let keys = KeyFile::parse_known(plain, &store.epoch, member);
        return Ok(Some(keys.map_err(of_file)?));
    }
    let keys = KeyFile::parse(plain, &store.epoch, member).map_err(of_file)?;
    // A device that cannot write this verifies the key file again the next time.
    let _ = store.state.set_past(keys.ended());
    let _ = store.state.set_role(keys.role());
    let _ = store.state.set_known_keys(&store.epoch, &path, &bytes);
    Ok(Some(keys))
}

/// A key file in clear, if the identities open it.
fn decrypt(
    (source, identities, prompt): (&Source, &Identities, &Arc<dyn Prompt>),
    path: &str,
    bytes: &[u8],
) -> Result<Option<Secret>, Error> {
    let limit = usize::try_from(KEYS_MAX_BYTES).unwrap_or(usize::MAX);
    match file::open_with(bytes, identities, limit) {
        Ok(plain) => Ok(Some(plain)),
        Err(crypto::Error::KeyMismatch) => Ok(None),
        Err(error @ (crypto::Error::WrongPassphrase | crypto::Error::NeedPassphrase)) => {
            Err(unlocked_error(&source.label(), error, prompt))
        }
        Err(error) => {
            let refusal = Refusal::new(Stage::Member, format!("it does not decrypt: {error}"));
            Err(refusal.of(path).into())
        }
    }
}

/// Reads an identity file; a wrong passphrase may be typed again where a person types it.
fn from_file(bytes: &Secret, label: &str, prompt: &Arc<dyn Prompt>) -> crypto::Result<Identities> {
    let mut attempts = 1;
    loop {
        let read = Identities::from_file(bytes, label, Arc::clone(prompt));
        if !matches!(read, Err(crypto::Error::WrongPassphrase))
            || attempts >= ATTEMPTS
            || !prompt.can_repeat()
        {
            return read;
        }
        prompt.message("that passphrase does not open it, try again");
        attempts += 1;
    }
}

fn unlocked_error(source: &str, error: crypto::Error, prompt: &Arc<dyn Prompt>) -> Error {
    match error {
        crypto::Error::WrongPassphrase => Error::WrongPassphrase(source.to_owned()),
        crypto::Error::NeedPassphrase => match prompt.unanswered() {
            None => Error::CannotAsk(source.to_owned()),
            Some(reason) => Error::Unanswered {
                source: source.to_owned(),
                reason,
            },
        },
        error => Error::Identity {
            source: source.to_owned(),
            error,
        },
    }
}
