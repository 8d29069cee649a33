//! Recipients: the keys that files are encrypted to.
//!
//! Lives here: their text forms and kinds. Never here: anything secret.

use std::fmt;
use std::str::FromStr as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::prompt::Callbacks;
use super::{Error, Result, prompt, ssh};

/// A key that files are encrypted to. Made by parsing; its text form parses again.
#[derive(Clone)]
pub struct Recipient(Kind);

/// The kinds that can be told apart by their text.
#[derive(Clone)]
enum Kind {
    Native(age::x25519::Recipient),
    /// Hardware keys by P-256, and the same with a post-quantum half.
    Tag(String),
    TagPq(String),
    Ssh(age::ssh::Recipient),
    Plugin(age::plugin::Recipient),
}

impl Recipient {
    /// Reads `age1…`, an SSH public key line, or a plugin's recipient; white space around it and an SSH
    /// key's comment are dropped.
    pub fn parse(text: &str) -> Result<Self> {
        let text = text.trim();
        if text.contains(' ') || text.starts_with("ssh-") {
            return parse_ssh(text).map(Self);
        }
        // A plugin's name is any word after `age1`, so the crate's own kinds come first.
        if let Ok(native) = text.parse() {
            return Ok(Self(Kind::Native(native)));
        }
        if age::tag::Recipient::from_str(text).is_ok() {
            return Ok(Self(Kind::Tag(text.to_owned())));
        }
        if age::tagpq::Recipient::from_str(text).is_ok() {
            return Ok(Self(Kind::TagPq(text.to_owned())));
        }
        let plugin = text.parse().map_err(|_| Error::BadRecipient)?;
        Ok(Self(Kind::Plugin(plugin)))
    }

    /// The public half of a native identity.
    pub(super) fn native(recipient: age::x25519::Recipient) -> Self {
        Self(Kind::Native(recipient))
    }

    /// The program that must be there to encrypt to this recipient, where one must.
    pub fn plugin(&self) -> Option<String> {
        match &self.0 {
            Kind::Plugin(plugin) => Some(format!("age-plugin-{}", plugin.plugin())),
            _ => None,
        }
    }

    /// The form that the age crate encrypts to; a plugin is looked up on PATH now.
    pub(super) fn to_age(&self) -> Result<Box<dyn age::Recipient>> {
        Ok(match &self.0 {
            Kind::Native(native) => Box::new(native.clone()),
            Kind::Tag(text) => {
                Box::new(age::tag::Recipient::from_str(text).map_err(|_| Error::BadRecipient)?)
            }
            Kind::TagPq(text) => {
                Box::new(age::tagpq::Recipient::from_str(text).map_err(|_| Error::BadRecipient)?)
            }
            Kind::Ssh(ssh) => Box::new(ssh.clone()),
            Kind::Plugin(plugin) => Box::new(age::plugin::RecipientPluginV1::new(
                plugin.plugin(),
                std::slice::from_ref(plugin),
                &[],
                Callbacks(std::sync::Arc::new(prompt::Unattended)),
            )?),
        })
    }
}

/// Reads a line of an SSH public key: type, base64, and a comment that is dropped.
fn parse_ssh(text: &str) -> Result<Kind> {
    let mut words = text.split_ascii_whitespace();
    let (Some(kind), Some(key)) = (words.next(), words.next()) else {
        return Err(Error::BadRecipient);
    };
    let blob = STANDARD.decode(key).map_err(|_| Error::BadRecipient)?;
    let named = blob
        .get(4..)
        .is_some_and(|rest| rest.starts_with(kind.as_bytes()));
    if !named {
        return Err(Error::BadRecipient);
    }
    ssh::check_public(&blob).map_err(|error| match error {
        Error::BadKey { .. } => Error::BadRecipient,
        other => other,
    })?;
    let key = format!("{kind} {key}")
        .parse()
        .map_err(|_| Error::BadRecipient)?;
    Ok(Kind::Ssh(key))
}

impl fmt::Display for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Native(native) => native.fmt(f),
            Kind::Tag(text) | Kind::TagPq(text) => f.write_str(text),
            Kind::Ssh(ssh) => ssh.fmt(f),
            Kind::Plugin(plugin) => plugin.fmt(f),
        }
    }
}

impl fmt::Debug for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Recipient({self})")
    }
}

impl PartialEq for Recipient {
    fn eq(&self, other: &Self) -> bool {
        self.to_string() == other.to_string()
    }
}

impl Eq for Recipient {}

#[cfg(test)]
mod tests {
    use super::*;

    const NATIVE: &str = "age1t7rxyev2z3rw82stdlrrepyc39nvn86l5078zqkf5uasdy86jp6svpy7pa";
    const ED25519: &str = "ssh-ed25519 \
        AAAAC3NzaC1lZDI1NTE5AAAAIHsKLqeplhpW+uObz5dvMgjz1OxfM/XXUB+VHtZ6isGN";

    #[test]
    fn text_forms_parse_again() {
        for text in [NATIVE, ED25519] {
            let recipient = Recipient::parse(text).unwrap();
            assert_eq!(recipient.to_string(), text);
            assert!(recipient.plugin().is_none());
        }
        let commented = Recipient::parse(&format!(" {ED25519} alice@home\n")).unwrap();
        assert_eq!(commented.to_string(), ED25519);
    }

    #[test]
    fn what_is_not_a_recipient() {
        for text in [
            "",
            "age1",
            "bob",
            "ssh-ed25519",
            "ssh-ed25519 AAAA",
            "ssh-rsa !",
        ] {
            assert!(
                matches!(Recipient::parse(text), Err(Error::BadRecipient)),
                "{text}"
            );
        }
        let lying = ED25519.replace("ssh-ed25519", "ssh-rsa");
        assert!(matches!(Recipient::parse(&lying), Err(Error::BadRecipient)));
    }

    #[test]
    fn an_identity_given_by_mistake_is_not_echoed() {
        let key = "AGE-SECRET-KEY-1GQ9778VQXMMJVE8SK7J6VT8UJ4HDQAJUVSFCWCM02D8GEWQ72PVQ2Y5J33";
        let error = Recipient::parse(key).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("GQ9778"));
    }
}
