//! A key file: the store's keys for one member (section 5).

use crate::crypto;
use crate::crypto::identity::StoreKey;
use crate::crypto::sign::WriterKey;
use crate::crypto::sign::WriterPublic;
use crate::format::Document;
use crate::format::Epoch;
use crate::format::Refusal;
use crate::format::Stage;
use crate::format::document::Domain;
use crate::format::epoch::PATHS;
use crate::format::header::check_version;
use crate::format::members::Role;
use crate::format::text::Fields;
use crate::format::text::quote;
use crate::secret::Secret;
use toml::Value;

/// How the line with the writer key begins; a comment to age.
const WRITER_LINE: &[u8] = b"# writer-key ";

/// An opened key file.
pub struct KeyFile {
    /// The epoch it is for.
    pub epoch: Epoch,
    /// The member it was made for.
    pub member: String,
    /// What every entry is encrypted to.
    pub store_key: StoreKey,
    /// What signs; a reader has none.
    pub writer_key: Option<WriterKey>,
    /// Earlier epochs, newest first.
    pub past: Vec<PastEpoch>,
}

/// The keys of an epoch that is over. They open history, never a current entry.
pub struct PastEpoch {
    /// What everyone may know of it.
    pub ended: Ended,
    /// What its entries were encrypted to.
    pub store_key: StoreKey,
}

/// The public part of an epoch that is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Its number.
    pub number: u32,
    /// Its public writer key.
    pub writer: WriterPublic,
    /// The id of its last commit; empty in a store without git.
    pub last: String,
}

impl Ended {
    /// What is signed in that epoch of a store is bound to this.
    pub fn epoch(&self, store: &str) -> Epoch {
        Epoch {
            store: store.to_owned(),
            number: self.number,
            writer: self.writer,
        }
    }

    /// Epochs as the line `past` of a key file; empty for none.
    pub fn list_text<'e>(epochs: impl Iterator<Item = &'e Self>) -> String {
        let line = |past: &Self| {
            let writer = quote(&past.writer.to_string());
            let last = quote(&past.last);
            let number = past.number;
            format!("{{ epoch = {number}, writer = {writer}, last = {last} }}")
        };
        let lines: Vec<_> = epochs.map(line).collect();
        if lines.is_empty() {
            return String::new();
        }
        format!("past = [{}]\n", lines.join(", "))
    }

    /// Reads what `list_text` has written, of the epochs before `current`; `None` if it is not so.
    pub fn parse_list(text: &str, current: u32) -> Option<Vec<Self>> {
        take_past(&mut Fields::parse(text).ok()?, current).ok()
    }
}

impl KeyFile {
    /// Reads a decrypted key file of `member` and holds it against `.vault/format` (F-031 to F-034).
    pub fn parse(plain: Secret, epoch: &Epoch, member: &str) -> Result<Self, Refusal> {
        let document = Document::open(plain, Domain::Keys, epoch)?;
        let wrong =
            |why: String| Refusal::new(Stage::Header, format!("its header is wrong: {why}"));
        let mut fields = Fields::parse(&document.header).map_err(wrong)?;
        check_version(&mut fields)?;
        let (paths, stated) = Epoch::take(&mut fields).map_err(wrong)?;
        let owner = fields
            .string("member")
            .and_then(|owner| Fields::required("member", owner));
        let owner = owner.map_err(wrong)?;
        if stated != *epoch || owner != member || paths != PATHS {
            let reason = "it is for another store, epoch or member than its place says";
            return Err(Refusal::new(Stage::Member, reason));
        }
        let keys = Self::of_parts(fields, &document.body, epoch, member)?;
        let writer_key = keys.writer_key.as_ref();
        if writer_key.is_some_and(|key| key.public() != epoch.writer) {
            let reason = "its writer key is not the store's";
            return Err(Refusal::new(Stage::Member, reason));
        }
        Ok(keys)
    }

    /// The same for a file that this device has verified before, under the same pin, and remembers (section 5).
    pub fn parse_known(plain: Secret, epoch: &Epoch, member: &str) -> Result<Self, Refusal> {
        let document = Document::open_known(plain)?;
        let wrong =
            |why: String| Refusal::new(Stage::Header, format!("its header is wrong: {why}"));
        // Of a verified header only the earlier epochs are still wanted: without the word there are none to parse.
        let fields = if document.header.contains("past") {
            Fields::parse(&document.header).map_err(wrong)?
        } else {
            Fields(toml::Table::new())
        };
        Self::of_parts(fields, &document.body, epoch, member)
    }

    fn of_parts(
        mut fields: Fields,
        body: &Secret,
        epoch: &Epoch,
        member: &str,
    ) -> Result<Self, Refusal> {
        let wrong =
            |why: String| Refusal::new(Stage::Header, format!("its header is wrong: {why}"));
        let past = take_past(&mut fields, epoch.number).map_err(wrong)?;
        let body = Body::parse(body, &past);
        let body = body.ok_or_else(|| {
            Refusal::new(Stage::Header, "the keys in it are not as they should be")
        })?;
        let keyed = past.into_iter().zip(body.past);
        let past = keyed.map(|(ended, store_key)| PastEpoch { ended, store_key });
        Ok(Self {
            epoch: epoch.clone(),
            member: member.to_owned(),
            store_key: body.store_key,
            writer_key: body.writer_key,
            past: past.collect(),
        })
    }

    /// The plaintext of a key file of these keys for `member`, signed; with the writer key unless `read_only`.
    ///
    /// `None` if these keys cannot sign.
    pub fn plaintext_for(&self, member: &str, read_only: bool) -> Option<(String, Secret)> {
        let key = self.writer_key.as_ref()?;
        let mut header = self.epoch.to_text();
        header.push_str(&format!("member = {}\n", quote(member)));
        header.push_str(&Ended::list_text(self.ended()));
        let mut lines = vec![self.store_key.to_line()];
        if !read_only {
            lines.push(Secret::new(
                [WRITER_LINE, key.seed_text().expose()].concat(),
            ));
        }
        lines.extend(self.past.iter().map(|past| past.store_key.to_line()));
        let mut body = Vec::with_capacity(lines.iter().map(|line| line.len() + 1).sum());
        for line in &lines {
            body.extend_from_slice(line.expose());
            body.push(b'\n');
        }
        let body = Secret::new(body);
        let head = Document::sign(&header, body.expose(), Domain::Keys, &self.epoch, key);
        Some((head, body))
    }

    /// What its member may do.
    pub fn role(&self) -> Role {
        if self.writer_key.is_some() {
            Role::Writer
        } else {
            Role::Reader
        }
    }

    /// The public part of the earlier epochs, newest first.
    pub fn ended(&self) -> impl Iterator<Item = &Ended> {
        self.past.iter().map(|past| &past.ended)
    }

    /// Keys that read what was written in an earlier epoch, and nothing else; `None` if that epoch is not among the past ones.
    pub fn of_past(&self, number: u32) -> Option<Self> {
        let past = self.past.iter().find(|past| past.ended.number == number)?;
        Some(Self {
            epoch: past.ended.epoch(&self.epoch.store),
            member: self.member.clone(),
            store_key: StoreKey::parse(past.store_key.to_line().expose()).ok()?,
            writer_key: None,
            past: Vec::new(),
        })
    }

    /// New keys for the epoch after this one, whose last commit is `last`; these keys are among the past ones then.
    pub fn succeed(&self, last: &str) -> Result<Self, crypto::Error> {
        let writer_key = WriterKey::generate()?;
        let again = |key: &StoreKey| StoreKey::parse(key.to_line().expose());
        let present = PastEpoch {
            ended: Ended {
                number: self.epoch.number,
                writer: self.epoch.writer,
                last: last.to_owned(),
            },
            store_key: again(&self.store_key)?,
        };
        let mut past = vec![present];
        for one in &self.past {
            let (ended, store_key) = (one.ended.clone(), again(&one.store_key)?);
            past.push(PastEpoch { ended, store_key });
        }
        Ok(Self {
            epoch: Epoch {
                store: self.epoch.store.clone(),
                number: self.epoch.number.saturating_add(1),
                writer: writer_key.public(),
            },
            member: self.member.clone(),
            store_key: StoreKey::generate(),
            writer_key: Some(writer_key),
            past,
        })
    }
}

/// What the body of a key file holds.
struct Body {
    store_key: StoreKey,
    writer_key: Option<WriterKey>,
    past: Vec<StoreKey>,
}

impl Body {
    fn parse(body: &Secret, past: &[Ended]) -> Option<Self> {
        let text = body.expose().strip_suffix(b"\n")?;
        let mut lines = text.split(|byte| *byte == b'\n').peekable();
        let store_key = StoreKey::parse(lines.next()?).ok()?;
        let seed = lines.next_if(|line| line.starts_with(WRITER_LINE));
        let writer_key = match seed.and_then(|line| line.strip_prefix(WRITER_LINE)) {
            Some(seed) => Some(WriterKey::from_seed_text(seed).ok()?),
            None => None,
        };
        let past_keys: Option<Vec<_>> = lines.map(|line| StoreKey::parse(line).ok()).collect();
        let past_keys = past_keys.filter(|keys| keys.len() == past.len())?;
        Some(Self {
            store_key,
            writer_key,
            past: past_keys,
        })
    }
}

/// Takes the earlier epochs, which must come newest first, each once, and all before `current`.
fn take_past(fields: &mut Fields, current: u32) -> Result<Vec<Ended>, String> {
    let epochs = match fields.0.remove("past") {
        None => return Ok(Vec::new()),
        Some(Value::Array(epochs)) => epochs,
        Some(_) => return Err("past must be an array".to_owned()),
    };
    let mut before = current;
    let one = |value| {
        let Value::Table(table) = value else {
            return Err("past must hold tables".to_owned());
        };
        let mut fields = Fields(table);
        let number = Fields::required("epoch", fields.integer("epoch")?)?;
        let number = u32::try_from(number)
            .ok()
            .filter(|number| (1..before).contains(number));
        before = number.ok_or("past must list earlier epochs, newest first")?;
        let writer = Fields::required("writer", fields.string("writer")?)?;
        let last = fields.string("last")?.unwrap_or_default();
        if !last.is_empty() && !is_commit_id(&last) {
            return Err("last is not the id of a commit".to_owned());
        }
        let writer = WriterPublic::parse(writer.as_bytes())
            .map_err(|_| "writer is not an Ed25519 key".to_owned())?;
        Ok(Ended {
            number: before,
            writer,
            last,
        })
    };
    epochs.into_iter().map(one).collect()
}

/// 40 hex digits, or 64 where git counts with SHA-256.
fn is_commit_id(text: &str) -> bool {
    let hex = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
    matches!(text.len(), 40 | 64) && text.chars().all(hex)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(past: usize) -> KeyFile {
        let writer_key = WriterKey::generate().unwrap();
        let epoch = Epoch {
            store: "ab".repeat(16),
            number: 9,
            writer: writer_key.public(),
        };
        let old = |n: usize| PastEpoch {
            ended: Ended {
                number: u32::try_from(n).unwrap(),
                writer: WriterKey::generate().unwrap().public(),
                last: "f00d".repeat(10),
            },
            store_key: StoreKey::generate(),
        };
        KeyFile {
            epoch,
            member: "laptop".into(),
            store_key: StoreKey::generate(),
            writer_key: Some(writer_key),
            past: (1..=past).rev().map(old).collect(),
        }
    }

    fn plain(keys: &KeyFile, read_only: bool) -> Secret {
        let (head, body) = keys.plaintext_for("laptop", read_only).unwrap();
        Secret::new([head.as_bytes(), body.expose()].concat())
    }

    #[test]
    fn a_key_file_comes_back_with_its_past() {
        for past in [0, 2] {
            let keys = keys(past);
            let read = KeyFile::parse(plain(&keys, false), &keys.epoch, "laptop").unwrap();
            assert_eq!(read.store_key.to_line(), keys.store_key.to_line());
            assert!(read.writer_key.is_some());
            assert_eq!(read.past.len(), past);
        }
    }

    #[test]
    fn the_next_epoch_remembers_this_one() {
        let keys = keys(2);
        let next = keys.succeed(&"beef".repeat(10)).unwrap();
        assert_eq!((next.epoch.number, next.past.len()), (10, 3));
        assert_eq!(next.past[0].ended.writer, keys.epoch.writer);
        assert_ne!(next.store_key.to_line(), keys.store_key.to_line());
        let text = Ended::list_text(next.ended());
        let read = Ended::parse_list(&text, 10).unwrap();
        assert!(read.iter().eq(next.ended()));
        assert!(Ended::parse_list(&text, 9).is_none());
        assert_eq!(Ended::parse_list("", 9), Some(Vec::new()));
        let (head, body) = next.plaintext_for("laptop", false).unwrap();
        let plain = Secret::new([head.as_bytes(), body.expose()].concat());
        let read = KeyFile::parse(plain, &next.epoch, "laptop").unwrap();
        assert_eq!(read.past[0].store_key.to_line(), keys.store_key.to_line());
    }

    #[test]
    fn a_reader_has_no_writer_key() {
        let keys = keys(1);
        let read = KeyFile::parse(plain(&keys, true), &keys.epoch, "laptop").unwrap();
        assert!(read.writer_key.is_none());
        assert!(read.plaintext_for("x", false).is_none());
    }

    #[test]
    fn another_member_or_epoch_is_refused() {
        let keys = keys(0);
        let stage = |epoch: &Epoch, member| {
            KeyFile::parse(plain(&keys, false), epoch, member)
                .err()
                .unwrap()
                .stage
        };
        assert_eq!(stage(&keys.epoch, "phone"), Stage::Member);
        assert_eq!(
            stage(
                &Epoch {
                    number: 8,
                    ..keys.epoch.clone()
                },
                "laptop"
            ),
            Stage::Signature
        );
    }

    #[test]
    fn a_foreign_writer_key_is_refused() {
        let mut keys = keys(0);
        let (_, body) = keys.plaintext_for("laptop", false).unwrap();
        let foreign = WriterKey::generate().unwrap();
        let bad = [
            keys.store_key.to_line().expose(),
            b"\n",
            WRITER_LINE,
            foreign.seed_text().expose(),
            b"\n",
        ]
        .concat();
        assert_eq!(bad.len(), body.len());
        let signer = keys.writer_key.take().unwrap();
        let header = format!("{}member = \"laptop\"\n", keys.epoch.to_text());
        let head = Document::sign(&header, &bad, Domain::Keys, &keys.epoch, &signer);
        let plain = Secret::new([head.as_bytes(), &bad].concat());
        assert_eq!(
            KeyFile::parse(plain, &keys.epoch, "laptop")
                .err()
                .unwrap()
                .stage,
            Stage::Member
        );
    }
}
