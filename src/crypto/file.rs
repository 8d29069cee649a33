//! One age file, encrypted or opened as a whole in memory.
//!
//! Lives here: the limits on what is opened, and the rule that nothing comes out before the last byte was
//! verified. Never here: a disk, a document of ours.

use std::borrow::Cow;
use std::io::{self, BufRead, Read, Write as _};
use std::iter;
use std::mem;
use std::sync::Arc;

use age::armor::{ArmoredReader, ArmoredWriter, Format};
use age::{Decryptor, Encryptor};
use zeroize::Zeroizing;

use super::identity::{Identities, PluginKey, StoreKey};
use super::limited::{self, Watch};
use super::prompt::{PATIENCE, secret_string};
use super::recipient::Recipient;
use super::{Error, Result, SCRYPT_LOG2, SCRYPT_LOG2_MAX};
use crate::secret::Secret;

/// The most bytes of age header that are looked at: some 30 post-quantum recipients, 500 of any other kind.
const HEADER_MAX: usize = 64 * 1024;

/// The first line of every age file of the one version there is, and what those of any version share.
const VERSION_LINE: &[u8] = b"age-encryption.org/v1\n";
pub(super) const MAGIC: &[u8] = b"age-encryption.org/";
/// The first line of an age file in its text form.
pub(super) const ARMOR_BEGIN: &[u8] = b"-----BEGIN AGE ENCRYPTED FILE-----";

const NONCE: usize = 16;
const TAG: usize = 16;
const CHUNK: usize = 64 * 1024 + TAG;

/// Encrypts `parts`, one after the other, to all `recipients`: a binary age file.
///
/// Several parts, so that a secret and its header need not be joined in one more buffer.
pub fn encrypt(parts: &[&[u8]], recipients: &[Recipient]) -> Result<Vec<u8>> {
    if recipients.iter().all(|one| one.plugin().is_none()) {
        return encrypt_here(parts, recipients);
    }
    let recipients = recipients.to_vec();
    let whole = Zeroizing::new(parts.concat());
    limited::within(&Arc::new(Watch::new()), PATIENCE, move || {
        encrypt_here(&[&whole], &recipients)
    })
}

fn encrypt_here(parts: &[&[u8]], recipients: &[Recipient]) -> Result<Vec<u8>> {
    let recipients = recipients
        .iter()
        .map(Recipient::to_age)
        .collect::<Result<Vec<_>>>()?;
    let encryptor = Encryptor::with_recipients(recipients.iter().map(|boxed| &**boxed as _))?;
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let file = Vec::with_capacity(length + length / CHUNK * TAG + 1024);
    write_parts(encryptor, file, parts).map_err(|_| Error::Damaged)
}

/// Encrypts `text` under a passphrase at the fixed cost, in the text form that people print and copy.
pub(super) fn encrypt_with_passphrase(text: &Secret, passphrase: &Secret) -> Result<Vec<u8>> {
    let passphrase = usable(passphrase)?;
    let mut recipient = age::scrypt::Recipient::new(passphrase);
    recipient.set_work_factor(SCRYPT_LOG2);
    let encryptor = Encryptor::with_recipients(iter::once(&recipient as _))?;
    ArmoredWriter::wrap_output(Vec::with_capacity(1024), Format::AsciiArmor)
        .and_then(|armor| write_parts(encryptor, armor, &[text.expose()]))
        .and_then(ArmoredWriter::finish)
        .map_err(|_| Error::Damaged)
}

/// Writes to memory, so a failure is one of the encryption itself.
fn write_parts<W: io::Write>(encryptor: Encryptor, out: W, parts: &[&[u8]]) -> io::Result<W> {
    let mut writer = encryptor.wrap_output(out)?;
    for part in parts {
        writer.write_all(part)?;
    }
    writer.finish()
}

/// Opens a binary age file with the store key. More than `max` bytes of plaintext are refused, unread.
///
/// This is what `vault get` waits for: no identity is boxed, no header is parsed twice.
pub fn open_with_key(ciphertext: &[u8], key: &StoreKey, max: usize) -> Result<Secret> {
    let sealed = Sealed::parse(ciphertext, max)?;
    let decryptor = sealed.decryptor()?;
    if decryptor.is_scrypt() {
        return Err(Error::ScryptRefused);
    }
    sealed.read(decryptor.decrypt(iter::once(key.as_age()))?)
}

/// Opens a binary age file with whichever identity fits. More than `max` bytes of plaintext are refused.
///
/// An SSH key with a passphrase is asked for when the file names that key, and only if no other fits.
pub fn open_with(ciphertext: &[u8], identities: &Identities, max: usize) -> Result<Secret> {
    let sealed = Sealed::parse(ciphertext, max)?;
    let decryptor = sealed.decryptor()?;
    if decryptor.is_scrypt() {
        return Err(Error::ScryptRefused);
    }
    match decryptor.decrypt(identities.ready()) {
        Ok(stream) => return sealed.read(stream),
        Err(age::DecryptError::NoMatchingKeys) => {}
        Err(other) => return Err(other.into()),
    }
    if let Some(key) = identities.unlock_for(sealed.header())? {
        return sealed.read(sealed.decryptor()?.decrypt(iter::once(key))?);
    }
    for plugin in identities.plugins() {
        match open_with_plugin(ciphertext, plugin, max) {
            Err(Error::KeyMismatch) => {}
            other => return other,
        }
    }
    Err(identities.mismatch())
}

/// Opens a file with a key that a plugin holds, within its time.
fn open_with_plugin(ciphertext: &[u8], plugin: &PluginKey, max: usize) -> Result<Secret> {
    let (key, file) = (plugin.key.clone(), ciphertext.to_vec());
    limited::within(&plugin.watch, plugin.patience, move || {
        let sealed = Sealed::parse(&file, max)?;
        sealed.read(sealed.decryptor()?.decrypt(iter::once(&*key as _))?)
    })
}

/// Opens a binary age file that a passphrase protects, at a cost of at most [`SCRYPT_LOG2_MAX`].
pub fn open_with_passphrase(ciphertext: &[u8], passphrase: &Secret, max: usize) -> Result<Secret> {
    let sealed = Sealed::parse(ciphertext, max)?;
    let decryptor = sealed.decryptor()?;
    if !decryptor.is_scrypt() {
        return Err(Error::KeyMismatch);
    }
    let mut identity = age::scrypt::Identity::new(usable(passphrase)?);
    identity.set_max_work_factor(SCRYPT_LOG2_MAX);
    match decryptor.decrypt(iter::once(&identity as _)) {
        Ok(stream) => sealed.read(stream),
        Err(age::DecryptError::DecryptionFailed) => Err(Error::WrongPassphrase),
        Err(other) => Err(other.into()),
    }
}

/// Whether a binary age file asks for a passphrase.
pub(super) fn is_scrypt(ciphertext: &[u8]) -> Result<bool> {
    Ok(Sealed::parse(ciphertext, usize::MAX)?
        .decryptor()?
        .is_scrypt())
}

/// The binary form of an age file that may be in its text form, white space before it allowed.
pub fn dearmor(file: &[u8]) -> Result<Cow<'_, [u8]>> {
    let trimmed = file.trim_ascii_start();
    if !trimmed.starts_with(ARMOR_BEGIN) {
        return Ok(Cow::Borrowed(file));
    }
    let mut binary = Vec::with_capacity(trimmed.len());
    let read = ArmoredReader::new(trimmed).read_to_end(&mut binary);
    read.map_err(|_| Error::Damaged)?;
    Ok(Cow::Owned(binary))
}

/// The passphrase as age takes it; an empty one protects nothing.
fn usable(passphrase: &Secret) -> Result<age::secrecy::SecretString> {
    if passphrase.is_empty() {
        return Err(Error::BadPassphrase);
    }
    secret_string(passphrase).ok_or(Error::BadPassphrase)
}

/// A binary age file whose parts have been measured, but not yet read.
struct Sealed<'a> {
    file: &'a [u8],
    /// Bytes of header, the line with the MAC included.
    header: usize,
    /// Bytes of plaintext, if the file is intact.
    plaintext: usize,
}

impl<'a> Sealed<'a> {
    fn parse(file: &'a [u8], max: usize) -> Result<Self> {
        if !file.starts_with(VERSION_LINE) {
            // A cut within the first line is a cut; anything else is another kind of file.
            let cut = !file.is_empty() && VERSION_LINE.starts_with(file);
            return Err(if cut { Error::Damaged } else { Error::NotAge });
        }
        let header = header_length(file).ok_or(Error::Damaged)?;
        let payload = file.len() - header;
        let chunks = payload.checked_sub(NONCE).ok_or(Error::Damaged)?;
        let tags = chunks.div_ceil(CHUNK) * TAG;
        let plaintext = chunks.checked_sub(tags).ok_or(Error::Damaged)?;
        if plaintext > max {
            return Err(Error::TooLarge { max });
        }
        Ok(Self {
            file,
            header,
            plaintext,
        })
    }

    fn header(&self) -> &'a [u8] {
        self.file.get(..self.header).unwrap_or_default()
    }

    fn decryptor(&self) -> Result<Decryptor<Input<'a>>> {
        let input = Input {
            rest: self.file,
            header: self.header,
        };
        Ok(Decryptor::new_buffered(input)?)
    }

    /// All of the plaintext, once the last chunk has proved to be the last.
    fn read(&self, mut stream: impl Read) -> Result<Secret> {
        let mut plaintext = Zeroizing::new(vec![0; self.plaintext]);
        stream
            .read_exact(&mut plaintext)
            .map_err(|_| Error::Damaged)?;
        match stream.read(&mut [0]) {
            Ok(0) => Ok(Secret::new(mem::take(&mut *plaintext))),
            _ => Err(Error::Damaged),
        }
    }
}

/// The length of the header: up to the end of the first line that begins with `---`.
///
/// No other line of a header can begin so: stanzas begin with `->`, and base64 has no `-`.
fn header_length(file: &[u8]) -> Option<usize> {
    let window = file.get(..HEADER_MAX).unwrap_or(file);
    let mark = window.windows(4).position(|four| four == b"\n---")? + 1;
    let line = window.get(mark..)?.iter().position(|byte| *byte == b'\n')?;
    Some(mark + line + 1)
}

/// The file as a reader that gives the age crate the whole header as one "line".
///
/// The crate parses anew from the start whenever it has read one more line: a header of many
/// lines would cost the square of its length.
struct Input<'a> {
    rest: &'a [u8],
    /// Bytes of header not read yet.
    header: usize,
}

impl Read for Input<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.rest.read(buffer)
    }
}

impl BufRead for Input<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        Ok(self.rest)
    }

    fn consume(&mut self, count: usize) {
        self.rest = self.rest.get(count..).unwrap_or_default();
    }

    fn read_until(&mut self, byte: u8, buffer: &mut Vec<u8>) -> io::Result<usize> {
        match self.rest.split_at_checked(mem::take(&mut self.header)) {
            Some((header, rest)) if !header.is_empty() => {
                buffer.extend_from_slice(header);
                self.rest = rest;
                Ok(header.len())
            }
            _ => self.rest.read_until(byte, buffer),
        }
    }
}

#[cfg(test)]
mod tests;
