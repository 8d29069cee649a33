//! A record of the local index.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    agevault::store::index::parses(data);
});
