//! An age file, opened with a key: that of the member `laptop` of the test vectors, whose key files are the seeds.

#![no_main]

use std::sync::OnceLock;

use agevault::crypto::Identities;
use agevault::crypto::file;
use agevault::crypto::identity::StoreKey;
use agevault::secret::Secret;

const IDENTITY: &str = include_str!("../../store-format/vectors/keys/laptop.txt");

fn keys() -> &'static (StoreKey, Identities) {
    static KEYS: OnceLock<(StoreKey, Identities)> = OnceLock::new();
    KEYS.get_or_init(|| {
        let line = IDENTITY.lines().next_back().unwrap();
        let key = StoreKey::parse(line.as_bytes()).unwrap();
        let text = Secret::copy_of(IDENTITY.as_bytes());
        (key, Identities::from_key(&text).unwrap())
    })
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let (key, identities) = keys();
    let one = file::open_with_key(data, key, 1 << 20);
    let other = file::open_with(data, identities, 1 << 20);
    assert_eq!(one.is_ok(), other.is_ok());
    if let Ok(binary) = file::dearmor(data) {
        let _ = file::open_with_key(&binary, key, 1 << 20);
    }
});
