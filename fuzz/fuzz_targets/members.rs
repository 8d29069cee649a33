//! The header and body of a member list that is well signed.

#![no_main]

use agevault::format::Document;
use agevault::format::members::Members;
use agevault::secret::Secret;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let (more, body) = agevault_fuzz::split(data);
    let Ok(more) = std::str::from_utf8(more) else {
        return;
    };
    for header in [more.to_owned(), format!("format = 1\nrev = 1\n{more}")] {
        let document = Document {
            header,
            body: Secret::copy_of(body),
        };
        let Ok(members) = Members::of_document(&document) else {
            continue;
        };
        let (header, body) = members.to_texts();
        let document = Document {
            header,
            body: Secret::new(body.into_bytes()),
        };
        assert_eq!(
            Members::of_document(&document).unwrap().list.len(),
            members.list.len()
        );
    }
});
