//! A signed document: header, `sig` line, `---`, body (section 8). Entries, key files and the member list are such documents.

use crate::crypto::sign::Message;
use crate::crypto::sign::WriterKey;
use crate::format::Epoch;
use crate::format::HEADER_MAX_BYTES;
use crate::format::Refusal;
use crate::format::Stage;
use crate::secret::Secret;

/// What parts the header from the body, as a whole line.
const FENCE: &[u8] = b"---\n";
/// How the last line of a header begins and ends, around the signature.
const SIG_BEGIN: &[u8] = b"sig = \"";
const SIG_END: &[u8] = b"\"\n";
/// Characters of a signature in base64.
const SIG_CHARACTERS: usize = 86;

/// What kind of document it is: the first field of what is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Domain {
    /// An entry.
    Entry,
    /// A key file.
    Keys,
    /// The member list.
    Members,
}

impl Domain {
    fn text(self) -> &'static str {
        match self {
            Self::Entry => "agevault entry v1",
            Self::Keys => "agevault keys v1",
            Self::Members => "agevault members v1",
        }
    }
}

/// A document whose signature has been verified.
#[derive(Debug)]
pub struct Document {
    /// The header's text without its `sig` line.
    pub header: String,
    /// Everything after the line `---`.
    pub body: Secret,
}

impl Document {
    /// Takes a decrypted file apart and verifies it (F-060, F-061).
    pub fn open(plain: Secret, domain: Domain, epoch: &Epoch) -> Result<Self, Refusal> {
        let frame = Frame::find(plain.expose()).ok_or_else(no_document)?;
        let part = |range: std::ops::Range<usize>| plain.expose().get(range).unwrap_or_default();
        let (header, signature) = (part(0..frame.header_end), part(frame.sig.clone()));
        let message = message(domain, epoch, header, part(frame.body_start..plain.len()));
        if epoch.writer.verify(&message, signature).is_err() {
            let reason =
                "its signature is not the store's: it was altered, or comes from elsewhere";
            return Err(Refusal::new(Stage::Signature, reason));
        }
        Self::cut(plain, &frame)
    }

    /// The same without the signature, for bytes that this device has verified before and remembers.
    pub fn open_known(plain: Secret) -> Result<Self, Refusal> {
        let frame = Frame::find(plain.expose()).ok_or_else(no_document)?;
        Self::cut(plain, &frame)
    }

    fn cut(plain: Secret, frame: &Frame) -> Result<Self, Refusal> {
        let header = plain.expose().get(..frame.header_end).unwrap_or_default();
        let header = std::str::from_utf8(header);
        let header = header
            .map_err(|_| Refusal::new(Stage::Header, "its header is not UTF-8"))?
            .to_owned();
        Ok(Self {
            header,
            body: plain.split_off(frame.body_start),
        })
    }

    /// Makes the parts of a document in the order in which they are encrypted: header, `sig` and fence, body.
    pub fn sign(
        header: &str,
        body: &[u8],
        domain: Domain,
        epoch: &Epoch,
        key: &WriterKey,
    ) -> String {
        let signature = key.sign(&message(domain, epoch, header.as_bytes(), body));
        format!("{header}sig = \"{signature}\"\n---\n")
    }
}

fn no_document() -> Refusal {
    let reason = "it is no signed document: the \"sig\" or the \"---\" line is missing";
    Refusal::new(Stage::Envelope, reason)
}

fn message(domain: Domain, epoch: &Epoch, header: &[u8], body: &[u8]) -> Message {
    epoch.message(domain.text()).field(header).field(body)
}

/// Where the parts of a document lie.
struct Frame {
    header_end: usize,
    sig: std::ops::Range<usize>,
    body_start: usize,
}

impl Frame {
    fn find(plain: &[u8]) -> Option<Self> {
        let most = plain.get(..HEADER_MAX_BYTES + FENCE.len()).unwrap_or(plain);
        let mut line_start = 0;
        let mut previous = 0;
        for line in most.split_inclusive(|byte| *byte == b'\n') {
            if line == FENCE {
                let sig = most.get(previous..line_start)?;
                let value = sig.strip_prefix(SIG_BEGIN)?.strip_suffix(SIG_END)?;
                let is_base64 = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/".contains(byte);
                if value.len() != SIG_CHARACTERS || !value.iter().all(is_base64) {
                    return None;
                }
                let value_start = previous + SIG_BEGIN.len();
                return Some(Self {
                    header_end: previous,
                    sig: value_start..value_start + value.len(),
                    body_start: line_start + FENCE.len(),
                });
            }
            previous = line_start;
            line_start += line.len();
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn epoch() -> (Epoch, WriterKey) {
        let key = WriterKey::generate().unwrap();
        (
            Epoch {
                store: "00".repeat(16),
                number: 1,
                writer: key.public(),
            },
            key,
        )
    }

    fn made(header: &str, body: &[u8]) -> (Epoch, Vec<u8>) {
        let (epoch, key) = epoch();
        let mut plain = Document::sign(header, body, Domain::Entry, &epoch, &key).into_bytes();
        plain.extend_from_slice(body);
        (epoch, plain)
    }

    #[test]
    fn a_body_keeps_its_bytes_fences_included() {
        for body in [
            &b""[..],
            b"\0",
            b"---\n",
            b"a\n---\nsig = \"x\"\n",
            &[255; 300],
        ] {
            let (epoch, plain) = made("format = 1\n", body);
            let document = Document::open(Secret::new(plain), Domain::Entry, &epoch).unwrap();
            assert_eq!(document.header, "format = 1\n");
            assert_eq!(document.body.expose(), body);
        }
    }

    #[test]
    fn every_changed_byte_is_refused() {
        let (epoch, plain) = made("format = 1\n", b"secret");
        for at in 0..plain.len() {
            let mut bad = plain.clone();
            bad[at] ^= 1;
            assert!(
                Document::open(Secret::new(bad), Domain::Entry, &epoch).is_err(),
                "byte {at}"
            );
        }
    }

    #[test]
    fn a_signature_counts_for_one_domain_store_and_epoch() {
        let (epoch, plain) = made("format = 1\n", b"secret");
        let refused = |domain, epoch: &Epoch| {
            Document::open(Secret::copy_of(&plain), domain, epoch)
                .unwrap_err()
                .stage
                == Stage::Signature
        };
        assert!(refused(Domain::Keys, &epoch));
        assert!(refused(
            Domain::Entry,
            &Epoch {
                number: 2,
                ..epoch.clone()
            }
        ));
        assert!(refused(
            Domain::Entry,
            &Epoch {
                store: "11".repeat(16),
                ..epoch
            }
        ));
    }

    #[test]
    fn the_header_has_a_limit_on_both_sides() {
        let frame = "sig = \"\"\n---\n".len() + 86 - FENCE.len();
        let fits = format!("a = \"{}\"\n", "x".repeat(HEADER_MAX_BYTES - frame - 7));
        let (epoch, plain) = made(&fits, b"s");
        assert!(Document::open(Secret::new(plain), Domain::Entry, &epoch).is_ok());
        let (epoch, plain) = made(&format!("b{fits}"), b"s");
        let refusal = Document::open(Secret::new(plain), Domain::Entry, &epoch).unwrap_err();
        assert_eq!(refusal.stage, Stage::Envelope);
    }
}
