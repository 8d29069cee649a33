//! git's index.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    agevault::git::doors::index(data);
});
