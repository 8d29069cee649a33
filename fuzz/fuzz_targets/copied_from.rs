//! The name of which a file-sync tool has made another: always a name.

#![no_main]

use agevault::format::Name;
use agevault::format::layout::copied_from;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Ok(text) = std::str::from_utf8(data)
        && let Some(name) = copied_from(text)
    {
        assert!(Name::parse(name.as_str()).is_ok());
    }
});
