//! Addresses of places: what is shown of one is read as the same host, and never as another.

#![no_main]

use agevault::policy::place::Place;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if let Ok((place, _)) = Place::parse(text) {
        let (again, user) = Place::parse(&format!("{}://{}", place.protocol, place.authority())).expect("an address");
        assert_eq!((&again.protocol, &again.host, again.port), (&place.protocol, &place.host, place.port));
        assert!(user.is_none() && again.path.is_empty());
        assert!(place.path.iter().all(|part| part != ".." && !part.chars().any(char::is_control)));
    }
});
