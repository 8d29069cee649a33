//! The little that must be known of SSH keys before the age crate sees them.
//!
//! Lives here: kind and size of a key, from its public half, with every bound checked. The age crate
//! takes 2048-bit RSA, which we do not, and indexes past the end of a malformed number.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::{Error, Result};
use crate::secret::Secret;

/// The sizes of RSA modulus accepted, in bits.
const RSA_BITS: std::ops::RangeInclusive<usize> = 3072..=4096;

/// The first line of the key files written by OpenSSH.
pub(super) const OPENSSH_BEGIN: &str = "-----BEGIN OPENSSH PRIVATE KEY-----";
const OPENSSH_END: &str = "-----END OPENSSH PRIVATE KEY-----";
/// The first line of an older form, which the age crate reads when it carries no passphrase.
pub(super) const PEM_RSA_BEGIN: &str = "-----BEGIN RSA PRIVATE KEY-----";
/// What both, and every other key in PEM, begin with.
pub(super) const PEM_BEGIN: &str = "-----BEGIN ";

const MAGIC: &[u8] = b"openssh-key-v1\0";

/// Accepts the public half of an Ed25519 key, or of an RSA key of the sizes allowed.
pub(super) fn check_public(blob: &[u8]) -> Result<()> {
    let mut wire = Wire(blob);
    let kind = wire.string()?;
    match kind {
        b"ssh-ed25519" if wire.string()?.len() == 32 => {}
        b"ssh-rsa" => {
            let _exponent = wire.number()?;
            let bits = bit_length(wire.number()?);
            if !RSA_BITS.contains(&bits) {
                return Err(Error::UnsupportedKey(format!(
                    "RSA of {bits} bits; 3072 to 4096 are accepted"
                )));
            }
        }
        b"ssh-ed25519" => return Err(Error::BadKey { line: 1 }),
        other => return Err(unsupported(other)),
    }
    if wire.0.is_empty() {
        Ok(())
    } else {
        Err(Error::BadKey { line: 1 })
    }
}

/// Checks the key file of OpenSSH in `text` and returns its public half.
///
/// The numbers of an RSA key without a passphrase are looked at too; those of an encrypted one cannot be.
pub(super) fn check_private(text: &str) -> Result<Vec<u8>> {
    let bytes = unwrap(text).ok_or(Error::BadKey { line: 1 })?;
    let mut wire = Wire(bytes.strip_prefix(MAGIC).ok_or(Error::BadKey { line: 1 })?);
    let cipher = wire.string()?;
    let _kdf = wire.string()?;
    let _options = wire.string()?;
    if wire.take(4)? != [0, 0, 0, 1] {
        return Err(Error::UnsupportedKey(
            "several SSH keys in one file".to_owned(),
        ));
    }
    let public = wire.string()?;
    check_public(public)?;
    if cipher == b"none" {
        check_numbers(wire.string()?)?;
    }
    Ok(public.to_vec())
}

/// Whether a passphrase protects the key file in these bytes; `None` if they are no SSH key.
pub(super) fn is_protected(bytes: &Secret) -> Option<bool> {
    let text = std::str::from_utf8(bytes.expose()).ok()?;
    if text.trim_start().starts_with(PEM_RSA_BEGIN) {
        return Some(text.contains("ENCRYPTED"));
    }
    let bytes = unwrap(text)?;
    let cipher = Wire(bytes.strip_prefix(MAGIC)?).string().ok()?;
    Some(cipher != b"none")
}

/// Looks at the numbers in the private part of an RSA key.
fn check_numbers(private: &[u8]) -> Result<()> {
    let mut wire = Wire(private);
    wire.take(8)?;
    if wire.string()? == b"ssh-rsa" {
        for _ in 0..6 {
            wire.number()?;
        }
    }
    Ok(())
}

/// The bytes between the two marker lines.
fn unwrap(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let (_, rest) = text.split_once(OPENSSH_BEGIN)?;
    let (inside, _) = rest.split_once(OPENSSH_END)?;
    let mut packed = Zeroizing::new(Vec::with_capacity(inside.len()));
    packed.extend(inside.bytes().filter(|byte| !byte.is_ascii_whitespace()));
    let mut bytes = Zeroizing::new(Vec::with_capacity(packed.len()));
    STANDARD.decode_vec(&*packed, &mut bytes).ok()?;
    Some(bytes)
}

/// The error for a kind of key, its name made harmless.
fn unsupported(kind: &[u8]) -> Error {
    let name = String::from_utf8_lossy(kind.get(..60).unwrap_or(kind));
    let name = super::prompt::printable(&name);
    if name.starts_with("sk-") {
        return Error::UnsupportedKey(format!("{name}, held in hardware: use an age plugin"));
    }
    Error::UnsupportedKey(format!("{name}; ssh-ed25519 and ssh-rsa are accepted"))
}

/// The length of a big-endian number in bits.
fn bit_length(number: &[u8]) -> usize {
    let Some(start) = number.iter().position(|byte| *byte != 0) else {
        return 0;
    };
    let rest = number.get(start..).unwrap_or_default();
    let first = rest.first().copied().unwrap_or_default();
    rest.len() * 8 - first.leading_zeros() as usize
}

/// SSH's own encoding, read from the front.
struct Wire<'a>(&'a [u8]);

impl<'a> Wire<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8]> {
        let (head, tail) = self
            .0
            .split_at_checked(count)
            .ok_or(Error::BadKey { line: 1 })?;
        self.0 = tail;
        Ok(head)
    }

    /// A four-byte length and as many bytes.
    fn string(&mut self) -> Result<&'a [u8]> {
        let length = self
            .take(4)?
            .iter()
            .fold(0, |sum: usize, byte| sum << 8 | usize::from(*byte));
        self.take(length)
    }

    /// A positive number in its one encoding: never empty, nor negative, nor with a zero too many.
    fn number(&mut self) -> Result<&'a [u8]> {
        let bytes = self.string()?;
        match bytes {
            [0, second, ..] if *second >= 0x80 => Ok(bytes),
            [1..=0x7f, ..] => Ok(bytes),
            _ => Err(Error::BadKey { line: 1 }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wire(parts: &[&[u8]]) -> Vec<u8> {
        let mut out = Vec::new();
        for part in parts {
            out.extend(u32::try_from(part.len()).unwrap().to_be_bytes());
            out.extend(*part);
        }
        out
    }

    #[test]
    fn the_size_of_a_number_in_bits() {
        assert_eq!(bit_length(&[0, 0x80, 0]), 16);
        assert_eq!(bit_length(&[1]), 1);
        assert_eq!(bit_length(&[0, 0]), 0);
    }

    #[test]
    fn sizes_of_rsa() {
        let check = |bytes: usize| {
            let mut modulus = vec![0xff; bytes];
            modulus.insert(0, 0);
            check_public(&wire(&[b"ssh-rsa", &[1, 0, 1], &modulus]))
        };
        assert!(check(384).is_ok() && check(512).is_ok());
        assert!(matches!(check(256), Err(Error::UnsupportedKey(text)) if text.contains("2048")));
        assert!(matches!(check(513), Err(Error::UnsupportedKey(_))));
    }

    #[test]
    fn malformed_keys_are_errors() {
        let good = wire(&[b"ssh-ed25519", &[7; 32]]);
        assert!(check_public(&good).is_ok());
        for length in 0..good.len() {
            assert!(check_public(&good[..length]).is_err(), "{length}");
        }
        assert!(check_public(&[good.as_slice(), b"x"].concat()).is_err());
        assert!(check_public(&[0xff; 8]).is_err());
        // Numbers of zeros only: the age crate would index past their end.
        assert!(check_public(&wire(&[b"ssh-rsa", &[0, 0], &[0; 385]])).is_err());
    }
}
