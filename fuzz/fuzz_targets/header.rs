//! The header of an entry; what was understood is the same after it was written and read again.

#![no_main]

use agevault::format::Header;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if let Ok(header) = Header::parse(text) {
        let written = header.to_text();
        let again = Header::parse(&written).unwrap_or_else(|why| panic!("{why}: {written}"));
        assert_eq!(again, header);
        assert_eq!(written.lines().filter(|line| *line == "---").count(), 0);
    }
});
