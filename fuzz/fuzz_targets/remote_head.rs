//! What a remote says of its HEAD: git prints it, and a host has written it.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Ok(text) = std::str::from_utf8(data) {
        agevault::git::doors::remote_head(text);
    }
});
