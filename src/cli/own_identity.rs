//! This machine's identity, for the commands that begin with one: found, or made.

use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::failure::LOCKED;
use crate::crypto::Prompt;
use crate::crypto::identity::generate_identity;
use crate::crypto::recipient::Recipient;
use crate::format::header::whole_seconds;
use crate::secret::Secret;
use crate::session::Asking;
use crate::session::Source;
use crate::sys::fs;

/// The member's identity: where it is, and its file's text if it is a new one.
pub(super) struct OwnIdentity {
    /// Its file, or the name of the variable that holds it.
    pub path: PathBuf,
    /// Its public half.
    pub recipient: Recipient,
    /// The text of a new one.
    pub new: Option<Secret>,
}

/// Which identity is meant, and what a new one is like.
pub(super) struct Wanted<'w> {
    /// The file that the command line names.
    pub given: Option<&'w Path>,
    /// The file that the configuration names.
    pub configured: Option<&'w Path>,
    /// A new one has no passphrase.
    pub no_passphrase: bool,
}

impl OwnIdentity {
    /// Writes a new identity; only when nothing is left to be asked, so that whoever gives up has made nothing.
    pub(super) fn write(&self) -> Result<(), Failure> {
        let Some(text) = &self.new else {
            return Ok(());
        };
        let folder = self.path.parent().unwrap_or(Path::new("/"));
        let name = self.path.file_name().unwrap_or_default();
        fs::make_private(folder)?.create(Path::new(name), text.expose())?;
        Ok(())
    }

    /// Finds the identity, or makes one.
    pub(super) fn find_or_make(cx: &Context, wanted: &Wanted<'_>) -> Result<Self, Failure> {
        let chosen = match wanted.given {
            Some(path) => Source::File(cx.env.absolute(path)),
            None => Source::choose(&cx.env, wanted.configured),
        };
        let path = match &chosen {
            Source::File(path) => path.clone(),
            Source::Variable(_) | Source::Given(_) => PathBuf::from(chosen.label()),
        };
        let is_file = matches!(chosen, Source::File(_));
        if is_file && wanted.given.is_none() && fs::kind(&path).is_none() {
            return Self::make(cx, path, wanted.no_passphrase);
        }
        let prompt: Arc<dyn Prompt> = Arc::new(Asking::new(&cx.env));
        let identities = chosen.load(&prompt)?;
        let recipients = identities.recipients().map_err(|error| {
            Failure::failed(format!(
                "the identity in {} cannot be used: {error}",
                chosen.label()
            ))
        })?;
        let none = || Failure::failed(format!("there is no identity in {}", chosen.label()));
        let recipient = recipients.into_iter().next().ok_or_else(none)?;
        Ok(Self {
            path,
            recipient,
            new: None,
        })
    }

    /// A new one, not written yet.
    pub(super) fn make(cx: &Context, path: PathBuf, no_passphrase: bool) -> Result<Self, Failure> {
        let passphrase = if no_passphrase {
            None
        } else {
            Some(new_passphrase(cx)?)
        };
        let created = whole_seconds(cx.env.now).to_string();
        let (text, recipient) = generate_identity(passphrase.as_ref(), &created)?;
        Ok(Self {
            path,
            recipient,
            new: Some(text),
        })
    }
}

/// A new passphrase, from the program that prints it, or typed twice.
pub(super) fn new_passphrase(cx: &Context) -> Result<Secret, Failure> {
    let asking = Asking::new(&cx.env);
    let nobody = || {
        match asking.unanswered() {
        Some(reason) => Failure::new(LOCKED, format!("a passphrase is needed, and {reason}; nothing is made")),
        None => Failure::new(LOCKED, "there is no terminal to ask for a passphrase on")
            .hint("--no-passphrase makes an identity without one; AGEVAULT_PASSPHRASE_CMD names a program that prints it"),
    }
    };
    let first = asking
        .passphrase("New passphrase for this machine's identity")
        .ok_or_else(nobody)?;
    if first.is_empty() {
        return Err(Failure::failed("the passphrase is empty, nothing is made"));
    }
    if asking.can_repeat() {
        let second = asking.passphrase("The same again").ok_or_else(nobody)?;
        if first != second {
            return Err(Failure::failed("the two are not the same, nothing is made"));
        }
    }
    Ok(first)
}
