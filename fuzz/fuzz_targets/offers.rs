//! The record of what was handed to hosts.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Ok(text) = std::str::from_utf8(data) {
        assert!(agevault::store::offers::parses(text));
    }
});
