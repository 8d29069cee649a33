//! A raw commit and its seal.

#![no_main]

use agevault::format::seal;
use agevault::git::Commit;
use agevault::git::Id;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let (epoch, key) = agevault_fuzz::keys();
    let _ = Commit::parse(Id::from_bytes([0; 20]), data.to_vec());
    assert!(seal::verify(data, &epoch).is_err());
    let sealed = seal::seal(data, &epoch, &key);
    if seal::verify(&sealed, &epoch).is_ok() {
        assert!(data.ends_with(b"\n"));
    }
});
