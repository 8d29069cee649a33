//! The header and body of a key file that is well signed.

#![no_main]

use agevault::format::Document;
use agevault::format::document::Domain;
use agevault::format::keys::KeyFile;
use agevault::secret::Secret;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let (epoch, key) = agevault_fuzz::keys();
    let (more, body) = agevault_fuzz::split(data);
    let Ok(more) = std::str::from_utf8(more) else {
        return;
    };
    for header in [
        more.to_owned(),
        format!("{}member = \"laptop\"\n{more}", epoch.to_text()),
    ] {
        let head = Document::sign(&header, body, Domain::Keys, &epoch, &key);
        let plain = Secret::new([head.as_bytes(), body].concat());
        let _ = KeyFile::parse(plain, &epoch, "laptop");
    }
});
