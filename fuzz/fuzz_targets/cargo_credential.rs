//! What cargo says to its credential provider; a reply is one line, whatever is in it.

#![no_main]

use agevault::plugins::cargo::Reply;
use agevault::plugins::cargo::Wanted;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let _ = Wanted::parse(data);
    if let Ok(text) = std::str::from_utf8(data) {
        for reply in [Reply::Token(text, None), Reply::Failed(text)] {
            assert!(!reply.line().expose().contains(&b'\n'));
        }
    }
});
