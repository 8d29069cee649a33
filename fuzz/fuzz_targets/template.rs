//! A file with references: never a panic; filled in and taken back unchanged it is the same, and what is taken back from a changed
//! file becomes that file when it is filled in again with the values that still have a place.
#![no_main]

use agevault::dotfiles::template;
use agevault::secret::Secret;
use agevault_fuzz::split;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let (text, changed) = split(data);
    let Ok(pieces) = template::parse(text) else {
        return;
    };
    let values: Vec<Secret> = template::holes(&pieces)
        .enumerate()
        .map(|(number, hole)| {
            let name = hole.reference.name.as_str();
            Secret::new(format!("<{number} {name}>").into_bytes())
        })
        .collect();
    let filled = template::fill(text, &pieces, &values);
    let same = template::take_back(text, &pieces, &values, filled.expose());
    assert_eq!(same.text.expose(), text);
    assert!(same.lost.is_empty());
    let _ = template::take_back(text, &pieces, &values, changed);
});
