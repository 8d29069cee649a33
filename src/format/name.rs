//! What an entry is called, and the grammar that keeps a name harmless on every system (section 4, F-020).

use std::fmt;

use unicode_normalization::is_nfc;
use unicode_properties::GeneralCategory;
use unicode_properties::UnicodeGeneralCategory;

/// Most bytes of a component.
pub const COMPONENT_MAX_BYTES: usize = 200;
/// Most bytes of a name.
pub const NAME_MAX_BYTES: usize = 1000;
/// Most components of a name.
pub const COMPONENTS_MAX: usize = 32;
/// What marks the losing side of a merge (section 7).
const CONFLICT_MARK: &str = ".conflict-";

/// An entry's name. Made only by parsing: past this point there is no `..`, no control character, no reserved word.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(String);

/// A text that is no name, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadName {
    /// What was given.
    pub text: String,
    /// A clause: "a component begins with a dot".
    pub reason: &'static str,
}

impl fmt::Display for BadName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "\"{}\" is not a name: {}",
            self.text.escape_debug(),
            self.reason
        )
    }
}

impl std::error::Error for BadName {}

impl Name {
    /// Checks a text against the grammar.
    pub fn parse(text: &str) -> Result<Self, BadName> {
        match fault(text) {
            None => Ok(Self(text.to_owned())),
            Some(reason) => Err(BadName {
                text: text.to_owned(),
                reason,
            }),
        }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The components, outermost first.
    pub fn components(&self) -> impl Iterator<Item = &str> {
        self.0.split('/')
    }

    /// The last component.
    pub fn last(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or(&self.0)
    }

    /// Whether it lies in the folder `prefix`, or is called so itself. A final `/` in the prefix does not matter.
    pub fn is_under(&self, prefix: &str) -> bool {
        let rest = self.0.strip_prefix(prefix.trim_end_matches('/'));
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// Whether it is the losing side of a merge, which nothing ever selects.
    pub fn is_conflict(&self) -> bool {
        self.last().contains(CONFLICT_MARK)
    }

    /// Whether the two clash on a system that does not tell case (F-021).
    pub fn clashes_with(&self, other: &Self) -> bool {
        let pair = self
            .components()
            .zip(other.components())
            .find(|(a, b)| a != b);
        pair.is_some_and(|(a, b)| a.to_lowercase() == b.to_lowercase())
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AsRef<str> for Name {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

/// Why a text is no name.
fn fault(text: &str) -> Option<&'static str> {
    if text.len() > NAME_MAX_BYTES {
        return Some("it is longer than 1000 bytes");
    }
    if text.split('/').count() > COMPONENTS_MAX {
        return Some("it has more than 32 components");
    }
    if !text.is_ascii() && !is_nfc(text) {
        return Some("it is not in Unicode's composed form (NFC)");
    }
    text.split('/').find_map(component_fault)
}

fn component_fault(component: &str) -> Option<&'static str> {
    let Some(first) = component.chars().next() else {
        return Some("a component is empty");
    };
    if component.len() > COMPONENT_MAX_BYTES {
        return Some("a component is longer than 200 bytes");
    }
    if first == '.' || first == '-' {
        return Some("a component begins with a dot or a dash");
    }
    if first == ' ' || component.ends_with([' ', '.']) {
        return Some("a component begins or ends with a space, or ends with a dot");
    }
    if let Some(reason) = component.chars().find_map(character_fault) {
        return Some(reason);
    }
    if ends_with_age(component) {
        return Some("a component ends in \".age\", which is reserved for the files");
    }
    is_device(component).then_some("a component is the name of a device on Windows")
}

fn character_fault(c: char) -> Option<&'static str> {
    match c {
        '\\' | ':' => Some("it has a \"\\\" or a \":\""),
        ' '..='~' => None,
        _ => match c.general_category() {
            GeneralCategory::Control
            | GeneralCategory::Format
            | GeneralCategory::LineSeparator
            | GeneralCategory::ParagraphSeparator
            | GeneralCategory::SpaceSeparator
            | GeneralCategory::PrivateUse
            | GeneralCategory::Surrogate
            | GeneralCategory::Unassigned => Some("it has a control or invisible character"),
            _ => None,
        },
    }
}

fn ends_with_age(component: &str) -> bool {
    let tail = component
        .len()
        .checked_sub(4)
        .and_then(|at| component.get(at..));
    tail.is_some_and(|tail| tail.eq_ignore_ascii_case(".age"))
}

fn is_device(component: &str) -> bool {
    let stem = component.split('.').next().unwrap_or(component).trim_end();
    if ["con", "prn", "aux", "nul"]
        .iter()
        .any(|name| stem.eq_ignore_ascii_case(name))
    {
        return true;
    }
    let (word, digit) = match stem.char_indices().last() {
        Some((at, last)) if last.is_ascii_digit() && last != '0' => (stem.get(..at), true),
        _ => (None, false),
    };
    let port = |word: &str| word.eq_ignore_ascii_case("com") || word.eq_ignore_ascii_case("lpt");
    digit && word.is_some_and(port)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, ok: bool) {
        assert_eq!(Name::parse(text).is_ok(), ok, "{text:?}");
    }

    #[test]
    fn names_that_are_let_through() {
        for text in [
            "a",
            "github/ci",
            "Grüße/日本語",
            "a b",
            "a@b+c=d",
            "con2",
            "com0",
            "x.age2",
            "a'\"$(x)",
            "…",
        ] {
            check(text, true);
        }
        check(&"x".repeat(200), true);
        check(&["a"; 32].join("/"), true);
    }

    #[test]
    fn names_that_are_refused() {
        for text in [
            "",
            "/",
            "a//b",
            "/a",
            "a/",
            ".",
            "..",
            "a/../b",
            ".git/x",
            "-rf",
            "a/-x",
            "a\\b",
            "c:d",
            "a\nb",
            "a\u{7f}",
            "a\u{202e}b",
            "a\u{200b}",
            "a\u{a0}b",
            "a\u{2028}",
            "a.",
            "a ",
            " a",
            "a /b",
            "NUL",
            "con.txt",
            "Com1",
            "lpt9.age.x",
            "x.age",
            "x.AGE/y",
            "e\u{301}",
            "a\u{e000}",
            "a\u{378}",
        ] {
            check(text, false);
        }
        check(&"x".repeat(201), false);
        check(&["a"; 33].join("/"), false);
        check(&vec!["a".repeat(99); 11].join("/"), false);
    }

    #[test]
    fn a_prefix_is_whole_components() {
        let name = Name::parse("github/ci").unwrap();
        assert!(name.is_under("github") && name.is_under("github/") && name.is_under("github/ci"));
        assert!(!name.is_under("git"));
    }

    #[test]
    fn clashes_are_by_case_alone() {
        let parse = |text| Name::parse(text).unwrap();
        assert!(parse("GitHub/x").clashes_with(&parse("github/y")));
        assert!(!parse("github/x").clashes_with(&parse("github/y")));
        assert!(!parse("a").clashes_with(&parse("a/b")));
        assert!(!parse("a").clashes_with(&parse("a")));
        assert!(parse("É").clashes_with(&parse("é")));
    }
}
