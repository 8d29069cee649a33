//! A time as a person types it.

#![no_main]

use agevault::format::expiry;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let now = "2026-11-23T12:00:00Z".parse().unwrap();
    if let Ok(Some(time)) = expiry::parse(text, now) {
        let _ = (expiry::distance(time, now), expiry::show(time));
    }
    let _ = agevault::crypto::sign::parse_fingerprint(text);
});
