//! The repository's own settings.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Ok(text) = std::str::from_utf8(data) {
        agevault::git::doors::settings(text);
    }
});
