//! A decrypted document of any kind: with a signature that does not fit, and with one that does.

#![no_main]

use agevault::format::Document;
use agevault::format::document::Domain;
use agevault::secret::Secret;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let (epoch, key) = agevault_fuzz::keys();
    for domain in [Domain::Entry, Domain::Keys, Domain::Members] {
        let _ = Document::open(Secret::copy_of(data), domain, &epoch);
    }
    let (header, body) = agevault_fuzz::split(data);
    let Ok(header) = std::str::from_utf8(header) else {
        return;
    };
    let head = Document::sign(header, body, Domain::Entry, &epoch, &key);
    let plain = Secret::new([head.as_bytes(), body].concat());
    if let Ok(document) = Document::open(plain, Domain::Entry, &epoch) {
        assert_eq!(
            (document.header.as_str(), document.body.expose()),
            (header, body)
        );
    }
});
