//! What docker says to its credential helper; what it is answered is read as the same.

#![no_main]

use agevault::plugins::docker;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Some(new) = docker::New::parse(data) {
        let secret = new.secret();
        let text = std::str::from_utf8(secret.expose()).expect("JSON is text");
        let lines = docker::answer(&new.server, &new.username, text);
        let again = docker::New::parse(lines.expose()).expect("our own answer is read");
        assert_eq!((&again.server, &again.username), (&new.server, &new.username));
        assert_eq!(again.secret().expose(), secret.expose());
        assert!(!lines.expose().contains(&b'\n'));
    }
    if let Ok(server) = std::str::from_utf8(data) {
        let _ = docker::request(server);
    }
});
