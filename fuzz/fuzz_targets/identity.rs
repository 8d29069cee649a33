//! An identity file: native keys, plugins, SSH keys. A passphrase is asked of nobody.

#![no_main]

use agevault::crypto::Identities;
use agevault::secret::Secret;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Ok(identities) = Identities::from_key(&Secret::copy_of(data)) {
        let _ = identities.recipients();
    }
});
