//! What kind of identity some bytes are, without opening them and without asking anybody.

use std::fmt;

use super::file;
use super::ssh;
use crate::secret::Secret;

/// A kind of identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdentityKind {
    /// An age identity in clear.
    Plain,
    /// An age identity file that a passphrase protects.
    Passphrase,
    /// An SSH private key in clear.
    Ssh,
    /// An SSH private key that a passphrase protects.
    SshPassphrase,
    /// An identity that an age plugin holds.
    Plugin,
    /// Nothing that is known.
    Unknown,
}

impl IdentityKind {
    /// Tells it by how the bytes begin; they may still be damaged.
    pub fn of(bytes: &Secret) -> Self {
        let start = bytes.expose().trim_ascii_start();
        if start.starts_with(file::MAGIC) || start.starts_with(file::ARMOR_BEGIN) {
            return Self::Passphrase;
        }
        if start.starts_with(ssh::PEM_BEGIN.as_bytes()) {
            return match ssh::is_protected(bytes) {
                Some(true) => Self::SshPassphrase,
                Some(false) => Self::Ssh,
                None => Self::Unknown,
            };
        }
        let lines = start.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
        let mut keys = lines.filter(|line| !line.is_empty() && !line.starts_with(b"#"));
        match keys.next() {
            Some(line) if line.starts_with(b"AGE-SECRET-KEY-1") => Self::Plain,
            Some(line) if line.starts_with(b"AGE-PLUGIN-") => Self::Plugin,
            _ => Self::Unknown,
        }
    }

    /// Whether using it asks a person for a passphrase.
    pub const fn is_protected(self) -> bool {
        matches!(self, Self::Passphrase | Self::SshPassphrase)
    }

    /// Whether it can be used without anybody being asked for anything.
    pub const fn is_silent(self) -> bool {
        matches!(self, Self::Plain | Self::Ssh)
    }

    /// A word for scripts.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Passphrase => "passphrase",
            Self::Ssh => "ssh",
            Self::SshPassphrase => "ssh-passphrase",
            Self::Plugin => "plugin",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for IdentityKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plain => "an age identity without a passphrase",
            Self::Passphrase => "an age identity, protected by a passphrase",
            Self::Ssh => "an SSH key without a passphrase",
            Self::SshPassphrase => "an SSH key, protected by a passphrase",
            Self::Plugin => "an age plugin's identity",
            Self::Unknown => "no identity that is known",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kind_is_told_by_the_beginning() {
        for (text, kind) in [
            ("# made\nAGE-SECRET-KEY-1XYZ\n", IdentityKind::Plain),
            ("AGE-PLUGIN-YUBIKEY-1XYZ\n", IdentityKind::Plugin),
            ("age-encryption.org/v1\n-> scrypt", IdentityKind::Passphrase),
            (
                "-----BEGIN AGE ENCRYPTED FILE-----\n",
                IdentityKind::Passphrase,
            ),
            ("-----BEGIN RSA PRIVATE KEY-----\nMII", IdentityKind::Ssh),
            (
                "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n",
                IdentityKind::SshPassphrase,
            ),
            ("", IdentityKind::Unknown),
            ("hello", IdentityKind::Unknown),
        ] {
            assert_eq!(
                IdentityKind::of(&Secret::copy_of(text.as_bytes())),
                kind,
                "{text}"
            );
        }
    }
}
