//! The writer key: the signature of entries, key files, the member list and commits.
//!
//! Lives here: Ed25519 over SHA-512 of length-prefixed fields, the fingerprint, digests and random text.
//! Never here: what the fields mean (that is `format`).

use std::fmt;
use std::fmt::Write as _;
use std::sync::OnceLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use ed25519_dalek::{Signature, Signer as _, SigningKey, Verifier as _, VerifyingKey};
use sha2::{Digest as _, Sha256, Sha512};
use zeroize::Zeroizing;

use super::words;
use super::{Error, Result};
use crate::secret::Secret;

/// Characters of a key or a seed in base64.
const KEY_TEXT: usize = 43;
/// Characters of a signature in base64.
const SIGNATURE_TEXT: usize = 86;
/// Words of a fingerprint.
const WORDS: usize = 8;

/// What is signed: SHA-512 over fields, each as its length in eight bytes (big-endian) and its bytes.
pub struct Message(Sha512);

impl Message {
    /// Begins with the three fields that every message has; `epoch` counts as decimal text.
    pub fn new(domain: &str, store: &str, epoch: u32) -> Self {
        Self(Sha512::new())
            .field(domain.as_bytes())
            .field(store.as_bytes())
            .field(epoch.to_string().as_bytes())
    }

    /// Adds a field.
    #[must_use]
    pub fn field(mut self, bytes: &[u8]) -> Self {
        add_field(&mut self.0, bytes);
        self
    }

    fn digest(&self) -> [u8; 64] {
        self.0.clone().finalize().into()
    }
}

fn add_field(digest: &mut impl sha2::Digest, bytes: &[u8]) {
    digest.update((bytes.len() as u64).to_be_bytes());
    digest.update(bytes);
}

/// The secret half of a writer key; wiped when dropped.
///
/// Made from its seed at first need: a look-up, which signs nothing, does not pay for it.
pub struct WriterKey {
    seed: Zeroizing<[u8; 32]>,
    key: OnceLock<SigningKey>,
}

impl WriterKey {
    /// A new key from the operating system's random bytes.
    pub fn generate() -> Result<Self> {
        let mut seed = Zeroizing::new([0; 32]);
        getrandom::fill(seed.as_mut())?;
        let key = OnceLock::new();
        Ok(Self { seed, key })
    }

    /// Reads the seed: 43 characters of canonical base64.
    pub fn from_seed_text(text: &[u8]) -> Result<Self> {
        let seed = Zeroizing::new(key_bytes(text)?);
        let key = OnceLock::new();
        Ok(Self { seed, key })
    }

    /// The seed in the form that [`WriterKey::from_seed_text`] reads.
    pub fn seed_text(&self) -> Secret {
        let mut text = vec![0; KEY_TEXT];
        // The buffer has the length of 32 bytes in base64, so this cannot fail.
        let length = STANDARD_NO_PAD
            .encode_slice(*self.seed, &mut text)
            .unwrap_or_default();
        text.truncate(length);
        Secret::new(text)
    }

    /// The public half.
    pub fn public(&self) -> WriterPublic {
        WriterPublic(self.key().verifying_key())
    }

    fn key(&self) -> &SigningKey {
        self.key.get_or_init(|| SigningKey::from_bytes(&self.seed))
    }

    /// The signature in base64, 86 characters.
    pub fn sign(&self, message: &Message) -> String {
        STANDARD_NO_PAD.encode(self.key().sign(&message.digest()).to_bytes())
    }
}

impl fmt::Debug for WriterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WriterKey(..)")
    }
}

/// The public half of a writer key; its text form is 43 characters of base64.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct WriterPublic(VerifyingKey);

impl WriterPublic {
    /// Reads canonical base64 of a point in its one encoding.
    pub fn parse(text: &[u8]) -> Result<Self> {
        let bytes = key_bytes(text)?;
        if !is_canonical(&bytes) {
            return Err(Error::BadWriterKey);
        }
        match VerifyingKey::from_bytes(&bytes) {
            Ok(key) if !key.is_weak() => Ok(Self(key)),
            _ => Err(Error::BadWriterKey),
        }
    }

    /// The key's 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }

    /// Checks a signature in base64 as RFC 8032 does without the cofactor, R compared as bytes (F-061). A key of small
    /// order, for which many messages would verify, has been refused by `parse`.
    pub fn verify(&self, message: &Message, signature: &[u8]) -> Result<()> {
        let mut bytes = [0; 66];
        let length = decode(signature, SIGNATURE_TEXT, &mut bytes);
        let (Some(64), Some(signature)) = (length, bytes.first_chunk::<64>()) else {
            return Err(Error::BadSignature);
        };
        let signature = Signature::from_bytes(signature);
        let verified = self.0.verify(&message.digest(), &signature);
        verified.map_err(|_| Error::BadSignature)
    }
}

impl fmt::Display for WriterPublic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&STANDARD_NO_PAD.encode(self.as_bytes()))
    }
}

impl fmt::Debug for WriterPublic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WriterPublic({self})")
    }
}

/// Whether the coordinate in a public key is below the prime 2^255 − 19; the library takes others too.
fn is_canonical(key: &[u8; 32]) -> bool {
    let [low, middle @ .., high] = key;
    high & 0x7f != 0x7f || *low < 0xed || middle.iter().any(|byte| *byte != 0xff)
}

fn key_bytes(text: &[u8]) -> Result<[u8; 32]> {
    let mut bytes = Zeroizing::new([0; 33]);
    match (
        decode(text, KEY_TEXT, bytes.as_mut()),
        bytes.first_chunk::<32>(),
    ) {
        (Some(32), Some(key)) => Ok(*key),
        _ => Err(Error::BadWriterKey),
    }
}

/// Decodes text of exactly `length` characters; the engine refuses padding and unused bits that are set.
fn decode(text: &[u8], length: usize, out: &mut [u8]) -> Option<usize> {
    if text.len() != length {
        return None;
    }
    STANDARD_NO_PAD.decode_slice(text, out).ok()
}

/// The fingerprint of a store: eight words that a person can compare.
pub fn fingerprint(store: &str, epoch: u32, writer: &WriterPublic) -> String {
    let mut digest = Sha256::new();
    add_field(&mut digest, b"agevault fingerprint v1");
    add_field(&mut digest, store.as_bytes());
    add_field(&mut digest, epoch.to_string().as_bytes());
    add_field(&mut digest, writer.as_bytes());
    let list = words::list();
    let words: Vec<&str> = groups(&digest.finalize())
        .filter_map(|group| list.get(group).copied())
        .collect();
    words.join("-")
}

/// The first eight groups of eleven bits.
fn groups(bytes: &[u8]) -> impl Iterator<Item = usize> {
    let head = bytes.iter().take(WORDS * 11 / 8);
    let number = head.fold(0_u128, |sum, byte| sum << 8 | u128::from(*byte));
    (0..WORDS)
        .rev()
        .map(move |word| (number >> (word * 11) & 0x7ff) as usize)
}

/// A fingerprint as a person types it, brought to the form of [`fingerprint`]: any case, spaces or dashes.
pub fn parse_fingerprint(text: &str) -> Result<String> {
    let text = text.to_lowercase();
    let words: Vec<&str> = text
        .split(|c: char| c == '-' || c.is_whitespace())
        .filter(|word| !word.is_empty())
        .collect();
    let list = words::list();
    let is_known = |word: &&str| list.binary_search(word).is_ok();
    if words.len() == WORDS && words.iter().all(is_known) {
        Ok(words.join("-"))
    } else {
        Err(Error::BadFingerprint)
    }
}

/// `count` random bytes in hex: twice as many characters.
pub fn random_hex(count: usize) -> Result<String> {
    let mut bytes = vec![0; count];
    getrandom::fill(&mut bytes)?;
    Ok(hex(&bytes))
}

/// SHA-256 in hex.
pub fn digest_hex(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// Bytes in hex.
pub(super) fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests;
