//! An SSH private key: the bytes within the lines of its file.

#![no_main]

use agevault::crypto::Identities;
use agevault::secret::Secret;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let text = STANDARD.encode([b"openssh-key-v1\0", data].concat());
    let file =
        format!("-----BEGIN OPENSSH PRIVATE KEY-----\n{text}\n-----END OPENSSH PRIVATE KEY-----\n");
    if let Ok(identities) = Identities::from_key(&Secret::new(file.into_bytes())) {
        let _ = identities.recipients();
    }
});
