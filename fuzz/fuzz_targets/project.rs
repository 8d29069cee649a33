//! The project file.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let _ = agevault::exec::project::Project::parse(data);
});
