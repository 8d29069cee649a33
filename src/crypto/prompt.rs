//! Who can be asked while a key is being opened, and what a plugin may show.
//!
//! Lives here: the trait that a caller implements, and its adapter to age. Never here: a terminal.

use std::sync::Arc;
use std::time::Duration;

use age::secrecy::SecretString;

use crate::secret::Secret;

/// How long a plugin may be silent, unless the caller says otherwise: enough to find a key and touch it.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// The most characters of a plugin's text that are passed on.
const TEXT_MAX: usize = 500;

/// Somebody to ask. Implemented by whoever owns the terminal, or by nobody: [`Unattended`].
pub trait Prompt: Send + Sync {
    /// Asks for a passphrase; `what` is the question without its colon, such as `passphrase for "x"`.
    /// `None` when there is nobody to ask.
    fn passphrase(&self, what: &str) -> Option<Secret>;

    /// Shows a line, such as "touch the key now".
    fn message(&self, text: &str);

    /// Asks a question with yes or no; `None` when there is nobody to ask.
    fn confirm(&self, _question: &str) -> Option<bool> {
        None
    }

    /// Asks for a line that is no secret; `None` when there is nobody to ask.
    fn line(&self, _what: &str) -> Option<String> {
        None
    }

    /// How long a plugin may be silent.
    fn patience(&self) -> Duration {
        PATIENCE
    }

    /// Whether asking again may bring another answer: a person may have mistyped, a program has not.
    fn can_repeat(&self) -> bool {
        false
    }

    /// Why the last question was not answered, as the end of a sentence; `None` when there was nobody to ask.
    fn unanswered(&self) -> Option<String> {
        None
    }
}

/// Nobody to ask: every question stays unanswered.
#[derive(Clone, Copy, Debug)]
pub struct Unattended;

impl Prompt for Unattended {
    fn passphrase(&self, _what: &str) -> Option<Secret> {
        None
    }

    fn message(&self, _text: &str) {}
}

/// A [`Prompt`] in the form that the age crate calls when a plugin wants something.
#[derive(Clone)]
pub(super) struct Callbacks(pub(super) Arc<dyn Prompt>);

impl age::Callbacks for Callbacks {
    fn display_message(&self, message: &str) {
        self.0.message(&printable(message));
    }

    /// A question without a second choice is a message that wants to be read: yes is all there is to say.
    fn confirm(&self, message: &str, yes: &str, no: Option<&str>) -> Option<bool> {
        let choices = match no {
            Some(no) => format!("yes: {}, no: {}", printable(yes), printable(no)),
            None => format!("yes: {}", printable(yes)),
        };
        self.0
            .confirm(&format!("{} ({choices})", printable(message)))
    }

    fn request_public_string(&self, description: &str) -> Option<String> {
        self.0.line(&printable(description))
    }

    fn request_passphrase(&self, description: &str) -> Option<SecretString> {
        let answer = self.0.passphrase(&printable(description))?;
        secret_string(&answer)
    }
}

/// The secret as age takes passphrases; `None` when it is not UTF-8.
pub(super) fn secret_string(secret: &Secret) -> Option<SecretString> {
    let text = std::str::from_utf8(secret.expose()).ok()?;
    // A boxed string has no spare capacity, so it is wiped whole.
    Some(SecretString::from(Box::<str>::from(text)))
}

/// A stranger's text on one line, without what a terminal obeys or what hides or reorders text.
pub(super) fn printable(text: &str) -> String {
    text.trim()
        .chars()
        .take(TEXT_MAX)
        .map(|c| match c {
            '\n' | '\r' | '\t' => ' ',
            c if c.is_control() || is_invisible(c) => '?',
            c => c,
        })
        .collect()
}

/// Marks that change direction, join, or show nothing (the Unicode blocks that hold them all).
fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_cut_and_cleaned() {
        assert_eq!(printable(" touch\nit \u{7}now "), "touch it ?now");
        assert_eq!(printable(&"x".repeat(900)).len(), TEXT_MAX);
    }

    #[test]
    fn a_passphrase_must_be_text() {
        assert!(secret_string(&Secret::copy_of(b"\xff")).is_none());
        assert!(secret_string(&Secret::copy_of("wörd".as_bytes())).is_some());
    }
}
