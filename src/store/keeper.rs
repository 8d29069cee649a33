//! Whoever holds the store's keys and works with them.
//!
//! The store asks a `Keeper` to open, to make and to seal, and does not know whether the keys lie in this process or in
//! another one that never gives them away. Opening always means: decrypted whole and signature verified.

use jiff::Timestamp;

use crate::crypto::file;
use crate::format::Document;
use crate::format::ENTRY_MAX_BYTES;
use crate::format::HEADER_MAX_BYTES;
use crate::format::Header;
use crate::format::Refusal;
use crate::format::SECRET_MAX_BYTES;
use crate::format::Stage;
use crate::format::document::Domain;
use crate::format::keys::KeyFile;
use crate::format::seal;
use crate::secret::Secret;
use crate::store::Error;

/// Most bytes of a decrypted document.
const PLAIN_MAX_BYTES: usize = SECRET_MAX_BYTES + HEADER_MAX_BYTES;

/// Why a document is not opened.
#[derive(Debug)]
pub enum Unopened {
    /// It is not believed.
    Refused(Refusal),
    /// It is opened with a person's consent only, and there is none: the entry, and why.
    Denied(String, String),
    /// Whoever held the keys is gone, or holds them no longer.
    Gone,
}

impl Unopened {
    /// The same, of this subject, unless a deeper layer has named one already.
    #[must_use]
    pub fn of(self, subject: &str) -> Self {
        match self {
            Self::Refused(refusal) => Self::Refused(refusal.of(subject)),
            Self::Denied(entry, why) if entry.is_empty() => Self::Denied(subject.to_owned(), why),
            other => other,
        }
    }
}

impl From<Refusal> for Unopened {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// What a verified entry tells without its secret.
#[derive(Debug)]
pub struct Look {
    /// The header's text.
    pub header: String,
    /// The secret's length in bytes.
    pub size: usize,
}

/// An entry that is opened only if it has not expired.
#[derive(Debug)]
pub enum Opening {
    /// It has not.
    Document(Document),
    /// It has: nobody was asked for consent, and this counts as no use.
    Expired(Look),
}

/// Opens, makes and seals with the store's keys.
pub trait Keeper: Sync {
    /// Decrypts a file with the current store key and verifies its signature (F-035, F-050, F-051).
    fn open(&self, ciphertext: &[u8], domain: Domain) -> Result<Document, Unopened>;

    /// Opens an entry of the current epoch that has not expired at that time; of another the header alone is told.
    fn open_unexpired(&self, ciphertext: &[u8], now: Timestamp) -> Result<Opening, Unopened>;

    /// Verifies an entry and tells its header alone: nobody is asked for consent, and it counts as no use.
    fn look(&self, ciphertext: &[u8]) -> Result<Look, Unopened>;

    /// The same for an entry from history, of this epoch or an earlier one.
    fn look_history(&self, ciphertext: &[u8]) -> Result<Look, Unopened>;

    /// Opens an entry from history, of this epoch or an earlier one.
    fn open_history(&self, ciphertext: &[u8]) -> Result<Document, Unopened>;

    /// Signs header and body and encrypts them to the store key.
    fn make(&self, header: &str, body: &Secret, domain: Domain) -> Result<Vec<u8>, Error>;

    /// Adds the seal to a raw commit.
    fn seal(&self, commit: &[u8]) -> Result<Vec<u8>, Error>;

    /// Whether it can sign.
    fn can_write(&self) -> bool;
}

/// So that whoever holds the keys can be handed on like a keeper of a known kind.
impl<K: Keeper + ?Sized> Keeper for Box<K> {
    fn open(&self, ciphertext: &[u8], domain: Domain) -> Result<Document, Unopened> {
        (**self).open(ciphertext, domain)
    }

    fn open_unexpired(&self, ciphertext: &[u8], now: Timestamp) -> Result<Opening, Unopened> {
        (**self).open_unexpired(ciphertext, now)
    }

    fn look(&self, ciphertext: &[u8]) -> Result<Look, Unopened> {
        (**self).look(ciphertext)
    }

    fn look_history(&self, ciphertext: &[u8]) -> Result<Look, Unopened> {
        (**self).look_history(ciphertext)
    }

    fn open_history(&self, ciphertext: &[u8]) -> Result<Document, Unopened> {
        (**self).open_history(ciphertext)
    }

    fn make(&self, header: &str, body: &Secret, domain: Domain) -> Result<Vec<u8>, Error> {
        (**self).make(header, body, domain)
    }

    fn seal(&self, commit: &[u8]) -> Result<Vec<u8>, Error> {
        (**self).seal(commit)
    }

    fn can_write(&self) -> bool {
        (**self).can_write()
    }
}

impl From<Document> for Look {
    fn from(document: Document) -> Self {
        Self {
            header: document.header,
            size: document.body.len(),
        }
    }
}

impl Opening {
    /// What becomes of a verified entry at that time.
    pub fn of(document: Document, now: Timestamp) -> Result<Self, Unopened> {
        // Most have no such field, and are not parsed for it.
        let may_expire = document.header.contains("expires") || document.header.contains('\\');
        if may_expire && Header::parse(&document.header)?.is_expired(now) {
            Ok(Self::Expired(document.into()))
        } else {
            Ok(Self::Document(document))
        }
    }
}

impl Keeper for KeyFile {
    fn open_unexpired(&self, ciphertext: &[u8], now: Timestamp) -> Result<Opening, Unopened> {
        Opening::of(self.open(ciphertext, Domain::Entry)?, now)
    }

    fn look(&self, ciphertext: &[u8]) -> Result<Look, Unopened> {
        Ok(self.open(ciphertext, Domain::Entry)?.into())
    }

    fn look_history(&self, ciphertext: &[u8]) -> Result<Look, Unopened> {
        Ok(self.open_history(ciphertext)?.into())
    }

    fn open(&self, ciphertext: &[u8], domain: Domain) -> Result<Document, Unopened> {
        if ciphertext.len() as u64 > ENTRY_MAX_BYTES {
            return Err(Refusal::new(Stage::Envelope, "it is larger than an entry may be").into());
        }
        let plain = file::open_with_key(ciphertext, &self.store_key, PLAIN_MAX_BYTES);
        let document = Document::open(
            plain.map_err(|error| unopened(&error))?,
            domain,
            &self.epoch,
        )?;
        Ok(check_size(document)?)
    }

    fn open_history(&self, ciphertext: &[u8]) -> Result<Document, Unopened> {
        let now = self.open(ciphertext, Domain::Entry);
        self.past.iter().fold(now, |opened, past| {
            opened.or_else(|refusal| {
                let plain = file::open_with_key(ciphertext, &past.store_key, PLAIN_MAX_BYTES);
                let plain = plain.map_err(|_| refusal)?;
                let epoch = past.ended.epoch(&self.epoch.store);
                Ok(check_size(Document::open(plain, Domain::Entry, &epoch)?)?)
            })
        })
    }

    fn make(&self, header: &str, body: &Secret, domain: Domain) -> Result<Vec<u8>, Error> {
        let key = self.writer_key.as_ref().ok_or(Error::ReadOnly)?;
        if body.len() > SECRET_MAX_BYTES {
            return Err(Error::TooLarge);
        }
        let head = Document::sign(header, body.expose(), domain, &self.epoch, key);
        if head.len() > HEADER_MAX_BYTES {
            return Err(Error::HeaderTooLarge);
        }
        let recipient = self.store_key.recipient();
        Ok(file::encrypt(
            &[head.as_bytes(), body.expose()],
            &[recipient],
        )?)
    }

    fn seal(&self, commit: &[u8]) -> Result<Vec<u8>, Error> {
        let key = self.writer_key.as_ref().ok_or(Error::ReadOnly)?;
        Ok(seal::seal(commit, &self.epoch, key))
    }

    fn can_write(&self) -> bool {
        self.writer_key.is_some()
    }
}

fn check_size(document: Document) -> Result<Document, Refusal> {
    if document.body.len() > SECRET_MAX_BYTES {
        return Err(Refusal::new(
            Stage::Envelope,
            "its secret is larger than 64 MiB",
        ));
    }
    Ok(document)
}

/// A file that does not decrypt: why, as far as age tells.
fn unopened(error: &crate::crypto::Error) -> Refusal {
    Refusal::new(Stage::Envelope, format!("it does not decrypt: {error}"))
}
