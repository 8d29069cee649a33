//! What `.vault/format` says in clear: the store's id, its epoch and the writer's public key (section 3).

use crate::crypto::sign::Message;
use crate::crypto::sign::WriterPublic;
use crate::crypto::sign::fingerprint;
use crate::format::Refusal;
use crate::format::Stage;
use crate::format::header::check_version;
use crate::format::layout;
use crate::format::text::Fields;
use crate::format::text::quote;

/// The only rule from names to paths that this version knows.
pub const PATHS: &str = "plain";

/// One epoch of one store: what every signature is bound to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Epoch {
    /// The store's id: 32 hex digits.
    pub store: String,
    /// The number of the epoch, from 1.
    pub number: u32,
    /// The epoch's public writer key.
    pub writer: WriterPublic,
}

impl Epoch {
    /// Reads `.vault/format` (F-010, F-011).
    pub fn parse(bytes: &[u8]) -> Result<Self, Refusal> {
        let refuse = |why: String| {
            Refusal::new(
                Stage::Version,
                format!("it is no store's format file: {why}"),
            )
            .of(layout::FORMAT)
        };
        let text = std::str::from_utf8(bytes).map_err(|_| refuse("it is not UTF-8".to_owned()))?;
        let mut fields = Fields::parse(text).map_err(refuse)?;
        check_version(&mut fields).map_err(|refusal| refusal.of(layout::FORMAT))?;
        let (paths, epoch) = Self::take(&mut fields).map_err(refuse)?;
        if paths != PATHS {
            let reason = format!(
                "it has the path rule \"{}\", this program knows \"{PATHS}\"",
                paths.escape_debug()
            );
            return Err(Refusal::new(Stage::Version, reason).of(layout::FORMAT));
        }
        Ok(epoch)
    }

    /// Takes the fields that `.vault/format` and a key file share, but for `format`, out of a table: the path rule, and the rest.
    pub(super) fn take(fields: &mut Fields) -> Result<(String, Self), String> {
        let paths = Fields::required("paths", fields.string("paths")?)?;
        Ok((paths, Self::take_keys(fields)?))
    }

    fn take_keys(fields: &mut Fields) -> Result<Self, String> {
        let store = Fields::required("store", fields.string("store")?)?;
        let hex = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
        if store.len() != 32 || !store.chars().all(hex) {
            return Err("store must be 32 hex digits".to_owned());
        }
        let number = Fields::required("epoch", fields.integer("epoch")?)?;
        let number = u32::try_from(number)
            .ok()
            .filter(|n| (1..=i32::MAX.unsigned_abs()).contains(n));
        let writer = Fields::required("writer", fields.string("writer")?)?;
        let writer = WriterPublic::parse(writer.as_bytes())
            .map_err(|_| "writer is not an Ed25519 key".to_owned())?;
        Ok(Self {
            store,
            number: number.ok_or("epoch is out of range")?,
            writer,
        })
    }

    /// The text of `.vault/format`.
    pub fn to_text(&self) -> String {
        format!(
            "format = {}\npaths = {}\nstore = {}\nepoch = {}\nwriter = {}\n",
            crate::format::VERSION,
            quote(PATHS),
            quote(&self.store),
            self.number,
            quote(&self.writer.to_string())
        )
    }

    /// One line that tells this store, epoch and writer key from any other.
    pub fn key(&self) -> String {
        format!("{} {} {}", self.store, self.number, self.writer)
    }

    /// Eight words that tell this store and epoch from any other (section 3).
    pub fn fingerprint(&self) -> String {
        fingerprint(&self.store, self.number, &self.writer)
    }

    /// The beginning of what is signed in this epoch.
    pub(super) fn message(&self, domain: &str) -> Message {
        Message::new(domain, &self.store, self.number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::sign::WriterKey;

    fn text() -> String {
        let writer = WriterKey::generate().unwrap().public();
        Epoch {
            store: "0123456789abcdef".repeat(2),
            number: 3,
            writer,
        }
        .to_text()
    }

    #[test]
    fn the_text_comes_back() {
        let text = text();
        assert_eq!(Epoch::parse(text.as_bytes()).unwrap().to_text(), text);
    }

    #[test]
    fn unknown_keys_are_ignored_and_wrong_ones_named() {
        let text = text();
        assert!(Epoch::parse(format!("{text}later = true\n").as_bytes()).is_ok());
        for (from, to) in [
            ("format = 1", "format = 2"),
            ("plain", "hidden"),
            ("epoch = 3", "epoch = 0"),
            ("epoch = 3", "epoch = 2147483648"),
            ("0123", "012g"),
            ("writer = \"", "writer = \"A"),
        ] {
            let refusal = Epoch::parse(text.replacen(from, to, 1).as_bytes()).unwrap_err();
            assert_eq!(
                (refusal.stage, refusal.subject.as_str()),
                (Stage::Version, ".vault/format"),
                "{to}"
            );
        }
    }
}
