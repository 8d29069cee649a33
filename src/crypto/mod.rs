//! age files and one signature; nothing else of cryptography.
//!
//! Lives here: recipients, identities, whole files encrypted and opened, the writer key. Never here: a
//! file, a terminal, a format of ours. Callers hand over bytes and get bytes. Nothing outside this
//! module names the age crate.

pub mod file;
pub mod identity;
pub mod keyed;
mod kind;
mod limited;
pub mod prompt;
pub mod recipient;
pub mod sign;
mod ssh;
pub mod words;

pub use identity::Identities;
pub use identity::StoreKey;
pub use kind::IdentityKind;
pub use prompt::Prompt;
pub use prompt::Unattended;

use std::error;
use std::fmt;

/// The most a scrypt stanza may cost when an identity file is read, as the logarithm of N. Four times a
/// minute on a slow machine, and what other age programs accept.
pub const SCRYPT_LOG2_MAX: u8 = 22;

/// What a passphrase costs in the files written here, as the logarithm of N. Fixed: the age crate would
/// measure the machine, and a busy or slow one would get a weaker file.
pub const SCRYPT_LOG2: u8 = 18;

/// What can go wrong with keys, age files and signatures. No variant holds a byte of a key or a secret.
#[derive(Debug)]
pub enum Error {
    /// None of the identities at hand opens the file.
    KeyMismatch,
    /// The passphrase does not open the identity.
    WrongPassphrase,
    /// A passphrase is needed and there is nobody to ask.
    NeedPassphrase,
    /// The passphrase given is empty, or not UTF-8.
    BadPassphrase,
    /// The bytes are not an age file of a version known here.
    NotAge,
    /// An age file that is cut, changed, or has bytes after its end.
    Damaged,
    /// More plaintext than the caller allows.
    TooLarge {
        /// The limit, in bytes of plaintext.
        max: usize,
    },
    /// A file protected by a passphrase where only keys are accepted.
    ScryptRefused,
    /// A passphrase that costs more than [`SCRYPT_LOG2_MAX`].
    ExcessiveWork {
        /// The cost asked for, as the logarithm of N.
        log2: u8,
    },
    /// A kind of key that cannot be used here; the text names it and may say what to do.
    UnsupportedKey(String),
    /// Text that is not a key.
    BadKey {
        /// The line in the file, from 1.
        line: usize,
    },
    /// A file without any identity in it.
    NoIdentity,
    /// Text that is not a recipient.
    BadRecipient,
    /// No recipient to encrypt to.
    NoRecipient,
    /// Recipients that refuse to share a file: post-quantum ones and others.
    MixedRecipients,
    /// A plugin's program is not there.
    PluginMissing {
        /// The name of the program.
        program: String,
    },
    /// A plugin that said nothing for too long.
    PluginSilent {
        /// How long it was waited for.
        seconds: u64,
    },
    /// What a plugin said when it failed, without control characters.
    Plugin(String),
    /// The public half is known to the plugin only.
    PluginRecipient {
        /// The name of the plugin.
        plugin: String,
    },
    /// A signature that is malformed or does not verify.
    BadSignature,
    /// A writer key, secret or public, that is not one.
    BadWriterKey,
    /// A fingerprint that is not eight words of the list.
    BadFingerprint,
    /// The operating system gives no random bytes.
    Random(getrandom::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::KeyMismatch => f.write_str("no identity at hand opens it"),
            Self::WrongPassphrase => f.write_str("wrong passphrase"),
            Self::NeedPassphrase => f.write_str("a passphrase is needed and cannot be asked for"),
            Self::BadPassphrase => f.write_str("the passphrase is empty or not UTF-8"),
            Self::NotAge => f.write_str("not an age file"),
            Self::Damaged => f.write_str("damaged: cut short or changed"),
            Self::TooLarge { max } => write!(f, "larger than {max} bytes"),
            Self::ScryptRefused => f.write_str("protected by a passphrase instead of a key"),
            Self::ExcessiveWork { log2 } => write!(
                f,
                "its passphrase costs 2^{log2}, more than the 2^{SCRYPT_LOG2_MAX} accepted"
            ),
            Self::UnsupportedKey(kind) => write!(f, "unsupported key: {kind}"),
            Self::BadKey { line } => write!(f, "line {line} is not a key"),
            Self::NoIdentity => f.write_str("holds no identity"),
            Self::BadRecipient => f.write_str("not a recipient: age1… or an SSH public key"),
            Self::NoRecipient => f.write_str("no recipient to encrypt to"),
            Self::MixedRecipients => {
                f.write_str("post-quantum recipients and others cannot share a file")
            }
            Self::PluginMissing { program } => write!(f, "{program} is not on PATH: install it"),
            Self::PluginSilent { seconds } => {
                write!(
                    f,
                    "the plugin did not answer within {seconds} seconds, it was ended"
                )
            }
            Self::Plugin(message) => write!(f, "the plugin failed: {message}"),
            Self::PluginRecipient { plugin } => write!(
                f,
                "only age-plugin-{plugin} knows the recipient of this identity: give the recipient"
            ),
            Self::BadSignature => f.write_str("the signature does not verify"),
            Self::BadWriterKey => f.write_str("not a writer key"),
            Self::BadFingerprint => f.write_str("not a fingerprint: eight words of its list"),
            Self::Random(_) => f.write_str("the system gives no random bytes"),
        }
    }
}

impl error::Error for Error {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Self::Random(source) => Some(source),
            _ => None,
        }
    }
}

/// What a call of this layer returns.
pub type Result<T> = std::result::Result<T, Error>;

impl From<age::DecryptError> for Error {
    fn from(error: age::DecryptError) -> Self {
        use age::DecryptError as Age;
        match error {
            Age::NoMatchingKeys => Self::KeyMismatch,
            Age::KeyDecryptionFailed => Self::WrongPassphrase,
            Age::ExcessiveWork { required, .. } => Self::ExcessiveWork { log2: required },
            Age::UnknownFormat => Self::NotAge,
            Age::Plugin(errors) => Self::Plugin(plugin_text(&errors)),
            Age::PluginResolve(error) => error.into(),
            // A header, a stanza or a payload that is not what it was when written.
            _ => Self::Damaged,
        }
    }
}

impl From<age::EncryptError> for Error {
    fn from(error: age::EncryptError) -> Self {
        use age::EncryptError as Age;
        match error {
            Age::MissingRecipients => Self::NoRecipient,
            Age::IncompatibleRecipients { .. } | Age::MixedRecipientAndPassphrase => {
                Self::MixedRecipients
            }
            Age::Plugin(errors) => Self::Plugin(plugin_text(&errors)),
            Age::PluginResolve(error) => error.into(),
            // Output goes to memory, so what is left is a plugin that died or broke its protocol.
            other => Self::Plugin(prompt::printable(&other.to_string())),
        }
    }
}

impl From<age::plugin::ResolveError> for Error {
    fn from(error: age::plugin::ResolveError) -> Self {
        match error {
            age::plugin::ResolveError::MissingPlugin { binary_name } => Self::PluginMissing {
                program: binary_name,
            },
            _ => Self::UnsupportedKey("a plugin's name that is not one".to_owned()),
        }
    }
}

impl From<getrandom::Error> for Error {
    fn from(error: getrandom::Error) -> Self {
        Self::Random(error)
    }
}

/// The plugin's own words, on one line.
fn plugin_text(errors: &[impl fmt::Display]) -> String {
    let words: Vec<String> = errors
        .iter()
        .map(|error| prompt::printable(&error.to_string()))
        .collect();
    words.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plugin_cannot_reach_the_terminal_through_an_error() {
        let text = plugin_text(&["red \u{1b}[31m\nline", "\u{202e}two"]);
        assert_eq!(text, "red ?[31m line; ?two");
    }

    #[test]
    fn messages_follow_the_house_voice() {
        for error in [
            Error::KeyMismatch,
            Error::TooLarge { max: 5 },
            Error::ExcessiveWork { log2: 30 },
            Error::BadKey { line: 3 },
        ] {
            let text = error.to_string();
            assert!(!text.ends_with('.') && !text.contains('\n'), "{text}");
        }
    }
}
