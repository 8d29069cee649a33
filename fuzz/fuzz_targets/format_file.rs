//! `.vault/format`.

#![no_main]

use agevault::format::Epoch;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Ok(epoch) = Epoch::parse(data) {
        assert_eq!(Epoch::parse(epoch.to_text().as_bytes()), Ok(epoch.clone()));
        assert_eq!(epoch.fingerprint().split('-').count(), 8);
    }
});
