//! Identities: the keys that open files.
//!
//! Lives here: the store key, and a member's identities in every form they come in. Never here: where a
//! file lies, or how a passphrase is asked for.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::OnceLock;
use std::time::Duration;

use age::secrecy::ExposeSecret as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use sha2::{Digest as _, Sha256};

use super::limited::{Named, Watch};
use super::prompt::{Callbacks, Prompt, Unattended, secret_string};
use super::recipient::Recipient;
use super::{Error, Result, file, ssh};
use crate::secret::Secret;

/// The largest identity file that a passphrase protects, in bytes of text.
const IDENTITY_MAX: usize = 1 << 20;

/// The largest SSH private key, in bytes of text: three times that of the largest RSA key accepted. The age
/// crate reads one anew for each line.
const SSH_KEY_MAX: usize = 16 * 1024;

/// A native age identity: the store's own, or a member's made here.
pub struct StoreKey(age::x25519::Identity);

impl StoreKey {
    /// A new key from the operating system's random bytes.
    pub fn generate() -> Self {
        Self(age::x25519::Identity::generate())
    }

    /// Reads one line `AGE-SECRET-KEY-1…`, without its line feed.
    pub fn parse(line: &[u8]) -> Result<Self> {
        let text = std::str::from_utf8(line).map_err(|_| Error::BadKey { line: 1 })?;
        let key = text.parse().map_err(|_| Error::BadKey { line: 1 })?;
        Ok(Self(key))
    }

    /// The line that [`StoreKey::parse`] reads, without a line feed.
    pub fn to_line(&self) -> Secret {
        Secret::copy_of(self.0.to_string().expose_secret().as_bytes())
    }

    /// The public half.
    pub fn recipient(&self) -> Recipient {
        Recipient::native(self.0.to_public())
    }

    pub(super) fn as_age(&self) -> &dyn age::Identity {
        &self.0
    }
}

impl fmt::Debug for StoreKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StoreKey(..)")
    }
}

/// The identities of one file, ready to open what is encrypted to any of them.
pub struct Identities(Vec<Entry>);

/// One identity, by what it takes to use it.
enum Entry {
    /// A native key. Its public half is derived when asked for: that costs a fifth of opening a file.
    Native(StoreKey),
    /// An SSH key without a passphrase.
    Ssh(Box<age::ssh::Identity>, Recipient),
    /// An SSH key behind its passphrase.
    Locked(Box<LockedKey>),
    /// The name of the plugin; without a key where its program is missing.
    Plugin(String, Option<PluginKey>),
}

/// A key that a plugin holds, for a thread of its own.
#[derive(Clone)]
pub(super) struct PluginKey {
    pub(super) key: Arc<dyn age::Identity + Send + Sync>,
    pub(super) watch: Arc<Watch>,
    pub(super) patience: Duration,
}

impl Identities {
    /// Reads an identity file: native and plugin identities, one a line; the same protected by a passphrase,
    /// which is asked for now; or an SSH private key, whose passphrase is asked for when a file needs it.
    ///
    /// `label` is what the file is called in the question `passphrase for "LABEL"`.
    pub fn from_file(bytes: &Secret, label: &str, prompt: Arc<dyn Prompt>) -> Result<Self> {
        let start = bytes.expose().trim_ascii_start();
        if start.starts_with(file::MAGIC) || start.starts_with(file::ARMOR_BEGIN) {
            let text = unlock(start, label, prompt.as_ref())?;
            return Self::from_lines(text.expose(), &prompt);
        }
        if start.starts_with(ssh::PEM_BEGIN.as_bytes()) {
            return Self::from_ssh(start, label, prompt);
        }
        Self::from_lines(bytes.expose(), &prompt)
    }

    /// Reads the text of a key itself, as a variable holds it. Nobody is asked for anything.
    pub fn from_key(text: &Secret) -> Result<Self> {
        Self::from_file(text, "the key given", Arc::new(Unattended))
    }

    /// The public halves of all, in order, without asking for a passphrase. A plugin's is known to the
    /// plugin only: an error.
    pub fn recipients(&self) -> Result<Vec<Recipient>> {
        let public = |entry: &Entry| match entry {
            Entry::Native(key) => Ok(key.recipient()),
            Entry::Ssh(_, recipient) => Ok(recipient.clone()),
            Entry::Locked(key) => Ok(key.recipient.clone()),
            Entry::Plugin(name, _) => Err(Error::PluginRecipient {
                plugin: name.clone(),
            }),
        };
        self.0.iter().map(public).collect()
    }

    fn from_lines(text: &[u8], prompt: &Arc<dyn Prompt>) -> Result<Self> {
        let mut entries = Vec::new();
        for (number, line) in text.split(|byte| *byte == b'\n').enumerate() {
            let line = line.trim_ascii();
            if line.is_empty() || line.starts_with(b"#") {
                continue;
            }
            let bad = |_| Error::BadKey { line: number + 1 };
            let line = std::str::from_utf8(line).map_err(|_| Error::BadKey { line: number + 1 })?;
            entries.push(match line.parse::<age::x25519::Identity>() {
                Ok(key) => Entry::Native(StoreKey(key)),
                Err(_) if line.starts_with("AGE-SECRET-KEY-PQ-1") => {
                    return Err(Error::UnsupportedKey(
                        "post-quantum age identity".to_owned(),
                    ));
                }
                Err(_) => plugin_entry(&line.parse().map_err(bad)?, prompt)?,
            });
        }
        if entries.is_empty() {
            Err(Error::NoIdentity)
        } else {
            Ok(Self(entries))
        }
    }

    fn from_ssh(bytes: &[u8], label: &str, prompt: Arc<dyn Prompt>) -> Result<Self> {
        if bytes.len() > SSH_KEY_MAX {
            return Err(Error::TooLarge { max: SSH_KEY_MAX });
        }
        let text = std::str::from_utf8(bytes).map_err(|_| Error::BadKey { line: 1 })?;
        if text.starts_with(ssh::OPENSSH_BEGIN) {
            ssh::check_private(text)?;
        } else if !text.starts_with(ssh::PEM_RSA_BEGIN) {
            return Err(Error::UnsupportedKey(
                "a private key that is not OpenSSH's".to_owned(),
            ));
        }
        let key = age::ssh::Identity::from_buffer(io::Cursor::new(text), None)
            .map_err(|_| Error::BadKey { line: 1 })?;
        if let age::ssh::Identity::Unsupported(_) = key {
            return Err(Error::UnsupportedKey(
                "its encryption is not supported; ssh-keygen -p rewrites it".to_owned(),
            ));
        }
        let public = age::ssh::Recipient::try_from(key.clone()).map_err(|_| Error::BadRecipient)?;
        // Through the text, which checks the size of an RSA key in the older form as well.
        let recipient = Recipient::parse(&public.to_string())?;
        let label = label.to_owned();
        Ok(Self(vec![match key {
            age::ssh::Identity::Encrypted(key) => Entry::Locked(Box::new(LockedKey {
                key,
                recipient,
                label,
                prompt,
                open: OnceLock::new(),
            })),
            key => Entry::Ssh(Box::new(key), recipient),
        }]))
    }

    /// The identities that can be tried without anybody being asked for anything.
    pub(super) fn ready(&self) -> impl Iterator<Item = &dyn age::Identity> {
        self.0.iter().filter_map(|entry| match entry {
            Entry::Native(key) => Some(key.as_age()),
            Entry::Ssh(key, _) => Some(&**key as &dyn age::Identity),
            _ => None,
        })
    }

    /// Those that plugins hold, to be tried last: they may want a touch.
    pub(super) fn plugins(&self) -> impl Iterator<Item = &PluginKey> {
        self.0.iter().filter_map(|entry| match entry {
            Entry::Plugin(_, key) => key.as_ref(),
            _ => None,
        })
    }

    /// The SSH key behind a passphrase that the header of an age file names, unlocked now; `None` where
    /// it names none of these.
    pub(super) fn unlock_for(&self, header: &[u8]) -> Result<Option<&dyn age::Identity>> {
        for entry in &self.0 {
            if let Entry::Locked(key) = entry
                && key.is_named_in(header)
            {
                return key.unlock().map(Some);
            }
        }
        Ok(None)
    }

    /// Why nothing fits: a plugin that is missing might have.
    pub(super) fn mismatch(&self) -> Error {
        let missing = self.0.iter().find_map(|entry| match entry {
            Entry::Plugin(name, None) => Some(format!("age-plugin-{name}")),
            _ => None,
        });
        missing.map_or(Error::KeyMismatch, |program| Error::PluginMissing {
            program,
        })
    }
}

impl fmt::Debug for Identities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identities({})", self.0.len())
    }
}

/// An SSH key behind its passphrase; asked for once.
struct LockedKey {
    key: age::ssh::EncryptedKey,
    recipient: Recipient,
    label: String,
    prompt: Arc<dyn Prompt>,
    open: OnceLock<age::ssh::Identity>,
}

impl LockedKey {
    /// Whether a stanza carries this key's tag. The age crate does not look before it asks: it would ask
    /// for every stanza, whoever it is for.
    fn is_named_in(&self, header: &[u8]) -> bool {
        let public = self.recipient.to_string();
        let Some((kind, key)) = public.split_once(' ') else {
            return false;
        };
        let blob = base64::engine::general_purpose::STANDARD
            .decode(key)
            .unwrap_or_default();
        let digest = Sha256::digest(blob);
        let tag = STANDARD_NO_PAD.encode(digest.get(..4).unwrap_or_default());
        let stanza = format!("-> {kind} {tag}");
        header.split(|byte| *byte == b'\n').any(|line| {
            let rest = line.strip_prefix(stanza.as_bytes());
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(b" "))
        })
    }

    fn unlock(&self) -> Result<&dyn age::Identity> {
        if let Some(key) = self.open.get() {
            return Ok(key);
        }
        let passphrase = ask(&self.label, self.prompt.as_ref())?;
        let passphrase = secret_string(&passphrase).ok_or(Error::BadPassphrase)?;
        let key = self.key.decrypt(passphrase)?;
        Ok(self.open.get_or_init(|| key.into()))
    }
}

/// A plugin's identity; its program is looked up on PATH now, and missed only where nothing else fits.
fn plugin_entry(identity: &age::plugin::Identity, prompt: &Arc<dyn Prompt>) -> Result<Entry> {
    let name = identity.plugin().to_owned();
    let watch = Arc::new(Watch::new());
    let named = Named {
        prompt: Arc::clone(prompt),
        watch: watch.clone(),
        plugin: name.clone(),
    };
    let callbacks = Callbacks(Arc::new(named));
    let one = std::slice::from_ref(identity);
    match age::plugin::IdentityPluginV1::new(&name, one, callbacks) {
        Ok(key) => {
            let (key, patience) = (Arc::new(key), prompt.patience());
            Ok(Entry::Plugin(
                name,
                Some(PluginKey {
                    key,
                    watch,
                    patience,
                }),
            ))
        }
        Err(age::plugin::ResolveError::MissingPlugin { .. }) => Ok(Entry::Plugin(name, None)),
        Err(other) => Err(other.into()),
    }
}

/// Opens an identity file that a passphrase protects.
fn unlock(bytes: &[u8], label: &str, prompt: &dyn Prompt) -> Result<Secret> {
    let ciphertext = file::dearmor(bytes)?;
    if !file::is_scrypt(&ciphertext)? {
        return Err(Error::UnsupportedKey(
            "an age file without a passphrase".to_owned(),
        ));
    }
    let passphrase = ask(label, prompt)?;
    file::open_with_passphrase(&ciphertext, &passphrase, IDENTITY_MAX)
}

fn ask(label: &str, prompt: &dyn Prompt) -> Result<Secret> {
    let what = format!("passphrase for \"{label}\"");
    prompt.passphrase(&what).ok_or(Error::NeedPassphrase)
}

/// The text of an identity file, whose passphrase is asked for if it has one; keys whose passphrase is changed by other
/// programs are refused.
pub fn text_of(bytes: &Secret, label: &str, prompt: &dyn Prompt) -> Result<Secret> {
    let start = bytes.expose().trim_ascii_start();
    if start.starts_with(file::MAGIC) || start.starts_with(file::ARMOR_BEGIN) {
        return unlock(start, label, prompt);
    }
    if start.starts_with(ssh::PEM_BEGIN.as_bytes()) {
        let text = "an SSH key; its passphrase is changed with ssh-keygen -p";
        return Err(Error::UnsupportedKey(text.to_owned()));
    }
    Ok(Secret::copy_of(bytes.expose()))
}

/// An identity file's text under a passphrase, as an armored age file at the fixed cost.
pub fn protect(text: &Secret, passphrase: &Secret) -> Result<Secret> {
    file::encrypt_with_passphrase(text, passphrase).map(Secret::new)
}

/// A new identity file, as age-keygen writes it, and its public half.
///
/// `comment` becomes the first line, after `# `: when it was made, for example. With a passphrase the file is
/// an armored age file, at the fixed cost.
pub fn generate_identity(
    passphrase: Option<&Secret>,
    comment: &str,
) -> Result<(Secret, Recipient)> {
    let key = StoreKey::generate();
    let recipient = key.recipient();
    let comment = super::prompt::printable(comment);
    let head = format!("# {comment}\n# public key: {recipient}\n");
    let line = key.to_line();
    let mut text = Vec::with_capacity(head.len() + line.len() + 1);
    text.extend_from_slice(head.as_bytes());
    text.extend_from_slice(line.expose());
    text.push(b'\n');
    let text = Secret::new(text);
    let file = match passphrase {
        Some(passphrase) => protect(&text, passphrase)?,
        None => text,
    };
    Ok((file, recipient))
}

#[cfg(test)]
mod tests;
