//! A digest that only who has the key can make: HMAC-SHA-256. What it was made of cannot be guessed and tried without the key.

use hmac::Hmac;
use hmac::Mac;
use sha2::Sha256;

use crate::crypto::sign::hex;

/// The length of a key, and of a digest.
pub const BYTES: usize = 32;

/// The keyed digest of some parts, each with its length.
pub fn digest(key: &[u8], parts: &[&[u8]]) -> [u8; BYTES] {
    // HMAC takes a key of any length.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else {
        return [0; BYTES];
    };
    for part in parts {
        mac.update(&(part.len() as u64).to_be_bytes());
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

/// The same in hex.
pub fn digest_hex(key: &[u8], parts: &[&[u8]]) -> String {
    hex(&digest(key, parts))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_and_cuts_matter() {
        let (one, other) = ([1; BYTES], [2; BYTES]);
        let all = [
            digest(&one, &[b"ab", b"c"]),
            digest(&one, &[b"a", b"bc"]),
            digest(&other, &[b"ab", b"c"]),
            digest(&one, &[b"ab"]),
        ];
        for (at, digest) in all.iter().enumerate() {
            assert!(all.iter().skip(at + 1).all(|other| other != digest));
        }
        assert_eq!(all[0], digest(&one, &[b"ab", b"c"]));
    }
}
