//! What git says to its credential helper, and what it is answered: each field one line, whatever is in it.

#![no_main]

use agevault::plugins::git::Answer;
use agevault::plugins::git::Description;
use agevault_fuzz::split;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let (request, secret) = split(data);
    let Ok(read) = Description::parse(request) else {
        return;
    };
    if let Ok(request) = read.request() {
        let place = &request.place;
        assert!(!place.host.contains(|c: char| c.is_control() || "/\\@?#%".contains(c)));
        assert!(!place.protocol.is_empty());
    }
    let answer = Answer {
        username: read.username.as_deref(),
        secret,
        expires: read.expires,
    };
    let Ok(lines) = read.answer(&answer) else {
        return;
    };
    assert!(!secret.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)));
    // git would read the same fields, once each.
    let again = Description::parse(lines.expose()).expect("our own answer is read");
    let found = again.secret().expect("with the secret");
    assert_eq!(found.expose(), secret);
});
