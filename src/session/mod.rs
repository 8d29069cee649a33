//! The store's keys, at hand: finding the identity, asking for its passphrase, opening the key file.
//!
//! Lives here: everything that may ask a person for a passphrase. Never here: what is done with the keys.

#[cfg(target_os = "linux")]
pub mod agent;
pub mod ask;
#[cfg(target_os = "linux")]
pub mod client;
pub mod consent;
mod here;
pub mod keyring;
pub mod lasting;
pub mod pinentry;
mod prompt;
pub mod protocol;

use std::fmt;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use crate::config::Config;
use crate::crypto;
use crate::crypto::Identities;
use crate::crypto::IdentityKind;
use crate::crypto::Prompt;
use crate::crypto::Unattended;
use crate::crypto::file;
use crate::crypto::identity;
use crate::format::Epoch;
use crate::format::KEYS_MAX_BYTES;
use crate::format::Refusal;
use crate::format::Stage;
use crate::format::keys::KeyFile;
use crate::format::layout;
use crate::secret::Secret;
use crate::session::here::Here;
use crate::session::lasting::Terms;
use crate::store;
use crate::store::Store;
use crate::store::keeper::Keeper;
use crate::sys::Env;
use crate::sys::fs;
use crate::sys::mem;

pub use prompt::Asking;

/// Most bytes of an identity file.
const IDENTITY_MAX_BYTES: u64 = 1 << 20;
/// What is said where keys may reach swap.
pub const NOT_LOCKED: &str =
    "the keys could not be locked into memory (see: ulimit -l), they may reach swap";
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
            Self::File(_) => Some(IdentityKind::of(&self.read().ok()?)),
        }
    }

    /// The identity as it lies there, protected or not.
    fn read(&self) -> Result<Secret, Error> {
        match self {
            Self::Variable(key) | Self::Given(key) => Ok(Secret::copy_of(key.expose())),
            Self::File(path) => fs::read_secret(path, IDENTITY_MAX_BYTES).map_err(|error| {
                if error.source.kind() == std::io::ErrorKind::NotFound {
                    Error::NoIdentity(path.clone())
                } else {
                    error.into()
                }
            }),
        }
    }

    /// Reads the identity, asking for its passphrase if it has one.
    pub fn load(&self, prompt: &Arc<dyn Prompt>) -> Result<Identities, Error> {
        self.parse(&self.read()?, prompt)
    }

    fn parse(&self, bytes: &Secret, prompt: &Arc<dyn Prompt>) -> Result<Identities, Error> {
        let label = self.label();
        let loaded = match self {
            Self::Variable(_) => Identities::from_key(bytes),
            Self::Given(_) | Self::File(_) => from_file(bytes, &label, prompt),
        };
        loaded.map_err(|error| unlocked_error(&label, error, prompt))
    }
}

/// The text of an age identity file, its passphrase asked for if it has one.
pub fn identity_text(path: &Path, asking: &Asking) -> Result<Secret, Error> {
    let source = Source::File(path.to_owned());
    let bytes = source.read()?;
    let label = source.label();
    identity::text_of(&bytes, &label, asking).map_err(|error| match error {
        crypto::Error::WrongPassphrase => Error::WrongPassphrase(label),
        crypto::Error::NeedPassphrase => Error::CannotAsk(label),
        error => Error::Identity {
            source: label,
            error,
        },
    })
}

/// The identity file that is meant when none is named.
pub fn usual_identity(env: &Env) -> PathBuf {
    env.places.config.join("identities")
}

/// Whoever holds the store's keys, asking where that is needed and possible. `purpose` is what for, as the record of uses
/// and a question of consent call it.
///
/// The agent, where the identity cannot be used without a person or is not there; it is started if there is none. A plain
/// identity is as fast, and holding its keys somewhere would protect nothing.
pub fn unlock(
    env: &Arc<Env>,
    store: &Store,
    source: &Source,
    purpose: &'static str,
) -> Result<Box<dyn Keeper>, Error> {
    let prompt: Arc<dyn Prompt> = Arc::new(Asking::new(env));
    unlock_with(env, store, source, purpose, &prompt)
}

/// The same, if nobody needs to be asked for them.
pub fn unlock_silently(
    env: &Arc<Env>,
    store: &Store,
    source: &Source,
    purpose: &'static str,
) -> Option<Box<dyn Keeper>> {
    let prompt: Arc<dyn Prompt> = Arc::new(Unattended);
    unlock_with(env, store, source, purpose, &prompt).ok()
}

fn unlock_with(
    env: &Arc<Env>,
    store: &Store,
    source: &Source,
    purpose: &'static str,
    prompt: &Arc<dyn Prompt>,
) -> Result<Box<dyn Keeper>, Error> {
    let read = source.read();
    let is_silent = matches!(&read, Ok(bytes) if IdentityKind::of(bytes).is_silent());
    let lasts = !is_silent && matches!(source, Source::File(_)) && lasting::is_possible(env);
    if lasts && let Some(agent) = lasting::find(env, store, purpose, prompt.as_ref()) {
        return Ok(agent);
    }
    let opened = open(store, source, (&read?, prompt), lasts)?;
    if lasts {
        let terms = Terms::of(&Config::load(env).unwrap_or_default());
        match lasting::hold(env, store, &opened, &terms) {
            Ok(true) => {}
            Ok(false) => prompt.message(NOT_LOCKED),
            Err(why) => prompt.message(&format!("the keys are not kept unlocked: {why}")),
        }
    }
    let uses = store.state.path().to_owned();
    Ok(Box::new(Here::new(opened.keys, env, uses, purpose)))
}

/// The keys themselves, in this process, asking where that is needed and possible.
pub fn open_keys(env: &Arc<Env>, store: &Store, source: &Source) -> Result<KeyFile, Error> {
    Ok(*open_whole(env, store, source)?.keys)
}

/// The same with the key file's plaintext, for handing it to the agent.
pub fn open_whole(env: &Arc<Env>, store: &Store, source: &Source) -> Result<Opened, Error> {
    let prompt: Arc<dyn Prompt> = Arc::new(Asking::new(env));
    open(store, source, (&source.read()?, &prompt), true)
}

/// The keys in the one of several key files that the identity opens, asking where that is needed and possible. The files are given
/// with their members, and need not be the store's own; nothing is remembered of it.
pub fn open_one_of(
    env: &Arc<Env>,
    source: &Source,
    epoch: &Epoch,
    files: &[(String, Vec<u8>)],
) -> Result<KeyFile, Error> {
    let prompt: Arc<dyn Prompt> = Arc::new(Asking::new(env));
    let identities = source.load(&prompt)?;
    let mut said = Said::default();
    for (member, bytes) in files {
        let path = layout::key_path(member);
        let plain = decrypt((source, &identities, &prompt), &path, bytes);
        if let Some(plain) = said.hear(plain)?.flatten() {
            let keys = KeyFile::parse(plain, epoch, member);
            return Ok(keys.map_err(|refusal| refusal.of(&path))?);
        }
    }
    let members = files.iter().map(|(member, _)| member.clone());
    said.nothing_fits(source, members.collect())
}

/// An opened key file.
pub struct Opened {
    /// What it says.
    pub keys: Box<KeyFile>,
    /// Its plaintext, where it was to be kept.
    plain: Option<Secret>,
}

fn open(
    store: &Store,
    source: &Source,
    (bytes, prompt): (&Secret, &Arc<dyn Prompt>),
    keep: bool,
) -> Result<Opened, Error> {
    let identities = source.parse(bytes, prompt)?;
    open_by(store, (source, &identities, prompt), keep)
}

/// Opens the store's keys by identities that are loaded already; `keep` keeps the key file's plaintext.
pub fn open_by(
    store: &Store,
    using: (&Source, &Identities, &Arc<dyn Prompt>),
    keep: bool,
) -> Result<Opened, Error> {
    let source = using.0;
    let mut said = Said::default();
    let usual = store.state.member();
    if let Some(member) = &usual
        && let Some(keys) = said.hear(try_member(store, using, member, keep))?.flatten()
    {
        return Ok(keys);
    }
    let members = store.key_files()?;
    for member in members.iter().filter(|one| Some(*one) != usual.as_ref()) {
        if let Some(keys) = said.hear(try_member(store, using, member, keep))?.flatten() {
            // Only a hint: a device that cannot write it tries the key files one by one the next time, too.
            let _ = store.state.set_member(member);
            return Ok(keys);
        }
    }
    said.nothing_fits(source, members)
}

/// What plugins said of key files that they did not open. Some call it a failure when a file is for somebody else: the
/// others are tried nevertheless.
#[derive(Default)]
struct Said(Vec<String>);

impl Said {
    /// The result, but a plugin's failure is kept for later, and counts as none.
    fn hear<T>(&mut self, result: Result<T, Error>) -> Result<Option<T>, Error> {
        match result {
            Ok(done) => Ok(Some(done)),
            Err(Error::Identity {
                error: crypto::Error::Plugin(text),
                ..
            }) => {
                if !self.0.contains(&text) {
                    self.0.push(text);
                }
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Why nothing was opened: what plugins said, where they said something.
    fn nothing_fits<T>(self, source: &Source, members: Vec<String>) -> Result<T, Error> {
        let source = source.label();
        if self.0.is_empty() {
            return Err(Error::NoKeyFits { source, members });
        }
        let error = crypto::Error::Plugin(self.0.join("; "));
        Err(Error::Identity { source, error })
    }
}

/// The keys, if the identities open this member's key file; its plaintext too, if it is to be kept.
fn try_member(
    store: &Store,
    (source, identities, prompt): (&Source, &Identities, &Arc<dyn Prompt>),
    member: &str,
    keep: bool,
) -> Result<Option<Opened>, Error> {
    let Some(bytes) = store.key_file(member)? else {
        return Ok(None);
    };
    let path = layout::key_path(member);
    let Some(plain) = decrypt((source, identities, prompt), &path, &bytes)? else {
        return Ok(None);
    };
    let kept = keep.then(|| Secret::copy_of(plain.expose()));
    let of_file = |refusal: Refusal| refusal.of(&path);
    let is_known = store.state.knows_keys(&store.epoch, &path, &bytes);
    let keys = if is_known {
        KeyFile::parse_known(plain, &store.epoch, member)
    } else {
        KeyFile::parse(plain, &store.epoch, member)
    };
    let keys = Box::new(keys.map_err(of_file)?);
    // Kept out of swap where the limit allows; `unlock` and `doctor` say where it does not.
    mem::lock(std::slice::from_ref(&*keys));
    if !is_known {
        // A device that cannot write this verifies the key file again the next time.
        let _ = store.state.set_past(keys.ended());
        let _ = store.state.set_role(keys.role());
        let _ = store.state.set_known_keys(&store.epoch, &path, &bytes);
    }
    Ok(Some(Opened { keys, plain: kept }))
}

/// Whether it is the identity that fails, and not the key file.
fn is_about_identity(error: &crypto::Error) -> bool {
    matches!(
        error,
        crypto::Error::WrongPassphrase
            | crypto::Error::NeedPassphrase
            | crypto::Error::Plugin(_)
            | crypto::Error::PluginSilent { .. }
            | crypto::Error::PluginMissing { .. }
    )
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
        Err(error) if is_about_identity(&error) => {
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
