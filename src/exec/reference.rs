//! A reference to what an entry holds: `agevault://github/ci#username`. Pure.

use std::fmt;

use crate::format::Header;
use crate::format::Name;
use crate::format::name::BadName;
use crate::secret::Secret;

/// How a reference begins.
pub const SCHEME: &str = "agevault://";
/// How a reference of 1Password begins; told how to import, never resolved.
pub const FOREIGN: &str = "op://";

/// What of an entry is meant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Field {
    /// The secret.
    #[default]
    Secret,
    /// Who uses it.
    Username,
    /// Where it is used.
    Url,
    /// A line for people.
    Description,
    /// Whose token it is.
    Provider,
    /// When it expires.
    Expires,
    /// What it may do, joined by commas.
    Scopes,
}

/// The fields, by the words for them.
const FIELDS: [(&str, Field); 7] = [
    ("secret", Field::Secret),
    ("username", Field::Username),
    ("url", Field::Url),
    ("description", Field::Description),
    ("provider", Field::Provider),
    ("expires", Field::Expires),
    ("scopes", Field::Scopes),
];

/// The words for the fields.
pub const FIELD_WORDS: [&str; 7] = [
    "secret",
    "username",
    "url",
    "description",
    "provider",
    "expires",
    "scopes",
];

/// An entry, or a field of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// The named store, if one is named.
    pub store: Option<String>,
    /// The entry.
    pub name: Name,
    /// What of it.
    pub field: Field,
}

/// What is wrong with a reference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// It does not name an entry.
    Name(BadName),
    /// It names a field that there is not.
    Field(String),
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(bad) => bad.fmt(f),
            Self::Field(word) => write!(f, "there is no field \"{}\"", word.escape_debug()),
        }
    }
}

impl std::error::Error for Wrong {}

impl Field {
    /// The field of a word.
    pub fn parse(word: &str) -> Result<Self, Wrong> {
        let found = FIELDS.iter().find(|(known, _)| *known == word);
        found
            .map(|(_, field)| *field)
            .ok_or_else(|| Wrong::Field(word.to_owned()))
    }

    /// The word for it.
    pub fn word(self) -> &'static str {
        let found = FIELDS.iter().find(|(_, field)| *field == self);
        found.map_or("secret", |(word, _)| word)
    }

    /// Its value; `None` where the entry has none.
    pub fn of(self, header: &Header, secret: Secret) -> Option<Secret> {
        let text = match self {
            Self::Secret => return Some(secret),
            Self::Username => header.username.clone(),
            Self::Url => header.url.clone(),
            Self::Description => header.description.clone(),
            Self::Provider => header.provider.clone(),
            Self::Expires => header.expires.map(|time| time.to_string()),
            Self::Scopes => (!header.scopes.is_empty()).then(|| header.scopes.join(",")),
        };
        text.map(|text| Secret::new(text.into_bytes()))
    }
}

impl Reference {
    /// Reads what follows the scheme: `NAME`, `STORE:NAME`, each with `#FIELD` behind it or not.
    pub fn parse(text: &str) -> Result<Self, Wrong> {
        let (path, field) = match text.rsplit_once('#') {
            Some((path, word)) => (path, Field::parse(word)?),
            None => (text, Field::Secret),
        };
        let (store, name) = match path.split_once(':') {
            Some((store, name)) => (Some(store.to_owned()), name),
            None => (None, path),
        };
        let name = Name::parse(name).map_err(Wrong::Name)?;
        Ok(Self { store, name, field })
    }

    /// The same of a whole text; `None` if it is no reference.
    pub fn of_text(text: &str) -> Option<Result<Self, Wrong>> {
        text.strip_prefix(SCHEME).map(Self::parse)
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(store) = &self.store {
            write!(f, "{store}:")?;
        }
        write!(f, "{}", self.name)?;
        match self.field {
            Field::Secret => Ok(()),
            field => write!(f, "#{}", field.word()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_names_an_entry_and_a_field() {
        for (text, shown) in [
            ("agevault://github/ci", Some("github/ci")),
            ("agevault://github/ci#secret", Some("github/ci")),
            ("agevault://github/ci#username", Some("github/ci#username")),
            ("agevault://work:github/ci#url", Some("work:github/ci#url")),
            ("agevault://a#b#secret", Some("a#b")),
            ("agevault://", None),
            ("agevault://../x", None),
            ("agevault://a#pin", None),
            ("agevault://a/", None),
        ] {
            let parsed = Reference::of_text(text).unwrap();
            assert_eq!(
                parsed.ok().map(|one| one.to_string()).as_deref(),
                shown,
                "{text}"
            );
        }
        assert!(Reference::of_text("op://vault/item").is_none());
        assert!(Reference::of_text(" agevault://a").is_none());
        assert_eq!(FIELDS.map(|(word, _)| word), FIELD_WORDS);
    }
}
