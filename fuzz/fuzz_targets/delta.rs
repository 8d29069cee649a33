//! A delta of a pack.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let (base, delta) = agevault_fuzz::split(data);
    agevault::git::doors::delta(base, delta);
});
