//! A dotfile's target: never a panic, and whatever is taken stays below the home and has a name.
#![no_main]

use std::path::Component;

use agevault::dotfiles::target::Target;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok(target) = Target::parse(text) else {
        return;
    };
    let is_plain = |part| matches!(part, Component::Normal(_));
    assert!(target.as_path().components().all(is_plain));
    assert!(target.name().is_some());
});
