//! Why something read from a store is not believed: a stage from the specification's closed list, and a sentence.

use std::fmt;

/// The stages of reading, in their order (section 9). An early refusal never hides behind a later one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// A format this program does not know, or no store.
    Version,
    /// A path or name against the grammar, or an entry that is not in its place.
    Name,
    /// The age file or the signed document's frame.
    Envelope,
    /// The writer key's signature.
    Signature,
    /// The TOML header's content.
    Header,
    /// Older than what this device has seen.
    Revision,
    /// Not the store that this device knows.
    Pin,
    /// The key file or the member list.
    Member,
    /// A commit's seal.
    Seal,
    /// A head that does not descend from the last one seen.
    Descent,
}

impl Stage {
    /// The word of the specification.
    pub fn word(self) -> &'static str {
        match self {
            Self::Version => "version",
            Self::Name => "name",
            Self::Envelope => "envelope",
            Self::Signature => "signature",
            Self::Header => "header",
            Self::Revision => "revision",
            Self::Pin => "pin",
            Self::Member => "member",
            Self::Seal => "seal",
            Self::Descent => "descent",
        }
    }

    /// The stage that a word of the specification means.
    pub fn of_word(word: &str) -> Option<Self> {
        let all = [
            Self::Version,
            Self::Name,
            Self::Envelope,
            Self::Signature,
            Self::Header,
            Self::Revision,
            Self::Pin,
            Self::Member,
            Self::Seal,
            Self::Descent,
        ];
        all.into_iter().find(|stage| stage.word() == word)
    }
}

/// Something that is not believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Where in the order of reading it failed.
    pub stage: Stage,
    /// What was being read: a path of the store, a name, or a commit.
    pub subject: String,
    /// A clause: "its signature does not verify".
    pub reason: String,
}

impl Refusal {
    /// A refusal without a subject yet; the caller that knows the path adds it with [`Refusal::of`].
    pub fn new(stage: Stage, reason: impl Into<String>) -> Self {
        Self {
            stage,
            subject: String::new(),
            reason: reason.into(),
        }
    }

    /// The same refusal, of this subject, unless a deeper layer has named one already.
    #[must_use]
    pub fn of(mut self, subject: &str) -> Self {
        if self.subject.is_empty() {
            subject.clone_into(&mut self.subject);
        }
        self
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "\"{}\" is refused: {} ({})",
            self.subject,
            self.reason,
            self.stage.word()
        )
    }
}

impl std::error::Error for Refusal {}
