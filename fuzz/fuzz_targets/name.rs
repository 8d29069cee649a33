//! A name from a disk, a tree or a header; what is let through is a path and comes back from it.

#![no_main]

use agevault::format::Name;
use agevault::format::layout;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let _ = layout::place_of(text);
    let _ = layout::is_member_name(text);
    if let Ok(name) = Name::parse(text) {
        assert_eq!(name.as_str(), text);
        assert!(!text.contains("..") || text.split('/').all(|part| part != ".."));
        assert_eq!(
            layout::place_of(&layout::path_of(&name)),
            Ok(layout::Place::Entry(name.clone()))
        );
        assert!(!name.clashes_with(&name));
    }
});
