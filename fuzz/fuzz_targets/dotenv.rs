//! Files of variables, and the references in them.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Ok(lines) = agevault::exec::dotenv::parse(data) {
        for line in lines {
            if let Ok(text) = std::str::from_utf8(line.value.expose())
                && let Some(Ok(reference)) = agevault::exec::reference::Reference::of_text(text)
            {
                let again = agevault::exec::reference::Reference::parse(&reference.to_string());
                // A name may end like a field; then the field itself must be written.
                assert!(again.is_ok() || reference.name.as_str().contains('#'));
            }
        }
    }
});
