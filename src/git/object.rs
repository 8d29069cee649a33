//! Objects as bytes: ids, and commits in the exact form that a seal covers.
//!
//! Lives here: `Id`, `Ident`, `Commit` and the text of a commit. Pure; no I/O. Never here: the seal itself (`format`).

use std::fmt;

use sha1_checked::Digest;

use crate::git::Error;

/// The most bytes of a commit object, by the store format.
pub const COMMIT_MAX_BYTES: u64 = 1024 * 1024;

/// The SHA-1 name of an object.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id([u8; 20]);

impl Id {
    /// From the 20 raw bytes.
    pub const fn from_bytes(bytes: [u8; 20]) -> Self {
        Self(bytes)
    }

    /// From 40 hex digits in lower case; nothing else is an id.
    pub fn parse(hex: &str) -> Option<Self> {
        let mut bytes = [0; 20];
        if hex.len() != 40 {
            return None;
        }
        for (byte, pair) in bytes.iter_mut().zip(hex.as_bytes().chunks_exact(2)) {
            let [high, low] = pair else { return None };
            *byte = digit(*high)? << 4 | digit(*low)?;
        }
        Some(Self(bytes))
    }

    /// The 20 raw bytes.
    pub const fn as_bytes(&self) -> &[u8; 20] {
        &self.0
    }
}

/// The value of one lower-case hex digit.
fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What an object is. Tags are not followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Blob,
    Tree,
    Commit,
    Tag,
}

impl Kind {
    /// As it stands in an object's header.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Blob => "blob",
            Self::Tree => "tree",
            Self::Commit => "commit",
            Self::Tag => "tag",
        }
    }

    /// The inverse of `word`.
    pub(super) fn from_word(word: &[u8]) -> Option<Self> {
        [Self::Blob, Self::Tree, Self::Commit, Self::Tag]
            .into_iter()
            .find(|kind| kind.word().as_bytes() == word)
    }
}

/// The id of an object, without writing it; none if the bytes are made for a collision.
pub(super) fn id_of(kind: Kind, body: &[u8]) -> Option<Id> {
    let mut hash = sha1_checked::Sha1::new();
    hash.update(format!("{} {}\0", kind.word(), body.len()));
    hash.update(body);
    let result = hash.try_finalize();
    (!result.has_collision()).then(|| Id((*result.hash()).into()))
}

/// Who made a commit, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ident {
    name: String,
    email: String,
    seconds: i64,
    offset_minutes: i32,
}

impl Ident {
    /// Makes it fit for a commit: no control characters, no `<` or `>`, never empty. `seconds` is since 1970 and
    /// taken as 0 if before; `offset_minutes` is east of Greenwich, at most a day.
    pub fn new(name: &str, email: &str, seconds: i64, offset_minutes: i32) -> Self {
        Self {
            name: clean(name, "vault"),
            email: clean(&email.replace(char::is_whitespace, ""), "vault@localhost"),
            seconds: seconds.max(0),
            offset_minutes: offset_minutes.clamp(-24 * 60 + 1, 24 * 60 - 1),
        }
    }

    /// The name, as it stands in the commit.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The address, as it stands in the commit.
    pub fn email(&self) -> &str {
        &self.email
    }
}

impl fmt::Display for Ident {
    /// As in a commit's header and in the reflog.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.offset_minutes < 0 { '-' } else { '+' };
        let offset = self.offset_minutes.abs();
        let (hours, minutes) = (offset / 60, offset % 60);
        let Self {
            name,
            email,
            seconds,
            ..
        } = self;
        write!(f, "{name} <{email}> {seconds} {sign}{hours:02}{minutes:02}")
    }
}

/// Leaves out what would end a field, and at both ends what git leaves out too.
fn clean(text: &str, otherwise: &str) -> String {
    let kept: String = text
        .chars()
        .filter(|c| !c.is_control() && *c != '<' && *c != '>')
        .collect();
    let kept = kept.trim_matches(|c: char| c.is_whitespace() || ".,:;\"\\'".contains(c));
    if kept.is_empty() {
        otherwise.to_owned()
    } else {
        kept.to_owned()
    }
}

/// The raw commit object: headers `tree`, `parent`…, `author`, `committer`, an empty line, the message ending in LF.
pub fn commit_text(tree: &Id, parents: &[Id], author: &Ident, message: &str) -> Vec<u8> {
    let parents: Vec<String> = parents.iter().map(|id| format!("parent {id}\n")).collect();
    let parents = parents.concat();
    let mut text = format!("tree {tree}\n{parents}author {author}\ncommitter {author}\n\n");
    text.extend(message.chars().filter(|c| *c != '\0'));
    if !text.ends_with('\n') {
        text.push('\n');
    }
    text.into_bytes()
}

/// A commit, parsed.
#[derive(Clone, Debug)]
pub struct Commit {
    /// The folder at its top.
    pub tree: Id,
    /// The commits before it, in order.
    pub parents: Vec<Id>,
    /// The author's name and address: `Octo Cat <octo@example.org>`.
    pub author: String,
    /// When it was authored, in seconds since 1970.
    pub author_seconds: i64,
    /// When it was committed, in seconds since 1970.
    pub seconds: i64,
    /// The message; replacement characters stand for what is not UTF-8.
    pub message: String,
    /// Why no seal can cover it, whatever its last line says: a header other than the four, or text that is not UTF-8.
    pub foreign: Option<String>,
    /// The object's bytes, which a seal covers.
    pub raw: Vec<u8>,
}

impl Commit {
    /// Parses the object `id`. Only a commit without a tree, or with broken parents, is an error: git reads no more than
    /// those either. Whatever else differs from the four headers is told in `foreign`.
    pub fn parse(id: Id, raw: Vec<u8>) -> Result<Self, Error> {
        let damaged = |why| Error::damaged(format!("commit {id}"), why);
        let (head, message) = split_head(&raw).ok_or_else(|| damaged("it has no empty line"))?;
        let mut lines = head.split(|byte| *byte == b'\n').peekable();
        let tree = lines.next().and_then(|line| value_id(line, b"tree "));
        let tree = tree.ok_or_else(|| damaged("it does not begin with a tree"))?;
        let mut parents = Vec::new();
        while let Some(line) = lines.next_if(|line| line.starts_with(b"parent ")) {
            parents.push(value_id(line, b"parent ").ok_or_else(|| damaged("a parent is no id"))?);
        }
        let mut foreign = None;
        let author = person(lines.next(), b"author ", &mut foreign);
        let committer = person(lines.next(), b"committer ", &mut foreign);
        if let Some(line) = lines.next() {
            foreign.get_or_insert_with(|| header_name(line));
        }
        if std::str::from_utf8(&raw).is_err() {
            foreign.get_or_insert_with(|| "text that is not UTF-8".to_owned());
        }
        let message = String::from_utf8_lossy(message).into_owned();
        Ok(Self {
            tree,
            parents,
            author: author.0,
            author_seconds: author.1,
            seconds: committer.1,
            message,
            foreign,
            raw,
        })
    }
}

/// The headers without their last LF, and the message.
fn split_head(raw: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = raw.windows(2).position(|pair| pair == b"\n\n")?;
    Some((raw.get(..at)?, raw.get(at + 2..)?))
}

/// The id after a key.
fn value_id(line: &[u8], key: &[u8]) -> Option<Id> {
    Id::parse(std::str::from_utf8(line.strip_prefix(key)?).ok()?)
}

/// Name and address, and the time; what is not as git writes it becomes the reason in `foreign`.
fn person(line: Option<&[u8]>, key: &[u8], foreign: &mut Option<String>) -> (String, i64) {
    let text = String::from_utf8_lossy(line.unwrap_or_default()).into_owned();
    let parsed = text
        .strip_prefix(&*String::from_utf8_lossy(key))
        .and_then(|rest| {
            let (who, when) = rest.rsplit_once("> ")?;
            let (seconds, zone) = when.split_once(' ')?;
            let zone_fits = zone.len() == 5 && zone.starts_with(['+', '-']);
            let digits = zone.bytes().skip(1).all(|byte| byte.is_ascii_digit());
            (zone_fits && digits).then_some((format!("{who}>"), seconds.parse().ok()?))
        });
    parsed.unwrap_or_else(|| {
        foreign.get_or_insert_with(|| header_name(line.unwrap_or_default()));
        (String::new(), 0)
    })
}

/// What to call a header that should not be there.
fn header_name(line: &[u8]) -> String {
    let word = line.split(|byte| *byte == b' ').next().unwrap_or_default();
    let shown: String = String::from_utf8_lossy(word)
        .chars()
        .filter(|c| !c.is_control())
        .take(40)
        .collect();
    format!("the header \"{shown}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(byte: u8) -> Id {
        Id::from_bytes([byte; 20])
    }

    fn foreign(raw: &str) -> Option<String> {
        Commit::parse(id(9), raw.as_bytes().to_vec())
            .unwrap()
            .foreign
    }

    #[test]
    fn ids_are_forty_lower_case_digits() {
        let text = "0123456789abcdef0123456789abcdef01234567";
        assert_eq!(Id::parse(text).unwrap().to_string(), text);
        assert!(Id::parse(&text.to_uppercase()).is_none());
        assert!(Id::parse(&text[1..]).is_none());
        assert!(Id::parse("é123456789abcdef0123456789abcdef0123456").is_none());
    }

    #[test]
    fn blob_ids_are_those_of_git() {
        let id = id_of(Kind::Blob, b"hello\n").unwrap();
        assert_eq!(id.to_string(), "ce013625030ba8dba906f756967f9e9ca394464a");
    }

    #[test]
    fn idents_cannot_end_their_field() {
        let odd = Ident::new(" a<b>\n\0.c, ", "x@y \n>", -5, 99999);
        assert_eq!(odd.to_string(), "ab.c <x@y> 0 +2359");
        let none = Ident::new("\n", "<>", 7, -90);
        assert_eq!(none.to_string(), "vault <vault@localhost> 7 -0130");
    }

    #[test]
    fn a_commit_is_read_as_written() {
        let who = Ident::new("Octo Cat", "o@c", 1_700_000_000, 60);
        let raw = commit_text(&id(1), &[id(2), id(3)], &who, "add \"x\"\n\nVault-Seal: s");
        let commit = Commit::parse(id(9), raw.clone()).unwrap();
        assert_eq!((commit.tree, commit.parents), (id(1), vec![id(2), id(3)]));
        assert_eq!(commit.author, "Octo Cat <o@c>");
        assert_eq!(
            (commit.seconds, commit.author_seconds),
            (1_700_000_000, 1_700_000_000)
        );
        assert_eq!(commit.message, "add \"x\"\n\nVault-Seal: s\n");
        assert_eq!(commit.raw, raw);
        assert!(commit.foreign.is_none());
    }

    #[test]
    fn other_headers_are_named() {
        let (tree, person) = (format!("tree {}\n", id(1)), "A <a@b> 5 +0000\n");
        let plain = format!("{tree}author {person}committer {person}");
        assert_eq!(foreign(&format!("{plain}\nm\n")), None);
        let signed = format!("{plain}gpgsig -----BEGIN\n x\n\nm\n");
        assert_eq!(foreign(&signed).unwrap(), "the header \"gpgsig\"");
        let swapped = format!("{tree}committer {person}author {person}\nm\n");
        assert_eq!(foreign(&swapped).unwrap(), "the header \"committer\"");
        let late = format!("{plain}parent {}\n\nm\n", id(2));
        assert_eq!(foreign(&late).unwrap(), "the header \"parent\"");
        assert!(foreign(&format!("{tree}\nm\n")).is_some());
        let mut bytes = format!("{plain}\nm").into_bytes();
        bytes.push(0xff);
        assert!(Commit::parse(id(9), bytes).unwrap().foreign.is_some());
        assert!(Commit::parse(id(9), b"tree x\n\n".to_vec()).is_err());
        assert!(Commit::parse(id(9), Vec::new()).is_err());
    }
}
