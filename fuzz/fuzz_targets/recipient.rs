//! A recipient as the member list has it; it comes back as it was written.

#![no_main]

use agevault::crypto::recipient::Recipient;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if let Ok(recipient) = Recipient::parse(text) {
        let written = recipient.to_string();
        assert_eq!(Recipient::parse(&written).unwrap().to_string(), written);
    }
});
