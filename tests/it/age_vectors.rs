//! The official age test vectors, through the reading path of this program.
//!
//! `tests/fetch-vectors.sh` puts them into `target/age-vectors`. A vector that is to fail must fail, and
//! nothing of its plaintext comes out: our path gives none before the end was verified, so the hash of what a
//! streaming reader might have given out is not compared.

use std::fs;
use std::path::Path;

use agevault::crypto::Error;
use agevault::crypto::file;
use agevault::crypto::identity::{Identities, StoreKey};
use agevault::crypto::sign::digest_hex;
use agevault::secret::Secret;

/// The most plaintext of any vector.
const MAX: usize = 1 << 25;

/// How many vectors there are, so that an empty folder is no success.
const COUNT: usize = 143;

/// Vectors whose result is not the one expected, and why. One that turns out as expected fails the test.
const EXCEPTIONS: [(&str, &str); 7] = [
    ("hybrid", "post-quantum identities are not in the age crate"),
    (
        "hybrid_and_x25519",
        "post-quantum identities are not in the age crate",
    ),
    (
        "hybrid_grease",
        "post-quantum identities are not in the age crate",
    ),
    (
        "hybrid_multiple_recipients",
        "post-quantum identities are not in the age crate",
    ),
    (
        "armor_hybrid",
        "post-quantum identities are not in the age crate",
    ),
    (
        "stanza_missing_body",
        "the age crate accepts this slip of early rage files",
    ),
    (
        "stanza_missing_final_line",
        "the age crate accepts this slip of early rage files",
    ),
];

/// One vector: what its head says, and the age file after it.
#[derive(Default)]
struct Vector {
    expect: String,
    payload: String,
    identities: Vec<String>,
    passphrases: Vec<String>,
    file: Vec<u8>,
}

impl Vector {
    fn parse(bytes: &[u8]) -> Self {
        let split = bytes
            .windows(2)
            .position(|two| two == b"\n\n")
            .expect("a head");
        let head = std::str::from_utf8(&bytes[..split]).expect("a head of text");
        let mut vector = Self {
            file: bytes[split + 2..].to_vec(),
            ..Self::default()
        };
        for line in head.lines() {
            let (key, value) = line.split_once(": ").expect("key: value");
            let value = value.to_owned();
            match key {
                "expect" => vector.expect = value,
                "payload" => vector.payload = value,
                "identity" => vector.identities.push(value),
                "passphrase" => vector.passphrases.push(value),
                "file key" | "armored" | "comment" => {}
                other => panic!("unknown key {other}: run tests/fetch-vectors.sh"),
            }
        }
        vector
    }

    /// Opens the file as the program would, with each key that the vector names.
    fn open(&self) -> Vec<Result<Secret, Error>> {
        let binary = match file::dearmor(&self.file) {
            Ok(binary) => binary,
            Err(error) => return vec![Err(error)],
        };
        let mut results = Vec::new();
        if !self.identities.is_empty() {
            let text = Secret::copy_of(self.identities.join("\n").as_bytes());
            let opened = Identities::from_key(&text);
            results.push(opened.and_then(|keys| file::open_with(&binary, &keys, MAX)));
        }
        for passphrase in &self.passphrases {
            let passphrase = Secret::copy_of(passphrase.as_bytes());
            results.push(file::open_with_passphrase(&binary, &passphrase, MAX));
        }
        if results.is_empty() {
            results.push(file::open_with_key(&binary, &StoreKey::generate(), MAX));
        }
        // The hot path must agree with the other one.
        if let ([identity], []) = (self.identities.as_slice(), self.passphrases.as_slice())
            && let Ok(key) = StoreKey::parse(identity.as_bytes())
        {
            let hot = file::open_with_key(&binary, &key, MAX);
            assert_eq!(format!("{hot:?}"), format!("{:?}", results[0]));
        }
        results
    }

    /// `None` when the result is the one expected.
    fn complaint(&self) -> Option<String> {
        let results = self.open();
        let opened = results.iter().find_map(|result| result.as_ref().ok());
        match (self.expect.as_str(), opened) {
            ("success", Some(plain)) => {
                let digest = digest_hex(plain.expose());
                (digest != self.payload).then(|| "another plaintext".to_owned())
            }
            ("success", None) => Some(format!("did not open: {results:?}")),
            (_, Some(_)) => Some("opened".to_owned()),
            (expect, None) => {
                let fits = results.iter().filter_map(|result| result.as_ref().err());
                let wrong: Vec<&Error> = fits.filter(|error| !stage_fits(expect, error)).collect();
                (!wrong.is_empty()).then(|| format!("failed otherwise: {wrong:?}"))
            }
        }
    }
}

/// Whether a failure can stand for the one that a vector expects.
fn stage_fits(expect: &str, error: &Error) -> bool {
    match expect {
        "no match" => matches!(error, Error::KeyMismatch | Error::WrongPassphrase),
        "HMAC failure" | "payload failure" => matches!(error, Error::Damaged),
        "armor failure" => matches!(error, Error::Damaged | Error::NotAge),
        "header failure" => matches!(
            error,
            Error::Damaged | Error::NotAge | Error::ExcessiveWork { .. }
        ),
        other => panic!("unknown expectation {other}"),
    }
}

#[test]
fn the_official_vectors() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/age-vectors");
    let list = fs::read_dir(&folder).expect("run tests/fetch-vectors.sh first");
    let mut complaints = Vec::new();
    let mut count = 0;
    for file in list {
        let file = file.expect("an entry of the folder");
        let name = file.file_name().into_string().expect("a name");
        if name.starts_with('.') {
            continue;
        }
        count += 1;
        let vector = Vector::parse(&fs::read(file.path()).expect("a file"));
        let quantum = vector
            .identities
            .iter()
            .any(|key| key.starts_with("AGE-SECRET-KEY-PQ-"));
        let exception = EXCEPTIONS.iter().find(|(exception, _)| *exception == name);
        match (vector.complaint(), exception) {
            (None, Some(_)) => complaints.push(format!("{name}: no longer an exception")),
            // A post-quantum vector that is to fail does, for want of the key.
            (Some(_), None) if quantum && vector.expect != "success" => {}
            (Some(complaint), None) => {
                complaints.push(format!("{name} ({}): {complaint}", vector.expect));
            }
            _ => {}
        }
    }
    complaints.sort();
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
    assert_eq!(count, COUNT);
}
