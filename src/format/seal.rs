//! The seal of a commit: what it covers, and where it stands (section 10).

use crate::crypto::sign::Message;
use crate::crypto::sign::WriterKey;
use crate::format::Epoch;
use crate::format::Refusal;
use crate::format::Stage;

/// How the last line of a sealed commit begins.
const TRAILER: &[u8] = b"Vault-Seal: ";
/// The first field of what is signed.
const DOMAIN: &str = "agevault commit v1";

/// Adds the seal to a raw commit whose message ends in an empty line's place: `unsealed` must end with LF.
pub fn seal(unsealed: &[u8], epoch: &Epoch, key: &WriterKey) -> Vec<u8> {
    let mut sealed = unsealed.to_vec();
    sealed.push(b'\n');
    let signature = key.sign(&message(epoch, &sealed));
    sealed.extend_from_slice(TRAILER);
    sealed.extend_from_slice(signature.as_bytes());
    sealed.push(b'\n');
    sealed
}

/// Verifies the seal of a raw commit (F-080's trailer, F-081). Its headers are the git layer's to check.
pub fn verify(raw: &[u8], epoch: &Epoch) -> Result<(), Refusal> {
    let refuse = |reason: &str| Refusal::new(Stage::Seal, reason);
    let (covered, signature) =
        split(raw).ok_or_else(|| refuse("it has no seal: it was not made by vault"))?;
    if begins_twice(covered) {
        return Err(refuse("it has more than one seal"));
    }
    let verified = epoch.writer.verify(&message(epoch, covered), signature);
    verified
        .map_err(|_| refuse("its seal is not the store's: it was altered, or comes from elsewhere"))
}

/// The covered bytes and the signature's text, if the last line is a seal after an empty line.
fn split(raw: &[u8]) -> Option<(&[u8], &[u8])> {
    let text = raw.strip_suffix(b"\n")?;
    let start = text.iter().rposition(|byte| *byte == b'\n')? + 1;
    let signature = text.get(start..)?.strip_prefix(TRAILER)?;
    let covered = raw.get(..start)?;
    covered.ends_with(b"\n\n").then_some((covered, signature))
}

fn begins_twice(covered: &[u8]) -> bool {
    covered
        .split(|byte| *byte == b'\n')
        .any(|line| line.starts_with(TRAILER))
}

fn message(epoch: &Epoch, covered: &[u8]) -> Message {
    epoch.message(DOMAIN).field(covered)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealed() -> (Epoch, Vec<u8>) {
        let key = WriterKey::generate().unwrap();
        let epoch = Epoch {
            store: "cd".repeat(16),
            number: 1,
            writer: key.public(),
        };
        let raw = seal(
            b"tree 00\nauthor a <b> 0 +0000\ncommitter a <b> 0 +0000\n\nadd x\n",
            &epoch,
            &key,
        );
        (epoch, raw)
    }

    #[test]
    fn every_changed_byte_is_refused() {
        let (epoch, raw) = sealed();
        assert_eq!(verify(&raw, &epoch), Ok(()));
        for at in 0..raw.len() {
            let mut bad = raw.clone();
            bad[at] ^= 1;
            assert!(verify(&bad, &epoch).is_err(), "byte {at}");
        }
    }

    #[test]
    fn a_second_seal_and_a_line_after_it_are_refused() {
        let (epoch, raw) = sealed();
        let twice = [&raw[..], b"\n", &raw[raw.len() - 100..]].concat();
        assert!(verify(&twice, &epoch).is_err());
        assert!(verify(&[&raw[..], b"x\n"].concat(), &epoch).is_err());
    }
}
