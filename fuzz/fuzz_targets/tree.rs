//! A tree object of git.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    agevault::git::doors::tree(data);
});
