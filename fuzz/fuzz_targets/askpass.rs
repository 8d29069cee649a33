//! Prompts of other programs: one with a control character means nothing.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Ok(prompt) = std::str::from_utf8(data) {
        let wanted = agevault::plugins::askpass::Wanted::of_prompt(prompt);
        assert!(wanted.is_none() || !prompt.chars().any(char::is_control));
    }
});
